package dicom

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"

	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

const (
	uidBigEndian = "1.2.840.10008.1.2.2"
	uidDeflated  = "1.2.840.10008.1.2.1.99"
	testStudy    = "1.2.826.0.1.3680043.8.498.2"
)

// dataSet builds a data set in one transfer syntax, element by element.
type dataSet struct {
	encoding
	b []byte
}

func (d *dataSet) order() binary.AppendByteOrder {
	if d.bigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (d *dataSet) tag(tag Tag) *dataSet {
	d.b = d.order().AppendUint16(d.order().AppendUint16(d.b, uint16(tag>>16)), uint16(tag))
	return d
}

// head appends tag, VR and a length that may be a lie.
func (d *dataSet) head(tag Tag, vr string, length uint32) *dataSet {
	d.tag(tag)
	switch {
	case d.implicit || tag>>16 == 0xFFFE:
		d.b = d.order().AppendUint32(d.b, length)
	case dict.VROf(vr[0], vr[1]).Long():
		d.b = d.order().AppendUint32(append(d.b, vr[0], vr[1], 0, 0), length)
	default:
		d.b = d.order().AppendUint16(append(d.b, vr[0], vr[1]), uint16(length))
	}
	return d
}

func (d *dataSet) put(tag Tag, vr, value string) *dataSet {
	d.head(tag, vr, uint32(len(value)))
	d.b = append(d.b, value...)
	return d
}

// open begins a construct of undefined length, end closes it.
func (d *dataSet) open(tag Tag, vr string) *dataSet { return d.head(tag, vr, undefinedLength) }
func (d *dataSet) item() *dataSet                   { return d.head(tagItem, "", undefinedLength) }
func (d *dataSet) endItem() *dataSet                { return d.head(tagItemDelimiter, "", 0) }
func (d *dataSet) end() *dataSet                    { return d.head(tagSequenceDelimiter, "", 0) }

// object has what the scan must walk over before it finds what it is after: sequences of defined
// and undefined length, an UN of undefined length, long VRs, and elements in items whose tags are
// those looked for.
func object(e encoding) []byte {
	inner := &dataSet{encoding: e}
	inner.put(TagSOPInstanceUID, "UI", "6.6.6\x00")
	d := &dataSet{encoding: e}
	d.put(0x00080005, "CS", "ISO_IR 100")
	d.put(TagSOPClassUID, "UI", uidCT+"\x00")
	d.put(TagSOPInstanceUID, "UI", testInstance+"\x00")
	d.open(0x00081110, "SQ").item().put(TagSOPInstanceUID, "UI", "6.6.6\x00")
	d.open(0x00081199, "SQ").item().put(TagStudyInstanceUID, "UI", "6.6.6\x00").endItem().end()
	d.endItem().put(tagItem, "", string((&dataSet{encoding: e}).put(0x00081150, "UI", "6.6\x00").b))
	d.end()
	d.put(0x00081140, "SQ", string((&dataSet{encoding: e}).put(tagItem, "", string(inner.b)).b))
	d.open(0x00091001, "UN")
	un := &dataSet{encoding: encoding{implicit: true}}
	un.item().put(TagStudyInstanceUID, "UI", "6.6.6\x00").open(0x00091002, "SQ").item().endItem().end().endItem()
	un.end()
	d.b = append(d.b, un.b...)
	d.put(0x00091003, "OB", strings.Repeat("x", 300))
	d.put(0x00100010, "PN", "")
	d.put(TagStudyInstanceUID, "UI", testStudy+"\x00")
	d.put(0x00200010, "SH", "no ")
	d.open(tagPixelData, "OB").head(tagItem, "", 0).head(tagItem, "", 4)
	d.b = append(d.b, 0xFE, 0xFF, 0xDD, 0xE0)
	d.end()
	return d.b
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	w.Write(b)
	w.Close()
	if out.Len()%2 != 0 {
		out.WriteByte(0) // PS3.5 §A.5
	}
	return out.Bytes()
}

// seen is what a scan found, in a form that can be compared.
type seen struct {
	class, instance, study  string
	instanceSafe, studySafe bool
	complete                bool
	fault                   string
	facts                   string // the others
}

// identity returns s without the other facts.
func (s seen) identity() seen {
	s.facts = ""
	return s
}

func scanIn(transfer string, until Tag, fragments ...[]byte) seen {
	var s Scanner
	s.Reset(transfer, until)
	for _, f := range fragments {
		if s.Feed(f) {
			break
		}
	}
	s.End()
	return sawIn(s.DataSet())
}

func sawIn(d *DataSet) seen {
	out := seen{class: string(d.SOPClass), instance: string(d.SOPInstance), study: string(d.StudyInstance),
		instanceSafe: d.InstanceSafe, studySafe: d.StudySafe, complete: d.Complete}
	if d.Fault != nil {
		out.fault = fmt.Sprint(d.Fault)
	}
	im := d.Image
	im.Photometric = nil
	out.facts = fmt.Sprintf("%q %q %q %v %q %+v %q %v %d elements %d deep %s", d.SeriesInstance, d.Modality, d.CharacterSet, d.SeriesSafe,
		d.Image.Photometric, im, d.Query.Level, d.Query.Keys, d.Elements, d.Depth, d.Mismatch)
	return out
}

// scanEveryWay scans b whole and cut into pieces of every size up to 20 bytes and more, and wants
// the same facts (G1).
func scanEveryWay(t *testing.T, transfer string, until Tag, b []byte) seen {
	t.Helper()
	want := scanIn(transfer, until, b)
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 20, 63, 64, 511, 4096} {
		var fragments [][]byte
		for rest := b; len(rest) > 0; {
			k := min(n, len(rest))
			fragments = append(fragments, rest[:k])
			rest = rest[k:]
		}
		if got := scanIn(transfer, until, fragments...); got != want {
			t.Fatalf("cut to %d bytes: %+v\nwhole: %+v", n, got, want)
		}
	}
	return want
}

