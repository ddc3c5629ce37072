package dicom

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

const (
	uidRLE = "1.2.840.10008.1.2.5"
)

// number writes a number of 16 bits in the byte order of the data set.
func (d *dataSet) number(tag Tag, n uint16) *dataSet {
	return d.put(tag, "US", string(d.order().AppendUint16(nil, n)))
}

// picture has what says how 3 frames of 5 rows and 4 columns in colour are written.
func picture(e encoding, framesVR string) *dataSet {
	d := &dataSet{encoding: e}
	d.put(0x00080005, "CS", `ISO_IR 100\ISO 2022 IR 87 `)
	d.put(TagSOPClassUID, "UI", uidCT+"\x00").put(TagSOPInstanceUID, "UI", testInstance+"\x00")
	d.put(0x00080060, "CS", "CT")
	d.open(0x00082112, "SQ").item().put(TagSOPInstanceUID, "UI", "6.6.6\x00").number(0x00280010, 666).endItem().end()
	d.put(TagStudyInstanceUID, "UI", testStudy+"\x00").put(0x0020000E, "UI", testStudy+".7\x00")
	d.number(0x00280002, 3).put(0x00280004, "CS", "RGB ").number(0x00280006, 1)
	if framesVR != "" {
		d.put(0x00280008, framesVR, "3 ")
	}
	d.number(0x00280010, 5).number(0x00280011, 4)
	d.number(0x00280100, 16).number(0x00280101, 12).number(0x00280102, 11).number(0x00280103, 1)
	return d
}

// native ends the data set with Pixel Data of its own length.
func (d *dataSet) native() []byte {
	return d.put(tagPixelData, "OW", strings.Repeat("\xA5\x5A", 180)).put(0xFFFCFFFC, "OB", "xx").b
}

// fragments ends it with encapsulated Pixel Data.
func (d *dataSet) fragments(items ...string) []byte {
	d.open(tagPixelData, "OB")
	for _, f := range items {
		d.put(tagItem, "", f)
	}
	return d.end().put(0xFFFCFFFC, "OB", "xx").b
}

// rleFragment has an RLE header and eight bytes behind it.
func rleFragment(segments uint32, offsets ...uint32) string {
	b := make([]byte, rleHeaderLen+8)
	binary.LittleEndian.PutUint32(b, segments)
	for i, o := range offsets {
		binary.LittleEndian.PutUint32(b[4+4*i:], o)
	}
	return string(b)
}

// scanFacts scans b whole, split once at each byte and byte by byte, wants the same facts each
// time, and returns them.
func scanFacts(t *testing.T, transfer string, until Tag, b []byte) *DataSet {
	t.Helper()
	want := scanEveryWay(t, transfer, until, b)
	for at := range b {
		if got := scanIn(transfer, until, b[:at], b[at:]); got != want {
			t.Fatalf("split at %d: %+v\nwhole: %+v", at, got, want)
		}
	}
	s := new(Scanner)
	s.Reset(transfer, until)
	s.Feed(b)
	s.End()
	return s.DataSet()
}

func TestScanYieldsTheFactsOfAnImage(t *testing.T) { // D25
	for transfer, b := range map[string][]byte{
		uidImplicit:  picture(encoding{implicit: true}, "IS").native(),
		uidExplicit:  picture(encoding{}, "IS").native(),
		uidBigEndian: picture(encoding{bigEndian: true}, "IS").native(),
		uidDeflated:  deflate(picture(encoding{}, "IS").native()),
	} {
		for _, until := range []Tag{tagPixelData, 0xFFFCFFFB, 0xFFFCFFFC} {
			d := scanFacts(t, transfer, until, b)
			if d.Fault != nil || string(d.SOPInstance) != testInstance || string(d.StudyInstance) != testStudy ||
				string(d.SeriesInstance) != testStudy+".7" || string(d.Modality) != "CT" || !d.SeriesSafe || !d.StudySafe || !d.InstanceSafe ||
				string(d.CharacterSet) != `ISO_IR 100\ISO 2022 IR 87` || d.Depth != 1 || d.Mismatch != 0 || d.Complete {
				t.Errorf("%s up to %s: %+v", transfer, until, d)
			}
			im := d.Image
			if string(im.Photometric) != "RGB" {
				t.Errorf("%s: %q", transfer, im.Photometric)
			}
			im.Photometric = nil
			want := Image{Rows: 5, Columns: 4, SamplesPerPixel: 3, Planar: 1, BitsAllocated: 16, BitsStored: 12, HighBit: 11, Representation: 1,
				Frames: 3, HasPixels: true, PixelLength: 360}
			if fmt.Sprint(im) != fmt.Sprint(want) {
				t.Errorf("%s: %+v, want %+v", transfer, im, want)
			}
			if n, ok := d.Image.Expected(); !ok || n != 360 {
				t.Errorf("%s: %d bytes expected, %v", transfer, n, ok)
			}
		}
		if d := scanFacts(t, transfer, 0x00280001, b); d.Image.Rows != 0 || d.Image.HasPixels || string(d.Modality) != "CT" || d.Elements != 9 {
			t.Errorf("%s: %+v", transfer, d)
		}
	}
}

