package dicom

import (
	"bytes"
	"encoding/binary"

	"cordon/protocols"
)

// The element that a renamed application entity is looked for in, and the sequences that it stands in.
const (
	tagRetrieveAETitle    Tag = 0x00080054
	tagSeriesSequence     Tag = 0x00081115 // Referenced Series Sequence
	tagReferencedSequence Tag = 0x00081199 // Referenced SOP Sequence
	tagPerformedSeries    Tag = 0x00400340 // Performed Series Sequence
	tagInputSequence      Tag = 0x00404021 // Input Information Sequence
	tagOutputSequence     Tag = 0x00404033 // Output Information Sequence
	tagRetrievalSequence  Tag = 0x0040E021 // DICOM Retrieval Sequence
	tagPerformedSequence  Tag = 0x00741216 // Unified Procedure Step Performed Procedure Sequence
)

// places are the sequences of a data set or an item whose items may have a Retrieve AE Title, or a
// sequence with one, in ascending order. The data set itself may have one, too.
type places struct {
	tags []Tag
	in   []*places // of each, what its items have
}

var (
	nowhere      places
	inReferences = places{[]Tag{tagReferencedSequence}, []*places{&nowhere}}                                 // of storage commitment (PS3.4 §J.3)
	inAvailable  = places{[]Tag{tagSeriesSequence}, []*places{&inReferences}}                                // PS3.4 §R.3.2
	inPerformed  = places{[]Tag{tagPerformedSeries}, []*places{&nowhere}}                                    // PS3.4 §F.7.2
	inInstances  = places{[]Tag{tagRetrievalSequence}, []*places{&nowhere}}                                  // PS3.3 §10.3, Table 10-3b
	inOutput     = places{[]Tag{tagOutputSequence}, []*places{&inInstances}}                                 // PS3.3 §C.30.3
	inUnified    = places{[]Tag{tagInputSequence, tagPerformedSequence}, []*places{&inInstances, &inOutput}} // PS3.4 §CC.2.5
)

// of returns what items of a sequence have; nil where none of them is looked at.
func (p *places) of(seq Tag) *places {
	for i, tag := range p.tags {
		if tag == seq {
			return p.in[i]
		}
	}
	return nil
}

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
// of some sequences replaced, and the lengths around them to match. It tells whether the data set
// could be read that far; one that could not is not to be used. Elements ascend, so what follows the
// last of those sequences is copied unread.
func (r *retitler) dataSet(set []byte, e encoding, in *places) bool {
	s := setReader{b: set, enc: e}
	for !s.empty() {
		el, ok := s.element()
		if !ok {
			return false
		}
		if el.tag > in.tags[len(in.tags)-1] {
			r.out = append(r.out, s.b[el.at:]...)
			return true
		}
		if !r.element(&s, el, in) {
			return false
		}
	}
	return true
}

// element appends an element whose header was read, of a data set or an item that has titles in some
// sequences.
func (r *retitler) element(s *setReader, el element, in *places) bool {
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
	case el.sq:
		if items := in.of(el.tag); items != nil {
			return r.sequence(s, el, items)
		}
	}
	if !s.skip(el, 0) {
		return false
	}
	r.out = append(r.out, s.b[el.at:s.off]...)
	return true
}

// sequence appends a sequence, its items' elements one by one.
func (r *retitler) sequence(s *setReader, el element, items *places) bool {
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
		if ok = r.item(&inner, item, items); ok && item.length != undefinedLength {
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
func (r *retitler) item(s *setReader, item element, in *places) bool {
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
		ok = r.element(&inner, el, in)
	}
	s.off = inner.off
	return ok && item.length != undefinedLength
}
