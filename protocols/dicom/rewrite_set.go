package dicom

import (
	"encoding/binary"

	"cordon/protocols/dicom/dict"
)

// setReader reads a data set that lies in memory whole, element by element (PS3.5 §7.1). b keeps
// all of it, so that offsets are the same in sequences and items.
type setReader struct {
	b   []byte
	off int // of what comes next
	end int // of what is read, where it has a length; 0: of b
	enc encoding
}

// element is the header of an element or an item.
type element struct {
	tag       Tag
	at, value int    // where the header and the value begin
	length    uint32 // of the value, may be undefined
	wide      bool   // the length field has 32 bits
	ae, sq    bool   // it may be an AE, a sequence, by its VR or for want of one, as with UN
	plain     bool   // a sequence in it is implicit VR little endian: it is an UN (PS3.5 §6.2.2)
}

func (s *setReader) limit() int {
	if s.end > 0 {
		return s.end
	}
	return len(s.b)
}

func (s *setReader) empty() bool { return s.off >= s.limit() }

func (s *setReader) order() binary.ByteOrder {
	if s.enc.bigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// element reads the next header, also one of an item or a delimiter.
func (s *setReader) element() (el element, ok bool) {
	head, order := s.b[s.off:s.limit()], s.order()
	if len(head) < 8 {
		return el, false
	}
	el = element{tag: Tag(order.Uint16(head))<<16 | Tag(order.Uint16(head[2:])), at: s.off, value: s.off + 8, wide: true}
	switch {
	case s.enc.implicit || el.tag>>16 == 0xFFFE:
		el.length, el.ae, el.sq = order.Uint32(head[4:]), true, true
	default:
		vr := dict.VROf(head[4], head[5])
		el.plain = vr == dict.UN
		el.ae, el.sq = vr == dict.AE || el.plain, vr == dict.SQ || el.plain
		switch {
		case vr == dict.NoVR || vr.Long() && len(head) < 12:
			return el, false
		case vr.Long():
			el.length, el.value = order.Uint32(head[8:]), s.off+12
		default:
			el.length, el.wide = uint32(order.Uint16(head[6:])), false
		}
	}
	s.off = el.value
	return el, true
}

// item reads the header of an item of a sequence, or of its delimiter.
func (s *setReader) item() (element, bool) {
	el, ok := s.element()
	return el, ok && (el.tag == tagItem || el.tag == tagSequenceDelimiter && el.length == 0)
}

// take reads a value of that length.
func (s *setReader) take(length uint32) ([]byte, bool) {
	if uint64(length) > uint64(s.limit()-s.off) {
		return nil, false
	}
	v := s.b[s.off : s.off+int(length)]
	s.off += int(length)
	return v, true
}

// within returns a reader of the value of a sequence or an item. One of undefined length reads on
// until its delimiter.
func (s *setReader) within(el element) (inner setReader, ok bool) {
	inner = *s
	if el.length != undefinedLength {
		if uint64(el.length) > uint64(s.limit()-s.off) {
			return inner, false
		}
		inner.end = s.off + int(el.length)
	}
	if el.plain {
		inner.enc = encoding{implicit: true}
	}
	return inner, true
}

// skip reads over a value. Of undefined lengths it reads the elements within.
func (s *setReader) skip(el element, depth int) bool {
	if el.length != undefinedLength {
		_, ok := s.take(el.length)
		return ok
	}
	if depth > MaxDepth || el.tag>>16 == 0xFFFE && el.tag != tagItem {
		return false
	}
	inner, _ := s.within(el)
	for {
		next, ok := inner.element()
		switch {
		case !ok:
			return false
		case next.tag == tagSequenceDelimiter && el.tag != tagItem, next.tag == tagItemDelimiter && el.tag == tagItem:
			s.off = inner.off
			return next.length == 0
		case (next.tag == tagItem) == (el.tag == tagItem) || !inner.skip(next, depth+1):
			return false // items stand in sequences, elements in items
		}
	}
}

// setLength puts a length into the header that made begins with.
func (s *setReader) setLength(made []byte, el element, length int) bool {
	head := made[:el.value-el.at]
	if el.wide {
		s.order().PutUint32(head[len(head)-4:], uint32(length))
		return true
	}
	s.order().PutUint16(head[len(head)-2:], uint16(length))
	return length < 1<<16
}