func TestScanYieldsTheFactsOfFragments(t *testing.T) { // D25
	long := rleFragment(15, 64, 65, 66, 67, 68, 69, 70, 71, 0)
	for _, c := range []struct {
		name     string
		transfer string
		b        []byte
		want     Image
	}{
		{"offset table and two fragments", uidJPEG, picture(encoding{}, "IS").fragments("abcdefgh", "012345", "0123"), Image{OffsetTable: 8, FirstFragment: 6}},
		{"no offset table", uidJPEG, picture(encoding{}, "IS").fragments("", "012345"), Image{FirstFragment: 6}},
		{"no fragment", uidJPEG, picture(encoding{}, "IS").fragments("abcd"), Image{OffsetTable: 4}},
		{"nothing", uidJPEG, picture(encoding{}, "IS").fragments(), Image{}},
		{"delimiters in a fragment", uidJPEG, picture(encoding{}, "IS").fragments("", "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"), Image{FirstFragment: 8}},
		{"RLE", uidRLE, picture(encoding{}, "IS").fragments("", rleFragment(3, 64, 66, 68)), Image{FirstFragment: 72, Segments: 3, RLESane: true}},
		{"RLE of no segment", uidRLE, picture(encoding{}, "IS").fragments("", rleFragment(0)), Image{FirstFragment: 72}},
		{"RLE of too many segments", uidRLE, picture(encoding{}, "IS").fragments("", rleFragment(16, 64, 65, 66)), Image{FirstFragment: 72, Segments: 16}},
		{"RLE offset twice", uidRLE, picture(encoding{}, "IS").fragments("", rleFragment(2, 64, 64)), Image{FirstFragment: 72, Segments: 2}},
		{"RLE offset outside", uidRLE, picture(encoding{}, "IS").fragments("", rleFragment(2, 64, 72)), Image{FirstFragment: 72, Segments: 2}},
		{"RLE offset in the header", uidRLE, picture(encoding{}, "IS").fragments("", rleFragment(1, 60)), Image{FirstFragment: 72, Segments: 1}},
		{"RLE offsets that descend", uidRLE, picture(encoding{}, "IS").fragments("", long), Image{FirstFragment: 72, Segments: 15}},
		{"RLE header cut", uidRLE, picture(encoding{}, "IS").fragments("", rleFragment(1, 64)[:20]), Image{FirstFragment: 20, Segments: 1}},
		{"RLE without header", uidRLE, picture(encoding{}, "IS").fragments("", "ab"), Image{FirstFragment: 2}},
		{"RLE without fragment", uidRLE, picture(encoding{}, "IS").fragments("", ""), Image{}},
		{"in implicit VR", uidImplicit, picture(encoding{implicit: true}, "IS").fragments("abcd", "012345"), Image{OffsetTable: 4, FirstFragment: 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, until := range []Tag{tagPixelData, Whole} {
				d := scanFacts(t, c.transfer, until, c.b)
				im := d.Image
				got := Image{OffsetTable: im.OffsetTable, FirstFragment: im.FirstFragment, Segments: im.Segments, RLESane: im.RLESane}
				if d.Fault != nil || !im.HasPixels || !im.Encapsulated || im.PixelLength != 0 || fmt.Sprint(got) != fmt.Sprint(c.want) {
					t.Errorf("up to %s: %+v %v", until, im, d.Fault)
				}
			}
		})
	}
}

