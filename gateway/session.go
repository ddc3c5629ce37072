package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"cordon/gateway/audit"
	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/hl7"
	"cordon/protocols/raw"
	"cordon/protocols/reason"
	"cordon/tunnels"
	"cordon/tunnels/buffer"
)

// session is one connection of a device (or of a server, for flows toward devices), the
// connection to the other end, and the conversation between them.
type session struct {
	gw         *Gateway
	id         string
	peer       string // address of who connected, without port
	holder     string // of the places that it takes: the certificate of who connected, or the address
	listener   *policy.Listener
	candidates []*policy.Flow
	rules      *policy.Session
	began      time.Time

	mu      sync.Mutex // guards what follows, Step, Tell and the order of output; never held over I/O
	conv    protocols.Conversation
	legs    [2]leg
	readers int // directions under way
	over    bool
	opaque  bool
	failed  bool         // it is opaque because of a failure of our own
	flow    *policy.Flow // nil until the first unit chose it
	account *account     // of the flow
	denial  denial       // why it may only be refused
	judged  judged
	from    audit.Source // under judged

	timer     atomic.Uint32 // protocols.Timer in force
	epoch     atomic.Uint32 // counts changes of timer
	progress  atomic.Int64  // bytes read on both legs
	windowCap atomic.Int64  // bytes
	near      direction
	far       direction
	watch     watch // the sweeper's own

	tracing atomic.Pointer[tracing] // nil while nobody watches; what it points to is used under mu
}

// newSession takes over an accepted connection whose peer has proven who it is, as far as its
// tunnel asks for that.
func newSession(gw *Gateway, l *policy.Listener, candidates []*policy.Flow, conn tunnels.Conn, peer string) *session {
	s := &session{
		gw: gw, id: gw.nextID(), peer: peer, holder: cmp.Or(conn.Peer().Fingerprint, peer), listener: l, candidates: candidates,
		rules: policy.NewSession(gw.store, l, candidates), began: time.Now(),
	}
	for i := range s.legs {
		s.legs[i].init()
	}
	// Taken now: among the garbage of the upstream's handshake it would keep that memory from being
	// given back.
	s.from.Reserve()
	s.legs[protocols.Near].conn = conn
	s.near = direction{s: s, side: protocols.Near}
	s.far = direction{s: s, side: protocols.Far}
	s.conv = s.converse()
	s.capWindows()
	s.setTimer(protocols.Setup)
	return s
}

// log returns a logger that names the session. Most sessions never log, so none is kept.
func (s *session) log() *slog.Logger { return s.gw.log.With("session", s.id) }

// converse makes the conversation that the listener's protocol asks for.
func (s *session) converse() protocols.Conversation {
	switch s.listener.Protocol {
	case policy.HL7:
		return hl7.New(hl7.Config{Now: timestamp, NewControlID: s.gw.newControlID}, s.rules)
	default:
		limits := s.limits()
		return dicom.New(dicom.Config{MaxPDU: uint32(limits.MaxPDU), HoldCap: limits.Hold}, s.rules)
	}
}

// timestamp appends the time as HL7 v2 writes it (YYYYMMDDHHMMSS).
func timestamp(dst []byte) []byte { return time.Now().AppendFormat(dst, "20060102150405") }

// limits returns the flow's limits; before it is known, those of its most generous candidate,
// because nothing but the first unit is read under them.
func (s *session) limits() policy.Limits {
	if s.flow != nil {
		return s.flow.Limits
	}
	var l policy.Limits
	for _, f := range s.candidates {
		l.Hold, l.Message = max(l.Hold, f.Limits.Hold), max(l.Message, f.Limits.Message)
		l.MaxPDU = max(l.MaxPDU, f.Limits.MaxPDU)
	}
	return l
}

// capWindows sets how many unsettled bytes of one side are held at most.
func (s *session) capWindows() {
	l := s.limits()
	if s.listener.Protocol == policy.HL7 {
		s.windowCap.Store(int64(l.Message + buffer.Large))
		return
	}
	s.windowCap.Store(int64(l.Hold + l.MaxPDU + buffer.Large))
}

// run reads the near side until the session is over. The far side has a goroutine of its own
// from the moment it is connected; whoever ends last closes the session.
func (s *session) run() {
	s.mu.Lock()
	s.readers++
	s.mu.Unlock()
	s.near.run()
}