func TestScanFindsTheIdentifyingElements(t *testing.T) { // D25
	want := seen{class: uidCT, instance: testInstance, study: testStudy, instanceSafe: true, studySafe: true}
	for transfer, b := range map[string][]byte{
		uidImplicit:              object(encoding{implicit: true}),
		uidExplicit:              object(encoding{}),
		uidJPEG:                  object(encoding{}),
		uidBigEndian:             object(encoding{bigEndian: true}),
		uidDeflated:              deflate(object(encoding{})),
		"1.2.840.113619.5.2":     object(encoding{implicit: true}),
		"1.3.6.1.4.1.5962.300.1": object(encoding{}), // private: taken as explicit
	} {
		if got := scanEveryWay(t, transfer, TagStudyInstanceUID, b).identity(); got != want {
			t.Errorf("%s: %+v", transfer, got)
		}
		class := scanEveryWay(t, transfer, TagSOPClassUID, b)
		if class.class != uidCT || class.instance != "" || class.fault != "" || class.complete {
			t.Errorf("%s: up to SOP Class UID: %+v", transfer, class)
		}
		all := scanEveryWay(t, transfer, 0xFFFCFFFC, b)
		if all.study != testStudy || all.fault != "" || !all.complete {
			t.Errorf("%s: to the end: %+v", transfer, all)
		}
	}
}

func TestScanEndsWhereALargerTagBegins(t *testing.T) {
	d := new(dataSet)
	d.put(TagSOPClassUID, "UI", uidCT+"\x00").head(0x00200011, "IS", 65535)
	if got := scanEveryWay(t, uidExplicit, TagStudyInstanceUID, d.b); got.fault != "" || got.complete || got.class != uidCT || got.study != "" {
		t.Errorf("%+v", got)
	}
}

func TestScanIsDoneEarly(t *testing.T) {
	var s Scanner
	s.Reset(uidExplicit, TagSOPInstanceUID)
	b := object(encoding{})
	at := bytes.Index(b, []byte(testInstance)) + len(testInstance) + 1
	for i := range b[:at] {
		if done := s.Feed(b[i : i+1]); done != (i == at-1) {
			t.Fatalf("done is %v at byte %d of %d", done, i, at)
		}
	}
}