// A fragment may be long: what lies behind its header is not waited for.
func TestScanOfPixelDataIsDoneWithTheFirstFragmentsHeader(t *testing.T) {
	for transfer, fragment := range map[string]string{uidJPEG: "", uidRLE: rleFragment(1, 64)[:64]} {
		d := picture(encoding{}, "IS").open(tagPixelData, "OB").put(tagItem, "", "").head(tagItem, "", 1<<20)
		b := append(d.b, fragment...)
		var s Scanner
		s.Reset(transfer, tagPixelData)
		if s.Feed(b[:len(b)-1]) || !s.Feed(b[len(b)-1:]) || s.DataSet().Image.FirstFragment != 1<<20 || s.DataSet().Fault != nil {
			t.Errorf("%s: %+v", transfer, s.DataSet())
		}
	}
}

func TestNumberOfFrames(t *testing.T) {
	for text, want := range map[string]struct {
		frames uint32
		bad    bool
	}{
		"": {1, false}, "  ": {1, false}, "1": {1, false}, " +12 ": {12, false}, "0": {0, false}, "4294967295": {4294967295, false},
		"4294967296": {0, true}, "-1": {0, true}, "1.5": {0, true}, `1\2`: {0, true}, "+": {0, true}, "one": {0, true},
		strings.Repeat("9", 60): {0, true}, strings.Repeat("0", 60) + "7": {7, false},
	} {
		d := new(dataSet).put(0x00280008, "IS", text)
		if got := scanFacts(t, uidExplicit, Whole, d.b); got.Image.Frames != want.frames || got.Image.FramesBad != want.bad || got.Fault != nil {
			t.Errorf("%q: %d, bad %v, %v", text, got.Image.Frames, got.Image.FramesBad, got.Fault)
		}
	}
	if got := scanFacts(t, uidExplicit, Whole, new(dataSet).put(0x00280008, "US", "\x01\x00").b); got.Fault == nil {
		t.Error("a number of frames in binary was read")
	}
}

func TestNumbersHaveTwoBytes(t *testing.T) {
	for value, want := range map[string]string{"": "", "\x05\x00": "", "\x05": "has 1 byte; 2", "\x05\x00\x05\x00": "has 4 bytes; at most 2"} {
		d := scanFacts(t, uidExplicit, Whole, new(dataSet).put(0x00280010, "US", value).b)
		if want == "" && (d.Fault != nil || d.Image.Rows != uint16(len(value)/2*5)) || want != "" && (d.Fault == nil || !strings.Contains(d.Fault.Detail, want)) {
			t.Errorf("%q: %d rows, %v", value, d.Image.Rows, d.Fault)
		}
	}
}

func TestNothingButPaddingIsAbsent(t *testing.T) {
	d := scanFacts(t, uidExplicit, Whole, new(dataSet).put(0x00080005, "CS", "  ").put(TagSOPClassUID, "UI", "\x00\x00").put(0x00080060, "CS", "").b)
	if d.CharacterSet != nil || d.SOPClass != nil || d.Modality != nil || d.Fault != nil {
		t.Errorf("%+v", d)
	}
}

func TestExpectedLength(t *testing.T) {
	mono := Image{Rows: 512, Columns: 512, SamplesPerPixel: 1, BitsAllocated: 16, Frames: 1}
	with := func(change func(*Image)) Image { im := mono; change(&im); return im }
	for name, c := range map[string]struct {
		im   Image
		want uint64
		ok   bool
	}{
		"CT":               {mono, 524288, true},
		"frames":           {with(func(im *Image) { im.Frames = 4000000000 }), 524288 * 4000000000, true},
		"bits":             {with(func(im *Image) { im.BitsAllocated, im.Rows, im.Columns, im.Frames = 1, 3, 3, 2 }), 3, true},
		"4:2:2":            {with(func(im *Image) { im.SamplesPerPixel, im.BitsAllocated, im.Photometric = 3, 8, []byte("YBR_FULL_422") }), 524288, true},
		"4:4:4":            {with(func(im *Image) { im.SamplesPerPixel, im.BitsAllocated, im.Photometric = 3, 8, []byte("YBR_FULL") }), 786432, true},
		"no rows":          {with(func(im *Image) { im.Rows = 0 }), 0, false},
		"no frames":        {with(func(im *Image) { im.Frames = 0 }), 0, false},
		"no image":         {Image{Frames: 1}, 0, false},
		"beyond 64 bits":   {Image{Rows: 65535, Columns: 65535, SamplesPerPixel: 65535, BitsAllocated: 65535, Frames: 1 << 31}, 0, false},
		"many bits":        {Image{Rows: 65535, Columns: 65535, SamplesPerPixel: 3, BitsAllocated: 32, Frames: 1 << 24}, 65535 * 65535 * 12 << 24, true},
		"just in 64 bits":  {Image{Rows: 1 << 15, Columns: 1 << 15, SamplesPerPixel: 1, BitsAllocated: 8, Frames: 1 << 30}, 1 << 60, true},
		"above by one bit": {Image{Rows: 1 << 15, Columns: 1 << 15, SamplesPerPixel: 8, BitsAllocated: 8, Frames: 1 << 31}, 0, false},
	} {
		got, ok := c.im.Expected()
		if got != c.want || ok != c.ok {
			t.Errorf("%s: %d, %v, want %d, %v", name, got, ok, c.want, c.ok)
		}
	}
}

