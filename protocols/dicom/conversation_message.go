package dicom

import (
	"fmt"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// messageState says which part of a message comes next (PS3.7 §6.3, PS3.8 Annex E).
type messageState uint8

const (
	between   messageState = iota // no message is under way
	inCommand                     // fragments of a command set
	inData                        // fragments of a data set
)

// message is the one that a side is sending.
type message struct {
	state   messageState
	fate    fate
	ctx     *context
	set     []byte // fragments of the command set, copied: it is judged with the data set too
	cmd     Command
	scan    Scanner
	bytes   int64 // on the wire, so far
	verdict protocols.Verdict
}

// fragment takes a PDV of a message: the next of the one under way, or the first of another.
// Messages do not interleave (D6).
func (t *turn) fragment(v *PDV) error {
	m := &t.s.msg
	ctx := t.c.context(v.ContextID)
	switch {
	case ctx == nil:
		return pdvFault(v.Off, "a PDV on presentation context %d, which was not accepted", v.ContextID)
	case m.state != between && ctx != m.ctx:
		return pdvFault(v.Off, "a PDV on presentation context %d in the middle of a message on %d", v.ContextID, m.ctx.id)
	case v.Command && m.state == inData:
		return pdvFault(v.Off, "a command fragment where the data set is to go on")
	case !v.Command && m.state != inData:
		return pdvFault(v.Off, "a data set fragment where a command set is to come")
	case len(m.set)+len(v.Data) > MaxCommandSet && m.state == inCommand:
		return badCommand(0, "§6.3.1", "more than %d bytes of fragments", MaxCommandSet)
	}
	switch m.state {
	case between:
		t.s.sure = len(t.s.pieces)
		m.state, m.fate, m.ctx, m.set, m.bytes = inCommand, undecided, ctx, m.set[:0], 0
		m.verdict.Reset(t.from)
	case inData:
		t.add(v.Len, v.Off == PDUHeaderLen)
		return t.dataFragment(v)
	}
	t.add(v.Len, v.Off == PDUHeaderLen)
	m.set = append(m.set, v.Data...)
	if !v.Last {
		return nil
	}
	if err := t.command(); err != nil || t.c.over {
		return err
	}
	if m.state = inData; !m.cmd.HasDataSet {
		return t.complete()
	}
	return nil
}

// dataFragment takes a whole PDV of a data set.
func (t *turn) dataFragment(v *PDV) error {
	m := &t.s.msg
	if m.fate == undecided {
		if m.scan.Feed(v.Data); v.Last {
			m.scan.End()
		}
		if m.scan.done {
			if err := t.dataSet(); err != nil || t.c.over {
				return err
			}
		}
	}
	if v.Last {
		return t.complete()
	}
	return nil
}

// command judges a command set that is complete.
func (t *turn) command() error {
	m := &t.s.msg
	c, v := &m.cmd, &m.verdict
	*c = Command{From: t.from, ContextID: m.ctx.id, Abstract: m.ctx.abstract, Transfer: m.ctx.transfer}
	if err := c.Parse(m.set); err != nil {
		return err
	}
	v.Unit.Set(c.Name())
	if c.SOPClass == nil || string(c.SOPClass) == m.ctx.abstract {
		v.Found.Set(m.ctx.name)
	} else if name := dict.Name(string(c.SOPClass)); name != "" {
		v.Found.Set(name)
	} else {
		v.Found.Set(className(string(c.SOPClass)))
	}
	if code, err := t.breach(c); err != nil {
		return err
	} else if code != "" {
		if t.c.rules.Breach(code, v); v.Refused() {
			t.disown()
			return nil
		}
	}
	t.c.rules.Command(c, v)
	if !v.Refused() && c.HasDataSet {
		if needs := t.c.rules.Needs(c); needs > 0 {
			m.scan.Reset(m.ctx.transfer, needs)
			if c.Field == CFindRQ || c.Field == CMoveRQ || c.Field == CGetRQ {
				m.scan.Identifier()
			}
			return nil
		}
	}
	return t.decided()
}

// dataSet judges what the scan read of the data set.
func (t *turn) dataSet() error {
	m := &t.s.msg
	t.c.rules.DataSet(&m.cmd, m.scan.DataSet(), &m.verdict)
	return t.decided()
}

// decided acts on the verdict. A refused request will be answered by us when it is complete; a
// response cannot be, so its association ends.
func (t *turn) decided() error {
	m := &t.s.msg
	switch {
	case !m.verdict.Refused():
		t.account(&m.cmd)
		t.s.decide(passed)
	case m.cmd.Response():
		t.disown()
	default:
		t.s.asked++
		t.s.decide(dropped)
	}
	return nil
}

// disown ends the association because of the message under way.
func (t *turn) disown() {
	m := &t.s.msg
	v := m.verdict
	v.Bytes, v.Settled = m.bytes, true
	m.state = between
	t.c.abort(t.p, v.Reason)
	t.p.Record(&v)
}

// complete ends the message under way: all of it has come. A refused request is answered (D24);
// C-CANCEL-RQ is the one that has no answer.
func (t *turn) complete() error {
	s, m := t.s, &t.s.msg
	if n := len(s.pieces); n > 0 {
		s.pieces[n-1].ends = true
		v := m.verdict
		v.Bytes = m.bytes
		s.ended = append(s.ended, v)
	}
	m.state = between
	if m.fate == dropped && m.cmd.Field != CancelRQ {
		return t.owe()
	}
	return nil
}

// request is one that waits for its response.
type request struct {
	id, field uint16
	context   uint8
	number    uint64 // counts all requests of its side
}

// owed is a response of ours that waits until it may be sent.
type owed struct {
	number uint64 // of the request
	end    int    // of its bytes in made
}

// breach tells whether the rules must be asked about a command that answers nothing, or that
// reuses the Message ID of a request that is still to be answered (D26).
func (t *turn) breach(c *Command) (reason.Code, error) {
	switch {
	case c.Response():
		if t.c.sent[t.from.Other()].find(c.MessageID, c.Field&^responseBit, c.ContextID) < 0 {
			return reason.DICOMUnaskedResponse, nil
		}
	case c.Field == CancelRQ:
	case len(t.s.requests) >= maxRequests:
		return "", badCommand(0, "§9.1", "more than %d requests wait for their responses", maxRequests)
	default:
		for i := range t.s.requests {
			if t.s.requests[i].id == c.MessageID {
				return reason.DICOMCommandSet, nil
			}
		}
	}
	return "", nil
}

// account notes a request that is forwarded, or takes away the one that a final response answers.
// Pending responses leave it (D26).
func (t *turn) account(c *Command) {
	switch {
	case c.Field == CancelRQ:
	case !c.Response():
		t.s.asked++
		t.s.requests = append(t.s.requests, request{c.MessageID, c.Field, c.ContextID, t.s.asked})
	case c.Status != StatusPending && c.Status != StatusPendingWarning:
		r := &t.c.sent[t.from.Other()].requests
		if i := t.c.sent[t.from.Other()].find(c.MessageID, c.Field&^responseBit, c.ContextID); i >= 0 {
			*r = append((*r)[:i], (*r)[i+1:]...)
		}
	}
}

// find returns which request of the side a response answers, -1 for none.
func (s *sender) find(id, field uint16, context uint8) int {
	for i := range s.requests {
		if r := &s.requests[i]; r.id == id && r.field == field && r.context == context {
			return i
		}
	}
	return -1
}

// owe queues the response that refuses the request under way.
func (t *turn) owe() error {
	s, m := t.s, &t.s.msg
	limit := t.c.sent[t.from.Other()].limit // what this side accepts
	s.made = appendFailure(s.made, &m.cmd, m.verdict.Reason, limit)
	s.owed = append(s.owed, owed{number: s.asked, end: len(s.made)})
	if len(s.made) > maxOwed {
		return &protocols.Malformed{Reason: reason.CapReplies, Section: "PS3.7 §9.1",
			Detail: fmt.Sprintf("more than %d bytes of responses wait for their turn", maxOwed)}
	}
	return nil
}

// answer sends a side the responses that it is owed, as far as their turn has come: not inside a
// message toward that side, and not before the answers to its earlier requests. With all, those
// that are left are sent because nothing can be later.
func (c *Conversation) answer(to protocols.Side, p *protocols.Plan, all bool) {
	s, other := &c.sent[to], &c.sent[to.Other()]
	if len(s.owed) == 0 || !c.ready(to) || other.open || other.sure > other.first {
		return
	}
	n := len(s.owed)
	if !all && len(s.requests) > 0 {
		n = 0
		for n < len(s.owed) && s.owed[n].number < s.requests[0].number {
			n++
		}
	}
	if n == 0 {
		return
	}
	end := s.owed[n-1].end
	p.Send(to, s.made[:end])
	s.made = append(s.made[:0], s.made[end:]...)
	s.owed = append(s.owed[:0], s.owed[n:]...)
	for i := range s.owed {
		s.owed[i].end -= end
	}
}
