package dicom

import (
	"cmp"
	"strconv"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// releaseRQ takes an A-RELEASE-RQ. Both sides may ask at once; then each leg ends by itself as
// PS3.8 §7.2.2.7 says: where we requested the association we answer first, where we accepted it
// we wait for the answer (D18).
func (t *turn) releaseRQ(pdu []byte) error {
	c, to := t.c, t.from.Other()
	if c.state[t.from] == Sta8 {
		c.answer(to, t.p, true) // nothing can be sent once the release was asked for
		if !c.issue(to, Evt11) {
			return badState("A-RELEASE-RQ where the other side is in %s", c.state[to])
		}
		t.pass(len(pdu))
		return nil
	}
	t.drop(len(pdu))
	if c.state[t.from] == Sta9 {
		c.issue(t.from, Evt14)
		t.p.Send(t.from, AppendReleaseRP(nil))
	}
	return nil
}

// releaseRP takes an A-RELEASE-RP. It answers the other side's A-RELEASE-RQ, also when the two
// collided.
func (t *turn) releaseRP(pdu []byte) error {
	c, to := t.c, t.from.Other()
	c.answer(to, t.p, true)
	if !c.issue(to, Evt14) {
		return badState("A-RELEASE-RP where the other side is in %s", c.state[to])
	}
	t.pass(len(pdu))
	// Whoever gets the last A-RELEASE-RP closes the connection.
	var ending [2]protocols.Closing
	ending[to], ending[t.from] = protocols.Await, protocols.FIN
	if c.state[t.from] == Sta12 {
		c.issue(t.from, Evt14)
		t.p.Send(t.from, AppendReleaseRP(nil))
		ending[t.from] = protocols.Await
	}
	c.end(t.p, ending[protocols.Near], ending[protocols.Far])
	return nil
}

// aborted takes an A-ABORT, which goes to the other side with its source and reason (D17). What
// was held before it never completes.
func (t *turn) aborted(pdu []byte) {
	c, to := t.c, t.from.Other()
	c.cut(t.p, reason.SessionCut)
	t.recordAbort(pdu)
	t.drop(t.s.parsed)
	t.s.forget()
	if c.alive(to) {
		t.pass(len(pdu))
	} else {
		t.drop(len(pdu))
	}
	c.end(t.p, protocols.FIN, protocols.FIN)
}

// after takes what a side sends after the end: nothing of it goes anywhere. Who aborts instead of
// closing, as some do whose release did not go as they thought, waits for us to close (Sta13, AA-2).
func (c *Conversation) after(from protocols.Side, win []byte, p *protocols.Plan) {
	for len(win) > 0 {
		typ, length, ok := ParsePDUHeader(win)
		if !ok {
			p.Wait(PDUHeaderLen, protocols.Release)
			return
		}
		if typ == TypeAbort {
			var ending [2]protocols.Closing
			ending[from] = protocols.FIN
			p.End(ending[protocols.Near], ending[protocols.Far])
		}
		n := PDUHeaderLen + int(length)
		p.Drop(n)
		win = win[min(n, len(win)):]
	}
}

// recordAbort records who aborted the association and what that left unanswered.
func (t *turn) recordAbort(pdu []byte) {
	var v protocols.Verdict
	v.Reset(t.from)
	v.Unit.Set(TypeAbort.String())
	v.Reason, v.Bytes, v.Settled = reason.SessionCut, int64(len(pdu)), true
	v.Unanswered = t.c.unanswered()
	switch n := v.Unanswered; {
	case n == 1:
		v.Found.Set("1 request unanswered; ")
	case n > 1:
		v.Found.Set(strconv.Itoa(n) + " requests unanswered; ")
	}
	if a, err := ParseAbort(pdu); err == nil {
		v.Found.Append(DescribeAbort(a))
	}
	t.p.Record(&v)
}

// unanswered counts the requests that were passed on and wait for their final responses.
func (c *Conversation) unanswered() int {
	return len(c.sent[protocols.Near].requests) + len(c.sent[protocols.Far].requests)
}

// Interrupts implements [protocols.Interrupter]. An association ends in order by a release, a
// rejection or an abort.
func (c *Conversation) Interrupts(e protocols.Event) (unanswered int, yes bool) {
	switch {
	case c.away(e):
		return c.unanswered(), false // its request is refused
	case e.Kind == protocols.Closed:
		return c.unanswered(), !c.over && !c.lastWord(e)
	}
	switch e.Kind {
	case protocols.Lost, protocols.Overflow, protocols.Revoked:
		return c.unanswered(), !c.over
	}
	return c.unanswered(), false
}

// lastWord tells whether a side closes behind its release request: it has said its last word, which
// the other side is to answer (G2).
func (c *Conversation) lastWord(e protocols.Event) bool {
	return e.Kind == protocols.Closed && c.state[e.Side] == Sta8
}

// away tells whether the server went away before it answered the association request. Whoever accepts
// connections on behalf of a server that is down, as a load balancer does, closes them like that.
func (c *Conversation) away(e protocols.Event) bool {
	return !c.over && e.Side == protocols.Far && (e.Kind == protocols.Closed || e.Kind == protocols.Lost) && c.state[protocols.Near] == Sta3
}

// Tell implements [protocols.Conversation].
func (c *Conversation) Tell(e protocols.Event, p *protocols.Plan) {
	if c.over {
		if e.Kind == protocols.Expired {
			p.End(protocols.RST, protocols.RST)
		}
		return
	}
	asked := c.state[protocols.Near] != Sta2
	switch e.Kind {
	case protocols.Shutdown:
		c.draining = e.Reason
		if c.draining == "" {
			c.draining = reason.SessionShutdown
		}
	case protocols.Closed, protocols.Lost:
		if c.lastWord(e) {
			return
		}
		away := c.away(e)
		if c.state[e.Side] = Sta1; away { // AA-4: nothing can be said to it
			c.unavailable(p, cmp.Or(e.Reason, reason.UpstreamUnreachable), "closed without an answer")
			return
		}
		c.abort(p, reason.SessionCut)
	case protocols.DialFailed:
		c.state[protocols.Far] = Sta1
		c.unavailable(p, e.Reason, "")
	case protocols.Expired:
		c.expired(p, e.Timer, asked)
	case protocols.Overflow:
		if s := &c.sent[e.Side]; s.busy() {
			s.msg.verdict.Refuse(e.Reason, "")
		}
		c.cut(p, e.Reason)
		c.abort(p, e.Reason)
	case protocols.Revoked:
		c.cut(p, e.Reason)
		c.abort(p, e.Reason)
	case protocols.Failed:
		c.abort(p, e.Reason)
	}
}

// unavailable answers the association request that the server was not given, or did not answer. The
// device may try again.
func (c *Conversation) unavailable(p *protocols.Plan, code reason.Code, found string) {
	var v protocols.Verdict
	v.Reset(protocols.Near)
	v.Unit.Set(TypeAssociateRQ.String())
	v.Refuse(code, "")
	v.Found.Set(found)
	v.Settled = true
	p.Record(&v)
	p.Send(protocols.Near, AppendRJ(nil, rjOf(code)))
	c.traceOwn(protocols.Near, TypeAssociateRJ, code)
	if c.alive(protocols.Far) {
		p.Send(protocols.Far, AppendAbort(nil, reason.Lookup(code).Abort))
		c.traceOwn(protocols.Far, TypeAbort, code)
	}
	c.end(p, protocols.FIN, protocols.FIN)
}

// expired ends an association that did not go on in time (D8). A side that asked for nothing is
// closed without a word (AA-2), and so is one that did not finish its release.
func (c *Conversation) expired(p *protocols.Plan, timer protocols.Timer, asked bool) {
	switch {
	case timer == protocols.Release:
		c.cut(p, timer.Reason())
		c.end(p, protocols.RST, protocols.RST)
	case !asked:
		c.end(p, protocols.FIN, protocols.FIN)
	case c.state[protocols.Near] == Sta3:
		c.unavailable(p, timer.Reason(), "no answer in time")
	default:
		c.cut(p, timer.Reason())
		c.abort(p, timer.Reason())
	}
}

// abort ends the association on both sides with an A-ABORT.
func (c *Conversation) abort(p *protocols.Plan, code reason.Code) {
	c.cut(p, reason.SessionCut)
	pdu := AppendAbort(nil, reason.Lookup(code).Abort)
	ending := [2]protocols.Closing{protocols.FIN, protocols.FIN}
	for _, side := range [...]protocols.Side{protocols.Near, protocols.Far} {
		switch other := &c.sent[side.Other()]; {
		case !c.alive(side):
		case other.rest > 0 && other.msg.fate == passed:
			// It has a part of the last PDU of a message, which ten bytes more could complete.
			ending[side] = protocols.RST
		default:
			p.Send(side, c.unsent[side])
			p.Send(side, pdu)
			c.traceOwn(side, TypeAbort, code)
		}
	}
	c.end(p, ending[protocols.Near], ending[protocols.Far])
}

// alive tells whether a side has a connection that something can be said on.
func (c *Conversation) alive(side protocols.Side) bool { return c.state[side] != Sta1 }

// cut records what is under way and will never be complete: messages, and a request for an
// association that was not answered.
func (c *Conversation) cut(p *protocols.Plan, why reason.Code) {
	for i := range c.sent {
		s := &c.sent[i]
		for j := range s.ended {
			cutShort(p, &s.ended[j], why)
		}
		if s.ended = s.ended[:0]; !s.busy() {
			continue
		}
		s.msg.state = between
		v := s.msg.verdict
		v.Bytes = s.msg.bytes
		if v.Unit.Empty() { // its command set was not complete
			v.Unit.Set(TypePDataTF.String())
		}
		c.traceCut(protocols.Side(i), &v, why)
		cutShort(p, &v, why)
	}
	if c.state[protocols.Near] == Sta3 && c.setup != nil && c.setup.offer != nil {
		c.setup = nil
		var v protocols.Verdict
		v.Reset(protocols.Near)
		v.Unit.Set(TypeAssociateRQ.String())
		cutShort(p, &v, why)
	}
}

func cutShort(p *protocols.Plan, v *protocols.Verdict, why reason.Code) {
	if v.Settled = false; v.Reason == "" {
		v.Reason = why
	}
	p.Record(v)
}

// end ends the association.
func (c *Conversation) end(p *protocols.Plan, near, far protocols.Closing) {
	c.over, c.setup = true, nil
	p.End(near, far)
	p.Wait(0, protocols.Release)
}