func TestFirstMismatchWithTheDictionaryIsAFact(t *testing.T) {
	for name, c := range map[string]struct {
		d    *dataSet
		want Tag
	}{
		"none":              {picture(encoding{}, "IS"), 0},
		"UN":                {new(dataSet).put(0x00080060, "UN", "CT"), 0},
		"one of two":        {new(dataSet).put(0x00280106, "SS", "\x01\x00"), 0},
		"neither of two":    {new(dataSet).put(0x00280106, "SL", "\x01\x00\x00\x00"), 0x00280106},
		"text":              {new(dataSet).put(0x00080060, "LO", "CT").put(0x00080070, "CS", "X"), 0x00080060},
		"nested":            {new(dataSet).open(0x00081110, "SQ").item().put(0x00081150, "LO", "1.2").endItem().end().put(0x00100010, "LO", ""), 0x00081150},
		"overlay":           {new(dataSet).put(0x60020010, "UL", "\x01\x00\x00\x00"), 0x60020010},
		"private":           {new(dataSet).put(0x00091001, "UL", "\x01\x00\x00\x00"), 0},
		"group length":      {new(dataSet).put(0x00080000, "US", "\x01\x00"), 0x00080000},
		"sequence as bytes": {new(dataSet).put(0x00081110, "OB", "\x01\x00"), 0x00081110},
	} {
		if got := scanFacts(t, uidExplicit, Whole, c.d.b); got.Mismatch != c.want || got.Fault != nil {
			t.Errorf("%s: %s %v", name, got.Mismatch, got.Fault)
		}
	}
}

