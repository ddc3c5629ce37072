package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// concerns tells whether a watcher asked for the session; before its flow is known, for what it
// may become. The caller holds s.mu.
func (s *session) concerns(w *watcher) bool {
	if f := s.rules.Flow(); f != nil {
		return w.takes(f)
	}
	return slices.ContainsFunc(s.candidates, w.takes)
}

// tracedConversation is a conversation that tells of itself. Of others the verdicts are traced.
type tracedConversation interface {
	Watch(protocols.Tracer)
	Underway() (protocols.Traced, bool)
}

// retrace begins or ends to trace the session, as those who watch now want it, and tells a new
// one of them what is under way.
func (s *session) retrace(fresh *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, wanted := s.tracing.Load(), s.gw.watchers.want(s)
	conv, talks := s.conv.(tracedConversation)
	if !wanted && t != nil {
		s.tracing.Store(nil)
		if talks {
			conv.Watch(nil)
		}
	}
	if !wanted {
		return
	}
	if t == nil {
		t = &tracing{s: s}
		s.tracing.Store(t)
		if talks {
			conv.Watch(t)
		}
	}
	if fresh != nil && s.concerns(fresh) {
		if line, ok := t.underway(conv); ok {
			fresh.put(line)
		}
	}
}

// tracing makes lines of what a session's conversation tells. It is used under s.mu.
//
// The line of a message waits for its end, so that most messages are one line, but not for longer
// than until the next sweep, and not beyond another line: who watches sees at once what is stuck.
type tracing struct {
	s     *session
	begun [2]begun                // by sender
	asked [2]map[uint16]time.Time // by sender and Message ID: when a request was whole; HL7 has the ID 0
}

// begun is the line of a message under way; its Unit is "" when there is none.
type begun struct {
	line  Trace
	waits bool // for its end
}

// Trace implements [protocols.Tracer].
func (t *tracing) Trace(e protocols.Traced) {
	line, b := t.line(&e), &t.begun[e.From]
	switch e.Stage {
	case protocols.Begun:
		t.flush()
		b.line, b.waits = line, true
	case protocols.Ended:
		if b.line.Unit != "" && b.line.Class == "" {
			t.ask(e.From, b.line.Message, line.Time)
		}
		line = b.ended(line)
		*b = begun{}
		t.flush()
		t.tell(line)
	default:
		t.flush()
		t.tell(line)
	}
}

// ended returns the line for the end of the message: all of it, or what there is to add.
func (b *begun) ended(end Trace) Trace {
	if b.line.Unit != "" {
		end.Elapsed = milliseconds(end.Time.Sub(b.line.Time))
	}
	if !b.waits {
		end.Ends = true
		return end
	}
	all := b.line
	all.Text, all.Bytes, all.PDVs, all.Elapsed = join(all.Text, end.Text), end.Bytes, end.PDVs, end.Elapsed
	if end.Reason != "" { // it was cut short
		all.Class, all.Verdict, all.Would = end.Class, end.Verdict, end.Would
		all.Reason, all.Meaning, all.Rule, all.Found = end.Reason, end.Meaning, end.Rule, end.Found
	}
	return all
}

// maxAsked is how many requests of a side are remembered until they are answered.
const maxAsked = 1024

// ask remembers when a request was whole.
func (t *tracing) ask(from protocols.Side, id uint16, at time.Time) {
	if t.asked[from] == nil || len(t.asked[from]) >= maxAsked {
		t.asked[from] = map[uint16]time.Time{}
	}
	t.asked[from][id] = at
}

