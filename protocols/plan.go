package protocols

// OpKind is what one step of a plan does.
type OpKind uint8

const (
	OpPass OpKind = iota // forward N bytes of the stepping side to the other
	OpDrop               // drain N bytes of the stepping side
	OpSend               // write made bytes [Off, Off+N) of the plan to To
)

// Op is one step of a plan.
type Op struct {
	Kind OpKind
	To   Side // OpSend
	Off  int  // OpSend: where its bytes start in the plan's made bytes
	N    int64
}

// Plan is what a conversation wants done with the bytes it was shown. It belongs to the pump and
// is reused: in steady state it allocates nothing.
type Plan struct {
	ops     []Op
	made    []byte
	records []Verdict
	need    int
	timer   Timer
	near    Closing
	far     Closing
	partial bool
	taken   bool
}

// Reset empties p and keeps its memory.
func (p *Plan) Reset() {
	p.ops, p.made, p.records = p.ops[:0], p.made[:0], p.records[:0]
	p.need, p.timer, p.near, p.far, p.partial, p.taken = 0, NoTimer, Open, Open, false, false
}

// Pass forwards the next k bytes to the other side. Where k reaches beyond the window, the rest
// streams by unseen. Neighbouring passes become one.
func (p *Plan) Pass(k int) { p.settle(OpPass, int64(k)) }

// Drop drains the next k bytes, also beyond the window.
func (p *Plan) Drop(k int) { p.settle(OpDrop, int64(k)) }

func (p *Plan) settle(kind OpKind, k int64) {
	if k <= 0 {
		return
	}
	if n := len(p.ops); n > 0 && p.ops[n-1].Kind == kind {
		p.ops[n-1].N += k
		return
	}
	p.ops = append(p.ops, Op{Kind: kind, N: k})
}

// Send writes bytes of our own to a side, at this place in that leg's order. b is copied.
func (p *Plan) Send(to Side, b []byte) {
	if len(b) == 0 {
		return
	}
	p.ops = append(p.ops, Op{Kind: OpSend, To: to, Off: len(p.made), N: int64(len(b))})
	p.made = append(p.made, b...)
}

// Wait says what the conversation waits for: how many bytes the next window should have before
// Step is worth calling (0: any more), and which timer runs. The timer is the session's: the
// last one named stays in force.
func (p *Plan) Wait(need int, t Timer) {
	p.need = need
	if t != NoTimer {
		p.timer = t
	}
}

// Partial says that the stepping side has begun a unit or a message and owes the rest of it. The
// pump acknowledges at once what it received then: a sender with Nagle's algorithm on holds back
// the rest until it is acknowledged, and a receiver that waits for the rest delays that by 40 ms.
func (p *Plan) Partial() { p.partial = true }

// IsPartial tells whether Partial was called.
func (p *Plan) IsPartial() bool { return p.partial }

// Taken says that the end that was dialled took what the other one sent: it accepted an
// association, answered a request without a failure, acknowledged a message. That something passed
// tells nothing about that.
func (p *Plan) Taken() { p.taken = true }

// IsTaken tells whether Taken was called.
func (p *Plan) IsTaken() bool { return p.taken }

// Record reports a verdict. It is copied.
func (p *Plan) Record(v *Verdict) { p.records = append(p.records, *v) }

// End ends legs; Open leaves one as it is. A later End of the same plan can only make an ending
// harsher.
func (p *Plan) End(near, far Closing) {
	p.near, p.far = max(p.near, near), max(p.far, far)
}

// Ops returns the steps in order. The pump and Play read it.
func (p *Plan) Ops() []Op { return p.ops }

// Made returns the bytes of an OpSend.
func (p *Plan) Made(o Op) []byte { return p.made[o.Off : o.Off+int(o.N)] }

// Records returns the verdicts in order.
func (p *Plan) Records() []Verdict { return p.records }

// Waiting returns what Wait was told.
func (p *Plan) Waiting() (need int, t Timer) { return p.need, p.timer }

// Ending returns what End was told.
func (p *Plan) Ending() (near, far Closing) { return p.near, p.far }

// Settled returns how many bytes of the stepping side the plan settles.
func (p *Plan) Settled() (n int64) {
	for _, o := range p.ops {
		if o.Kind != OpSend {
			n += o.N
		}
	}
	return n
}

// Sends tells whether the plan has bytes for that side when it steps bytes from the given one.
func (p *Plan) Sends(to, from Side) bool {
	for _, o := range p.ops {
		if o.Kind == OpSend && o.To == to || o.Kind == OpPass && to == from.Other() {
			return true
		}
	}
	return false
}
