package dicom

import "bytes"

// text finds the characters of a value in its character set (PS3.5 §6.1), one byte at a time.
// Decoders drop what is no character of the set, and the byte behind it or not, each in its own way.
// So it takes for characters only what all of them do, and nothing where they may have lost step.
type text struct {
	high   repertoire // what bytes from 80H on may be
	g0     []shape    // what those below may be, unless they are ASCII
	ascii  bool
	escape uint8
	shapes []shape // of the character under way
	alive  uint32  // those that fit its bytes, a bit for each
	at     int     // how many bytes that are
	lost   bool    // step was lost; a byte of ASCII finds it again
}

// part is what a byte is to its text.
type part uint8

const (
	nothing part = iota // of a character; a server that does not know the set may still see ASCII
	itself              // a character of ASCII
	within              // of a character, should the rest follow
	last                // of a character, which is now complete
)

// States of an escape sequence (PS3.5 §6.1.2.5): ESC $ B and ESC $ ( D begin a set of two bytes to
// the character in G0, ESC ( B one of one byte. What else there is disturbs nobody.
const (
	noEscape  uint8 = iota
	escaped         // after ESC
	multiByte       // after ESC $
	narrowSet       // the next byte names a set of one byte in G0
	wideSet         // … of two
	otherSet        // … another
)

func (t *text) begin(characterSet []byte) { *t = text{high: repertoireOf(characterSet), ascii: true} }

// breakOff ends the character under way, which is none then.
func (t *text) breakOff() { t.lost, t.at = t.lost || t.at > 0, 0 }

// next says what the next byte is.
func (t *text) next(c byte) part {
	if c == 0x1B {
		t.breakOff()
		t.escape = escaped
		return nothing
	}
	if t.escape != noEscape {
		t.escapes(c)
		return nothing
	}
	high := c >= 0x80
	switch {
	case t.lost:
		t.lost = high || !t.ascii
		return nothing
	case t.at == 0 && t.ascii && !high:
		if c == 0x7F {
			return nothing
		}
		return itself
	case t.at == 0 && c <= ' ':
		return nothing
	}
	if t.at == 0 {
		if t.shapes = t.g0; high {
			t.shapes = t.high.shapes
		}
		t.alive = 1<<len(t.shapes) - 1
	}
	complete := false
	for i := range t.shapes {
		f := &t.shapes[i]
		switch {
		case !f[t.at].has(c):
			t.alive &^= 1 << i
		case t.alive>>i&1 != 0 && (t.at == len(f)-1 || f[t.at+1].to == 0):
			complete = true
		}
	}
	switch {
	case complete:
		t.at = 0
		return last
	case t.alive != 0:
		t.at++
		return within
	}
	t.at = 0
	t.lost = !t.ascii || high && !t.high.alone
	return nothing
}

// escapes takes a byte of an escape sequence. Some readers let in what has no place there, and others
// end at it: after that nothing is certain until a set is named again.
func (t *text) escapes(c byte) {
	switch {
	case c < ' ' || c > '~':
		t.ascii, t.g0, t.lost, t.escape = false, nil, true, otherSet
	case c >= '0': // it is the last
		switch t.escape {
		case narrowSet:
			t.ascii, t.g0 = c == 'B' || c == 'J', nil
		case multiByte, wideSet:
			t.ascii, t.g0 = false, wideSets[c]
		}
		t.escape = noEscape
	case t.escape == escaped && c == '$':
		t.escape = multiByte
	case t.escape == escaped && c == '(':
		t.escape = narrowSet
	case t.escape == multiByte && c == '(':
		t.escape = wideSet
	default:
		t.escape = otherSet
	}
}

// repertoire is what the bytes from 80H on may be.
type repertoire struct {
	shapes []shape
	alone  bool // what is no character is dropped by itself, never with the bytes behind it
}

// shape is what the bytes of a character may be, one span for each.
type shape [4]span

type span struct{ from, to byte }

func (s span) has(c byte) bool { return s.from <= c && c <= s.to }

