package dicom

import (
	"cmp"
	"fmt"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// Config sets the caps of a conversation.
type Config struct {
	MaxPDU  uint32 // longest P-DATA-TF PDU either side may send, bytes after the header; 0: 256 KiB
	HoldCap int    // most bytes of a message held undecided; 0: 1 MiB
	// MaxOutstanding is how many requests a side may leave unanswered at most, also where the
	// peers agreed on no limit (D11); 0: 1024.
	MaxOutstanding int
	Scan           ScanLimits
}

const (
	defaultMaxPDU  = 256 << 10
	defaultHoldCap = 1 << 20
	// defaultOutstanding is far above what peers reach that negotiate an unlimited window.
	defaultOutstanding = 1024
	// maxOwed is how many bytes of made responses may wait for their turn toward a side.
	maxOwed = 64 << 10
)

// Conversation follows one association as a relay between its requestor (Near) and its acceptor
// (Far). It implements [protocols.Conversation].
//
// It holds two state machines of PS3.8 §9.2: toward Near it is the acceptor, toward Far the
// requestor. A PDU received from a side is an event of that side's machine; forwarding it is a
// service primitive of the other side's. What the table calls an error is one here (D9).
//
// Messages are judged whole: no byte of one is forwarded before the rules have allowed it. What is
// held is the window itself; the conversation keeps an index of the PDVs in it (see sender).
type Conversation struct {
	cfg      Config
	rules    Rules
	state    [2]State
	setup    *setup    // until the association is established
	contexts []context // by presentation context ID / 2
	sent     [2]sender
	held     [2]bool     // a side's window has bytes that are not settled
	would    bool        // enforce would have refused the association
	unsent   [2][]byte   // responses of ours in a plan that an error voided, by the side they are for
	draining reason.Code // why new associations are rejected, once told of Shutdown
	over     bool        // the association ended; nothing is read any longer
	retitler retitler
	work     []byte           // a data set on its way through the retitler
	tracer   protocols.Tracer // who watches; nil for nobody
}

// context is an accepted presentation context.
type context struct {
	id                       uint8 // 0: not accepted
	abstract, transfer, name string
	scu                      [2]bool // which sides may be the SCU, and so the other one the SCP (D12)
}

// New returns a conversation about one association. It never dials before the rules allowed the
// association request.
func New(cfg Config, rules Rules) *Conversation {
	c := &Conversation{rules: rules, setup: new(setup)}
	c.state[protocols.Near], c.state[protocols.Far] = Sta2, Sta1 // connected by Near (AE-5)
	c.cap(cfg)
	return c
}

// maxPieces is how many PDVs of a message are held undecided.
func (c *Config) maxPieces() int { return max(leastPieces, c.HoldCap/heldByPiece) }

// cap sets the caps, before anything but the association request was read.
func (c *Conversation) cap(cfg Config) {
	cfg.MaxPDU = cmp.Or(cfg.MaxPDU, defaultMaxPDU)
	cfg.HoldCap = cmp.Or(cfg.HoldCap, defaultHoldCap)
	cfg.MaxOutstanding = cmp.Or(cfg.MaxOutstanding, defaultOutstanding)
	c.cfg = cfg
	for i := range c.sent {
		c.sent[i].limit = cfg.MaxPDU
		c.sent[i].msg.read.scan.Limits = cfg.Scan
	}
}

// Step implements [protocols.Conversation].
func (c *Conversation) Step(from protocols.Side, win []byte, p *protocols.Plan) error {
	s := &c.sent[from]
	if c.over {
		c.after(from, win, p)
		return nil
	}
	if s.err != nil {
		return s.err
	}
	t := turn{c: c, s: s, from: from, win: win, p: p}
	if err := t.run(); err != nil {
		if p.Settled() == 0 {
			c.keepSent(p)
			return err
		}
		// An error voids the plan, but what came before the fault is good, and would have been
		// forwarded had it come in a read of its own. The fault is reported by the next Step.
		s.err, t.need = err, 0
	}
	c.held[from] = len(t.win) > 0
	p.Wait(t.need, c.timer())
	if c.held[from] || s.busy() {
		p.Partial()
	}
	return nil
}

// keepSent keeps the responses of ours in a plan that its error voids: they were due before the fault.
func (c *Conversation) keepSent(p *protocols.Plan) {
	for _, o := range p.Ops() {
		if o.Kind == protocols.OpSend {
			c.unsent[o.To] = append(c.unsent[o.To], p.Made(o)...)
		}
	}
}

// timer names the wait that the association is in.
func (c *Conversation) timer() protocols.Timer {
	near, far := c.state[protocols.Near], c.state[protocols.Far]
	switch {
	case c.over || near > Sta6 || far > Sta6:
		return protocols.Release
	case near < Sta6:
		return protocols.Setup
	case c.held[0] || c.held[1] || c.sent[0].busy() || c.sent[1].busy():
		return protocols.Message
	}
	return protocols.Idle
}

// run takes PDUs until the window has no whole one left.
func (t *turn) run() error {
	s := t.s
	if s.rest > 0 {
		if err := t.finish(); err != nil {
			return err
		}
	}
	if s.unseen > 0 {
		if err := t.scan(); err != nil {
			return err
		}
	}
	t.answer()
	for !t.c.over && len(t.win) > s.parsed {
		if more, err := t.next(); err != nil || !more {
			return err
		}
		t.answer()
	}
	return nil
}

// answer sends the responses whose turn has come, after each PDU, so that how the bytes were read
// makes no difference to their place.
func (t *turn) answer() {
	if !t.c.over {
		t.c.answer(protocols.Near, t.p, false)
		t.c.answer(protocols.Far, t.p, false)
	}
}

// wait says how many bytes the window should have, and that there is nothing to do until then.
func (t *turn) wait(need int) bool {
	t.need = need
	return false
}

// next takes the next PDU. It returns false when more bytes are needed.
func (t *turn) next() (bool, error) {
	head := t.win[t.s.parsed:]
	if t.c.state[t.from] == Sta2 {
		if m := Sniff(head); m != nil {
			return false, m
		}
	}
	typ, length, ok := ParsePDUHeader(head)
	if !ok {
		if typ = PDUType(head[0]); typ.Known() {
			if t.c.state[t.from] == Sta2 {
				return t.wait(0), nil // Sniff wants each byte
			}
			return t.wait(t.s.parsed + PDUHeaderLen), nil
		}
	}
	if err := CheckPDUHeader(typ, length, t.s.limit); err != nil {
		return false, err
	}
	state, err := t.c.received(t.from, Received(typ))
	if err != nil {
		return false, err
	}
	if typ == TypePDataTF {
		return t.data(length)
	}
	whole := PDUHeaderLen + int(length)
	if len(head) < whole {
		return t.wait(t.s.parsed + whole), nil
	}
	if t.s.msg.state != between && typ != TypeAbort {
		return false, badState("%s in the middle of a message", typ)
	}
	t.c.state[t.from] = state
	return true, t.control(typ, head[:whole:whole])
}

// control acts on a PDU that carries no message.
func (t *turn) control(typ PDUType, pdu []byte) error {
	t.traceControl(typ, pdu)
	switch typ {
	case TypeAssociateRQ:
		return t.associate(pdu)
	case TypeAssociateAC:
		return t.accepted(pdu)
	case TypeAssociateRJ:
		return t.rejected(pdu)
	case TypeReleaseRQ:
		return t.releaseRQ(pdu)
	case TypeReleaseRP:
		return t.releaseRP(pdu)
	default:
		t.aborted(pdu)
		return nil
	}
}

// received returns the state that follows when a side sends a PDU, without entering it.
func (c *Conversation) received(from protocols.Side, e Event) (State, error) {
	a, next, ok := Next(c.state[from], e, from == protocols.Far)
	if !ok || a == AA1 || a == AA6 || a == AA7 || a == AA8 {
		return 0, badState("%s in %s: %s", e.Text(), c.state[from], c.state[from].Text())
	}
	return next, nil
}

// issue enters the state that follows a service primitive toward a side. It returns false where
// the state does not allow the primitive.
func (c *Conversation) issue(to protocols.Side, e Event) bool {
	_, next, ok := Next(c.state[to], e, to == protocols.Far)
	if ok {
		c.state[to] = next
	}
	return ok
}

// ready tells whether messages can be sent to a side.
func (c *Conversation) ready(to protocols.Side) bool {
	_, _, ok := Next(c.state[to], Evt9, to == protocols.Far)
	return ok
}

// accept makes a presentation context known.
func (c *Conversation) accept(a AcceptedContext) {
	i := int(a.ID / 2)
	for len(c.contexts) <= i {
		c.contexts = append(c.contexts, context{})
	}
	c.contexts[i] = context{id: a.ID, abstract: a.Abstract, transfer: a.Transfer, name: className(a.Abstract),
		scu: [2]bool{protocols.Near: a.SCU, protocols.Far: a.SCP}}
}

// context returns the accepted presentation context of an ID, nil for any other.
func (c *Conversation) context(id uint8) *context {
	if i := int(id / 2); i < len(c.contexts) && c.contexts[i].id == id {
		return &c.contexts[i]
	}
	return nil
}

// className returns what a verdict calls a SOP class: the standard's name, or the UID of a private
// one. What is no UID is not repeated, since it may be anything.
func className(uid string) string {
	if name := dict.Name(uid); name != "" {
		return name
	}
	if ValidUID([]byte(uid)) {
		return uid
	}
	return "not a UID"
}

func badState(format string, args ...any) *protocols.Malformed {
	return &protocols.Malformed{Reason: reason.DICOMPDUState, Section: "PS3.8 §9.2", Detail: fmt.Sprintf(format, args...)}
}