func TestUnsafeUIDsOfADataSetAreFacts(t *testing.T) {
	d := new(dataSet)
	d.put(TagSOPInstanceUID, "UI", "../../x.").put(TagStudyInstanceUID, "UI", "..")
	got := scanEveryWay(t, uidExplicit, TagStudyInstanceUID, d.b)
	if got.instanceSafe || got.studySafe || got.fault != "" {
		t.Errorf("%+v", got)
	}
}

func TestEmptyDataSet(t *testing.T) {
	if got := scanIn(uidExplicit, TagStudyInstanceUID).identity(); got != (seen{complete: true, instanceSafe: true, studySafe: true}) {
		t.Errorf("%+v", got)
	}
}

func TestFaultsOfDataSets(t *testing.T) {
	x := func() *dataSet { return new(dataSet) }
	for _, c := range []struct {
		name, detail, transfer string
		b                      []byte
	}{
		{"tag twice", "ascending", uidExplicit, x().put(TagSOPInstanceUID, "UI", "1.2\x00").put(TagSOPInstanceUID, "UI", "1.3\x00").b},
		{"descending tags", "ascending", uidExplicit, x().put(TagSOPInstanceUID, "UI", "1.2\x00").put(TagSOPClassUID, "UI", "1.3\x00").b},
		{"file meta", "commands and files", uidExplicit, x().put(0x00020010, "UI", "1.2\x00").b},
		{"command set", "commands and files", uidImplicit, testElement(0, 0x100, "\x01\x00")},
		{"file meta in an item", "commands and files", uidExplicit, x().open(0x00081110, "SQ").item().put(0x00020010, "UI", "1.2\x00").b},
		{"long UID", "68 bytes", uidExplicit, x().put(TagSOPInstanceUID, "UI", strings.Repeat("1.", 34)).b},
		{"UID of undefined length", "4294967295 bytes", uidImplicit, (&dataSet{encoding: encoding{implicit: true}}).open(TagSOPInstanceUID, "UI").b},
		{"UID with VR LO", "another VR", uidExplicit, x().put(TagSOPInstanceUID, "LO", "1.2\x00").b},
		{"UID as sequence", "another VR", uidExplicit, x().head(TagSOPInstanceUID, "SQ", 8).b},
		{"length that spells a VR", "spells a VR", uidImplicit, (&dataSet{encoding: encoding{implicit: true}}).put(0x00080001, "UN", strings.Repeat("x", 'L'|'O'<<8)).b},
		{"no VR", "no VR", uidExplicit, testElement(8, 5, "ISO_IR 100")},
		{"unknown VR", "no VR", uidExplicit, append(x().tag(0x00080005).b, "ZZ\x02\x00xx"...)},
		{"undefined length of a text", "cannot have", uidExplicit, x().head(0x00091001, "UT", undefinedLength).b},
		{"undefined length of other OB", "cannot have", uidExplicit, x().open(0x00091001, "OB").b},
		{"stray item delimiter", "cannot stand", uidExplicit, x().endItem().b},
		{"stray sequence delimiter", "cannot stand", uidExplicit, x().end().b},
		{"stray item", "cannot stand", uidExplicit, x().item().b},
		{"element without item", "where an item", uidExplicit, x().open(0x00081110, "SQ").put(0x00080005, "CS", "").b},
		{"sequence delimiter in an item", "cannot stand", uidExplicit, x().open(0x00081110, "SQ").item().end().b},
		{"delimiter with length", "cannot stand", uidExplicit, x().open(0x00081110, "SQ").head(tagSequenceDelimiter, "", 2).b},
		{"item beyond its sequence", "past the end", uidExplicit, x().head(0x00081110, "SQ", 16).head(tagItem, "", 100).b},
		{"element beyond its item", "past the end", uidExplicit, x().open(0x00081110, "SQ").head(tagItem, "", 10).put(0x00081150, "UI", "1.2\x00").b},
		{"header beyond its item", "past the end", uidExplicit, x().open(0x00081110, "SQ").head(tagItem, "", 4).put(0x00081150, "UI", "1.2\x00").b},
		{"sequence beyond its item", "past the end", uidExplicit, x().open(0x00081110, "SQ").head(tagItem, "", 20).head(0x00081199, "SQ", 1000).b},
		{"delimiter beyond its item", "past the end", uidExplicit, x().head(0x00081110, "SQ", 20).item().head(0x00081199, "SQ", 0).endItem().b},
		{"delimiter in an item of defined length", "cannot stand", uidExplicit, x().open(0x00081110, "SQ").head(tagItem, "", 8).endItem().b},
		{"undefined length of a known text", "cannot have", uidImplicit, (&dataSet{encoding: encoding{implicit: true}}).open(0x00081010, "SH").b},
		{"no sequence where the dictionary has one", "where an item", uidImplicit, (&dataSet{encoding: encoding{implicit: true}}).put(0x00081110, "SQ", "not an item").b},
		{"cut in a value", "before the value", uidExplicit, x().head(0x00080005, "CS", 10).b},
		{"giant length", "before the value", uidExplicit, x().head(0x00091001, "OB", 0x3FFFFFFE).b},
		{"cut in a UID", "before the value", uidExplicit, append(x().head(TagSOPInstanceUID, "UI", 4).b, '1')},
		{"cut in a header", "middle of", uidExplicit, x().put(0x00080005, "CS", "").b[:7]},
		{"cut in a long header", "middle of", uidExplicit, x().head(0x00091001, "OB", 10).b[:10]},
		{"cut in a sequence", "before a sequence", uidExplicit, x().open(0x00081110, "SQ").b},
		{"not deflated", "RFC 1951", uidDeflated, bytes.Repeat([]byte{0xFF}, 600)},
		{"deflated, cut", "cut short", uidDeflated, deflate(object(encoding{}))[:100]},
		{"deflated, cut set", "before the value", uidDeflated, deflate(x().head(0x00080005, "CS", 10).b)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := scanEveryWay(t, c.transfer, TagStudyInstanceUID, c.b)
			if !strings.Contains(got.fault, c.detail) {
				t.Errorf("%q, want %q", got.fault, c.detail)
			}
			var s Scanner
			s.Reset(c.transfer, TagStudyInstanceUID)
			s.Feed(c.b)
			s.End()
			if f := s.DataSet().Fault; f == nil || f.Reason != reason.DICOMDataSet || f.Section == "" {
				t.Errorf("%#v", f)
			}
		})
	}
}