// after returns how long an answer took, in milliseconds; 0 where the request was not seen.
func (t *tracing) after(from protocols.Side, id uint16, at time.Time) float64 {
	if asked, ok := t.asked[from.Other()][id]; ok {
		return milliseconds(at.Sub(asked))
	}
	return 0
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// flush tells of the messages whose ends have not come yet.
func (t *tracing) flush() {
	for i := range t.begun {
		if b := &t.begun[i]; b.waits {
			b.waits, b.line.More = false, true
			t.tell(b.line)
		}
	}
}

func (t *tracing) tell(line Trace) { t.s.gw.watchers.tell(t.s, line) }

// line names who said it to whom, and gives the verdict its meaning.
func (t *tracing) line(e *protocols.Traced) Trace {
	line := t.about(e.From, e.Own)
	line.Unit, line.Text, line.Lines, line.Class, line.Bytes, line.PDVs = e.Unit, e.Text, e.Lines, e.Class, e.Bytes, e.PDVs
	line.Message = e.Message
	if e.Class != "" && strings.HasSuffix(e.Unit, "-RSP") {
		line.Status = fmt.Sprintf("%04X", e.Status)
		line.After = t.after(e.From, e.Message, line.Time)
	}
	line.judged(e)
	return line
}

func (line *Trace) judged(e *protocols.Traced) {
	if e.Action != protocols.Allow {
		line.Verdict = e.Action.String()
	}
	if e.Would != e.Action {
		line.Would = e.Would.String()
	}
	if line.Reason = e.Reason; e.Reason != "" {
		line.Meaning, line.Rule, line.Found = reason.Lookup(e.Reason).Meaning, e.Rule, e.Found
	}
}

// about begins a line about something that a side said, or we in its place.
func (t *tracing) about(from protocols.Side, own bool) Trace {
	s := t.s
	line := Trace{Time: time.Now(), Session: s.id, From: "device", To: "server"}
	f := s.rules.Flow() // s.flow follows only after the first unit
	if f != nil {
		line.Device, line.Flow = f.Device.Name, f.Name
	} else if d := s.rules.Device(); d != nil {
		line.Device = d.Name
	}
	if f == nil {
		f = s.candidates[0]
	}
	if (from == protocols.Far) != f.FromServer {
		line.From, line.To = line.To, line.From
	}
	if own {
		line.From = "cordon"
	}
	return line
}

// underway describes the session for who begins to watch in the middle of it.
func (t *tracing) underway(conv tracedConversation) (Trace, bool) {
	e, ok := protocols.Traced{Unit: "session"}, true
	switch {
	case t.s.opaque:
		e.Text = "goes on without inspection"
	case conv != nil:
		e, ok = conv.Underway()
	default:
		e.Text = "under way"
	}
	line := t.line(&e)
	line.From, line.To = "", ""
	line.Text = join(line.Text, fmt.Sprintf("connected from %s for %s", t.s.peer, time.Since(t.s.began).Round(time.Second)))
	return line, ok
}

// recorded tells of a verdict of a conversation that does not tell of itself, and of what happened
// to the session.
func (t *tracing) recorded(v *protocols.Verdict) {
	if _, talks := t.s.conv.(tracedConversation); !talks || string(v.Unit.Bytes()) == unitSession {
		t.verdict(v)
	}
}

// failed tells of bytes that could not be read, before the answer to them.
func (t *tracing) failed(v *protocols.Verdict) {
	if _, talks := t.s.conv.(tracedConversation); talks {
		t.verdict(v)
	}
}

func (t *tracing) verdict(v *protocols.Verdict) {
	unit := v.Unit.String()
	e := protocols.Traced{From: v.From, Unit: unit, Bytes: v.Bytes}
	e.Judge(v)
	line := t.line(&e)
	if code, ok := strings.CutPrefix(unit, "ACK "); ok {
		line.Text, line.Class = acknowledgments[code].meaning, acknowledgments[code].class
		line.After = t.after(v.From, 0, line.Time)
	} else {
		t.ask(v.From, 0, line.Time)
	}
	switch {
	case unit == unitSession:
		line.From, line.To = "", ""
	case v.Refused() && v.Settled:
		line.Text = join(line.Text, "answered by Cordon"+answerOf(v.Reason))
	case !v.Settled:
		line.Text = join(line.Text, "never completed")
	}
	t.flush()
	t.tell(line)
}

// unitSession is what a verdict about the session as a whole calls its unit.
const unitSession = "session"

// acknowledgments are the codes of HL7 table 0008.
var acknowledgments = map[string]struct {
	meaning string
	class   protocols.StatusClass
}{
	"AA": {"Application Accept", protocols.StatusSuccess},
	"AE": {"Application Error", protocols.StatusFailure},
	"AR": {"Application Reject", protocols.StatusFailure},
	"CA": {"Commit Accept", protocols.StatusSuccess},
	"CE": {"Commit Error", protocols.StatusFailure},
	"CR": {"Commit Reject", protocols.StatusFailure},
}

// answerOf is ERR-3 of an acknowledgment of ours.
func answerOf(code reason.Code) string {
	if err := reason.Lookup(code).ERR; err != "" {
		return " with ERR-3 " + err
	}
	return ""
}