// singles are shapes of one byte.
func singles(spans ...span) repertoire {
	r := repertoire{alone: true}
	for _, s := range spans {
		r.shapes = append(r.shapes, shape{s})
	}
	return r
}

// Blanks, marks that combine, symbols, what is full-width of a wildcard, what is for private use or
// not assigned is left out: some servers trim, fold or drop it.
var (
	tail = span{0x80, 0xBF} // of a character in UTF-8

	utf8 = repertoire{shapes: []shape{
		{{0xC3, 0xCB}, tail}, {{0xCD, 0xCD}, {0xB0, 0xBF}}, {{0xCE, 0xDF}, tail},
		{{0xE0, 0xE0}, {0xA0, 0xBF}, tail},
		{{0xE1, 0xE1}, {0x80, 0x83}, tail}, {{0xE1, 0xE1}, {0x88, 0x99}, tail}, {{0xE1, 0xE1}, {0xB8, 0xBF}, tail},
		{{0xE2, 0xE2}, {0xBA, 0xBF}, tail},
		{{0xE3, 0xE3}, {0x81, 0x84}, tail}, {{0xE3, 0xE3}, {0x86, 0xBF}, tail},
		{{0xE4, 0xEC}, tail, tail},
		{{0xED, 0xED}, {0x80, 0x9D}, tail}, {{0xED, 0xED}, {0x9E, 0x9E}, {0x80, 0xA3}},
		{{0xEF, 0xEF}, {0xA4, 0xAB}, tail},
		{{0xEF, 0xEF}, {0xBC, 0xBC}, {0x90, 0x99}}, {{0xEF, 0xEF}, {0xBC, 0xBC}, {0xA1, 0xBA}},
		{{0xEF, 0xEF}, {0xBD, 0xBD}, {0x81, 0x9A}}, {{0xEF, 0xEF}, {0xBD, 0xBD}, {0xA6, 0xBF}}, {{0xEF, 0xEF}, {0xBE, 0xBE}, {0x80, 0x9D}},
		{{0xF0, 0xF0}, {0xA0, 0xAF}, tail, tail},
	}}

	gbk = repertoire{shapes: append([]shape{
		{{0x81, 0xA0}, {0x40, 0x7E}}, {{0x81, 0xA0}, {0x80, 0xFE}}, {{0xAA, 0xFD}, {0x40, 0x7E}}, {{0xAA, 0xFD}, {0x80, 0xA0}},
	}, gb2312.shapes...)}

	gb18030 = repertoire{shapes: append([]shape{
		{{0x81, 0x81}, {0x31, 0x32}, {0x81, 0xFE}, {0x30, 0x39}},
		{{0x82, 0x82}, {0x30, 0x39}, {0x81, 0xFE}, {0x30, 0x39}}, {{0x83, 0x83}, {0x30, 0x35}, {0x81, 0xFE}, {0x30, 0x39}},
		{{0x95, 0x9A}, {0x30, 0x39}, {0x81, 0xFE}, {0x30, 0x39}},
	}, gbk.shapes...)}

	gb2312 = repertoire{shapes: []shape{
		{{0xA3, 0xA3}, {0xB0, 0xB9}}, {{0xA3, 0xA3}, {0xC1, 0xDA}}, {{0xA3, 0xA3}, {0xE1, 0xFA}},
		{{0xA4, 0xA4}, {0xA1, 0xF3}}, {{0xA5, 0xA5}, {0xA1, 0xF6}}, {{0xA6, 0xA6}, {0xA1, 0xB8}}, {{0xA6, 0xA6}, {0xC1, 0xD8}}, {{0xA7, 0xA7}, {0xA1, 0xC1}}, {{0xA7, 0xA7}, {0xD1, 0xF1}},
		{{0xB0, 0xD6}, {0xA1, 0xFE}}, {{0xD7, 0xD7}, {0xA1, 0xF9}}, {{0xD8, 0xF7}, {0xA1, 0xFE}},
	}}

	ksX1001 = repertoire{shapes: []shape{
		{{0xA3, 0xA3}, {0xB0, 0xB9}}, {{0xA3, 0xA3}, {0xC1, 0xDA}}, {{0xA3, 0xA3}, {0xE1, 0xFA}}, {{0xA4, 0xA4}, {0xA1, 0xD3}},
		{{0xB0, 0xC8}, {0xA1, 0xFE}}, {{0xCA, 0xFD}, {0xA1, 0xFE}},
	}}

	jisX0208 = []shape{
		{{0x23, 0x23}, {0x30, 0x39}}, {{0x23, 0x23}, {0x41, 0x5A}}, {{0x23, 0x23}, {0x61, 0x7A}},
		{{0x24, 0x24}, {0x21, 0x73}}, {{0x25, 0x25}, {0x21, 0x76}}, {{0x26, 0x26}, {0x21, 0x38}}, {{0x26, 0x26}, {0x41, 0x58}}, {{0x27, 0x27}, {0x21, 0x41}}, {{0x27, 0x27}, {0x51, 0x71}},
		{{0x30, 0x4E}, {0x21, 0x7E}}, {{0x4F, 0x4F}, {0x21, 0x53}}, {{0x50, 0x73}, {0x21, 0x7E}}, {{0x74, 0x74}, {0x21, 0x24}},
	}

	jisX0212 = []shape{{{0x30, 0x6C}, {0x21, 0x7E}}, {{0x6D, 0x6D}, {0x21, 0x63}}}

	// wideSets are the sets of two bytes in G0, by what names them in an escape sequence.
	wideSets = [128][]shape{'@': jisX0208, 'B': jisX0208, 'D': jisX0212}
)

