package bench

import (
	"encoding/binary"
	"fmt"
	"slices"

	"cordon/protocols/dicom"
)

// appendElement appends a data element in Explicit VR Little Endian (PS3.5 §7.1.2).
func appendElement(b []byte, tag dicom.Tag, vr, value string) []byte {
	if len(value)%2 == 1 {
		value += map[bool]string{true: "\x00", false: " "}[vr == "UI"]
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = binary.LittleEndian.AppendUint16(append(b, vr...), uint16(len(value)))
	return append(b, value...)
}

// element is a data element to be encoded.
type element struct {
	tag       dicom.Tag
	vr, value string
}

func short(v uint16) string { return string([]byte{byte(v), byte(v >> 8)}) }

// common are the elements that any object of the load has, in order of their tags.
func common(class, instance, modality string) []element {
	return []element{
		{0x00080005, "CS", "ISO_IR 100"},
		{dicom.TagSOPClassUID, "UI", class},
		{dicom.TagSOPInstanceUID, "UI", instance},
		{0x00080020, "DA", "20260101"},
		{0x00080060, "CS", modality},
		{0x00080070, "LO", "Cordon bench"},
		{0x00100010, "PN", "Load^Generated"},
		{0x00100020, "LO", "BENCH"},
		{dicom.TagStudyInstanceUID, "UI", uidRoot + ".1"},
		{0x0020000E, "UI", uidRoot + ".2"},
	}
}

// shape is what the images of a modality have in common.
type shape struct {
	class, modality, photometric string
	rows, columns, samples       uint16 // of a frame; samples of a pixel
	allocated, stored            uint16 // bits of a sample
}

var (
	ct = shape{ctImage, "CT", "MONOCHROME2", 512, 512, 1, 16, 12}
	us = shape{usMultiFrame, "US", "RGB", 480, 640, 3, 8, 8}
)

// frame is the size of a frame in bytes.
func (s *shape) frame() int {
	return int(s.rows) * int(s.columns) * int(s.samples) * int(s.allocated) / 8
}

// header is what precedes the pixels of an image: the attributes that rules look at among others,
// and the head of Pixel Data with its length.
func (s *shape) header(instance string, frames int, pixels uint32) []byte {
	elements := slices.Insert(common(s.class, instance, s.modality), 1, element{0x00080008, "CS", `ORIGINAL\PRIMARY\AXIAL`})
	elements = append(elements, element{0x00280002, "US", short(s.samples)}, element{0x00280004, "CS", s.photometric})
	if s.samples > 1 {
		elements = append(elements, element{0x00280006, "US", short(0)})
	}
	elements = append(elements,
		element{0x00280008, "IS", fmt.Sprint(frames)},
		element{0x00280010, "US", short(s.rows)},
		element{0x00280011, "US", short(s.columns)},
		element{0x00280100, "US", short(s.allocated)},
		element{0x00280101, "US", short(s.stored)},
		element{0x00280102, "US", short(s.stored - 1)},
		element{0x00280103, "US", short(0)},
	)
	return appendLong(appendElements(nil, elements), 0x7FE00010, "OW", pixels)
}

func appendElements(b []byte, elements []element) []byte {
	for _, e := range elements {
		b = appendElement(b, e.tag, e.vr, e.value)
	}
	return b
}

// appendLong appends the head of an element whose length has 32 bits.
func appendLong(b []byte, tag dicom.Tag, vr string, length uint32) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	return binary.LittleEndian.AppendUint32(append(b, vr[0], vr[1], 0, 0), length)
}

// image generates an image of a number of frames.
func (s *shape) image(instance string, frames int) object {
	size := frames * s.frame()
	data := s.header(instance, frames, uint32(size))
	for i := range size {
		data = append(data, byte(i*7))
	}
	return object{s.class, instance, explicitLE, data}
}

// frameSize is one frame of 512 × 512 pixels of 16 bits.
const frameSize = 512 * 512 * 2

// ctStudy generates a study of CT-like objects of 0.525 MB each.
func ctStudy(n int) []object {
	objects := make([]object, n)
	for i := range objects {
		objects[i] = ct.image(fmt.Sprintf("%s.3.%d", uidRoot, i+1), 1)
	}
	return objects
}

// mixedStudy generates what a department sends: of ten objects six CT-like ones, three reports of
// some 6 kB and one ultrasound loop of 4 frames, 3.7 MB.
func mixedStudy(n int) []object {
	objects := make([]object, n)
	for i := range objects {
		instance := fmt.Sprintf("%s.5.%d", uidRoot, i+1)
		switch i % 10 {
		case 2, 5, 8:
			objects[i] = report(instance)
		case 9:
			objects[i] = us.image(instance, 4)
		default:
			objects[i] = ct.image(instance, 1)
		}
	}
	return objects
}

// report generates a structured report: a tree of 40 texts, each with a coded name.
func report(instance string) object {
	var tree []byte
	for i := range 40 {
		name := appendElements(nil, []element{
			{0x00080100, "SH", fmt.Sprint("B-", i)}, {0x00080102, "SH", "99BENCH"}, {0x00080104, "LO", "Finding"},
		})
		text := appendElements(nil, []element{{0x0040A010, "CS", "CONTAINS"}, {0x0040A040, "CS", "TEXT"}})
		text = appendSequence(text, 0x0040A043, name)
		text = appendLong(text, 0x0040A160, "UT", 48)
		text = fmt.Appendf(text, "%-48s", "Nothing was found, since nobody was examined.")
		tree = appendItem(tree, text)
	}
	data := appendElements(nil, common(textReport, instance, "SR"))
	data = appendElement(data, 0x0040A040, "CS", "CONTAINER")
	data = append(appendLong(data, 0x0040A730, "SQ", uint32(len(tree))), tree...)
	return object{textReport, instance, explicitLE, data}
}

// appendSequence appends a sequence of one item.
func appendSequence(b []byte, tag dicom.Tag, item []byte) []byte {
	return appendItem(appendLong(b, tag, "SQ", uint32(len(item)+8)), item)
}

// appendItem appends an item of a sequence (PS3.5 §7.5).
func appendItem(b, item []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, 0xFE, 0xFF, 0x00, 0xE0), uint32(len(item)))
	return append(b, item...)
}
