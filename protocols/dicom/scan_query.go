package dicom

import "cordon/protocols/dicom/dict"

// maxKeys is how many keys an identifier may have. Those of the field have below 100.
const maxKeys = 1024

// asked takes the header of an element of an identifier: a key at the top level, one level down in
// a sequence, or something deeper that makes the sequence around it one with an item.
func (w *walker) asked(tag Tag, vr dict.VR, length uint32) {
	q := &w.facts.Query
	depth := len(w.levels)
	var in Tag
	if depth > 0 {
		if k := w.levels[depth-2].key; k >= 0 {
			q.Keys[k].Match = Sequence
			in = q.Keys[k].Tag
		}
	}
	if noKey(tag) {
		return
	}
	if known := dict.VRsOf(uint32(tag)); known != 0 && !known.Has(vr) && !w.implicit() && length > 0 {
		if !texts.Has(vr) || !texts.Has(known.First()) {
			w.fail("§6.2", "key %s has the VR %s and should have %s: readers disagree on what it asks", tag, vr, known.First())
			return
		}
		vr = known.First() // it says how servers match
	}
	if depth > 2 {
		return
	}
	if len(q.Keys) == maxKeys {
		w.exceeds("§7.1", "an identifier of more than %d keys", maxKeys)
		return
	}
	w.key = len(q.Keys)
	q.Keys = append(q.Keys, Key{Tag: tag, In: in})
	w.match.begin(vr, w.facts.CharacterSet)
}

// noKey tells whether an element of an identifier is about the query itself (PS3.4 §C.4.1.1.3):
// Specific Character Set, Query/Retrieve Level and View, Timezone Offset From UTC, group lengths.
func noKey(tag Tag) bool {
	switch tag {
	case tagCharacterSet, tagLevel, 0x00080053, 0x00080201:
		return true
	}
	return tag&0xFFFF == 0
}

// matched ends a key and tells whether its value may be asked.
func (w *walker) matched() bool {
	m, k := &w.match, &w.facts.Query.Keys[w.key]
	k.Match, w.key = m.result(), -1
	switch {
	case m.cut:
		w.fail("§6.2", "key %s has a NUL before other characters: for readers that end there it has another value", k.Tag)
	case m.foreign:
		w.fail("§6.2", "key %s has a character that a %s has not: for readers that drop it, it has another value", k.Tag, m.vr)
	}
	return !m.cut && !m.foreign
}

// matcher looks at the value of a key as it comes by and says how the key matches. Where servers
// differ it takes the wider reading: wildcards count also in VRs for which the standard has none,
// and inside what is no character.
type matcher struct {
	vr      dict.VR
	size    int  // bytes of one value, of binary VRs
	bytes   int  // so far
	some    bool // there is more than padding and separators
	other   bool // some value has characters other than wildcards
	wild    bool // some value has wildcards
	all     bool // some value has nothing else
	split   int  // separators between values
	nul     bool // a NUL has come
	cut     bool // and other characters after it
	foreign bool // a character has come that the VR has not

	valueWild, valueOther bool // the value under way has wildcards; has other characters

	hyphens int // of dates and times
	before  int // digits before the last hyphen
	after   int // digits after it
	offset  int // which they are

	own  *repertory // which characters the VR has; nil: Specific Character Set says
	text text
	half bool // the character under way has a byte that would be no wildcard
}

// sizes of one value of the binary VRs. Others of no text (OB, UN and the like) count as one.
var sizes = map[dict.VR]int{dict.AT: 4, dict.FD: 8, dict.FL: 4, dict.SL: 4, dict.SS: 2, dict.SV: 8, dict.UL: 4, dict.US: 2, dict.UV: 8}

var (
	times = dict.Set(dict.DA, dict.DT, dict.TM)
	// oneValue are the texts in which a backslash is a character.
	oneValue = dict.Set(dict.LT, dict.ST, dict.UR, dict.UT)
)

// repertory has the characters above a space that a VR may have (PS3.5 §6.2).
type repertory ['~' + 1]bool

