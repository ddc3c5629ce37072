package dicom

import (
	"bytes"
	"encoding/binary"

	"cordon/protocols"
)

// The elements with AE titles that a renamed application entity is looked for in.
const (
	tagRetrieveAETitle    Tag = 0x00080054
	tagReferencedSequence Tag = 0x00081199 // Referenced SOP Sequence, of storage commitment (PS3.4 §J.3)
)

const (
	maxTitle    = 16       // bytes of an AE title (PS3.5 §6.2, AE)
	keptRewrite = 16 << 10 // bytes of memory that is kept from one rewritten message to the next
)

// retitler writes command sets and data sets anew with the AE titles that the rules give. What it
// does not replace it copies as it is.
type retitler struct {
	rules Rules
	from  protocols.Side
	out   []byte
	found bool   // a title was replaced
	told  []byte // the first one that was, and as what: "PACS as PACS2"
}

// reset prepares r for another message. It keeps the memory it has.
func (r *retitler) reset(rules Rules, from protocols.Side) {
	*r = retitler{rules: rules, from: from, out: r.out[:0], told: r.told[:0]}
}

// title appends what stands for an AE title, trimmed, and tells whether it is another one.
func (r *retitler) title(t []byte) bool {
	if len(t) == 0 {
		return false
	}
	with := r.rules.Title(r.from, t)
	if with == "" || with == string(t) {
		return false
	}
	if !r.found {
		r.told = append(append(append(r.told, t...), " as "...), with...)
	}
	r.found = true
	r.out = append(r.out, with[:min(len(with), maxTitle)]...)
	return true
}

// values appends the values of an AE element, separated by backslashes, padded to even length. It
// returns false, and appends nothing, where all stay.
func (r *retitler) values(v []byte) bool {
	start, any := len(r.out), false
	for rest := v; ; {
		one, more, again := bytes.Cut(rest, []byte{'\\'})
		if r.title(TrimAE(one)) {
			any = true
		} else {
			r.out = append(r.out, one...)
		}
		if !again {
			break
		}
		r.out, rest = append(r.out, '\\'), more
	}
	if !any {
		r.out = r.out[:start]
		return false
	}
	if (len(r.out)-start)%2 != 0 {
		r.out = append(r.out, ' ')
	}
	return true
}

// commandSet appends a command set that Parse accepts, with the value of one element, an AE title,
// replaced and the group length to match.
func (r *retitler) commandSet(set []byte, elem uint16) {
	start := len(r.out)
	for at := 0; at < len(set); {
		head := set[at : at+8]
		value := set[at+8 : at+8+int(binary.LittleEndian.Uint32(head[4:]))]
		at += 8 + len(value)
		length := len(r.out) + 4
		r.out = append(r.out, head...)
		if binary.LittleEndian.Uint16(head[2:]) != elem || !r.values(value) {
			r.out = append(r.out, value...)
			continue
		}
		binary.LittleEndian.PutUint32(r.out[length:], uint32(len(r.out)-length-4))
	}
	binary.LittleEndian.PutUint32(r.out[start+8:], uint32(len(r.out)-start-12))
}

// dataSet appends a data set with the values of Retrieve AE Title at its top level and in the items
// of Referenced SOP Sequence replaced, and the lengths around them to match. It tells whether the
// data set could be read that far; one that could not is not to be used. Elements ascend, so what
// follows that sequence is copied unread.
func (r *retitler) dataSet(set []byte, e encoding) bool {
	s := setReader{b: set, enc: e}
	for !s.empty() {
		el, ok := s.element()
		if !ok {
			return false
		}
		if el.tag > tagReferencedSequence {
			r.out = append(r.out, s.b[el.at:]...)
			return true
		}
		if !r.element(&s, el, true) {
			return false
		}
	}
	return true
}

// element appends an element whose header was read.
func (r *retitler) element(s *setReader, el element, top bool) bool {
	switch {
	case el.tag == tagRetrieveAETitle && el.length != undefinedLength && el.ae:
		value, ok := s.take(el.length)
		if !ok {
			return false
		}
		start := len(r.out)
		r.out = append(r.out, s.b[el.at:el.value]...)
		if !r.values(value) {
			r.out = append(r.out, value...)
			return true
		}
		return s.setLength(r.out[start:], el, len(r.out)-start-(el.value-el.at))
	case el.tag == tagReferencedSequence && top && el.sq:
		return r.sequence(s, el)
	}
	if !s.skip(el, 0) {
		return false
	}
	r.out = append(r.out, s.b[el.at:s.off]...)
	return true
}

// sequence appends a sequence, its items' elements one by one.
func (r *retitler) sequence(s *setReader, el element) bool {
	start := len(r.out)
	r.out = append(r.out, s.b[el.at:el.value]...)
	inner, ok := s.within(el)
	for ok && !inner.empty() {
		var item element
		if item, ok = inner.item(); !ok {
			return false
		}
		at := len(r.out)
		r.out = append(r.out, inner.b[item.at:item.value]...)
		if item.tag == tagSequenceDelimiter {
			if el.length != undefinedLength {
				return false
			}
			s.off = inner.off
			return true
		}
		if ok = r.item(&inner, item); ok && item.length != undefinedLength {
			ok = inner.setLength(r.out[at:], item, len(r.out)-at-(item.value-item.at))
		}
	}
	if !ok || el.length == undefinedLength { // no delimiter
		return false
	}
	s.off = inner.off
	return s.setLength(r.out[start:], el, len(r.out)-start-(el.value-el.at))
}

// item appends the elements of an item, and its delimiter where it has one.
func (r *retitler) item(s *setReader, item element) bool {
	inner, ok := s.within(item)
	for ok && !inner.empty() {
		var el element
		if el, ok = inner.element(); !ok {
			return false
		}
		if el.tag == tagItemDelimiter {
			r.out = append(r.out, inner.b[el.at:el.value]...)
			s.off = inner.off
			return item.length == undefinedLength && el.length == 0
		}
		ok = r.element(&inner, el, false)
	}
	s.off = inner.off
	return ok && item.length != undefinedLength
}
