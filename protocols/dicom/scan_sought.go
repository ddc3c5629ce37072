package dicom

import (
	"fmt"

	"cordon/protocols/dicom/dict"
)

// sought is an element of the top level whose value is a fact, and where the value goes.
type sought struct {
	tag    Tag
	form   *valueForm
	text   func(*DataSet) *[]byte
	number func(*DataSet) *uint16
}

// valueForm is what the value of a sought element must look like.
type valueForm struct {
	name string
	max  uint32   // bytes that are kept; a longer value is a fault
	vrs  dict.VRs // that an explicit VR may be, besides UN
}

var (
	// A UID has 64 bytes and may have more padding than it should.
	aUID = &valueForm{"UID", maxUID + 2, dict.Set(dict.UI)}
	// Texts of another VR than they should have are still texts; DataSet.Mismatch tells.
	aTerm        = &valueForm{"defined term", 64, shortTexts}
	aCount       = &valueForm{"number as text", 64, shortTexts}
	characterSet = &valueForm{"list of character sets", 256, shortTexts}
	aNumber      = &valueForm{"number of 16 bits", 2, dict.Set(dict.US)}
)

const (
	tagCharacterSet Tag = 0x00080005
	tagLevel        Tag = 0x00080052 // Query/Retrieve Level
)

// soughts are the elements whose values are facts, in ascending order.
var soughts = [...]sought{
	{tag: tagCharacterSet, form: characterSet, text: func(d *DataSet) *[]byte { return &d.CharacterSet }},
	{tag: TagSOPClassUID, form: aUID, text: func(d *DataSet) *[]byte { return &d.SOPClass }},
	{tag: TagSOPInstanceUID, form: aUID, text: func(d *DataSet) *[]byte { return &d.SOPInstance }},
	{tag: tagLevel, form: aTerm, text: func(d *DataSet) *[]byte { return &d.Query.Level }},
	{tag: 0x00080060, form: aTerm, text: func(d *DataSet) *[]byte { return &d.Modality }},
	{tag: TagStudyInstanceUID, form: aUID, text: func(d *DataSet) *[]byte { return &d.StudyInstance }},
	{tag: 0x0020000E, form: aUID, text: func(d *DataSet) *[]byte { return &d.SeriesInstance }},
	{tag: 0x00280002, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.SamplesPerPixel }},
	{tag: 0x00280004, form: aTerm, text: func(d *DataSet) *[]byte { return &d.Image.Photometric }},
	{tag: 0x00280006, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.Planar }},
	{tag: 0x00280008, form: aCount},
	{tag: 0x00280010, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.Rows }},
	{tag: 0x00280011, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.Columns }},
	{tag: 0x00280100, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.BitsAllocated }},
	{tag: 0x00280101, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.BitsStored }},
	{tag: 0x00280102, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.HighBit }},
	{tag: 0x00280103, form: aNumber, number: func(d *DataSet) *uint16 { return &d.Image.Representation }},
}

// seek returns the row of an element of the top level, nil when its value is no fact. Elements
// come in ascending order, so it never goes back.
func (w *walker) seek(tag Tag) *sought {
	if w.content == somethingElse || w.content == anIdentifier && tag != tagCharacterSet && tag != tagLevel {
		return nil
	}
	for w.row < len(soughts) && soughts[w.row].tag < tag {
		w.row++
	}
	if w.row < len(soughts) && soughts[w.row].tag == tag {
		return &soughts[w.row]
	}
	return nil
}

// keep reads the value of a sought element.
func (w *walker) keep(s *sought, vr dict.VR, length uint32) {
	switch {
	case vr != dict.UN && !w.implicit() && !s.form.vrs.Has(vr):
		w.fail("§6.2", "element %s, a %s, has another VR: %s", s.tag, s.form.name, vr)
	case length > s.form.max:
		w.fail("§6.2", "element %s, a %s, has %d bytes; at most %d are right", s.tag, s.form.name, length, s.form.max)
	case s.form == aNumber && length == 1:
		w.fail("§6.2", "element %s, a %s, has 1 byte; 2 would be right", s.tag, s.form.name)
	default:
		w.kept, w.from = s, len(w.text)
		w.skip = length
	}
}

// put makes a fact of the value that was kept.
func (w *walker) put() {
	s, d, v := w.kept, &w.facts, w.text[w.from:]
	w.kept = nil
	switch {
	case s == rleHeader:
		d.Image.rle(v)
		w.done = w.stopAt
	case len(v) == 0:
	case s.form == aNumber:
		*s.number(d) = w.uint16(v)
	case s.form == aCount:
		d.Image.frames(TrimAE(v))
	case s.form == aUID:
		*s.text(d) = notEmpty(TrimUID(v))
	default:
		*s.text(d) = notEmpty(TrimAE(v))
	}
}

// notEmpty returns nil for a value of nothing but padding.
func notEmpty(v []byte) []byte {
	if len(v) == 0 {
		return nil
	}
	return v
}

// String returns the tag as the standard writes it.
func (t Tag) String() string { return fmt.Sprintf("(%04X,%04X)", uint32(t>>16), uint32(t&0xFFFF)) }