func TestDeflatedScanIsLinear(t *testing.T) {
	// Incompressible, so that as much is held as comes, and fed two bytes at a time.
	d := new(dataSet)
	noise := make([]byte, 600<<10)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	b := deflate(d.put(0x00091001, "OB", string(noise)).put(TagStudyInstanceUID, "UI", testStudy+"\x00").b)
	var s Scanner
	s.Reset(uidDeflated, TagStudyInstanceUID)
	tries := 0
	for last := 0; len(b) > 0; b = b[2:] {
		s.Feed(b[:2])
		if s.inflate.tried != last {
			last = s.inflate.tried
			tries++
		}
	}
	s.End()
	if string(s.DataSet().StudyInstance) != testStudy || tries > 12 {
		t.Errorf("%d tries, %v", tries, s.DataSet().Fault)
	}
}

// What is held of a deflated data set is not kept when it is read, or when no more of it will be.
func TestDeflatedScanKeepsLittle(t *testing.T) {
	noise := make([]byte, 600<<10)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	b := deflate(new(dataSet).put(0x00091001, "OB", string(noise)).put(TagStudyInstanceUID, "UI", testStudy+"\x00").b)
	b, rest := b[:len(b)/2], b[len(b)/2:]
	for name, c := range map[string]struct {
		until Tag
		last  func(*Scanner)
	}{
		"read":       {TagStudyInstanceUID, func(s *Scanner) { s.Feed(rest) }},
		"to its end": {Whole, func(s *Scanner) { s.Feed(rest) }},
		"cut short":  {Whole, func(*Scanner) {}},
		"stopped":    {Whole, func(s *Scanner) { s.Stop(new(protocols.Malformed)) }},
		"no deflate": {Whole, func(s *Scanner) { s.Feed(make([]byte, 400<<10)) }},
		"too much":   {Whole, func(s *Scanner) { s.Feed(noise); s.Feed(noise) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := Scanner{}
			s.Reset(uidDeflated, c.until)
			s.Feed(b)
			if len(s.inflate.held) < len(b) {
				t.Fatal("it does not hold what it was fed")
			}
			c.last(&s)
			s.End()
			if n := cap(s.inflate.held) + int(s.inflate.in.Size()); n > keptDeflated {
				t.Errorf("%d bytes are kept; %v", n, s.DataSet().Fault)
			}
		})
	}
}

