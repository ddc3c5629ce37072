package dicom

import (
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Scanner reads the facts of a data set (PS3.5 §7) as its bytes come by: fed with fragments that
// may be cut anywhere, it is done as soon as the tag asked for was read or passed. It keeps no
// byte but an element header and the values that are facts, never recurses, and allocates nothing
// once its few slices have grown; the deflated syntaxes are the exception (see inflater).
//
// It enters sequences and items, of defined and of undefined length, and checks what the walk
// depends on: ascending tags at the top level, lengths, nesting. A value of defined length is
// skipped whole, also one of VR UN.
//
// Other readers are lenient where the standard is not kept, each in its own way, so what they might
// read differently than the rules is a fault. Of an identifier, which rules take at its word, that
// is more: see [Scanner.Identifier].
type Scanner struct {
	// Limits bound what is scanned. They are set before Reset; a zero field stands for its default.
	Limits ScanLimits

	walk    walker
	inflate *inflater // made when first needed
	packed  bool      // deflated: bytes go through inflate
	done    bool
}

// ScanLimits bounds what a data set may hold as far as it is scanned. Beyond it the scan ends with
// a fault of reason.CapDataSet. A zero field stands for the default.
type ScanLimits struct {
	Depth    int    // of sequences in sequences; 32, at most 64
	Elements int    // data elements and items; 1<<18
	Length   uint32 // bytes of a value other than Pixel Data; 1 GiB
	Text     uint32 // bytes of a value of text; 1 MiB
	Inflated int    // bytes of a deflated data set that are inflated, or held deflated; 1 MiB
}

// MaxDepth is the deepest that ScanLimits.Depth may be. Real objects stay below 10; recursive
// readers behind us overrun their stack at some thousands.
const MaxDepth = 64

var defaultScanLimits = ScanLimits{Depth: 32, Elements: 1 << 18, Length: 1 << 30, Text: 1 << 20, Inflated: 1 << 20}

// OrDefault puts the defaults where nothing was said.
func (l ScanLimits) OrDefault() ScanLimits {
	d := defaultScanLimits
	if l.Depth > 0 {
		d.Depth = min(l.Depth, MaxDepth)
	}
	if l.Elements > 0 {
		d.Elements = l.Elements
	}
	if l.Length > 0 {
		d.Length = l.Length
	}
	if l.Text > 0 {
		d.Text = l.Text
	}
	if l.Inflated > 0 {
		d.Inflated = l.Inflated
	}
	return d
}

// Reset prepares s for a data set in a transfer syntax, to be read up to a tag.
func (s *Scanner) Reset(transfer string, until Tag) {
	w := &s.walk
	w.enc, w.until, w.limits, w.content = encodingOf(transfer), until, s.Limits.OrDefault(), anObject
	if w.text == nil {
		w.text = make([]byte, 0, 256) // most objects' facts
	}
	w.begin()
	s.packed, s.done = w.enc.deflated, false
	if s.packed {
		if s.inflate == nil {
			s.inflate = new(inflater)
		}
		s.inflate.reset()
	}
}

// content is what a data set is, and so which of its values are facts.
type content uint8

const (
	anObject     content = iota // that is stored
	anIdentifier                // of a query or retrieve request
	somethingElse
)

// Identifier says after Reset that the data set is the identifier of a query or retrieve request:
// its keys become facts (DataSet.Query.Keys). A key has one place and one reading: sequences have
// one item (PS3.4 §C.2.2.2.6), tags ascend in it too, VRs are the dictionary's, values have the
// characters of their VR, and no NUL comes before others.
func (s *Scanner) Identifier() { s.walk.content = anIdentifier }

// FormOnly says after Reset that the data set is neither an object nor an identifier: its form is
// checked, and none of its values is a fact.
func (s *Scanner) FormOnly() { s.walk.content = somethingElse }

// Feed reads the next bytes of the data set. It returns true when no more are needed.
func (s *Scanner) Feed(b []byte) bool {
	s.feed(b)
	return s.done
}

// feed is Feed. It returns how many bytes were read; of a deflated data set all are.
func (s *Scanner) feed(b []byte) (n int) {
	switch {
	case s.done || len(b) == 0:
		return 0
	case s.packed:
		s.inflate.feed(&s.walk, b)
		n = len(b)
	default:
		n = s.walk.feed(b)
	}
	s.done = s.walk.done
	return n
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
		if s.packed {
			s.inflate.reset()
		}
	}
}

// DataSet returns what was read. It aliases s and dies at the next Reset.
func (s *Scanner) DataSet() *DataSet {
	d := &s.walk.facts
	d.InstanceSafe = d.SOPInstance == nil || ValidUID(d.SOPInstance)
	d.StudySafe = d.StudyInstance == nil || ValidUID(d.StudyInstance)
	d.SeriesSafe = d.SeriesInstance == nil || ValidUID(d.SeriesInstance)
	return d
}

// encoding is how a transfer syntax writes elements (PS3.5 Annex A).
type encoding struct {
	implicit  bool
	bigEndian bool
	deflated  bool
	rle       bool // fragments of Pixel Data begin with an RLE header (PS3.5 Annex G)
}

// encodings lists what is not Explicit VR Little Endian; everything else is taken for it, as all
// encapsulated syntaxes are (PS3.5 §A.4). Those of the standard that hold no such data sets are none
// that a policy lets through.
var encodings = map[string]encoding{
	"1.2.840.10008.1.2":       {implicit: true},
	"1.2.840.113619.5.2":      {implicit: true}, // private (GE): implicit, pixel data big endian
	"1.2.840.10008.1.2.2":     {bigEndian: true},
	"1.2.840.10008.1.2.1.99":  {deflated: true},
	"1.2.840.10008.1.2.4.95":  {deflated: true}, // JPIP Referenced Deflate
	"1.2.840.10008.1.2.4.205": {deflated: true}, // JPIP HTJ2K Referenced Deflate
	"1.2.840.10008.1.2.5":     {rle: true},
}

func encodingOf(transfer string) encoding { return encodings[transfer] }

// badDataSet makes a fault; detail has no value from the wire.
func badDataSet(code reason.Code, at int64, section, detail string) *protocols.Malformed {
	return &protocols.Malformed{Reason: code, Section: "PS3.5 " + section, Offset: int(at), Detail: detail}
}