// finished is called by each direction as it ends.
func (s *session) finished(*direction) {
	s.mu.Lock()
	s.readers--
	last := s.readers == 0
	s.over = s.over || last
	s.mu.Unlock()
	if !last {
		return
	}
	for i := range s.legs {
		if c := s.legs[i].conn; c != nil {
			c.Close()
		}
	}
	s.gw.forget(s)
}

// step asks the conversation what to do with win and leaves the answer in p. A failure turns
// into the conversation's own answer to it, or the session turns opaque where its mode lets
// everything pass. The caller holds s.mu.
func (s *session) step(from protocols.Side, win []byte, p *protocols.Plan) {
	p.Reset()
	if s.opaque && !s.opaqueAllowed(s.gw.store.Current().Flow(s.flow.ID())) {
		// A reload made the flow enforce: what cannot be read does not pass any longer.
		v := s.failure(from, reason.SessionOpaque, nil, len(win))
		p.Record(&v)
		p.End(protocols.FIN, protocols.FIN)
		return
	}
	err := s.safely(func() error { return s.conv.Step(from, win, p) })
	if err == nil {
		s.bind()
		return
	}
	s.bind()
	p.Reset()
	code := protocols.ReasonOf(err)
	v := s.failure(from, code, err, len(win))
	if s.turnOpaque(code) {
		v.Action = protocols.Allow
		if err := s.conv.Step(from, win, p); err != nil {
			s.log().Error("opaque conversation failed", "error", err)
		}
		p.Record(&v)
		v.Unit.Set("session")
		v.Reason, v.Bytes = reason.SessionOpaque, 0
		p.Record(&v)
		return
	}
	if t := s.tracing.Load(); t != nil {
		t.failed(&v)
	}
	s.answer(protocols.Event{Kind: protocols.Failed, Side: from, Reason: code, Err: err}, p)
	p.Record(&v)
	if near, far := p.Ending(); near == protocols.Open || far == protocols.Open {
		p.End(protocols.FIN, protocols.FIN)
	}
}

// answer asks the conversation for its answer to an event. The caller holds s.mu.
func (s *session) answer(e protocols.Event, p *protocols.Plan) {
	err := s.safely(func() error { s.conv.Tell(e, p); return nil })
	if err != nil {
		p.Reset()
		p.End(protocols.RST, protocols.RST)
	}
}

// safely turns a panic of the protocol's code into an error: one bad unit must not take the
// other devices' sessions along.
func (s *session) safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			// The value may quote the wire, so only its type and the place are logged.
			s.log().Error("recovered a panic", "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			err = &protocols.Malformed{Reason: reason.EngineFailure, Section: "engine", Detail: "recovered a panic"}
		}
	}()
	return f()
}

// failure is the verdict about bytes that could not be read.
func (s *session) failure(from protocols.Side, code reason.Code, err error, n int) protocols.Verdict {
	var v protocols.Verdict
	v.Reset(from)
	v.Unit.Set(unitUnreadable)
	v.Refuse(code, "built-in "+string(s.listener.Protocol))
	v.Bytes, v.Settled = int64(n), true
	var m *protocols.Malformed
	if errors.As(err, &m) {
		v.Rule = "built-in " + m.Section
		v.Found.Set(m.Detail)
	}
	return v
}

// unitUnreadable is the unit of bytes that could not be read.
const unitUnreadable = "unreadable"

// turnOpaque decides whether the session goes on without inspection, and makes it so. It takes
// the only candidate where no first unit could choose a flow.
func (s *session) turnOpaque(code reason.Code) bool {
	f := s.flow
	if f == nil && len(s.candidates) == 1 {
		f = s.candidates[0]
	}
	if f == nil || s.opaque || s.denial.code != "" {
		return false
	}
	s.failed = code == reason.EngineFailure
	if s.rules.Mode() == policy.Enforce && !(s.failed && f.PassOnFail) {
		return false
	}
	s.use(f)
	s.opaque = true
	s.conv = raw.New()
	s.log().Warn("session goes on without inspection", "flow", f.ID(), "reason", string(code))
	return true
}

// opaqueAllowed tells whether the flow, as the policy in force has it, lets a session go on
// without inspection that once turned opaque.
func (s *session) opaqueAllowed(f *policy.Flow) bool {
	return f != nil && (f.Mode != policy.Enforce || s.failed && f.PassOnFail)
}

// bind notes which flow the first unit chose.
func (s *session) bind() {
	if s.flow == nil {
		if f := s.rules.Flow(); f != nil {
			s.use(f)
		}
	}
}

