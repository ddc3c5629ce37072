package demo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// read takes a data set apart that this package wrote: values by tag. It fails unless tags
// ascend and lengths are even and add up.
func read(t *testing.T, o Object) map[dicom.Tag]string {
	t.Helper()
	le := binary.LittleEndian
	values, last := map[dicom.Tag]string{}, dicom.Tag(0)
	for b := o.Data; len(b) > 0; {
		tag := dicom.Tag(le.Uint16(b))<<16 | dicom.Tag(le.Uint16(b[2:]))
		if tag <= last {
			t.Fatalf("(%08X) after (%08X)", uint32(tag), uint32(last))
		}
		last = tag
		at, n := 8, int(le.Uint32(b[4:]))
		if o.Syntax == explicitLE {
			if n = int(le.Uint16(b[6:])); string(b[4:6]) == "OW" {
				at, n = 12, int(le.Uint32(b[8:]))
			}
		}
		if n%2 != 0 {
			t.Fatalf("(%08X) has %d bytes", uint32(tag), n)
		}
		values[tag] = string(b[at : at+n])
		b = b[at+n:]
	}
	return values
}

func TestImagesSayTheSameInEitherSyntax(t *testing.T) {
	s := NewStudy("seed", noon, 24)
	e, i := read(t, s.CT(7, explicitLE)), read(t, s.CT(7, implicitLE))
	if fmt.Sprint(e) != fmt.Sprint(i) {
		t.Error("explicit and implicit VR hold different values")
	}
	if n := len(e[0x7FE00010]); n != 2*matrix*matrix {
		t.Errorf("%d bytes of pixel data", n)
	}
}

func TestImagesAreNamedAsTheyAreSent(t *testing.T) {
	s := NewStudy("seed", noon, 3)
	objects := []Object{s.Capture(explicitLE), s.StudyOutside(explicitLE), s.InstanceOutside(implicitLE)}
	for i := range s.Slices() {
		objects = append(objects, s.CT(i, implicitLE))
	}
	seen := map[string]bool{}
	for _, o := range objects {
		v := read(t, o)
		for tag, want := range map[dicom.Tag]string{dicom.TagSOPClassUID: o.Class, dicom.TagSOPInstanceUID: o.Instance} {
			if got := strings.TrimRight(v[tag], "\x00"); got != want {
				t.Errorf("(%08X) is %q, the command will say %q", uint32(tag), got, want)
			}
		}
		if seen[o.Instance] {
			t.Error("two objects have one instance UID")
		}
		seen[o.Instance] = true
	}
}

func TestUIDsAreValidAndOfTheRun(t *testing.T) {
	a, again, b := NewStudy("a", noon, 1), NewStudy("a", noon, 1), NewStudy("b", noon, 1)
	for _, name := range []string{"study", "ct 0", "series 1", "capture"} {
		if !dicom.ValidUID([]byte(a.UID(name))) {
			t.Errorf("%s is no UID", a.UID(name))
		}
		if a.UID(name) != again.UID(name) || a.UID(name) == b.UID(name) {
			t.Error("UIDs do not follow from the seed")
		}
	}
}

func TestOutsideUIDsAreOnlyTheOnesNamed(t *testing.T) {
	s := NewStudy("seed", noon, 1)
	if v := read(t, s.StudyOutside(explicitLE)); strings.TrimRight(v[dicom.TagStudyInstanceUID], "\x00") != ".." || !dicom.ValidUID([]byte(v[dicom.TagSOPInstanceUID])) {
		t.Error("only the Study UID is to leave its folder")
	}
	if v := read(t, s.InstanceOutside(explicitLE)); dicom.ValidUID([]byte(v[dicom.TagSOPInstanceUID])) || !dicom.ValidUID([]byte(v[dicom.TagStudyInstanceUID])) {
		t.Error("only the Instance UID is to leave its folder")
	}
}

func TestPhantomHasItsTissues(t *testing.T) {
	count := map[int16]int{}
	for _, v := range hounsfield(0) {
		count[v]++
	}
	for hu, what := range map[int16]string{airHU: "air", 1000: "bone", 40: "brain", 0: "fluid", 60: "lesion"} {
		if count[hu] == 0 {
			t.Errorf("no %s in the middle slice", what)
		}
	}
	if !slices.ContainsFunc(hounsfield(0.95), func(v int16) bool { return v == airHU }) || slices.Max(hounsfield(0.95)) != airHU {
		t.Error("above the head there is more than air")
	}
}

// Any viewer must show what the demo stores: dciodvfy of dicom3tools checks it against PS3.3.
func TestObjectsAreValid(t *testing.T) {
	dciodvfy, err := exec.LookPath("dciodvfy")
	if err != nil {
		if os.Getenv("CORDON_REQUIRE_PEERS") != "" {
			t.Fatal("dciodvfy of dicom3tools is not installed and CORDON_REQUIRE_PEERS is set")
		}
		t.Skip("LEFT OUT: dciodvfy of dicom3tools is not installed; the demo's objects were not checked against PS3.3")
	}
	s := NewStudy("seed", noon, 24)
	for i, o := range []Object{s.CT(0, explicitLE), s.CT(12, implicitLE), s.CT(23, explicitLE), s.Capture(explicitLE), s.Capture(implicitLE)} {
		var file bytes.Buffer
		if err := endpoint.WriteFileMeta(&file, endpoint.FileMeta{SOPClass: o.Class, SOPInstance: o.Instance, Transfer: o.Syntax}); err != nil {
			t.Fatal(err)
		}
		file.Write(o.Data)
		path := filepath.Join(t.TempDir(), "object.dcm")
		if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(dciodvfy, path).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "Error") || strings.HasPrefix(line, "Warning") {
				t.Errorf("object %d: %s", i, line)
			}
		}
	}
}
