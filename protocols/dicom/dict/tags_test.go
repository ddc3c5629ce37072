package dict

import (
	"strings"
	"testing"
)

func TestDataElementsOfTheStandard(t *testing.T) {
	for _, c := range []struct {
		tag     uint32
		name    string
		keyword string
		vrs     VRs
	}{
		{0x00080005, "Specific Character Set", "SpecificCharacterSet", Set(CS)},
		{0x00100010, "Patient's Name", "PatientName", Set(PN)},
		{0x0020000D, "Study Instance UID", "StudyInstanceUID", Set(UI)},
		{0x00280106, "Smallest Image Pixel Value", "SmallestImagePixelValue", Set(US, SS)},
		{0x00400100, "Scheduled Procedure Step Sequence", "ScheduledProcedureStepSequence", Set(SQ)},
		{0x7FE00010, "Pixel Data", "PixelData", Set(OB, OW)},
		{0x60003000, "Overlay Data", "OverlayData", Set(OB, OW)},
		{0x50000005, "Curve Dimensions", "CurveDimensions", Set(US)},
	} {
		if got := VRsOf(c.tag); got != c.vrs {
			t.Errorf("(%08X) has the VRs %b, want %b", c.tag, got, c.vrs)
		}
		if got := TagName(c.tag); got != c.name {
			t.Errorf("(%08X) is called %q, want %q", c.tag, got, c.name)
		}
		for _, name := range []string{c.name, c.keyword, strings.ToLower(c.keyword)} {
			if got, ok := Tag(name); !ok || got != c.tag {
				t.Errorf("Tag(%q) = %08X, %v, want %08X", name, got, ok, c.tag)
			}
		}
	}
	if got, ok := Tag("Patient's Shoe"); ok {
		t.Errorf("(%08X) has a name that the standard does not know", got)
	}
}

func TestCurvesAndOverlaysRepeat(t *testing.T) {
	for tag, want := range map[uint32]VRs{
		0x60FE3000: Set(OB, OW), 0x60020010: Set(US), 0x501E0005: Set(US),
		0x60013000: 0, // a private group
		0x60029999: 0,
		0x00090010: 0,
		0x00090000: Set(UL), 0x00280000: Set(UL),
	} {
		if got := VRsOf(tag); got != want {
			t.Errorf("(%08X) has the VRs %b, want %b", tag, got, want)
		}
	}
}

func TestEveryDataElementIsFound(t *testing.T) {
	rows := 0
	for line := range strings.Lines(tagTable) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		rows++
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		tag, ok := Tag(f[4])
		if !ok || TagName(tag) != f[1] || VRsOf(tag) == 0 || VRsOf(tag).Has(NoVR) {
			t.Errorf("%s: %08X %q %b", line, tag, TagName(tag), VRsOf(tag))
		}
	}
	if rows < 5000 {
		t.Errorf("%d rows", rows)
	}
}

func TestVRs(t *testing.T) {
	long := 0
	for v := AE; v <= UV; v++ {
		if name := v.String(); VROf(name[0], name[1]) != v {
			t.Errorf("%s is read as %s", name, VROf(name[0], name[1]))
		}
		if v.Long() {
			long++
		}
	}
	if long != 13 || SQ.String() != "SQ" || UV.String() != "UV" || NoVR.String() != "no VR" || NoVR.Long() {
		t.Errorf("%d VRs are long", long)
	}
	for _, b := range []string{"ZZ", "us", "\x00\x00", "..", "A1"} {
		if v := VROf(b[0], b[1]); v != NoVR {
			t.Errorf("%q is read as %s", b, v)
		}
	}
}
