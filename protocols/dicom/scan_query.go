package dicom

import (
	"bytes"

	"cordon/protocols/dicom/dict"
)

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

// matcher looks at the value of a key as it comes by and says how the key matches. Where servers
// differ it takes the wider reading: wildcards count also in VRs for which the standard has none.
type matcher struct {
	vr    dict.VR
	size  int  // bytes of one value, of binary VRs
	bytes int  // so far
	some  bool // there is more than padding and separators
	other bool // some value has characters other than wildcards
	wild  bool // some value has wildcards
	all   bool // some value has nothing else
	split int  // separators between values
	nul   bool // a NUL has come
	cut   bool // and other characters after it

	valueWild, valueOther bool // the value under way has wildcards; has other characters

	hyphens int // of dates and times
	before  int // characters before the last hyphen
	after   int // digits after it
	offset  int // which they are

	// Characters of more than one byte, as Specific Character Set announces them, may look like
	// wildcards and separators.
	escapes bool // ISO 2022: escape sequences say what follows
	pairs   bool // GB18030, GBK: a byte from 81H on begins a character
	escape  uint8
	wide    bool // inside a G0 set of two bytes to the character
	trail   bool // the next byte ends a character
}

// sizes of one value of the binary VRs. Others of no text (OB, UN and the like) count as one.
var sizes = map[dict.VR]int{dict.AT: 4, dict.FD: 8, dict.FL: 4, dict.SL: 4, dict.SS: 2, dict.SV: 8, dict.UL: 4, dict.US: 2, dict.UV: 8}

var (
	times = dict.Set(dict.DA, dict.DT, dict.TM)
	// localized are the texts that Specific Character Set is about (PS3.5 §6.1.2.2).
	localized = dict.Set(dict.LO, dict.LT, dict.PN, dict.SH, dict.ST, dict.UC, dict.UT)
	// oneValue are the texts in which a backslash is a character.
	oneValue = dict.Set(dict.LT, dict.ST, dict.UR, dict.UT)
)

func (m *matcher) begin(vr dict.VR, characterSet []byte) {
	*m = matcher{vr: vr, size: sizes[vr]}
	if localized.Has(vr) {
		m.escapes, m.pairs = bytes.Contains(characterSet, []byte("2022")), bytes.Contains(characterSet, []byte("GB"))
	}
}

// look takes the next bytes of the value.
func (m *matcher) look(b []byte) {
	m.bytes += len(b)
	if !texts.Has(m.vr) && m.vr != dict.UN {
		return
	}
	for _, c := range b {
		if m.cut = m.cut || m.nul && c != ' ' && c != 0; c == 0 {
			m.nul = m.vr != dict.UN // which may be of numbers
		} else if m.whole(c) {
			m.character(c)
		} else {
			m.some, m.valueOther = true, true
		}
	}
}

// character takes one that stands for itself.
func (m *matcher) character(c byte) {
	switch {
	case c <= ' ': // servers trim tabs and line ends, too
	case c == '*' || c == '?' || c == '%': // the last is one of SQL
		m.some, m.valueWild = true, true
	case c == '\\' && !oneValue.Has(m.vr):
		m.split++
		m.valueEnds()
	case m.vr == dict.PN && (c == '^' || c == '='):
		m.some = true
	case c == '-' && times.Has(m.vr):
		m.some = true
		m.hyphens, m.before, m.after, m.offset = m.hyphens+1, m.before+m.after, 0, 0
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
	m.valueWild, m.valueOther = false, false
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

// States of an escape sequence (PS3.5 §6.1.2.5): ESC $ B and ESC $ ( D begin a set of two bytes to
// the character in G0, ESC ( B one of one byte. Sets in G1 have high bytes and disturb nobody.
const (
	noEscape  uint8 = iota
	escaped         // after ESC
	multiByte       // after ESC $
	narrowSet       // the next byte names a set of one byte in G0
	wideSet         // … of two
	otherSet        // … a set in G1
)

// whole tells whether a byte is a character by itself.
func (m *matcher) whole(c byte) bool {
	if m.trail {
		m.trail = false
		return false
	}
	if m.pairs && c >= 0x81 {
		m.trail = true
		return false
	}
	if !m.escapes {
		return true
	}
	switch m.escape {
	case noEscape:
		if c == 0x1B {
			m.escape = escaped
			return false
		}
		return !m.wide
	case escaped:
		switch m.escape = otherSet; c {
		case '$':
			m.escape = multiByte
		case '(':
			m.escape = narrowSet
		}
	case multiByte:
		switch c {
		case '(':
			m.escape = wideSet
		case ')':
			m.escape = otherSet
		default:
			m.escape, m.wide = noEscape, true
		}
	default:
		if m.escape != otherSet {
			m.wide = m.escape == wideSet
		}
		m.escape = noEscape
	}
	return false
}
