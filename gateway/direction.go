package gateway

import (
	"errors"
	"io"
	"sync/atomic"

	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/tunnels"
	"cordon/tunnels/buffer"
)

// direction reads one side of a session and carries out what the conversation plans for it.
type direction struct {
	s    *session
	side protocols.Side
	win  window
	need int // bytes the window should have before Step is worth calling
	job  job

	tail  tail
	full  bool // the last read filled its buffer, so more is there
	heard bool // something was read
	// err is what ended the side in the middle of what passes unseen. A socket says it once: a
	// second read would take a reset for an orderly end.
	err error

	streaming atomic.Bool // bytes pass unseen; the sweeper looks at it
}

// tail is the end of what a plan passes, left at the start of the window so that it goes out in
// one write with what the next plan passes: PDUs do not end where reads do. Its turn on the other
// leg is still held. It never waits for bytes from a peer.
type tail struct {
	n      int // bytes
	ticket uint64
}

// shown is how many bytes of the window the conversation is shown.
func (d *direction) shown() int { return d.win.len() - d.tail.n }

// run reads until the side ends. It is the only reader of its leg.
func (d *direction) run() {
	defer d.s.finished(d)
	defer d.win.free()
	for {
		err := d.fill()
		if err != nil {
			d.ended(err)
			return
		}
		for d.shown() > 0 && d.shown() >= d.need {
			if !d.step() {
				break
			}
		}
		d.sendTail()
		d.win.shrink()
	}
}

// fill waits for bytes and appends them to the window.
func (d *direction) fill() error {
	for d.err == nil {
		n, how, err := d.read(int(d.s.windowCap.Load()))
		switch {
		case how != roomy:
			d.overflow(how)
		case n > 0:
			return nil
		case err != nil:
			return err
		}
	}
	return d.err
}

// read reads once, where a window that holds less than limit has room. An empty window takes
// memory only when there is something to read.
func (d *direction) read(limit int) (n int, how grown, err error) {
	conn := d.s.legs[d.side].conn
	var room int
	if lazy, ok := conn.(tunnels.Lazy); ok && d.win.len() == 0 {
		d.win.free()
		n, err = lazy.ReadLazy(&d.win)
		room = len(d.win.buf)
	} else {
		buf, how := d.win.room(limit)
		if how != roomy {
			return 0, how, nil
		}
		n, err = conn.Read(buf)
		room = len(buf)
	}
	d.full = n == room
	if n > 0 && !d.heard {
		if d.heard = true; d.side == protocols.Far {
			d.s.account.reached()
		}
	}
	d.win.fed(n, room)
	d.s.progress.Add(int64(n))
	return n, roomy, err
}

// overflow tells the conversation that it holds too much and forgets what was held.
func (d *direction) overflow(how grown) {
	code := reason.CapHold
	if how == overBudget {
		code = reason.CapBudget
	}
	d.s.tell(protocols.Event{Kind: protocols.Overflow, Side: d.side, Reason: code})
	d.s.ensureEnding()
	d.win.consume(d.win.len())
}

// step shows the window to the conversation and carries out its plan. It returns false when
// nothing was settled.
func (d *direction) step() bool {
	s, j := d.s, &d.job
	s.mu.Lock()
	if s.draining(d.side) {
		s.mu.Unlock()
		d.sendTail()
		d.win.consume(d.win.len()) // what comes after the end is nobody's
		d.need = 0
		return false
	}
	s.step(d.side, d.win.bytes()[d.tail.n:], &j.plan)
	settled := j.plan.Settled()
	d.need, _ = j.plan.Waiting()
	j.reserve(s, d.side)
	s.pace(&j.plan)
	dial := d.side == protocols.Near && s.legs[protocols.Far].conn == nil && j.plan.Sends(protocols.Far, d.side)
	if !dial {
		s.record(&j.plan)
	}
	s.mu.Unlock()

	if j.plan.IsPartial() && !d.full {
		s.legs[d.side].conn.QuickAck()
	}
	if !dial || d.dial() {
		d.carryOut()
	}
	return settled > 0
}

