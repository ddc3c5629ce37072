package hl7

import (
	"bytes"
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// Positions in Message.Delimiters (HL7 v2 §2.5.4).
const (
	field = iota
	component
	repetition
	escape
	subcomponent
	truncation
)

// maxControlID is the longest MSH-10, in bytes (HL7 v2.7 §2.14.9.10; 20 before).
const maxControlID = 199

// recommended are the delimiters that HL7 v2 §2.5.4 recommends, and the end of MSH-2.
const recommended = "|^~\\&|"

const (
	sectionMSH        = "HL7 v2 §2.14.9"
	sectionDelimiters = "HL7 v2 §2.5.4"
	sectionMSA        = "HL7 v2 §2.14.8"
)

// Parse reads the facts of a message, its framing taken off. The facts alias msg. It looks at
// bytes alone: the character sets that MSH-18 names extend ASCII or escape from it (H11), and
// UTF-16 and UTF-32, which do not, are refused. An error is a *protocols.Malformed with
// reason.HL7Header.
//
// A batch (FHS or BHS first) has the delimiters and the application fields of its first segment;
// the fields that only an MSH has stay nil.
func (m *Message) Parse(msg []byte) error {
	*m = Message{From: m.From}
	switch {
	case bytes.HasPrefix(msg, []byte("FHS")), bytes.HasPrefix(msg, []byte("BHS")):
		m.Batch = true
	case !bytes.HasPrefix(msg, []byte("MSH")):
		return notMSH(msg)
	}
	end := lineEnd(msg)
	if err := m.header(msg[:end]); err != nil {
		return err
	}
	m.EndsWithLF = end < len(msg) && msg[end] == '\n'
	return m.segments(msg, end)
}

// lineEnd returns where the segment that line starts with ends: at its first CR or LF. No field
// of MSH or MSA is a text, so LF in one is the end of a segment for somebody (H6).
func lineEnd(line []byte) int {
	end := bytes.IndexByte(line, '\r')
	if end < 0 {
		end = len(line)
	}
	if lf := bytes.IndexByte(line[:end], '\n'); lf >= 0 {
		end = lf
	}
	return end
}

// header reads an MSH, FHS or BHS segment. The three agree in fields 1 to 6.
func (m *Message) header(msh []byte) error {
	if err := m.delimiters(msh); err != nil {
		return err
	}
	var fields [19][]byte // by number; 1 is the separator itself
	fieldsOf(fields[2:], msh[4:], m.Delimiters[field])
	m.SendingApplication, m.SendingFacility = fields[3], fields[4]
	m.ReceivingApplication, m.ReceivingFacility = fields[5], fields[6]
	if m.Batch {
		return nil
	}
	var parts [3][]byte
	fieldsOf(parts[:], fields[9], m.Delimiters[component])
	m.Type, m.Trigger, m.Structure = parts[0], parts[1], parts[2]
	m.ControlID, m.ProcessingID = fields[10], fields[11]
	fieldsOf(parts[:1], fields[12], m.Delimiters[component])
	m.Version = parts[0]
	m.AcceptAck, m.ApplicationAck, m.CharacterSet = fields[15], fields[16], fields[18]
	if n := len(m.ControlID); n > maxControlID {
		return malformed(sectionMSH, 0, fmt.Sprintf("MSH-10 has %d bytes; a control ID has at most %d", n, maxControlID))
	}
	return nil
}

// fieldsOf cuts s at each mark, as far as parts go. Fields are short: looking at each byte once is
// faster than to search for each mark.
func fieldsOf(parts [][]byte, s []byte, mark byte) {
	n, start := 0, 0
	for i, c := range s {
		if c != mark {
			continue
		}
		parts[n] = s[start:i:i]
		if n++; n == len(parts) {
			return
		}
		start = i + 1
	}
	parts[n] = s[start:]
}

// delimiters reads MSH-1 and MSH-2 (H12). Version 2.7 added the fifth encoding character, but
// senders of 2.5.1 declare it too (US laboratory reporting does), so it is read whatever the
// version.
func (m *Message) delimiters(msh []byte) error {
	if len(msh) < 4 {
		return malformed(sectionDelimiters, len(msh), "MSH-1 is missing; the field separator must follow MSH")
	}
	m.Delimiters[field] = msh[3]
	if len(msh) > 8 && string(msh[3:9]) == recommended {
		copy(m.Delimiters[:], recommended[:5])
		return nil
	}
	encoding, _, _ := bytes.Cut(msh[4:], msh[3:4])
	if n := len(encoding); n < 4 || n > 5 {
		return malformed(sectionDelimiters, 4, fmt.Sprintf("MSH-2 has %d bytes; it must have four encoding characters, or five with the truncation character", n))
	}
	copy(m.Delimiters[component:], encoding)
	for i, d := range m.Delimiters[:1+len(encoding)] {
		if !isPunctuation(d) {
			return malformed(sectionDelimiters, 3+i, "a delimiter is not a punctuation mark; letters, digits, spaces, control and other bytes cannot be one")
		}
		if bytes.IndexByte(m.Delimiters[:i], d) >= 0 {
			return malformed(sectionDelimiters, 3+i, "a delimiter repeats; all must differ")
		}
	}
	return nil
}

// segments walks over what follows the first segment, which ended at byte end, and finds what
// matters wherever it stands: a further MSH, the wrappers of a batch, an MSA. It reads as the
// most lenient of receivers would, who skips blanks before a segment and takes LF for its end,
// because what one of them could act on is a fact for policy.
func (m *Message) segments(msg []byte, end int) error {
	// IndexByte is many times faster than IndexAny, and most messages have no LF.
	ends := "\r\n"
	if bytes.IndexByte(msg, '\n') < 0 {
		ends = "\r"
	}
	for at := end; at < len(msg); {
		start, cr, lf := lineBreak(msg, at)
		if err := m.segment(msg, start, cr); err != nil {
			return err
		}
		rest := msg[start:]
		// An LF behind which no segment starts is a byte of its field, for everybody.
		if lf && (cr || len(rest) == 0 || m.looksLikeSegment(rest)) {
			m.EndsWithLF = true
		}
		next := 0
		if len(ends) == 1 {
			next = bytes.IndexByte(rest, '\r')
		} else {
			next = bytes.IndexAny(rest, ends)
		}
		if next < 0 {
			break
		}
		at = start + next
	}
	return nil
}

// lineBreak skips the white space that starts at msg[at], a CR or LF. It tells whether it has a
// CR, which ends a segment for everybody, and whether it has an LF that is not followed by one.
func lineBreak(msg []byte, at int) (start int, cr, lf bool) {
	for start = at; start < len(msg); start++ {
		switch msg[start] {
		case '\r':
			// LF before the first CR is the last byte of a field.
			cr, lf = true, cr && lf
		case '\n':
			lf = true
		case ' ', '\t':
		default:
			return start, cr, lf
		}
	}
	return start, cr, lf
}

// segment looks at the segment that starts at msg[start].
func (m *Message) segment(msg []byte, start int, cr bool) error {
	s := msg[start:]
	if len(s) < 3 {
		return nil
	}
	after := byte('\r')
	if len(s) > 3 {
		after = s[3]
	}
	switch id := s[:3]; string(id) {
	case "MSH", "FHS", "BHS", "BTS", "FTS":
		// Receivers that split a batch go by the name alone, whatever separator follows. Only
		// behind LF, where a text may go on with the name of a hormone, a blank does not count.
		if !isAlphanumeric(after) && (cr || after != ' ') {
			m.Batch = true
		}
	case "MSA":
		if after != m.Delimiters[field] || m.Batch {
			return nil
		}
		if m.AckCode != nil {
			return malformed(sectionMSA, start, "a second MSA segment; a message answers one message")
		}
		return m.msa(s, start)
	}
	return nil
}

// msa reads an MSA segment.
func (m *Message) msa(s []byte, start int) error {
	end := lineEnd(s)
	if end < len(s) && s[end] == '\n' {
		m.EndsWithLF = true
	}
	var fields [2][]byte
	fieldsOf(fields[:], s[4:end], m.Delimiters[field])
	code, id := fields[0], fields[1]
	if len(id) > maxControlID {
		return malformed(sectionMSA, start, fmt.Sprintf("MSA-2 has %d bytes; a control ID has at most %d", len(id), maxControlID))
	}
	m.AckCode, m.AckedID = code[:len(code):len(code)], id
	return nil
}

// looksLikeSegment tells whether s starts with a segment ID and a field separator.
func (m *Message) looksLikeSegment(s []byte) bool {
	return len(s) > 3 && s[3] == m.Delimiters[field] &&
		s[0] >= 'A' && s[0] <= 'Z' && isUpperOrDigit(s[1]) && isUpperOrDigit(s[2])
}

// notMSH says what msg starts with instead of MSH, as far as its first bytes tell.
func notMSH(msg []byte) error {
	found := "another segment or no HL7 at all"
	for _, known := range []struct{ prefix, name string }{
		{"\xEF\xBB\xBF", "a UTF-8 byte order mark"},
		{"\xFF\xFE", "UTF-16"}, {"\xFE\xFF", "UTF-16"},
		{"M\x00", "UTF-16"}, {"\x00M", "UTF-16"}, {"\x00\x00\x00M", "UTF-32"},
		{"<", "XML; only the ER7 encoding is read"},
	} {
		if bytes.HasPrefix(msg, []byte(known.prefix)) {
			found = known.name
			break
		}
	}
	if len(msg) == 0 {
		found = "an empty block"
	}
	return malformed(sectionMSH, 0, "found "+found+"; a message must start with MSH")
}

func malformed(section string, offset int, detail string) error {
	return &protocols.Malformed{Reason: reason.HL7Header, Section: section, Offset: offset, Detail: detail}
}

func isUpperOrDigit(c byte) bool { return c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }

func isAlphanumeric(c byte) bool { return isUpperOrDigit(c) || c >= 'a' && c <= 'z' }

func isPunctuation(c byte) bool { return c > ' ' && c < 0x7f && !isAlphanumeric(c) }
