package dicom

import (
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Scanner reads the identifying elements at the top level of a data set (PS3.5 §7) as its bytes
// come by: fed with fragments that may be cut anywhere, it is done as soon as the tag asked for
// was read or passed. It keeps no byte but an element header and the values it is after, never
// recurses, and allocates nothing; the deflated syntaxes are the exception (see inflater).
//
// What it walks over it checks as far as its walk depends on it: ascending tags, lengths, nesting.
// An element, item or sequence of defined length is skipped whole, so nothing in it can lead the
// walk astray.
type Scanner struct {
	walk    walker
	inflate *inflater // made when first needed
	packed  bool      // deflated: bytes go through inflate
	facts   DataSet
	done    bool
}

// Reset prepares s for a data set in a transfer syntax, to be read up to a tag.
func (s *Scanner) Reset(transfer string, until Tag) {
	e := encodingOf(transfer)
	s.walk.reset(e, until)
	s.packed, s.done, s.facts = e.deflated, false, DataSet{}
	if s.packed {
		if s.inflate == nil {
			s.inflate = new(inflater)
		}
		s.inflate.reset(e, until)
	}
}

// Feed reads the next bytes of the data set. It returns true when no more are needed.
func (s *Scanner) Feed(b []byte) bool {
	if !s.done && len(b) > 0 {
		if s.packed {
			s.inflate.feed(&s.walk, b)
		} else {
			s.walk.feed(b)
		}
		s.done = s.walk.done
	}
	return s.done
}

// End says that the data set has no more bytes.
func (s *Scanner) End() {
	if s.done {
		return
	}
	if s.packed {
		s.inflate.end(&s.walk)
	} else {
		s.walk.end()
	}
	s.done = true
}

// Stop ends the scan for a reason of the caller's, which becomes the fault.
func (s *Scanner) Stop(m *protocols.Malformed) {
	if !s.done {
		s.walk.stop(m)
		s.done = true
	}
}

// DataSet returns what was read. It aliases s and dies at the next Reset.
func (s *Scanner) DataSet() *DataSet {
	w := &s.walk
	s.facts = DataSet{
		SOPClass:      w.found[0].value(),
		SOPInstance:   w.found[1].value(),
		StudyInstance: w.found[2].value(),
		Complete:      w.complete,
		Fault:         w.fault,
	}
	s.facts.InstanceSafe = s.facts.SOPInstance == nil || ValidUID(s.facts.SOPInstance)
	s.facts.SeriesSafe = true
	s.facts.StudySafe = s.facts.StudyInstance == nil || ValidUID(s.facts.StudyInstance)
	return &s.facts
}

// sought lists the elements whose values are kept, in ascending order.
var sought = [...]Tag{TagSOPClassUID, TagSOPInstanceUID, TagStudyInstanceUID}

// kept is the value of a sought element: a UID with room for more padding than it should have.
type kept struct {
	b       [maxUID + 2]byte
	n       int
	present bool
}

// value returns the trimmed value, nil when it is absent or empty.
func (k *kept) value() []byte {
	if !k.present {
		return nil
	}
	v := TrimUID(k.b[:k.n])
	if len(v) == 0 {
		return nil
	}
	return v
}

// encoding is how a transfer syntax writes elements (PS3.5 Annex A).
type encoding struct {
	implicit  bool
	bigEndian bool
	deflated  bool
}

// encodings lists what is not Explicit VR Little Endian; everything else is, also all
// encapsulated syntaxes.
var encodings = map[string]encoding{
	"1.2.840.10008.1.2":       {implicit: true},
	"1.2.840.113619.5.2":      {implicit: true}, // private (GE): implicit, pixel data big endian
	"1.2.840.10008.1.2.2":     {bigEndian: true},
	"1.2.840.10008.1.2.1.99":  {deflated: true},
	"1.2.840.10008.1.2.4.95":  {deflated: true}, // JPIP Referenced Deflate
	"1.2.840.10008.1.2.4.205": {deflated: true}, // JPIP HTJ2K Referenced Deflate
}

func encodingOf(transfer string) encoding { return encodings[transfer] }

// badDataSet makes a fault; detail has no value from the wire.
func badDataSet(at int64, section, detail string) *protocols.Malformed {
	return &protocols.Malformed{Reason: reason.DICOMDataSet, Section: "PS3.5 " + section, Offset: int(at), Detail: detail}
}
