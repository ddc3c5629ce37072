package dicom

import (
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
	read    reading
	bytes   int64  // on the wire, so far
	pdvs    int    // likewise
	anew    [2]int // bytes of its command set and its data set in sender.anew
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
	case m.state != inData && t.crowded():
		return t.overheld()
	}
	switch m.state {
	case between:
		t.s.sure = len(t.s.pieces)
		m.state, m.fate, m.ctx, m.set, m.bytes, m.pdvs = inCommand, undecided, ctx, m.set[:0], 0, 0
		m.verdict.Reset(t.from)
	case inData:
		if m.fate == undecided && t.crowded() {
			m.read.stop(t.overheld())
		}
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
	m, data := &t.s.msg, v.Data
	if m.fate == undecided {
		if data = data[m.read.feed(data):]; v.Last && len(data) == 0 {
			m.read.end()
		}
		if m.read.done() {
			if err := t.dataSet(); err != nil || t.c.over {
				return err
			}
		}
	}
	if m.fate == passed && m.read.follows && !t.rest(data, v.Last) {
		return nil
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
	t.relate(c)
	if code, err := t.breach(c); err != nil {
		return err
	} else if code != "" {
		if t.c.rules.Breach(code, v); v.Refused() {
			return t.breached()
		}
	}
	t.c.rules.Command(c, v)
	t.failure(c, v)
	if !v.Refused() && c.HasDataSet {
		m.read.reset(m.ctx.transfer, t.c.rules.Needs(c), titlesOf(c) != nil && t.c.rules.Renames())
		switch c.Field {
		case CStoreRQ:
		case CFindRQ, CMoveRQ, CGetRQ:
			m.read.scan.Identifier()
		default:
			m.read.scan.FormOnly()
		}
		if !m.read.done() {
			return nil
		}
	}
	return t.decided()
}

// failure notes that the end that was connected to answers a request with a failure.
func (t *turn) failure(c *Command, v *protocols.Verdict) {
	if t.from == protocols.Far && v.Reason == "" && c.Response() && KindOfStatus(c.Field, c.Status) == StatusIsFailure {
		v.Reason = reason.DICOMPeerFailed
		v.Found.Set(describeStatus(c.Field, c.Status))
		if c.Refused != "" {
			v.Found.Append("; ")
			v.Found.AppendBytes(errorComments[c.Refused])
		}
	}
}

// breached acts on a command that breaks a rule of the standard and was refused for it. A request
// whose refusal has a status is answered, and a C-CANCEL-RQ, which has no answer, goes nowhere; of
// anything else nobody could tell what an answer would be about.
func (t *turn) breached() error {
	m := &t.s.msg
	if m.cmd.Field != CancelRQ && (m.cmd.Response() || reason.Lookup(m.verdict.Reason).Status == 0) {
		t.disown()
		return nil
	}
	return t.decided()
}

// dataSet judges what was read of the data set.
func (t *turn) dataSet() error {
	m := &t.s.msg
	if m.read.scanning {
		t.c.rules.DataSet(&m.cmd, m.read.scan.DataSet(), &m.verdict)
	}
	if err := t.decided(); err != nil || t.c.over {
		return err
	}
	m.read.follow()
	return nil
}

// decided acts on the verdict. A refused request will be answered by us when it is complete; a
// response cannot be, so its association ends.
func (t *turn) decided() error {
	m := &t.s.msg
	if !m.verdict.Refused() {
		t.retitle()
	}
	switch {
	case !m.verdict.Refused():
		t.account(&m.cmd)
		t.s.remake()
		t.s.decide(passed)
		t.traceMessage(protocols.Begun)
	case m.cmd.Response():
		t.disown()
	default:
		t.s.asked++
		t.s.decide(dropped)
		t.traceMessage(protocols.Begun)
	}
	return nil
}

// disown ends the association because of the message under way.
func (t *turn) disown() {
	m := &t.s.msg
	v := m.verdict
	v.Bytes, v.Settled = m.bytes, true
	m.state = between
	t.traceMessage(protocols.Whole)
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
	t.traceEnd()
	var err error
	if m.fate == dropped && m.cmd.Field != CancelRQ {
		err = t.owe()
	}
	if cap(m.set) > keptMade {
		m.set, m.cmd = nil, Command{} // which is part of it
	}
	return err
}