// repertoires are those of the terms for Specific Character Set (PS3.3 §C.12.1.1.2). ISO_IR 203 is
// not among them: servers that do not know it read ASCII.
var repertoires = func() map[string]repertoire {
	known := map[string]repertoire{
		"ISO_IR 192": utf8, "GB18030": gb18030, "GBK": gbk, "ISO 2022 IR 149": ksX1001, "ISO 2022 IR 58": gb2312,
		"ISO 2022 IR 87": {}, "ISO 2022 IR 159": {},
	}
	for number, r := range map[string]repertoire{
		"6":   {},
		"13":  {shapes: []shape{{{0xA6, 0xDF}}}}, // which some read as Shift JIS
		"100": singles(span{0xC0, 0xFF}),
		"101": singles(span{0xA1, 0xAC}, span{0xAE, 0xFF}),
		"109": singles(span{0xA1, 0xA4}, span{0xA6, 0xAC}, span{0xAF, 0xBD}, span{0xBF, 0xC2}, span{0xC4, 0xCF}, span{0xD1, 0xE2}, span{0xE4, 0xEF}, span{0xF1, 0xFF}),
		"110": singles(span{0xA1, 0xAC}, span{0xAE, 0xFF}),
		"126": singles(span{0xB6, 0xB6}, span{0xB8, 0xD1}, span{0xD3, 0xFE}),
		"127": singles(span{0xC1, 0xDA}, span{0xE1, 0xEA}),
		"138": singles(span{0xE0, 0xFA}),
		"144": singles(span{0xA1, 0xAC}, span{0xAE, 0xFF}),
		"148": singles(span{0xC0, 0xFF}),
		"166": singles(span{0xA1, 0xD0}, span{0xD2, 0xD3}, span{0xDF, 0xE6}, span{0xF0, 0xF9}),
	} {
		known["ISO_IR "+number], known["ISO 2022 IR "+number] = r, r
	}
	return known
}()

// repertoireOf returns what the bytes from 80H on may be in a Specific Character Set. Of several
// sets some readers take the first and some heed the escape sequences, so all but the first must be
// for G0.
func repertoireOf(characterSet []byte) (r repertoire) {
	first := true
	for more := true; more; {
		var term []byte
		term, characterSet, more = bytes.Cut(characterSet, []byte{'\\'})
		if term = bytes.TrimSpace(term); len(term) == 0 {
			continue
		}
		switch s := repertoires[string(term)]; {
		case first:
			r, first = s, false
		case string(term) != "ISO 2022 IR 87" && string(term) != "ISO 2022 IR 159":
			return repertoire{}
		}
	}
	return r
}
