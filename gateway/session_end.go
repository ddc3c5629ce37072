package gateway

import (
	"cmp"
	"strconv"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// interrupts tells whether an event ends the session otherwise than in order, and how many requests
// never get their answers then. A connection on which nothing was ever said is nobody's loss. The
// caller holds s.mu.
func (s *session) interrupts(e protocols.Event) (unanswered int, yes bool) {
	c, knows := s.conv.(protocols.Interrupter)
	if !knows || s.progress.Load() == 0 {
		return 0, false
	}
	return c.Interrupts(e)
}

// noteCut records that the session was cut, by whom, and what that left unanswered: who asks why
// objects are missing finds no other trace of it when no unit was under way. The caller holds s.mu.
func (s *session) noteCut(e protocols.Event, unanswered int) {
	var v protocols.Verdict
	v.Reset(e.Side)
	v.Unit.Set(unitSession)
	who := "device"
	if s.fromServer(e.Side) {
		who = "server"
	}
	switch e.Kind {
	case protocols.Closed:
		v.Reason = reason.SessionCut
		v.Found.Set("the " + who + " closed the connection")
	case protocols.Lost:
		v.Reason = cmp.Or(e.Reason, reason.SessionCut)
		v.Found.Set("the connection to the " + who + " was lost")
	default:
		v.Reason = e.Reason
		v.Found.Set("Cordon ended it")
	}
	v.Unanswered = unanswered
	appendUnanswered(&v.Found, unanswered)
	s.gw.record(s, &v)
}

// appendUnanswered says how many requests never got their answers.
func appendUnanswered(l *protocols.Label, n int) {
	if n > 0 {
		l.Append("; " + strconv.Itoa(n) + " unanswered")
	}
}

// draining tells whether what a side still sends is nobody's: it was ended, and so was the other
// leg, or there is none. After a FIN toward one leg alone its peer may go on (half-close); one that
// is to close may say otherwise first. The caller holds s.mu.
func (s *session) draining(side protocols.Side) bool {
	own, other := &s.legs[side], &s.legs[side.Other()]
	switch own.closing {
	case protocols.FIN:
		return other.closing != protocols.Open || other.conn == nil
	case protocols.RST:
		return true
	}
	return false
}

// gone reports that a side has ended, once, unless we ended both, and why where that is known. It
// tells whether the side ended before we ended anything.
func (s *session) gone(side protocols.Side, kind protocols.EventKind, why reason.Code) (itself bool) {
	l := &s.legs[side]
	s.mu.Lock()
	first := !l.gone
	itself = first && l.closing == protocols.Open && s.legs[side.Other()].closing == protocols.Open
	l.gone = true
	if kind == protocols.Lost {
		l.dead.Store(true)
	}
	s.mu.Unlock()
	if first {
		s.tell(protocols.Event{Kind: kind, Side: side, Reason: why})
	}
	if kind == protocols.Lost {
		s.ensureEnding()
	}
	return itself
}

// ensureEnding ends what the conversation left open after an event that no session survives.
func (s *session) ensureEnding() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.legs {
		if l := &s.legs[i]; l.closing == protocols.Open {
			l.closing = protocols.RST
			if l.conn != nil {
				l.conn.Reset()
			}
		}
	}
	s.setTimer(protocols.Release)
}

// reset carries out the resets of a plan at once: they do not wait for a turn.
func (s *session) reset(p *protocols.Plan) {
	near, far := p.Ending()
	if near != protocols.RST && far != protocols.RST {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for side, c := range [...]protocols.Closing{near, far} {
		if l := &s.legs[side]; c == protocols.RST && l.conn != nil {
			l.dead.Store(true)
			l.conn.Reset()
		}
	}
}

// shut carries out the FINs of a plan when their turn comes.
func (s *session) shut(j *job) {
	near, far := j.plan.Ending()
	for side, c := range [...]protocols.Closing{near, far} {
		if c != protocols.FIN {
			continue
		}
		l := &s.legs[side]
		l.await(j.ticket[side])
		if l.conn != nil && !l.dead.Load() {
			l.conn.CloseWrite()
		}
	}
}

// kill ends the session without asking anybody.
func (s *session) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.legs {
		if c := s.legs[i].conn; c != nil {
			c.Reset()
		}
	}
}