func has(characters string) *repertory {
	r := new(repertory)
	for _, c := range characters + `*?\` {
		r[c] = true
	}
	return r
}

// repertories are those of the VRs that Specific Character Set is not about. Codes and titles in
// lower case exist, and UIDs with letters in them.
var repertories = func() [dict.UV + 1]*repertory {
	var ascii string
	for c := '!'; c <= '~'; c++ {
		ascii += string(c)
	}
	code, time := has(ascii), has("0123456789.:+-")
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return [...]*repertory{
		dict.AE: code, dict.CS: code, dict.UR: code,
		dict.AS: has("0123456789DWMY"), dict.UI: has("0123456789." + letters), dict.IS: has("0123456789+-"), dict.DS: has("0123456789+-.Ee"),
		dict.DA: time, dict.DT: time, dict.TM: time, dict.UV: nil,
	}
}()

func (m *matcher) begin(vr dict.VR, characterSet []byte) {
	*m = matcher{vr: vr, size: sizes[vr], own: repertories[vr]}
	if m.own == nil {
		m.text.begin(characterSet)
	}
}

// look takes the next bytes of the value.
func (m *matcher) look(b []byte) {
	m.bytes += len(b)
	if !texts.Has(m.vr) && m.vr != dict.UN {
		return
	}
	for _, c := range b {
		m.cut = m.cut || m.nul && c != ' ' && c != 0
		switch {
		case c == 0:
			m.nul = m.vr != dict.UN // which may be of numbers
			m.text.breakOff()
			m.half = false
		case m.own == nil:
			m.part(c)
		case blank(c) || int(c) < len(m.own) && m.own[c]:
			m.character(c)
		default:
			m.foreign = true
		}
	}
}

// blank tells what servers trim. Here they trim tabs and line ends, too.
func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// wildcard tells what stands for other characters.
func wildcard(c byte) bool { return c == '*' || c == '?' }

// part takes a byte of a text that may have characters of more than one. To a server that does not
// know the set each is one of ASCII, so what has wildcards only is no more than that.
func (m *matcher) part(c byte) {
	is := m.text.next(c)
	more := is == within || is == last
	switch {
	case is == itself, wildcard(c), c == '\\' && !more && !oneValue.Has(m.vr):
		m.character(c)
	case more:
		m.some, m.half = true, m.half || c != '\\'
	}
	m.valueOther = m.valueOther || m.half && is == last
	m.half = m.half && is == within
}

// character takes one that stands for itself.
func (m *matcher) character(c byte) {
	switch {
	case c <= ' ':
	case wildcard(c), c == '%': // which is one of SQL
		m.some, m.valueWild = true, true
	case c == '_': // another, beside the standard's; by itself it is a part of names
		m.some = true
	case c == '\\' && !oneValue.Has(m.vr):
		m.split++
		m.valueEnds()
	case m.vr == dict.PN && (c == '^' || c == '='):
		m.some = true
	case c == '-' && times.Has(m.vr):
		m.some = true
		m.hyphens, m.before, m.after, m.offset = m.hyphens+1, m.before+m.after, 0, 0
	case times.Has(m.vr) && (c < '0' || '9' < c): // they only part digits
		m.some = true
	default:
		m.some, m.valueOther = true, true
		if m.after++; m.after <= 4 && '0' <= c && c <= '9' {
			m.offset = 10*m.offset + int(c-'0')
		}
	}
}

func (m *matcher) valueEnds() {
	m.wild = m.wild || m.valueWild
	m.other = m.other || m.valueOther
	m.all = m.all || m.valueWild && !m.valueOther
	m.valueWild, m.valueOther, m.half = false, false, false
}

// maxWest is the farthest west of UTC that a DT may say, as the number after its hyphen.
const maxWest = 1200

func (m *matcher) result() Match {
	text := texts.Has(m.vr) || m.vr == dict.UN
	m.valueEnds()
	switch {
	case m.vr == dict.SQ:
		return Universal // until something in an item says otherwise
	case !text && m.bytes == 0, text && !m.some:
		return Universal
	case !text && m.size > 0 && m.bytes > m.size:
		return List
	case !text:
		return Single
	case m.all, !m.wild && !m.other: // - and ^^ restrict nothing either
		return Everything
	case m.wild:
		return Wildcard
	case m.hyphens == 1 && m.vr == dict.DT && m.before >= 4 && m.after == 4 && m.offset <= maxWest:
		return Single // with its offset from UTC
	case m.hyphens > 0:
		return Range
	case m.split > 0:
		return List
	}
	return Single
}
