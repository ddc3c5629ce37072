package dicom

import (
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// Watch has a tracer told of what the conversation does from now on; nil ends that. Like Step it
// is called by one goroutine at a time. While nobody watches, tracing costs a comparison for each
// message.
func (c *Conversation) Watch(t protocols.Tracer) { c.tracer = t }

// Underway describes the association for who begins to watch in the middle of it: what was agreed
// on. It returns false when there is nothing to tell yet, or any more.
func (c *Conversation) Underway() (protocols.Traced, bool) {
	t := protocols.Traced{From: protocols.Near, Unit: "association"}
	switch {
	case c.over || c.state[protocols.Near] == Sta2:
		return t, false
	case c.setup != nil:
		t.Text = "requested; not answered yet"
	default:
		t.Text = "established before this trace began"
		var accepted []said
		for i := range c.contexts {
			if pc := &c.contexts[i]; pc.id != 0 {
				accepted = append(accepted, said{pc.id, pc.name, acceptedText(pc.transfer)})
			}
		}
		t.Lines = contextLines(t.Lines, accepted)
	}
	return t, true
}

// traceRequest tells of an A-ASSOCIATE-RQ as it came, with what of it does not go to the server.
func (t *turn) traceRequest(v *protocols.Verdict) {
	if t.c.tracer == nil {
		return
	}
	su := t.c.setup
	e := protocols.Traced{From: t.from, Unit: TypeAssociateRQ.String(), Text: requestText(&su.facts), Bytes: v.Bytes}
	e.Lines = append(e.Lines, userText(&su.rq.User))
	e.Lines = su.proposedText(e.Lines)
	e.Judge(v)
	t.c.tracer.Trace(e)
}

// traceAccepted tells of an A-ASSOCIATE-AC, with the answers that the device gets besides the
// server's.
func (t *turn) traceAccepted(size int) {
	if t.c.tracer == nil {
		return
	}
	su := t.c.setup
	e := protocols.Traced{From: t.from, Unit: TypeAssociateAC.String(), Bytes: int64(size)}
	var answers []said
	var accepted, stripped int
	e.Lines = append(e.Lines, userText(&su.ac.User))
	for i := range su.offer.contexts {
		o := &su.offer.contexts[i]
		if o.result != Acceptance { // the lines of the request say which, and why
			stripped++
			continue
		}
		answer, ok := su.answeredText(o)
		if answers = append(answers, answer); ok {
			accepted++
		}
	}
	e.Lines = contextLines(e.Lines, answers)
	if stripped > 0 {
		e.Lines = append(e.Lines, fmt.Sprintf("%d stripped, and so rejected", stripped))
	}
	e.Text = counted(accepted, len(su.offer.contexts), "presentation context") + " accepted"
	t.c.tracer.Trace(e)
}

// traceControl tells of a PDU that carries no message and is passed on as it is.
func (t *turn) traceControl(typ PDUType, pdu []byte) {
	if t.c.tracer == nil || typ == TypeAssociateRQ || typ == TypeAssociateAC {
		return
	}
	e := protocols.Traced{From: t.from, Unit: typ.String(), Bytes: int64(len(pdu))}
	switch typ {
	case TypeAssociateRJ:
		if rj, err := ParseRJ(pdu); err == nil {
			e.Text, e.Class, e.Reason = DescribeRJ(rj), protocols.StatusFailure, reason.DICOMPeerRejected
		}
	case TypeAbort:
		if a, err := ParseAbort(pdu); err == nil {
			e.Text, e.Class = DescribeAbort(a), protocols.StatusFailure
		}
	}
	t.c.tracer.Trace(e)
}

// traceOwn tells of an A-ASSOCIATE-RJ or A-ABORT of our own to a side.
func (c *Conversation) traceOwn(to protocols.Side, typ PDUType, code reason.Code) {
	if c.tracer == nil {
		return
	}
	e := protocols.Traced{From: to.Other(), Own: true, Unit: typ.String(), Class: protocols.StatusFailure, Reason: code}
	if typ == TypeAssociateRJ {
		e.Text = DescribeRJ(rjOf(code))
	} else {
		e.Text = DescribeAbort(reason.Lookup(code).Abort)
	}
	c.tracer.Trace(e)
}

// traceMessage tells of a message whose command set was judged, with what its data set was needed
// for. A message that ends its association is told of as a whole: nothing more is read of it.
func (t *turn) traceMessage(stage protocols.Stage) {
	if t.c.tracer == nil {
		return
	}
	m := &t.s.msg
	e := protocols.Traced{From: t.from, Unit: m.cmd.Name(), Text: m.cmd.text(), Stage: stage, Message: m.cmd.MessageID, Bytes: m.bytes, PDVs: m.pdvs}
	if m.cmd.Response() {
		e.Status, e.Class = m.cmd.Status, statusClass(m.cmd.Field, m.cmd.Status)
	}
	if e.Judge(&m.verdict); e.Reason == reason.DICOMPeerFailed {
		e.Reason, e.Found = "", "" // the status says it
	}
	t.c.tracer.Trace(e)
}

// traceEnd tells that the message under way has come whole.
func (t *turn) traceEnd() {
	if t.c.tracer == nil {
		return
	}
	m := &t.s.msg
	t.c.tracer.Trace(protocols.Traced{From: t.from, Unit: m.cmd.Name(), Stage: protocols.Ended, Bytes: m.bytes, PDVs: m.pdvs})
}

// traceCut tells that the message a side was sending will never be complete.
func (c *Conversation) traceCut(from protocols.Side, v *protocols.Verdict, why reason.Code) {
	if c.tracer == nil {
		return
	}
	m := &c.sent[from].msg
	e := protocols.Traced{From: from, Unit: v.Unit.String(), Text: "never completed", Class: protocols.StatusFailure, Stage: protocols.Ended, Bytes: m.bytes, PDVs: m.pdvs}
	e.Judge(v)
	if e.Reason == "" {
		e.Reason = why
	}
	c.tracer.Trace(e)
}

// traceFailure tells of the response of ours that refuses the request under way.
func (t *turn) traceFailure() {
	if t.c.tracer == nil {
		return
	}
	m := &t.s.msg
	rsp := m.cmd.Failure(m.verdict.Reason)
	e := protocols.Traced{From: t.from.Other(), Own: true, Unit: rsp.Name(), Text: rsp.text(), Reason: m.verdict.Reason, Rule: m.verdict.Rule}
	e.Message, e.Status, e.Class = rsp.MessageID, rsp.Status, statusClass(rsp.Field, rsp.Status)
	t.c.tracer.Trace(e)
}
