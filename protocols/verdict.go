package protocols

import "cordon/protocols/reason"

// Action is what a verdict decides.
type Action uint8

const (
	Allow Action = iota
	Refuse
	Rewrite
)

var actionNames = [...]string{"allow", "refuse", "rewrite"}

func (a Action) String() string { return actionNames[a] }

// Verdict is one decision about one unit, with the rule that decided. Verdicts are values that
// are reused; a recorder copies what it keeps. They never hold patient data: Unit and Found
// take only what SetUnit and SetFound let through.
type Verdict struct {
	Action Action
	// Would is what enforce would have decided where the mode let the unit pass.
	Would  Action
	Reason reason.Code // why it was refused or rewritten (or would have been); "" when allowed
	Rule   string      // the rule that decided: "devices/ct-3.yaml:14:9 flows.archive.allow[1]"
	From   Side        // who sent the unit
	Unit   Label       // the unit in the standard's words: "C-STORE-RQ", "ORU^R01"
	Found  Label       // what the rule looked at: an AE title, a SOP class name, a trigger event
	Bytes  int64       // the size of the unit on the wire
	// Charge is what the rules count the unit on, in their own terms; 0: on nothing. It goes with
	// the unit until it is recorded.
	Charge uint64
	// Request is by which number the rules remember the unit until it is answered; 0: not at all. It
	// tells them what becomes of a request that they allowed at first.
	Request uint64
	// Unanswered is, where the unit ended the session, how many requests that left without an answer.
	Unanswered int
	// Settled says that the unit arrived whole (allow) or was answered (refuse). It is false
	// for a unit that was cut short.
	Settled bool
}

// Reset makes v an allowing verdict about a unit from that side.
func (v *Verdict) Reset(from Side) { *v = Verdict{From: from} }

// Refuse makes v a refusal. Found keeps what it has.
func (v *Verdict) Refuse(code reason.Code, rule string) {
	v.Action, v.Would, v.Reason, v.Rule = Refuse, Refuse, code, rule
}

// Refused tells whether v keeps its unit from passing.
func (v *Verdict) Refused() bool { return v.Action == Refuse }

// Label is a short printable text held by value, so that verdicts need no allocation. What does
// not fit is cut, and ends with "..." then, so that nobody takes a part for the whole. What is not
// printable ASCII becomes '?', so that a label can stand on a terminal and in a log as it is. The
// longest name of a SOP class, with the number of others beside it, fits.
type Label struct {
	n uint8
	b [95]byte
}

// Set copies s into l.
func (l *Label) Set(s string) { l.n = 0; l.Append(s) }

// Append adds s to l.
func (l *Label) Append(s string) {
	for i := 0; i < len(s); i++ {
		if !l.add(s[i]) {
			return
		}
	}
}

// AppendBytes adds b to l.
func (l *Label) AppendBytes(b []byte) {
	for i := 0; i < len(b); i++ {
		if !l.add(b[i]) {
			return
		}
	}
}

// add puts one byte at the end. Where there is no room for it the text is cut.
func (l *Label) add(c byte) bool {
	if int(l.n) == len(l.b) {
		copy(l.b[len(l.b)-len(cut):], cut)
		return false
	}
	l.b[l.n] = printable(c)
	l.n++
	return true
}

// cut is the end of a text that did not fit.
const cut = "..."

// Bytes returns the text; it aliases l.
func (l *Label) Bytes() []byte { return l.b[:l.n] }

// Room returns how many characters can be added without a cut.
func (l *Label) Room() int { return len(l.b) - int(l.n) }

// Empty tells whether nothing was set.
func (l *Label) Empty() bool { return l.n == 0 }

func (l Label) String() string { return string(l.b[:l.n]) }

func printable(c byte) byte {
	if c < 0x20 || c > 0x7e {
		return '?'
	}
	return c
}
