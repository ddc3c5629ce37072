package hl7

import (
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Interrupts implements [protocols.Interrupter]. A link ends in order by a FIN between messages, or
// behind one whose acknowledgment can still come.
func (c *Conversation) Interrupts(e protocols.Event) (unanswered int, yes bool) {
	near, far := &c.legs[protocols.Near].sent, &c.legs[protocols.Far].sent
	unanswered = near.count[due] + near.count[later] + far.count[due] + far.count[later]
	switch e.Kind {
	case protocols.Lost, protocols.Overflow, protocols.Revoked:
		return unanswered, !c.done
	case protocols.Closed:
		return unanswered, !c.done && (c.legs[e.Side].held > 0 || c.legs[e.Side.Other()].sent.pending())
	}
	return unanswered, false
}

// Tell reports what is not bytes. Nothing is ever acknowledged here (H18): a sender whose
// connection closes without an acknowledgment sends again.
func (c *Conversation) Tell(e protocols.Event, p *protocols.Plan) {
	if c.done {
		if e.Kind == protocols.Revoked {
			p.End(protocols.RST, protocols.RST)
		}
		return
	}
	switch e.Kind {
	case protocols.Closed:
		c.closed(e.Side, p)
	case protocols.Lost:
		c.cutHeld(protocols.Near, reason.SessionCut, p)
		c.cutHeld(protocols.Far, reason.SessionCut, p)
		c.end(p, protocols.RST, protocols.RST)
	case protocols.DialFailed:
		c.cut(protocols.Near, optional, e.Reason, p) // all that was planned for it
		c.end(p, protocols.FIN, protocols.FIN)
	case protocols.Expired:
		c.expired(e.Timer, p)
	case protocols.Overflow:
		c.cutHeld(e.Side, e.Reason, p)
		c.end(p, protocols.FIN, protocols.FIN)
	case protocols.Shutdown:
		c.draining = true
		for i := range c.legs {
			c.legs[i].begun = c.legs[i].held > 0
		}
		c.finish(p)
		if !c.done {
			c.wait(p, false)
		}
	case protocols.Revoked:
		c.cut(protocols.Near, later, e.Reason, p)
		c.cut(protocols.Far, later, e.Reason, p)
		c.end(p, protocols.RST, protocols.RST)
	case protocols.Failed:
		c.end(p, protocols.FIN, protocols.FIN)
	}
}

// closed follows a side's FIN. What the other side sent to it will not be acknowledged any more;
// what it sent itself still may be (G2), and it is not told of the end before.
func (c *Conversation) closed(side protocols.Side, p *protocols.Plan) {
	l := &c.legs[side]
	l.closed = true
	c.cutHeld(side, reason.SessionCut, p)
	l.begun, l.held = false, 0
	if c.legs[side.Other()].sent.pending() {
		c.end(p, protocols.FIN, protocols.FIN)
		return
	}
	c.finish(p)
	if !c.done {
		c.wait(p, false)
	}
}

// expired follows a timer. An acknowledgment that is late must never be credited to a later
// message, so who owes it is cut off (H8).
func (c *Conversation) expired(t protocols.Timer, p *protocols.Plan) {
	if t != protocols.Message {
		c.end(p, protocols.FIN, protocols.FIN)
		return
	}
	late := false
	for side := range c.legs {
		if !c.done && c.legs[side].sent.count[due] > 0 {
			late = true
			c.late(protocols.Side(side), p)
		}
	}
	switch {
	case c.done:
	case late:
		c.finish(p)
		if !c.done {
			c.wait(p, true)
		}
	default:
		c.cutHeld(protocols.Near, reason.TimerMessage, p)
		c.cutHeld(protocols.Far, reason.TimerMessage, p)
		c.end(p, protocols.FIN, protocols.FIN)
	}
}

// late asks the rules about acknowledgments owed to a side that did not come in time.
func (c *Conversation) late(to protocols.Side, p *protocols.Plan) {
	v := c.newVerdict(to.Other(), "ACK")
	v.Found.Set("no acknowledgment")
	if !c.breach(reason.HL7AckLate, v) {
		p.Record(v)
		c.giveUp(to, p)
		return
	}
	c.cut(to, later, reason.HL7AckLate, p)
	c.part(p, to.Other())
}

// cut records the messages of a side for which an acknowledgment is still to come, of which at
// least as much is expected as least says, and forgets them.
func (c *Conversation) cut(from protocols.Side, least waiting, why reason.Code, p *protocols.Plan) {
	sent := &c.legs[from].sent
	for i := range sent.entries {
		if e := &sent.entries[i]; e.state >= least && e.state != made {
			v := c.newVerdict(from, "")
			v.Unit = e.unit
			v.Found.Set("no acknowledgment")
			v.Refuse(why, "")
			p.Record(v)
		}
	}
	sent.clear()
}

// cutHeld records an unfinished unit of a side that will not be completed.
func (c *Conversation) cutHeld(from protocols.Side, why reason.Code, p *protocols.Plan) {
	n := c.legs[from].held
	if n == 0 {
		return
	}
	v := c.newVerdict(from, "unfinished block")
	v.Refuse(why, "")
	v.Bytes = int64(n)
	p.Record(v)
}
