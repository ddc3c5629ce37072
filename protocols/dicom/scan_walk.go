package dicom

import (
	"encoding/binary"
	"fmt"

	"cordon/protocols"
)

const (
	undefinedLength = 0xFFFFFFFF // PS3.5 §7.1.1

	// maxNesting is how deep sequences of undefined length may nest. Real objects stay below 10;
	// recursive readers behind us overrun their stack at some thousands.
	maxNesting = 64

	tagItem              Tag = 0xFFFEE000
	tagItemDelimiter     Tag = 0xFFFEE00D
	tagSequenceDelimiter Tag = 0xFFFEE0DD
	tagPixelData         Tag = 0x7FE00010
)

// walker walks the elements of a data set that is not deflated.
//
// Only constructs of undefined length are entered. They alternate: depth 0 is the data set, an
// odd depth is inside a sequence, where items are expected, and an even one above 0 is inside an
// item, where elements are. That, the depth from which on elements are implicit and whether the
// innermost sequence holds fragments is all there is to remember; there is no stack.
type walker struct {
	enc   encoding
	until Tag

	header [12]byte // tag, VR and length of the element under way
	have   int      // bytes of it
	want   int      // bytes it has, as far as known: 8 or 12
	skip   uint32   // bytes of a value that are still to come
	into   *kept    // where they go; nil: nowhere
	stopAt bool     // the scan is done when the value under way ends

	last         Tag // at the top level
	depth        int
	implicitFrom int // elements at this depth and deeper are in an UN, thus implicit; 0: none
	fragments    bool

	at       int64 // bytes read
	begin    int64 // where the element under way begins
	found    [len(sought)]kept
	done     bool
	complete bool
	fault    *protocols.Malformed
}

func (w *walker) reset(e encoding, until Tag) {
	w.enc, w.until = e, until
	w.have, w.want, w.skip, w.into, w.stopAt = 0, 8, 0, nil, false
	w.last, w.depth, w.implicitFrom, w.fragments = 0, 0, 0, false
	w.at, w.begin, w.done, w.complete, w.fault = 0, 0, false, false, nil
	for i := range w.found {
		w.found[i].n, w.found[i].present = 0, false
	}
}

func (w *walker) feed(b []byte) {
	for len(b) > 0 && !w.done {
		var k int
		if w.skip > 0 {
			k = int(min(uint64(len(b)), uint64(w.skip)))
			w.consume(b[:k])
		} else {
			if w.have == 0 {
				w.begin = w.at
			}
			k = copy(w.header[w.have:w.want], b)
			if w.have += k; w.have == w.want {
				w.element()
			}
		}
		b = b[k:]
		w.at += int64(k)
	}
}

// consume takes bytes of a value.
func (w *walker) consume(b []byte) {
	if w.into != nil {
		w.into.n += copy(w.into.b[w.into.n:], b)
	}
	if w.skip -= uint32(len(b)); w.skip == 0 {
		w.into = nil
		w.done = w.stopAt
	}
}

// end says that nothing follows.
func (w *walker) end() {
	switch {
	case w.done:
	case w.skip > 0:
		w.fail("§7.1.1", "the data set ends %d bytes before the value of its last element does", w.skip)
	case w.have > 0:
		w.fail("§7.1.1", "the data set ends in the middle of an element's tag and length")
	case w.depth > 0:
		w.fail("§7.5.2", "the data set ends before a sequence of undefined length does")
	default:
		w.complete, w.done = true, true
	}
}

func (w *walker) fail(section, format string, args ...any) {
	w.stop(badDataSet(w.begin, section, fmt.Sprintf(format, args...)))
}

func (w *walker) stop(m *protocols.Malformed) { w.fault, w.done = m, true }

// implicit tells whether the element under way has no VR.
func (w *walker) implicit() bool {
	return w.enc.implicit || w.implicitFrom > 0 && w.depth >= w.implicitFrom
}

