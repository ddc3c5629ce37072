package policy

import (
	"slices"
	"strconv"
	"strings"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// query is what an identifier may ask (PS3.4 §C.4.1.1.3, §C.4.2.1.4, §K.4.1.1.3).
type query struct {
	levels []string           // empty: any
	match  map[dicom.Tag]bool // attributes that may be matched by; nil: any
	asked  map[dicom.Tag]bool // attributes that may be asked for; nil: any
	// narrow are the keys of which one must narrow a query of a level, by level, of models without
	// levels by ""; nil where it may ask for everything.
	narrow map[string]map[place]bool
	exact  bool // it narrows by naming a value or a list of them, as retrievals do
}

// place is an attribute where a server heeds it: the same one inside another sequence, such as
// Other Patient IDs, is one that it may ignore.
type place struct{ in, tag dicom.Tag } // in a sequence; 0: the top level

// Attributes of an identifier that are about the query itself.
const (
	tagCharacterSet dicom.Tag = 0x00080005
	tagLevel        dicom.Tag = 0x00080052
	tagView         dicom.Tag = 0x00080053
	tagTimezone     dicom.Tag = 0x00080201
	// tagSteps is the sequence of a worklist's scheduled procedure steps, whose attributes are keys.
	tagSteps dicom.Tag = 0x00400100
)

// refuses returns why a query may not be asked, "" when it may, and puts what it is about into
// about.
func (q *query) refuses(asks *dicom.Query, about *protocols.Label) reason.Code {
	if q == nil {
		return ""
	}
	if len(q.levels) > 0 && !slices.ContainsFunc(q.levels, func(l string) bool { return l == string(asks.Level) }) {
		setLevel(about, asks.Level)
		return reason.DICOMQueryLevel
	}
	narrow, known := q.narrow[string(asks.Level)]
	if !known {
		narrow, known = q.narrow[""]
	}
	if q.narrow != nil && !known {
		setLevel(about, asks.Level)
		return reason.DICOMQueryLevel
	}
	narrowed := q.narrow == nil
	for i := range asks.Keys {
		k := &asks.Keys[i]
		if !q.admits(k) {
			q.setKeys(about, asks.Keys)
			return reason.DICOMQueryKey
		}
		narrowed = narrowed || narrow[place{k.In, k.Tag}] && q.narrows(k.Match)
	}
	if !narrowed {
		return reason.DICOMQueryEverything
	}
	return ""
}

// admits tells whether a key may be there.
func (q *query) admits(k *dicom.Key) bool {
	switch k.Tag {
	case tagCharacterSet, tagLevel, tagView, tagTimezone:
		return true
	}
	switch {
	case onlyAsked(k):
		return q.asked == nil || q.asked[k.Tag]
	case k.Match == dicom.Sequence && k.In == 0:
		return true // its attributes are keys of their own
	}
	return q.match == nil || q.match[k.Tag]
}

// onlyAsked tells whether a key is only asked for, and nothing matched by it.
func onlyAsked(k *dicom.Key) bool { return k.Match == dicom.Universal || k.Match == dicom.Everything }

// narrows tells whether a way of matching leaves something out.
func (q *query) narrows(m dicom.Match) bool {
	switch m {
	case dicom.Single, dicom.List:
		return true
	case dicom.Wildcard, dicom.Range:
		return !q.exact
	}
	return false
}

// setLevel says which level was asked for. What is none of the standard's is not repeated.
func setLevel(l *protocols.Label, level []byte) {
	l.Set("no known level")
	for _, known := range [...]string{"PATIENT", "STUDY", "SERIES", "IMAGE", "FRAME"} {
		if string(level) == known {
			l.Set(known)
		}
	}
}

// setKeys names the keys that may not be there as the policy's lists would have them, as many as
// find room: "match: [Patient's Sex], return: [Patient's Age, Patient's Size] (+2 more)".
func (q *query) setKeys(l *protocols.Label, keys []dicom.Key) {
	l.Set("")
	more := 0
	for _, list := range [...]struct {
		lead string
		only bool
	}{{"match: [", false}, {"return: [", true}} {
		lead := list.lead
		for i := range keys {
			k := &keys[i]
			again := func(o dicom.Key) bool { return o.Tag == k.Tag && onlyAsked(&o) == list.only }
			if onlyAsked(k) != list.only || q.admits(k) || more == 0 && slices.ContainsFunc(keys[:i], again) {
				continue
			}
			name, quote := listed(k.Tag)
			size := len(name) + 2*len(quote)
			if name == "" {
				size = len("(0009,1001)")
			}
			if more > 0 || l.Room() < len(", ")+len(lead)+size+len("] (+1024 more)") {
				more++
				continue
			}
			if lead == list.lead && !l.Empty() {
				l.Append(", ")
			}
			l.Append(lead)
			l.Append(quote)
			if l.Append(name); name == "" {
				appendTag(l, k.Tag)
			}
			l.Append(quote)
			lead = ", "
		}
		if lead != list.lead {
			l.Append("]")
		}
	}
	if more > 0 {
		var digits [4]byte
		l.Append(" (+")
		l.AppendBytes(strconv.AppendInt(digits[:0], int64(more), 10))
		l.Append(" more)")
	}
}

// listed is the name of an attribute as a list in brackets has it, and its quotes where it needs
// them. What has no name cannot be listed.
func listed(t dicom.Tag) (name, quote string) {
	if name = dict.TagName(uint32(t)); strings.Contains(name, ",") {
		quote = `"`
	}
	return name, quote
}

// appendTag adds a tag as the standard writes it: (0010,0010).
func appendTag(l *protocols.Label, t dicom.Tag) {
	const digits = "0123456789ABCDEF"
	text := [11]byte{0: '(', 5: ',', 10: ')'}
	for i := range 8 {
		at := 1 + i + i/4
		text[at] = digits[t>>(28-4*i)&0xF]
	}
	l.AppendBytes(text[:])
}

// identifier judges what a C-FIND, C-MOVE or C-GET asks. Any operation that allows its command may
// allow it; otherwise the first says why not.
func (p *program) identifier(c *dicom.Command, d *dicom.DataSet, v *protocols.Verdict) {
	if d.Fault != nil {
		malformed(d.Fault, v)
		return
	}
	var about protocols.Label
	code, rule := reason.Code(""), ""
	operations := p.asking(c)
	for i := range operations {
		op := &operations[i]
		if !op.is(c) || op.refuses(c) != "" {
			continue
		}
		here := v.Found
		no := op.query.refuses(&d.Query, &here)
		if no == "" {
			v.Rule = op.rule
			return
		}
		if code == "" {
			code, rule, about = no, op.rule, here
		}
	}
	if code == "" {
		return // shadow let a request pass that nothing allows, and said so
	}
	v.Found = about
	v.Refuse(code, rule)
}

// asking returns the operations that a command with an identifier may be one of.
func (p *program) asking(c *dicom.Command) []operation {
	cl := p.dicom.class(c.Abstract)
	if cl == nil {
		return nil
	}
	operations, _ := cl.on(c)
	return operations
}