// FuzzScanner wants the same facts whatever the cuts, also of identifiers, and no more than the caps.
func FuzzScanner(f *testing.F) {
	for i, e := range []encoding{{}, {implicit: true}, {bigEndian: true}} {
		f.Add(object(e), uint8(i), uint8(1))
		f.Add(picture(e, "IS").native(), uint8(i), uint8(3))
	}
	f.Add(deflate(object(encoding{})), uint8(3), uint8(5))
	f.Add(picture(encoding{}, "").fragments("abcd", rleFragment(2, 64, 66)), uint8(4), uint8(7))
	f.Add(worklistQuery(), uint8(1|8), uint8(2))
	for set, id := range map[string]string{"ISO_IR 192": "山\xE5A*", "GB18030": "\x81\x30\x84\x32\xB0*", "\\ISO 2022 IR 87": "\x1B$B;3)!\x1B(B*"} {
		f.Add(patients(set, id), uint8(8|2<<4), uint8(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, how, cut uint8) {
		transfer := []string{uidExplicit, uidImplicit, uidBigEndian, uidDeflated, uidRLE}[how%8%5]
		scan := func(n int) *DataSet {
			s := &Scanner{Limits: ScanLimits{Depth: 4, Elements: 1000, Inflated: 64 << 10}}
			s.Reset(transfer, []Tag{TagStudyInstanceUID, tagPixelData, Whole}[how/16%3])
			if how&8 != 0 {
				s.Identifier()
			}
			for p := range slices.Chunk(b, n) {
				s.Feed(p)
			}
			s.End()
			return s.DataSet()
		}
		whole, pieces := scan(max(1, len(b))), scan(int(cut)+1)
		if want, got := sawIn(whole), sawIn(pieces); got != want {
			t.Fatalf("cut: %+v\nwhole: %+v", got, want)
		}
		if whole.Depth > 4 || whole.Elements > 1000 || len(whole.Query.Keys) > maxKeys {
			t.Fatalf("%d deep, %d elements, %d keys", whole.Depth, whole.Elements, len(whole.Query.Keys))
		}
		if whole.Fault != nil && whole.Complete {
			t.Fatalf("complete, and yet %v", whole.Fault)
		}
	})
}

// The last C-MOVE-RSP of a large move begins with a list of the instances that failed, whose length may
// spell a VR. Nobody guesses there: its transfer syntax was negotiated and it is no file.
func TestAnAnswerMayBeginWithAnyLength(t *testing.T) {
	const failed = "1.2.840.113619.2.55.3.604688119.969.1268071029.320\\"
	d := (&dataSet{encoding: encoding{implicit: true}}).put(0x00080058, "UI", strings.Repeat(failed, 1000)[:'D'|'A'<<8])
	var s Scanner
	s.Reset(uidImplicit, Whole)
	s.FormOnly()
	s.Feed(d.b)
	s.End()
	if m := s.Fault(); m != nil {
		t.Error(m)
	}
}
