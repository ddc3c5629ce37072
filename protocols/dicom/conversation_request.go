package dicom

import (
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// request is one that waits for its response.
type request struct {
	id, field uint16
	context   uint8
	number    uint64 // counts all requests of its side
	would     bool   // enforce would have refused it
}

// owed is a response of ours that waits until it may be sent.
type owed struct {
	number uint64 // of the request
	end    int    // of its bytes in made
}

// relate fills in which outstanding request a command is about.
//
// A C-GET's acceptor sends the objects as C-STORE sub-operations on the association of the C-GET
// (PS3.4 §C.4.3), so a C-STORE-RQ that comes against an outstanding C-GET is one of them. A
// C-CANCEL-RQ names the request by its Message ID, in (0000,0120) (PS3.7 §9.3.2.3).
func (t *turn) relate(c *Command) {
	switch c.Field {
	case CStoreRQ:
		for _, r := range t.c.sent[t.from.Other()].requests {
			if r.field == CGetRQ {
				c.Within, c.WithinID = CGetRQ, r.id
				return
			}
		}
	case CancelRQ:
		for _, r := range t.s.requests {
			if r.id == c.MessageID && r.context == c.ContextID && manyResponses(r.field|responseBit) {
				c.Within, c.WithinID = r.field, r.id
				return
			}
		}
	}
}

// breach tells whether the rules must be asked about a command because PS3.7 forbids it.
//
// A response must answer an outstanding request, with a status that exists (D26). A C-CANCEL-RQ
// that names no outstanding request has met the last response on its way, or names a request that
// was refused here: PS3.7 has no answer to it and its receiver has nothing to cancel, so that
// nobody misses it when it is dropped, while a receiver that meets one between messages may abort.
func (t *turn) breach(c *Command) (reason.Code, error) {
	switch {
	case c.Response() && t.c.sent[t.from.Other()].find(c.MessageID, c.Field&^responseBit, c.ContextID) < 0:
		return reason.DICOMUnaskedResponse, nil
	case c.Response() && KindOfStatus(c.Field, c.Status) == StatusUnknown:
		return reason.DICOMStatus, nil
	case c.Remainder:
		return reason.DICOMCommandRemainder, nil
	case c.Response():
		return "", nil
	case c.Field == CancelRQ && c.Within == 0:
		return reason.DICOMLateCancel, nil
	case c.Field == CancelRQ:
		return "", nil
	}
	return t.requestBreach(c)
}

// requestBreach judges a request as breach does: its sender must have the role that invokes it
// (D12), its Message ID be free, and no more be outstanding than was negotiated (D11). How many may
// be in any case is bounded, whatever the rules say: each costs memory.
func (t *turn) requestBreach(c *Command) (reason.Code, error) {
	s := t.s
	if most := t.c.cfg.MaxOutstanding; len(s.requests) >= most {
		return "", badCommand(0, "§9.1", "more than %d requests wait for their responses", most)
	}
	if !s.msg.ctx.invokes(t.from, c.Field) {
		return reason.DICOMRole, nil
	}
	for i := range s.requests {
		if s.requests[i].id == c.MessageID {
			return reason.DICOMCommandSet, nil
		}
	}
	if s.window > 0 && len(s.requests) >= s.window {
		return reason.DICOMWindow, nil
	}
	return "", nil
}

// invokes tells whether a side has the role that invokes an operation on the context. It is the
// SCU's, but for N-EVENT-REPORT, by which an SCP notifies (PS3.7 §10.1.1).
func (x *context) invokes(side protocols.Side, field uint16) bool {
	if field == NEventRQ {
		side = side.Other()
	}
	return x.scu[side]
}

// account notes a request that is forwarded, or takes away the one that a final response answers.
// Pending responses leave it (D26).
func (t *turn) account(c *Command) {
	switch {
	case c.Field == CancelRQ:
	case !c.Response():
		t.s.asked++
		t.s.requests = append(t.s.requests, request{c.MessageID, c.Field, c.ContextID, t.s.asked, t.s.msg.verdict.Would == protocols.Refuse})
	default:
		t.answered(&t.c.sent[t.from.Other()], c)
	}
}

// answered takes note of a response to a request of s.
func (t *turn) answered(s *sender, c *Command) {
	i := s.find(c.MessageID, c.Field&^responseBit, c.ContextID)
	if i < 0 {
		return
	}
	kind := KindOfStatus(c.Field, c.Status)
	if t.from == protocols.Far && kind != StatusIsFailure && kind != StatusUnknown && !s.requests[i].would && !t.c.would {
		t.p.Taken()
	}
	if kind.Final() {
		s.requests = append(s.requests[:i], s.requests[i+1:]...)
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
	t.traceFailure()
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
	if s.made = append(s.made[:0], s.made[end:]...); len(s.made) == 0 {
		s.made = emptied(s.made, keptMade)
	}
	s.owed = append(s.owed[:0], s.owed[n:]...)
	for i := range s.owed {
		s.owed[i].end -= end
	}
}
