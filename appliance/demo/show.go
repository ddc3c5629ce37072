package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/gateway/audit"
	"cordon/protocols/reason"
)

// Show prints audit records as a table of verdicts while they come.
//
//	time      device      unit                                              verdict       reason
//	10:42:01  ct-3        C-STORE-RQ ×24  CT Image Storage  3.2 MB          allow
//	10:42:02  ct-3        A-ASSOCIATE-RQ  ARCHIVE9  250 B                   refuse        dicom.called-ae
//	                      → fix: Correct the called AE title on the device, or …
//
// Equal allowed units that follow each other become one line, printed when another comes or when
// nothing comes for a moment.
type Show struct {
	out    io.Writer
	json   bool
	colour bool

	mu      sync.Mutex
	headed  bool
	pending row // times > 0: waits for more of the same
	times   int
	timer   *time.Timer
}

// row is what a line is made of.
type row struct {
	at                         time.Time
	device, unit, found        string
	verdict, would, code, rule string
	answer                     bool // sent by the server
	bytes                      int64
}

const (
	width      = 110 // columns
	deviceAt   = 10
	unitAt     = 22
	unitWidth  = 48
	verdictAt  = unitAt + unitWidth + 2
	codeAt     = verdictAt + 14
	mergeQuiet = 300 * time.Millisecond
)

// NewShow returns a table on out, or one JSON record a line.
func NewShow(out io.Writer, json bool) *Show {
	return &Show{out: out, json: json, colour: screen.Colours(out)}
}

// Record shows a record.
func (s *Show) Record(r audit.Record) {
	if !s.json {
		s.add(rowOf(r))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%s\n", r.AppendJSON(nil))
}

// add shows a row. What a server answered and was let through says nothing new.
func (s *Show) add(next row) {
	if next.answer && next.verdict == "allow" && next.would != "refuse" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times > 0 && next.merges(s.pending) {
		s.times++
		s.pending.bytes += next.bytes
		s.timer.Reset(mergeQuiet)
		return
	}
	s.flush()
	s.pending, s.times = next, 1
	if next.verdict != "allow" || next.would == "refuse" {
		s.flush()
		return
	}
	s.timer = time.AfterFunc(mergeQuiet, s.Flush)
}

// Flush prints what waits for more of the same.
func (s *Show) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

func (s *Show) flush() {
	if s.times == 0 {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.line(s.pending, s.times)
	s.times = 0
}

// Say prints lines of text between those of the table; nothing in JSON mode.
func (s *Show) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.json {
		s.flush()
		fmt.Fprintf(s.out, format, args...)
	}
}

// merges tells whether r says the same as the row before it, another time.
func (r row) merges(before row) bool {
	r.at, r.bytes, before.at, before.bytes = time.Time{}, 0, time.Time{}, 0
	return r == before
}

// verdictColours are SGR parameters of ECMA-48.
var verdictColours = map[string]string{
	"allow": "32", "refuse": "31", "would refuse": "33", "rewrite": "36",
}

func (s *Show) line(r row, times int) {
	if !s.headed {
		s.headed = true
		fmt.Fprintln(s.out, columns("time", "device", "unit", "verdict", "reason"))
	}
	what := r.unit
	if times > 1 {
		what += fmt.Sprintf(" ×%d", times)
	}
	if r.found != r.unit && r.found != "" {
		what += "  " + r.found
	}
	if with := what + "  " + size(r.bytes); r.bytes > 0 && utf8.RuneCountInString(with) <= unitWidth {
		what = with
	}
	verdict := r.verdict
	if verdict == "allow" && r.would == "refuse" {
		verdict = "would refuse"
	}
	text := columns(r.at.Local().Format("15:04:05"), r.device, what, verdict, r.code)
	if s.colour {
		from := runeAt(text, verdictAt)
		text = text[:from] + "\x1b[" + verdictColours[verdict] + "m" + verdict + "\x1b[0m" + text[from+len(verdict):]
	}
	fmt.Fprintln(s.out, strings.TrimRight(text, " "))
	if r.code != "" {
		s.fix(r)
	}
}

// fix prints what to do about a refusal, and the rule that decided.
func (s *Show) fix(r row) {
	from := "device"
	if r.answer {
		from = "server"
	}
	words := strings.Fields(gateway.Remedy(&gateway.Refusal{Unit: r.unit, From: from, Reason: reason.Code(r.code), Rule: r.rule, Found: r.found}))
	text, indent := strings.Repeat(" ", unitAt)+"→ fix:", strings.Repeat(" ", unitAt+6)
	for _, w := range words {
		if utf8.RuneCountInString(text)+1+utf8.RuneCountInString(w) > width {
			fmt.Fprintln(s.out, text)
			text = indent
		}
		text += " " + w
	}
	fmt.Fprintln(s.out, text)
}

// columns lays out one line; what does not fit its column is cut.
func columns(at, device, what, verdict, code string) string {
	return pad(at, deviceAt) + pad(device, unitAt-deviceAt) + pad(what, verdictAt-unitAt) + pad(verdict, codeAt-verdictAt) + code
}

// pad makes s exactly n columns wide, the last two of them spaces.
func pad(s string, n int) string {
	runes := []rune(s)
	if len(runes) > n-2 {
		runes = append(runes[:n-3], '…')
	}
	return string(runes) + strings.Repeat(" ", n-len(runes))
}

// runeAt returns the byte offset of the n-th rune.
func runeAt(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// size writes a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// rowOf takes out of a record what a line shows.
func rowOf(r audit.Record) row {
	return row{at: r.Time, device: r.Device, unit: r.Unit.String(), found: r.Found.String(),
		verdict: r.Verdict.String(), would: r.Would.String(), code: string(r.Reason), rule: r.Rule,
		answer: r.Direction == audit.ToDevice, bytes: r.Bytes}
}