func (s *session) use(f *policy.Flow) {
	if s.flow == nil {
		s.account = s.gw.accounts.of(f)
	}
	s.flow = f
	s.capWindows()
}

// pace takes the timer from a plan. A unit that was settled is progress, however small it was.
// The caller holds s.mu.
func (s *session) pace(p *protocols.Plan) {
	if _, t := p.Waiting(); t != protocols.NoTimer {
		s.setTimer(t)
	}
	if len(p.Records()) > 0 {
		s.epoch.Add(1)
	}
	if near, far := p.Ending(); near != protocols.Open || far != protocols.Open {
		s.setTimer(protocols.Release)
	}
}

// record takes the verdicts from a plan, and whether the other end took something. The caller holds
// s.mu.
func (s *session) record(p *protocols.Plan) {
	if p.IsTaken() && s.account != nil {
		s.account.lastGood.Store(time.Now().UnixNano())
		s.account.reached()
	}
	verdicts := p.Records()
	for i := range verdicts {
		s.gw.record(s, &verdicts[i])
	}
}

func (s *session) setTimer(t protocols.Timer) {
	if s.timer.Swap(uint32(t)) != uint32(t) {
		s.epoch.Add(1)
	}
}

// tell reports an event to the conversation and carries out the answer.
func (s *session) tell(e protocols.Event) {
	j := jobs.Get().(*job)
	defer jobs.Put(j)
	j.plan.Reset()
	s.mu.Lock()
	if s.over || s.legs[protocols.Near].closing != protocols.Open && s.legs[protocols.Far].closing != protocols.Open {
		s.mu.Unlock()
		return
	}
	unanswered, cut := s.interrupts(e)
	s.answer(e, &j.plan)
	j.reserve(s, e.Side)
	s.pace(&j.plan)
	s.record(&j.plan)
	if cut {
		s.noteCut(e, unanswered)
	}
	s.mu.Unlock()

	s.reset(&j.plan)
	ops := j.plan.Ops()
	for i := range ops {
		if ops[i].Kind == protocols.OpSend {
			s.write(j, ops[i].To, j.plan.Made(ops[i]))
		}
	}
	s.shut(j)
	j.release(s)
}

// write sends b to a leg when the job's turn comes. It goes nowhere when the leg is dead.
func (s *session) write(j *job, to protocols.Side, b []byte) {
	l := &s.legs[to]
	if len(b) == 0 || !j.holds[to] {
		return
	}
	l.await(j.ticket[to])
	s.send(to, b)
}

// send writes b to a leg whose turn the caller has.
func (s *session) send(to protocols.Side, b []byte) {
	l := &s.legs[to]
	if l.dead.Load() || l.conn == nil {
		return
	}
	l.writing.Store(s.gw.clock.Load())
	_, err := l.conn.Write(b)
	l.writing.Store(0)
	if err != nil && !l.dead.Swap(true) {
		if !errors.Is(err, net.ErrClosed) {
			s.log().Debug("write failed", "side", to.String(), "error", err)
		}
		// What its peer sent before it went may still be read, so its own direction finds out
		// and tells the conversation. The deadline sees to it that it does.
		l.conn.SetReadDeadline(time.Now().Add(lastWords))
	}
}

// lastWords is how long a peer that takes no more may still be heard.
const lastWords = time.Second

// connect dials the upstream of the flow for a plan. It returns why that failed, or "".
func (s *session) connect(p *protocols.Plan) reason.Code {
	s.mu.Lock()
	f := s.flow
	s.mu.Unlock()
	if f == nil {
		return reason.UpstreamUnreachable
	}
	ctx, cancel := context.WithTimeout(s.gw.ctx, f.Timers.Dial)
	defer cancel()
	conn, err := s.gw.dialUpstream(ctx, f)
	if err != nil {
		code := reason.UpstreamUnreachable
		switch {
		case errors.Is(err, tunnels.ErrIdentity):
			code = reason.UpstreamIdentity
		case errors.Is(err, tunnels.ErrRefused):
			code = reason.UpstreamRefusesUs
		}
		s.account.dialFailed(code, err)
		s.log().Warn("upstream not reached", "flow", f.ID(), "upstream", f.To.Name, "error", err)
		return code
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.legs[protocols.Far]
	if _, planned := p.Ending(); s.over || l.closing > planned { // something else ended it meanwhile
		conn.Close()
		return reason.SessionCut
	}
	l.conn = conn
	s.readers++
	go s.far.run()
	return ""
}
