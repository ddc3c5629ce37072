package hl7

import (
	"bytes"
	"fmt"
	"strconv"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// Config is what a conversation needs besides rules. The zero value works.
type Config struct {
	// MaxReplies caps a made acknowledgment, together with those to the same side that wait
	// for earlier ones, in bytes; 0 takes 64 KiB.
	MaxReplies int
	// Now appends MSH-7 of a made acknowledgment (YYYYMMDDHHMMSS), which stays empty without it.
	// It is called for refusals only; a conversation has no clock.
	Now func(dst []byte) []byte
	// NewControlID appends MSH-10 of a made acknowledgment: at most 20 letters and digits that
	// are unique for the gateway. Without it they are unique for the conversation.
	NewControlID func(dst []byte) []byte
}

const defaultMaxReplies = 64 << 10

// Conversation relays one MLLP connection. It is a protocols.Conversation.
type Conversation struct {
	cfg   Config
	rules Rules
	legs  [2]leg
	// draining: the gateway shuts down. What is under way ends, nothing begins.
	draining bool
	done     bool
	timer    protocols.Timer
	serial   int // of made control IDs, where the configuration makes none

	// Reused for each unit.
	message Message
	verdict protocols.Verdict
}

// leg is what the conversation knows of one side.
type leg struct {
	finder Finder
	sent   queue // what this side sent and has not been answered
	held   int   // bytes of an unfinished unit
	// strayed: the bytes since the last block were reported.
	strayed bool
	// begun: the unit under way when the gateway began to shut down is still to come.
	begun  bool
	closed bool
}

// New returns a conversation under rules.
func New(cfg Config, rules Rules) *Conversation {
	if cfg.MaxReplies <= 0 {
		cfg.MaxReplies = defaultMaxReplies
	}
	return &Conversation{cfg: cfg, rules: rules}
}

// Step settles all whole blocks of win.
//
// A block that cannot be read fails alone: when others come before it in the window, Step
// settles those and fails at its next call, so that verdicts do not depend on how bytes arrived.
func (c *Conversation) Step(from protocols.Side, win []byte, p *protocols.Plan) error {
	l := &c.legs[from]
	at := 0
	for at < len(win) && !c.done {
		n, err := c.unit(from, win[at:], p)
		if err != nil && at == 0 {
			return err
		}
		if err != nil || n == 0 {
			break
		}
		at += n
	}
	if c.done {
		p.Drop(len(win) - at)
		return nil
	}
	if l.held = len(win) - at; l.held > 0 {
		p.Partial()
	}
	c.finish(p)
	c.wait(p, at > 0)
	c.message = Message{} // its facts alias win
	return nil
}

// unit settles the unit that win starts with: a block, or the bytes between two. It returns how
// many bytes that are, 0 while more are needed.
func (c *Conversation) unit(from protocols.Side, win []byte, p *protocols.Plan) (int, error) {
	l, tolerance := &c.legs[from], c.rules.Tolerance(from)
	if n := strays(win); n > 0 {
		return n, c.betweenBlocks(from, win, n, tolerance, p)
	}
	if win[0] != startBlock {
		if hold, err := c.unframed(from, win); hold || err != nil {
			return 0, err
		}
	}
	n, err := l.finder.Next(win, tolerance.MaxMessage)
	if n == 0 || err != nil {
		return 0, err
	}
	if err := c.judge(from, win[:n], p); err != nil {
		return 0, err
	}
	l.strayed, l.begun = false, false
	return n, nil
}

// betweenBlocks drops stray bytes between blocks (H3). Where the flow does not tolerate them the
// rules decide, once for each gap.
func (c *Conversation) betweenBlocks(from protocols.Side, win []byte, n int, tolerance Tolerance, p *protocols.Plan) error {
	if l := &c.legs[from]; !tolerance.Strays && !l.strayed {
		v := c.newVerdict(from, "strays")
		c.rules.Breach(reason.HL7Framing, v)
		if v.Refused() {
			return unframed(win[0])
		}
		v.Settled = true
		p.Record(v)
		l.strayed = true
	}
	p.Drop(n)
	return nil
}

// unframed tells whether win may be an acknowledgment without a block around it, and fails when
// it is one that is owed (H7).
func (c *Conversation) unframed(from protocols.Side, win []byte) (hold bool, err error) {
	if !c.legs[from.Other()].sent.pending() {
		return false, nil
	}
	start := win[:min(3, len(win))]
	for _, id := range []string{"MSH", "MSA"} {
		switch {
		case string(start) == id:
			return false, &protocols.Malformed{Reason: reason.HL7AckUnframed, Section: mllp,
				Detail: "an acknowledgment without a block around it; VT (0B) must start a block"}
		case len(start) < 3 && id[:len(start)] == string(start):
			return true, nil
		}
	}
	return false, nil
}

// judge settles a whole block.
func (c *Conversation) judge(from protocols.Side, block []byte, p *protocols.Plan) error {
	content := Content(block)
	if isCommit(content) {
		c.commitBlock(from, block, p)
		return nil
	}
	m := &c.message
	m.From = from
	if err := m.Parse(content); err != nil {
		return err
	}
	if m.AckCode != nil {
		c.acknowledgment(from, block, p)
		return nil
	}
	return c.request(from, block, p)
}

// request judges a message that answers nothing.
func (c *Conversation) request(from protocols.Side, block []byte, p *protocols.Plan) error {
	m, l := &c.message, &c.legs[from]
	v := c.newVerdict(from, "")
	setUnit(&v.Unit, m)
	v.Bytes = int64(len(block))
	c.rules.Message(m, v)
	c.deviations(v)
	switch {
	case v.Refused():
	case c.draining && !l.begun:
		v.Refuse(reason.SessionShutdown, "")
	case c.legs[from.Other()].closed:
		v.Refuse(reason.SessionCut, "")
	default:
		if err := c.expect(from, p); err != nil {
			return err
		}
		v.Settled = true
		p.Pass(len(block))
		p.Record(v)
		return nil
	}
	return c.refuse(from, len(block), p)
}

// deviations asks the rules about what the standard forbids in the message at hand, unless they
// refuse it already. The message may have chosen the flow, and with it what is tolerated.
func (c *Conversation) deviations(v *protocols.Verdict) {
	m, tolerance := &c.message, c.rules.Tolerance(v.From)
	for _, d := range [...]struct {
		found bool
		code  reason.Code
	}{
		{tolerance.MaxMessage > 0 && v.Bytes > int64(tolerance.MaxMessage), reason.HL7TooLong},
		{m.Batch, reason.HL7Batch},
		{m.EndsWithLF && !tolerance.SegmentEnds, reason.HL7SegmentEnd},
		{m.AckCode == nil && !m.Batch && len(m.ControlID) == 0, reason.HL7Header},
	} {
		if d.found && v.Would == protocols.Allow && !v.Refused() {
			c.rules.Breach(d.code, v)
		}
	}
}

// expect notes what is to come for the message at hand. A sender that runs too far ahead of its
// acknowledgments is for the rules to judge; where they let it go on, those are given up.
func (c *Conversation) expect(from protocols.Side, p *protocols.Plan) error {
	m, l := &c.message, &c.legs[from]
	state, then := expects(m)
	if state == optional && from == protocols.Near && c.verdict.Would != protocols.Refuse {
		p.Taken() // nobody promised to say more
	}
	if l.sent.wait(m, &c.verdict, state, then) {
		return nil
	}
	var v protocols.Verdict
	v.Reset(from)
	v.Unit = c.verdict.Unit
	if c.breach(reason.HL7Unacknowledged, &v) {
		return tooFarAhead(reason.HL7Unacknowledged, fmt.Sprintf("%d messages wait for an acknowledgment; a sender should wait for each", maxWaiting))
	}
	p.Record(&v)
	c.giveUp(from, p)
	l.sent.wait(m, &c.verdict, state, then)
	return nil
}

// refuse drops the message at hand and answers it, in the order in which its sender expects
// acknowledgments. What cannot be answered ends the session, so that the sender notices.
func (c *Conversation) refuse(from protocols.Side, n int, p *protocols.Plan) error {
	v, l := &c.verdict, &c.legs[from]
	code := c.message.rejection()
	if code == "" || reason.Lookup(v.Reason).ERR == "" || c.message.headless() {
		p.Drop(n)
		p.Record(v)
		if !c.ending() {
			c.end(p, protocols.FIN, protocols.FIN)
		}
		return nil
	}
	reply := c.reply(code, v.Reason)
	inTurn := l.sent.count[due] == 0
	if len(l.sent.replies)+len(reply) > c.cfg.MaxReplies || !inTurn && !l.sent.owe(reply) {
		return tooFarAhead(reason.CapReplies, fmt.Sprintf("refusals of more than %d bytes wait to be read, or behind acknowledgments that have not come", c.cfg.MaxReplies))
	}
	p.Drop(n)
	if inTurn {
		p.Send(from, reply)
	}
	v.Settled = true
	p.Record(v)
	return nil
}

// reply makes a block with an acknowledgment that refuses the message at hand.
func (c *Conversation) reply(code string, why reason.Code) []byte {
	a := Acknowledgment{Code: code, Reason: why}
	if c.cfg.Now != nil {
		a.Time = c.cfg.Now(nil)
	}
	if c.cfg.NewControlID != nil {
		a.ControlID = c.cfg.NewControlID(nil)
	} else {
		c.serial++
		a.ControlID = strconv.AppendInt([]byte("CORDON"), int64(c.serial), 10)
	}
	return AppendBlock(nil, a.Append(nil, &c.message))
}

// acknowledgment judges a message with an MSA segment, which must answer one that the other side
// sent (H8).
func (c *Conversation) acknowledgment(from protocols.Side, block []byte, p *protocols.Plan) {
	m, to := &c.message, from.Other()
	v := c.newVerdict(from, "ACK ")
	v.Unit.Append(ackCode(m.AckCode))
	v.Bytes = int64(len(block))
	sent := &c.legs[to].sent
	i := sent.find(m.AckedID)
	if i >= 0 {
		c.rules.Acknowledgment(m, v)
	} else {
		c.rules.Breach(reason.HL7AckMismatch, v)
	}
	c.deviations(v)
	if v.Refused() {
		// Its message may have been acted on, so there is nothing true to say to the sender.
		p.Drop(len(block))
		p.Record(v)
		c.part(p, from)
		return
	}
	if i >= 0 {
		if from == protocols.Far && accepts(m.AckCode) && !sent.entries[i].would {
			p.Taken()
		}
		sent.settle(i, m.AckCode)
	}
	if asks := string(m.AcceptAck); asks != "" && asks != never {
		// An application acknowledgment may ask for a commit of its own, but many receivers
		// merely repeat the MSH-15 of the message.
		c.legs[from].sent.wait(m, v, optional, nothing)
	}
	v.Settled = true
	p.Pass(len(block))
	p.Record(v)
	c.answer(to, p)
}

// commitBlock settles a commit block of MLLP release 2 (H17).
func (c *Conversation) commitBlock(from protocols.Side, block []byte, p *protocols.Plan) {
	v := c.newVerdict(from, "commit block")
	v.Bytes = int64(len(block))
	if c.breach(reason.HL7CommitBlock, v) {
		p.Drop(len(block))
		p.Record(v)
		c.part(p, from)
		return
	}
	v.Settled = true
	p.Pass(len(block))
	p.Record(v)
}

// answer sends made acknowledgments to a side as far as it is their turn.
func (c *Conversation) answer(to protocols.Side, p *protocols.Plan) {
	for reply := c.legs[to].sent.turn(); reply != nil; reply = c.legs[to].sent.turn() {
		p.Send(to, reply)
	}
}

// giveUp stops waiting for the acknowledgments that are owed to a side.
func (c *Conversation) giveUp(to protocols.Side, p *protocols.Plan) {
	c.legs[to].sent.forget()
	c.answer(to, p)
}

// breach asks the rules about a breach and tells whether they refuse it.
func (c *Conversation) breach(code reason.Code, v *protocols.Verdict) bool {
	c.rules.Breach(code, v)
	return v.Refused()
}

// ending tells whether the session ends as soon as what is under way is done.
func (c *Conversation) ending() bool {
	return c.draining || c.legs[protocols.Near].closed || c.legs[protocols.Far].closed
}

// finish ends the session when a side has closed, or the gateway shuts down, and nothing is left
// that somebody waits for.
func (c *Conversation) finish(p *protocols.Plan) {
	if !c.ending() {
		return
	}
	near, far := &c.legs[protocols.Near], &c.legs[protocols.Far]
	if near.sent.pending() || far.sent.pending() || near.begun && near.held > 0 || far.begun && far.held > 0 {
		return
	}
	c.end(p, protocols.FIN, protocols.FIN)
}

// wait names the timer: Message while a block is under way or an acknowledgment is owed.
func (c *Conversation) wait(p *protocols.Plan, progress bool) {
	t := protocols.Idle
	for i := range c.legs {
		l := &c.legs[i]
		if l.held > 0 || l.sent.count[due] > 0 || l.sent.pending() && c.ending() {
			t = protocols.Message
		}
	}
	if t == c.timer && !progress {
		t = protocols.NoTimer // named anew, it might start anew
	} else {
		c.timer = t
	}
	p.Wait(0, t)
}

// part ends the session for the fault of one side: it is reset, and the other, to which nothing
// was acknowledged, may send again elsewhere.
func (c *Conversation) part(p *protocols.Plan, fault protocols.Side) {
	var ending [2]protocols.Closing
	ending[fault], ending[fault.Other()] = protocols.RST, protocols.FIN
	c.end(p, ending[protocols.Near], ending[protocols.Far])
}

// end ends the session. What was not acknowledged until now will not be.
func (c *Conversation) end(p *protocols.Plan, near, far protocols.Closing) {
	c.done = true
	c.cut(protocols.Near, later, reason.SessionCut, p)
	c.cut(protocols.Far, later, reason.SessionCut, p)
	p.End(near, far)
}

func (c *Conversation) newVerdict(from protocols.Side, unit string) *protocols.Verdict {
	c.verdict.Reset(from)
	c.verdict.Unit.Set(unit)
	return &c.verdict
}

func tooFarAhead(code reason.Code, detail string) error {
	return &protocols.Malformed{Reason: code, Section: "HL7 v2 §2.9.2", Detail: detail}
}

// headless tells whether no MSH was read: a batch that starts with FHS or BHS.
func (m *Message) headless() bool { return m.Batch && m.Type == nil && m.ControlID == nil }

// setUnit names a message by its type and trigger event, "ORU^R01". Values that are not of the
// form that the standard's tables have may be anything, so they are not repeated.
func setUnit(l *protocols.Label, m *Message) {
	if m.headless() {
		l.Set("batch")
		return
	}
	appendCode(l, m.Type)
	if len(m.Trigger) > 0 {
		l.Append("^")
		appendCode(l, m.Trigger)
	}
}

func appendCode(l *protocols.Label, code []byte) {
	if len(code) != 3 || !isUpperOrDigit(code[0]) || !isUpperOrDigit(code[1]) || !isUpperOrDigit(code[2]) {
		l.Append("?")
		return
	}
	l.AppendBytes(code)
}

// accepts tells whether an acknowledgment with that code accepts its message (HL7 table 0008).
func accepts(code []byte) bool { return string(code) == "AA" || string(code) == "CA" }

// ackCode returns code as it stands in HL7 table 0008, or "?".
func ackCode(code []byte) string {
	for _, known := range [...]string{"AA", "AE", "AR", "CA", "CE", "CR"} {
		if bytes.Equal(code, []byte(known)) {
			return known
		}
	}
	return "?"
}
