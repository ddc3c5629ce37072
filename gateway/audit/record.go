// Package audit writes down every decision, so that it can be proven later, without patient data.
//
// A [Record] is one decision; [Log] takes records without ever blocking and writes them as JSON
// lines, in batches, off the path that the traffic takes. What cannot be written is counted, and
// the count is written when writing works again:
//
//	{"v":1,"seq":41,"time":"2026-03-02T08:15:00.000123Z","session":"7f3a","device":"ct-3","flow":"archive",
//	 "peer":"10.20.3.15:1042","mode":"enforce","policy":"9c1e","direction":"to-server","unit":"C-STORE-RQ","verdict":"refuse",
//	 "reason":"dicom.sop-class","rule":"tiers/imaging-xp.yaml:14:9","bytes":212,"found":"MR Image Storage"}
//	{"v":1,"seq":153,"time":"2026-03-02T08:17:10.000000Z","gap":112,"since":"2026-03-02T08:15:31.402117Z"}
//
// seq counts the records of one run of the gateway from 1, lost ones too: a gap line carries the
// number of the last record that it stands for. What is empty is left out, and so is would where
// it is the verdict.
package audit

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// version is that of the form of a line.
const version = 1

// Record is one decision. It is a value: what it refers to is immutable and outlives it. Nothing
// in it comes from a peer but what protocols.Label lets through, its address and its
// certificate's name.
type Record struct {
	Seq  uint64    // given by Log.Put
	Time time.Time // Log.Put takes the time when it is zero
	Source
	Direction Direction
	Unit      protocols.Label
	Verdict   protocols.Action
	Would     protocols.Action // what enforce would have decided
	Reason    reason.Code
	Rule      string // the rule that decided, with its file and line
	Bytes     int64
	Found     protocols.Label // what the rule looked at
	Cut       bool            // the unit never came to its end
}

// Source is what all records of a session have in common for as long as its policy stays.
type Source struct {
	Session string
	Device  string // "" for an unknown device
	Flow    string
	Peer    string // who was connected: its address, or the name in its certificate
	Mode    string
	Policy  string // the version of the policy

	encoded []byte // as JSON members; nil until Encode
}

// Reserve takes the memory that Encode fills, as long as it suffices.
func (s *Source) Reserve() { s.encoded = make([]byte, 0, 256) }

// Become makes s another source, in the memory that it has.
func (s *Source) Become(other Source) {
	other.encoded = s.encoded[:0]
	*s = other
}

// Encode prepares s for many records: it is written into each as it is now.
func (s *Source) Encode() {
	room := s.encoded[:0]
	s.encoded = nil
	s.encoded = s.appendJSON(room)
}

func (s *Source) appendJSON(dst []byte) []byte {
	if len(s.encoded) > 0 {
		return append(dst, s.encoded...)
	}
	dst = appendText(dst, "session", s.Session)
	dst = appendText(dst, "device", s.Device)
	dst = appendText(dst, "flow", s.Flow)
	dst = appendText(dst, "peer", s.Peer)
	dst = appendText(dst, "mode", s.Mode)
	return appendText(dst, "policy", s.Policy)
}

// Direction is where a unit was headed, by the ends that people know.
type Direction string

const (
	ToServer Direction = "to-server"
	ToDevice Direction = "to-device"
)

// Of starts a record from a verdict. The caller adds who and where; fromServer says that the
// flow is one toward the device, so that the near end is the server.
func Of(v *protocols.Verdict, fromServer bool) Record {
	to := ToServer
	if (v.From == protocols.Near) == fromServer {
		to = ToDevice
	}
	return Record{
		Direction: to, Unit: v.Unit, Verdict: v.Action, Would: v.Would,
		Reason: v.Reason, Rule: v.Rule, Bytes: v.Bytes, Found: v.Found, Cut: !v.Settled,
	}
}

// gap stands for records that were lost.
type gap struct {
	n     uint64
	since time.Time // the earliest
	last  time.Time // the latest
	seq   uint64    // of the last
}

// AppendJSON appends r as one JSON object, without a line end. It allocates nothing but what dst
// needs to grow.
func (r *Record) AppendJSON(dst []byte) []byte { return r.appendJSON(dst, new(stamp)) }

func (r *Record) appendJSON(dst []byte, at *stamp) []byte {
	dst = at.appendHead(dst, r.Seq, r.Time)
	dst = r.Source.appendJSON(dst)
	dst = appendText(dst, "direction", string(r.Direction))
	dst = appendText(dst, "unit", r.Unit.Bytes())
	dst = appendText(dst, "verdict", r.Verdict.String())
	if r.Would != r.Verdict {
		dst = appendText(dst, "would", r.Would.String())
	}
	dst = appendText(dst, "reason", string(r.Reason))
	dst = appendText(dst, "rule", r.Rule)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, r.Bytes, 10)
	dst = appendText(dst, "found", r.Found.Bytes())
	if r.Cut {
		dst = append(dst, `,"cut":true`...)
	}
	return append(dst, '}')
}

// MarshalJSON is AppendJSON for encoding/json.
func (r Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

func (g *gap) appendJSON(dst []byte, at *stamp) []byte {
	dst = at.appendHead(dst, g.seq, g.last)
	dst = append(dst, `,"gap":`...)
	dst = strconv.AppendUint(dst, g.n, 10)
	dst = append(dst, `,"since":"`...)
	dst = at.append(dst, g.since)
	return append(dst, `"}`...)
}

// appendText appends a member unless its value is empty.
func appendText[T string | []byte](dst []byte, key string, value T) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, key...)
	dst = append(dst, '"', ':', '"')
	dst = appendEscaped(dst, value)
	return append(dst, '"')
}

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendEscaped appends the inside of a JSON string (RFC 8259 §7). Besides what must be escaped
// it escapes all that a terminal might act upon, such as C1 controls and changes of the writing
// direction; bytes that are not UTF-8 become U+FFFD.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && plain[s[i]] {
			i++
		}
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			break
		}
		if c := s[i]; c < utf8.RuneSelf {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\', c)
			} else {
				dst = appendUnit(dst, uint16(c))
			}
			i++
			continue
		}
		r, size := decode(s[i:])
		switch {
		case unicode.IsPrint(r) && r != utf8.RuneError:
			dst = append(dst, s[i:i+size]...)
		case r > 0xffff: // a surrogate pair
			r -= 0x10000
			dst = appendUnit(dst, uint16(0xd800+r>>10))
			dst = appendUnit(dst, uint16(0xdc00+r&0x3ff))
		default:
			dst = appendUnit(dst, uint16(r))
		}
		i += size
	}
	return dst
}

// decode reads the first rune of s.
func decode[T string | []byte](s T) (rune, int) {
	var b [utf8.UTFMax]byte
	return utf8.DecodeRune(b[:copy(b[:], s)])
}

// appendUnit appends one UTF-16 code unit as \uXXXX.
func appendUnit(dst []byte, u uint16) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}