// uint16 and uint32 read in the byte order of the element under way. What an UN of undefined
// length holds is Implicit VR Little Endian (PS3.5 §6.2.2).
func (w *walker) uint16(b []byte) uint16 {
	if w.enc.bigEndian && w.implicitFrom == 0 {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (w *walker) uint32(b []byte) uint32 {
	if w.enc.bigEndian && w.implicitFrom == 0 {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// element acts on a header whose w.want bytes are there.
func (w *walker) element() {
	tag := Tag(w.uint16(w.header[0:]))<<16 | Tag(w.uint16(w.header[2:]))
	if tag>>16 == 0xFFFE {
		w.next()
		w.delimiter(tag, w.uint32(w.header[4:]))
		return
	}
	if w.depth%2 != 0 {
		w.fail("§7.5", "element (%04X,%04X) in a sequence, where an item or the delimiter would be right", tag>>16, tag&0xFFFF)
		return
	}
	vr := unknownVR
	var length uint32
	switch {
	case w.implicit():
		length = w.uint32(w.header[4:])
	default:
		if vr = vrOf(w.header[4], w.header[5]); vr == notVR {
			w.fail("§6.2", "element (%04X,%04X) has no VR of the standard: readers disagree on the size of its length", tag>>16, tag&0xFFFF)
			return
		}
		if !vr.long() {
			length = uint32(w.uint16(w.header[6:]))
			break
		}
		if w.want == 8 {
			w.want = 12
			return
		}
		length = w.uint32(w.header[8:])
	}
	w.next()
	if group := tag >> 16; group == 0x0000 || group == 0x0002 {
		w.fail("§7.1", "element (%04X,%04X) in a data set: that group belongs to commands and files", group, tag&0xFFFF)
		return
	}
	if w.depth == 0 && w.top(tag, vr, length) {
		return
	}
	w.value(tag, vr, length)
}

// next forgets the header, which was read.
func (w *walker) next() { w.have, w.want = 0, 8 }

// top looks at an element of the top level. It returns true when that settles what to do.
func (w *walker) top(tag Tag, vr vr, length uint32) bool {
	if tag <= w.last {
		w.fail("§7.1", "element (%04X,%04X) after (%04X,%04X), not in ascending order", tag>>16, tag&0xFFFF, w.last>>16, w.last&0xFFFF)
		return true
	}
	w.last = tag
	for i, s := range sought {
		if tag == s && tag <= w.until {
			w.keep(&w.found[i], tag, vr, length)
			return true
		}
	}
	w.done = tag >= w.until
	return w.done
}

// keep reads the value of a sought element.
func (w *walker) keep(k *kept, tag Tag, vr vr, length uint32) {
	if length > uint32(len(k.b)) {
		w.fail("§9.1", "element (%04X,%04X) is a UID of %d bytes, at most %d are allowed", tag>>16, tag&0xFFFF, length, maxUID)
		return
	}
	if vr != vrUI && vr != unknownVR {
		w.fail("§6.2", "element (%04X,%04X) is a UID with another VR than UI", tag>>16, tag&0xFFFF)
		return
	}
	k.present = true
	w.stopAt = tag == w.until
	if w.skip = length; length == 0 {
		w.done = w.stopAt
		return
	}
	w.into = k
}

// value skips the value of an element, or enters it when its length is undefined.
func (w *walker) value(tag Tag, vr vr, length uint32) {
	if length != undefinedLength {
		w.skip = length
		return
	}
	fragments := tag == tagPixelData && vr == vrOB
	if !fragments && vr != vrSQ && vr != unknownVR {
		w.fail("§7.1.2", "element (%04X,%04X) has undefined length, which its VR cannot have", tag>>16, tag&0xFFFF)
		return
	}
	if w.depth >= 2*maxNesting {
		w.fail("§7.5", "sequences nest deeper than %d", maxNesting)
		return
	}
	w.depth++
	w.fragments = fragments
	if vr == unknownVR && !w.implicit() {
		w.implicitFrom = w.depth
	}
}

// delimiter acts on an item or a delimiter (PS3.5 §7.5).
func (w *walker) delimiter(tag Tag, length uint32) {
	inSequence := w.depth%2 != 0
	switch {
	case tag == tagItem && inSequence && length != undefinedLength:
		w.skip = length
	case tag == tagItem && inSequence && !w.fragments:
		w.depth++
	case tag == tagSequenceDelimiter && inSequence && length == 0, tag == tagItemDelimiter && !inSequence && w.depth > 0 && length == 0:
		w.fragments = false
		if w.depth--; w.depth < w.implicitFrom {
			w.implicitFrom = 0
		}
	default:
		w.fail("§7.5", "item or delimiter (%04X,%04X) of length %08XH where it cannot stand", tag>>16, tag&0xFFFF, length)
	}
}