func TestDataSetsAreCapped(t *testing.T) {
	nest := func(n int, defined bool) []byte {
		var b []byte
		for range n {
			if x := new(dataSet); defined {
				b = x.put(0x00081110, "SQ", string(new(dataSet).put(tagItem, "", string(b)).b)).b
			} else {
				x.open(0x00081110, "SQ").item()
				b = append(append(x.b, b...), new(dataSet).endItem().end().b...)
			}
		}
		return b
	}
	bomb := deflate(append(new(dataSet).put(0x00080005, "CS", "").b, new(dataSet).put(0x00091001, "OB", strings.Repeat("\x00", 2<<20)).b...))
	noise := make([]byte, 5000) // that cannot be deflated
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	many := new(dataSet)
	for i := range 10 {
		many.put(0x00091001+Tag(i), "SH", "")
	}
	items := new(dataSet).open(0x00081110, "SQ")
	for range 9 {
		items.put(tagItem, "", "")
	}
	implicit := func() *dataSet { return &dataSet{encoding: encoding{implicit: true}} }
	for _, c := range []struct {
		name     string
		limits   ScanLimits
		transfer string
		b        []byte
		detail   string // of the fault; "": none
	}{
		{"as deep as may be", ScanLimits{}, uidExplicit, nest(32, false), ""},
		{"deeper", ScanLimits{}, uidExplicit, nest(33, false), "deeper than 32"},
		{"deeper, of defined length", ScanLimits{}, uidExplicit, nest(33, true), "deeper than 32"},
		{"less deep by wish", ScanLimits{Depth: 2}, uidExplicit, nest(3, true), "deeper than 2"},
		{"deeper by wish", ScanLimits{Depth: 64}, uidExplicit, nest(64, true), ""},
		{"64 at most", ScanLimits{Depth: 1000}, uidExplicit, nest(65, false), "deeper than 64"},
		{"as many elements as may be", ScanLimits{Elements: 10}, uidExplicit, many.b, ""},
		{"more elements", ScanLimits{Elements: 9}, uidExplicit, many.b, "more than 9 elements"},
		{"as many items as may be", ScanLimits{Elements: 11}, uidExplicit, items.end().b, ""},
		{"more items", ScanLimits{Elements: 9}, uidExplicit, items.b, "more than 9 elements"},
		{"as long as may be", ScanLimits{Length: 10}, uidExplicit, new(dataSet).put(0x00091001, "OB", "0123456789").b, ""},
		{"longer", ScanLimits{Length: 8}, uidExplicit, new(dataSet).put(0x00091001, "OB", "0123456789").b, "10 bytes, more than 8"},
		{"long by default", ScanLimits{}, uidExplicit, new(dataSet).head(0x00091001, "OB", 1<<30+2).b, "more than 1073741824"},
		{"long pixel data", ScanLimits{Length: 8}, uidExplicit, new(dataSet).put(tagPixelData, "OB", "0123456789").b, ""},
		{"text as long as may be", ScanLimits{Text: 10}, uidExplicit, new(dataSet).put(0x00091001, "UT", "0123456789").b, ""},
		{"longer text", ScanLimits{Text: 8}, uidExplicit, new(dataSet).put(0x00091001, "UT", "0123456789").b, "text of 10 bytes, more than 8"},
		{"text in implicit VR", ScanLimits{Text: 8}, uidImplicit, implicit().put(0x00100010, "PN", "0123456789").b, "text of 10 bytes, more than 8"},
		{"text by default", ScanLimits{}, uidImplicit, implicit().head(0x00100010, "PN", 1<<20+2).b, "more than 1048576"},
		{"bytes as long as a text", ScanLimits{Text: 8}, uidExplicit, new(dataSet).put(0x00091001, "OB", "0123456789").b, ""},
		{"inflated", ScanLimits{}, uidDeflated, bomb, "inflated bytes"},
		{"held deflated", ScanLimits{Inflated: 1000}, uidDeflated, deflate(new(dataSet).put(0x00091001, "OB", string(noise)).b), "1000 deflated bytes"},
		{"inflated by wish", ScanLimits{Inflated: 3 << 20}, uidDeflated, bomb, ""},
		{"inflated less", ScanLimits{Inflated: 100}, uidDeflated, deflate(new(dataSet).put(0x00091100, "OB", strings.Repeat("\x00", 100)).b), "100 inflated bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, cut := range []int{len(c.b), 1, 7} {
				s := Scanner{Limits: c.limits}
				s.Reset(c.transfer, Whole)
				for piece := range slices.Chunk(c.b, cut) {
					s.Feed(piece)
				}
				s.End()
				d := s.DataSet()
				if c.detail == "" {
					if d.Fault != nil || !d.Complete {
						t.Errorf("%+v", d)
					}
				} else if d.Fault == nil || d.Fault.Reason != reason.CapDataSet || !strings.Contains(d.Fault.Detail, c.detail) {
					t.Errorf("%v, want %q", d.Fault, c.detail)
				}
			}
		})
	}
}

// A conversation hands its limits to its scans.
func TestDataSetBeyondACapIsRefused(t *testing.T) {
	d := new(dataSet)
	d.put(TagSOPClassUID, "UI", uidCT+"\x00").put(TagSOPInstanceUID, "UI", goodInstance)
	d.open(0x00081110, "SQ").item().open(0x00081199, "SQ").item().endItem().end().endItem().end()
	d.put(TagStudyInstanceUID, "UI", testStudy+"\x00")
	p := playEveryWay(t, Config{Scan: ScanLimits{Depth: 1}}, checked, established(near(store(1, d.b, 0)))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse cap.data-set")
	p = playEveryWay(t, Config{}, checked, established(near(store(1, d.b, 0)))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow")
}

// Facts are the same wherever PDUs and PDVs end, and wherever reads do.
func TestFactsOfADataSetInFragments(t *testing.T) { // D25
	set := picture(encoding{}, "IS").fragments("abcd", "012345")
	want := ""
	for size := uint32(8); size <= 64; size += 2 {
		for _, cut := range []int{1 << 20, 1, 13} {
			got := ""
			rules := curious{&script{dataSet: func(_ *Command, d *DataSet, _ *protocols.Verdict) { got += fmt.Sprintf("%+v", sawIn(d)) }}}
			p := protocols.Play(New(Config{}, rules), protocols.Cut(cut, established(near(store(1, set, size)))...)...)
			if want == "" {
				want = got
			}
			if p.Err != nil || got != want || !strings.Contains(got, "FirstFragment:6") {
				t.Fatalf("PDUs of %d, reads of %d: %v %s, want %s", size, cut, p.Err, got, want)
			}
		}
	}
}
