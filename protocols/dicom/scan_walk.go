package dicom

import (
	"encoding/binary"
	"fmt"
	"math"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

const (
	undefinedLength = 0xFFFFFFFF // PS3.5 §7.1.1

	tagItem              Tag = 0xFFFEE000
	tagItemDelimiter     Tag = 0xFFFEE00D
	tagSequenceDelimiter Tag = 0xFFFEE0DD
	tagPixelData         Tag = 0x7FE00010
)

// shortTexts are the VRs of text whose length has 16 bits, texts those and the longer ones.
var (
	shortTexts = dict.Set(dict.AE, dict.AS, dict.CS, dict.DA, dict.DS, dict.DT, dict.IS, dict.LO, dict.LT,
		dict.PN, dict.SH, dict.ST, dict.TM)
	texts = shortTexts | dict.Set(dict.UC, dict.UI, dict.UR, dict.UT)
)

// construct is what the walk has entered.
type construct uint8

const (
	aSequence  construct = iota // items are expected
	anItem                      // elements are
	aFragments                  // encapsulated Pixel Data: items that hold fragments
)

// level is a construct that was entered and not left yet.
type level struct {
	end     int64 // what it holds ends before: its own end, or that of one around it
	key     int32 // of a sequence in an identifier: which of Query.Keys it is; -1: none
	last    Tag   // of an item, the element that came last
	items   int32 // of a sequence, how many have come
	kind    construct
	defined bool // it has a length of its own; otherwise a delimiter ends it
}

// walker walks the elements of a data set that is not deflated.
type walker struct {
	enc     encoding
	until   Tag
	limits  ScanLimits
	content content

	header [12]byte // tag, VR and length of the element under way
	have   int      // bytes of it
	want   int      // bytes it has, as far as known: 8 or 12
	skip   uint32   // bytes of a value that are still to come
	rest   uint32   // bytes of it that follow those, of no interest
	kept   *sought  // what the value is kept for; nil: it is not
	from   int      // where the value begins in text
	key    int      // which of Query.Keys the value is of; -1: none
	match  matcher  // looks at it
	stopAt bool     // the scan is done when the element under way ends
	behind header   // the scan was done before its value; Tag 0: none

	last         Tag // at the top level
	row          int // of soughts, the first that is not passed
	levels       []level
	implicitFrom int // elements that deep and deeper are in an UN, thus implicit; 0: none
	fragment     int // of Pixel Data, how many items have come

	at      int64 // bytes read
	start   int64 // where the element under way begins
	headers int   // elements and items so far
	text    []byte
	facts   DataSet
	done    bool
}

// header is what the bytes of one say.
type header struct {
	tag    Tag
	vr     dict.VR
	length uint32
}

// begin makes w ready for the first byte.
func (w *walker) begin() {
	*w = walker{enc: w.enc, until: w.until, limits: w.limits, content: w.content,
		want: 8, key: -1, levels: w.levels[:0], text: w.text[:0],
		facts: DataSet{Image: Image{Frames: 1}, Query: Query{Keys: w.facts.Query.Keys[:0]}}}
}

// feed reads bytes until it is done, and returns how many.
func (w *walker) feed(b []byte) int {
	all := len(b)
	for len(b) > 0 && !w.done {
		if w.skip > 0 {
			k := int(min(uint64(len(b)), uint64(w.skip)))
			w.consume(b[:k])
			b = b[k:]
			continue
		}
		k := copy(w.header[w.have:w.want], b)
		w.have += k
		w.at += int64(k)
		if b = b[k:]; w.have == w.want {
			w.element()
		}
	}
	return all - len(b)
}

// consume takes bytes of a value.
func (w *walker) consume(b []byte) {
	w.at += int64(len(b))
	if w.kept != nil {
		w.text = append(w.text, b...)
	}
	if w.key >= 0 {
		w.match.look(b)
	}
	if w.skip -= uint32(len(b)); w.skip == 0 {
		w.valueEnds()
	}
}

// valueEnds acts on a value that is complete, and leaves what ends with it.
func (w *walker) valueEnds() {
	if w.kept != nil {
		w.put()
	}
	if w.key >= 0 && !w.matched() {
		return
	}
	if w.skip, w.rest = w.rest, 0; w.skip == 0 {
		w.leaveAll()
	}
}

// end says that nothing follows.
func (w *walker) end() {
	switch {
	case w.done:
	case w.skip > 0:
		w.fail("§7.1.1", "the data set ends %d bytes before the value of its last element does", w.skip+w.rest)
	case w.have > 0:
		w.start = w.at - int64(w.have)
		w.fail("§7.1.1", "the data set ends in the middle of an element's tag and length")
	case len(w.levels) > 0:
		w.fail("§7.5.2", "the data set ends before a sequence or item in it does")
	default:
		w.facts.Complete, w.done = true, true
	}
}

func (w *walker) fail(section, format string, args ...any) {
	w.stop(badDataSet(reason.DICOMDataSet, w.start, section, fmt.Sprintf(format, args...)))
}

// exceeds is fail for what a cap of ours forbids.
func (w *walker) exceeds(section, format string, args ...any) {
	w.stop(badDataSet(reason.CapDataSet, w.start, section, fmt.Sprintf(format, args...)))
}

func (w *walker) stop(m *protocols.Malformed) { w.facts.Fault, w.done = m, true }

// implicit tells whether the element under way has no VR.
func (w *walker) implicit() bool {
	return w.enc.implicit || w.implicitFrom > 0 && len(w.levels) >= w.implicitFrom
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

// bound is where what is under way must end at the latest.
func (w *walker) bound() int64 {
	if n := len(w.levels); n > 0 {
		return w.levels[n-1].end
	}
	return math.MaxInt64
}

// element acts on a header whose w.want bytes are there.
func (w *walker) element() {
	w.start = w.at - int64(w.have)
	tag := Tag(w.uint16(w.header[0:]))<<16 | Tag(w.uint16(w.header[2:]))
	if tag>>16 == 0xFFFE {
		if length := w.uint32(w.header[4:]); w.fits(tag, length) {
			w.delimiter(tag, length)
		}
		return
	}
	if n := len(w.levels); n > 0 && w.levels[n-1].kind != anItem {
		w.fail("§7.5", "element %s in a sequence, where an item or the delimiter would be right", tag)
		return
	}
	vr, length, ok := w.vrAndLength(tag)
	if !ok || !w.fits(tag, length) {
		return
	}
	if group := tag >> 16; group == 0x0000 || group == 0x0002 {
		w.fail("§7.1", "element %s in a data set: that group belongs to commands and files", tag)
		return
	}
	if !w.ascends(tag) {
		return
	}
	if len(w.levels) == 0 && tag > w.until {
		w.behind, w.done = header{tag, vr, length}, true
		return
	}
	w.facts.Elements++
	if w.content == anIdentifier {
		w.asked(tag, vr, length)
	}
	if !w.done {
		w.value(tag, vr, length)
	}
	if !w.done && w.skip == 0 {
		w.valueEnds()
	}
}

// vrAndLength reads the rest of a header. It returns false when that has four bytes more, or is
// wrong. In the implicit syntaxes the VR is one of those that the dictionary has, or UN.
func (w *walker) vrAndLength(tag Tag) (vr dict.VR, length uint32, ok bool) {
	if w.enc.implicit && w.start == 0 && w.content != somethingElse && dict.VROf(w.header[4], w.header[5]) != dict.NoVR {
		w.fail("§7.1", "element %s comes first and has a length that spells a VR: readers that guess would take it for one", tag)
		return dict.NoVR, 0, false
	}
	if w.implicit() {
		return dict.VRsOf(uint32(tag)).First(), w.uint32(w.header[4:]), true
	}
	if vr = dict.VROf(w.header[4], w.header[5]); vr == dict.NoVR {
		w.fail("§6.2", "element %s has no VR of the standard: readers disagree on the size of its length", tag)
		return vr, 0, false
	}
	if vr.Long() && w.want == 8 {
		w.want = 12
		return vr, 0, false
	}
	if w.facts.Mismatch == 0 && vr != dict.UN && (len(w.levels) > 0 || tag <= w.until) {
		if known := dict.VRsOf(uint32(tag)); known != 0 && !known.Has(vr) {
			w.facts.Mismatch = tag
		}
	}
	if vr.Long() {
		return vr, w.uint32(w.header[8:]), true
	}
	return vr, uint32(w.uint16(w.header[6:])), true
}

// fits forgets the header, which was read, and tells whether the element fits into what it stands
// in.
func (w *walker) fits(tag Tag, length uint32) bool {
	w.have, w.want = 0, 8
	if w.headers++; w.headers > w.limits.Elements {
		w.exceeds("§7.1", "more than %d elements and items", w.limits.Elements)
		return false
	}
	room := w.bound() - w.at
	if room < 0 || length != undefinedLength && int64(length) > room {
		w.fail("§7.5.1", "element %s of %d bytes runs past the end of the item or sequence it stands in", tag, length)
		return false
	}
	return true
}

// ascends looks at the place of an element.
//
// Order within items is demanded of identifiers alone: real objects exist that lack it.
func (w *walker) ascends(tag Tag) bool {
	last, n := &w.last, len(w.levels)
	if n > 0 {
		last = &w.levels[n-1].last
	}
	if tag <= *last && (n == 0 || w.content == anIdentifier) {
		w.fail("§7.1", "element %s after %s, not in ascending order", tag, *last)
		return false
	}
	if *last = tag; n == 0 {
		w.stopAt = tag == w.until && tag != Whole
	}
	return true
}

// value reads the value of an element, skips it, or enters it.
func (w *walker) value(tag Tag, vr dict.VR, length uint32) {
	if len(w.levels) == 0 {
		if s := w.seek(tag); s != nil {
			w.keep(s, vr, length)
			return
		}
		if tag == tagPixelData {
			w.pixels(length)
		} else if w.stopAt && w.content != anIdentifier {
			w.done = true
		}
		if w.done {
			w.behind = header{tag, vr, length}
			return
		}
	}
	switch undefined := length == undefinedLength; {
	case vr == dict.SQ, undefined && vr == dict.UN:
		w.enter(aSequence, length)
		if vr == dict.UN && !w.implicit() {
			w.implicitFrom = len(w.levels)
		}
	case undefined && tag == tagPixelData && (vr == dict.OB || vr == dict.OW):
		w.enter(aFragments, length)
	case undefined:
		w.fail("§7.1.2", "element %s has undefined length, which its VR %s cannot have", tag, vr)
	case length > w.limits.Length && tag != tagPixelData:
		w.exceeds("§7.1.1", "element %s has %d bytes, more than %d", tag, length, w.limits.Length)
	case length > w.limits.Text && texts.Has(vr):
		w.exceeds("§6.2", "element %s is a text of %d bytes, more than %d", tag, length, w.limits.Text)
	default:
		w.skip = length
	}
}

// enter goes into a construct. One of defined length without content is passed by.
func (w *walker) enter(kind construct, length uint32) {
	if length == 0 {
		return
	}
	key := int32(w.key)
	w.key = -1
	l := level{end: w.bound(), kind: kind, key: key}
	if length != undefinedLength {
		l.end, l.defined = w.at+int64(length), true
	}
	w.levels = append(w.levels, l)
	if kind == aSequence {
		if depth := (len(w.levels) + 1) / 2; depth > w.limits.Depth {
			w.exceeds("§7.5", "sequences nest deeper than %d", w.limits.Depth)
		} else {
			w.facts.Depth = max(w.facts.Depth, depth)
		}
	}
}

// leave goes out of the innermost construct.
func (w *walker) leave() {
	w.levels = w.levels[:len(w.levels)-1]
	if len(w.levels) < w.implicitFrom {
		w.implicitFrom = 0
	}
}

// leaveAll leaves the constructs whose defined length ends here, and ends the scan with the element
// that it was to read up to.
func (w *walker) leaveAll() {
	for n := len(w.levels); n > 0 && w.levels[n-1].defined && w.levels[n-1].end == w.at; n-- {
		w.leave()
	}
	if w.stopAt && len(w.levels) == 0 {
		w.done = true
	}
}

// delimiter acts on an item or a delimiter (PS3.5 §7.5).
func (w *walker) delimiter(tag Tag, length uint32) {
	inside := level{defined: true} // at the top level nothing is to be delimited
	if n := len(w.levels); n > 0 {
		inside = w.levels[n-1]
	}
	switch {
	case tag == tagItem && len(w.levels) > 0 && inside.kind == aSequence:
		if inside.items++; inside.items > 1 && w.content == anIdentifier {
			w.fail("§7.5", "a second item in a sequence of an identifier; there is one (PS3.4 §C.2.2.2.6)")
			return
		}
		w.levels[len(w.levels)-1].items = inside.items
		w.enter(anItem, length)
	case tag == tagItem && inside.kind == aFragments && length != undefinedLength:
		w.skip = length
		w.fragmentBegins(length)
	case tag == tagSequenceDelimiter && inside.kind != anItem && !inside.defined && length == 0,
		tag == tagItemDelimiter && inside.kind == anItem && !inside.defined && length == 0:
		w.leave()
	default:
		w.fail("§7.5", "item or delimiter %s of length %08XH where it cannot stand", tag, length)
	}
	if !w.done && w.skip == 0 {
		w.valueEnds()
	}
}