// ended tells the conversation how the side ended, unless it ended it itself.
func (d *direction) ended(err error) {
	kind, why := protocols.Lost, reason.Code("")
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		kind = protocols.Closed
	}
	if errors.Is(err, tunnels.ErrRefused) && d.side == protocols.Far {
		// In TLS 1.3 a server refuses our certificate after the dial has returned.
		why = reason.UpstreamRefusesUs
		d.s.log().Warn("upstream refused us", "error", err)
	}
	if d.s.gone(d.side, kind, why) && d.side == protocols.Far && !d.heard {
		if why == "" {
			why, err = reason.UpstreamUnreachable, errWordless
		}
		d.s.account.dialFailed(why, err)
	}
}

var errWordless = errors.New("it accepted the connection and ended it without an answer")

// dial connects to the upstream that the plan has bytes for, before anything of it is recorded:
// what does not get there was not allowed. It returns false when the conversation was told that
// this failed; the plan is void then.
func (d *direction) dial() bool {
	s, j := d.s, &d.job
	code := s.connect(&j.plan)
	if code == "" {
		s.mu.Lock()
		s.record(&j.plan)
		s.mu.Unlock()
		return true
	}
	j.release(s)
	d.win.consume(d.win.len())
	s.tell(protocols.Event{Kind: protocols.DialFailed, Side: protocols.Far, Reason: code})
	s.ensureEnding()
	return false
}

// carryOut does what the plan says, in order, then ends the legs that it ends.
func (d *direction) carryOut() {
	s, j := d.s, &d.job
	s.reset(&j.plan)
	ops := j.plan.Ops()
	joined := d.joinTail()
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case protocols.OpSend:
			s.write(j, op.To, j.plan.Made(*op))
		case protocols.OpPass:
			d.pass(op.N+joined, i == len(ops)-1)
			joined = 0
		case protocols.OpDrop:
			d.drop(op.N)
		}
	}
	s.shut(j)
	j.release(s)
}

// joinTail makes the tail of the plan before part of what this one passes first, if that is what
// it does first and nothing has come in between on the other leg. Otherwise the tail goes out by
// itself.
func (d *direction) joinTail() int64 {
	if d.tail.n == 0 {
		return 0
	}
	to, ops := d.side.Other(), d.job.plan.Ops()
	if len(ops) == 0 || ops[0].Kind != protocols.OpPass || d.job.ticket[to] != d.tail.ticket+1 {
		d.sendTail()
		return 0
	}
	n := d.tail.n
	d.s.legs[to].done(d.tail.ticket) // the next turn is ours too
	d.tail = tail{}
	return int64(n)
}

// sendTail writes the tail, whose turn it is, by itself.
func (d *direction) sendTail() {
	if d.tail.n == 0 {
		return
	}
	to := d.side.Other()
	d.s.send(to, d.win.bytes()[:d.tail.n])
	d.win.consume(d.tail.n)
	d.s.legs[to].done(d.tail.ticket)
	d.tail = tail{}
}

// pass forwards the next n bytes of this side, reading on when the window has fewer. What ends
// the plan in the middle of the window is left to be its tail.
func (d *direction) pass(n int64, last bool) {
	to := d.side.Other()
	near, far := d.job.plan.Ending()
	last = last && near == protocols.Open && far == protocols.Open
	for read := false; ; read = true {
		if read && last && n < int64(d.win.len()) {
			d.tail = tail{int(n), d.job.ticket[to]}
			d.job.holds[to] = false // its turn is the tail's now
			return
		}
		k := min(n, int64(d.win.len()))
		d.s.write(&d.job, to, d.win.bytes()[:k])
		d.win.consume(int(k))
		if n -= k; n == 0 {
			return
		}
		if !d.more() {
			return
		}
	}
}

// drop drains the next n bytes of this side.
func (d *direction) drop(n int64) {
	for {
		k := min(n, int64(d.win.len()))
		d.win.consume(int(k))
		if n -= k; n == 0 || !d.more() {
			return
		}
	}
}

// more reads for a settlement that reaches beyond the window. When the side ends there, it says
// so to the conversation and returns false.
func (d *direction) more() bool {
	if d.err != nil {
		return false
	}
	d.streaming.Store(true)
	defer d.streaming.Store(false)
	n, how, err := d.read(buffer.Small)
	if how != roomy {
		return false
	}
	d.err = err
	return n > 0 || err == nil
}
