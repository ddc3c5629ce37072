package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cordon/gateway/audit"
	"cordon/policy"
	"cordon/policy/usage"
	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/tunnels"
)

// Options is what a gateway is made of.
type Options struct {
	Policy *policy.Policy
	Log    *slog.Logger
	Audit  *audit.Log
	// Load reads the policy again; nil when it cannot change.
	Load func() (*policy.Policy, error)
	// Watch names directories whose changes lead to a reload once they are quiet.
	Watch []string
	// Version of the program, for status.
	Version string
	// Now is the clock that limits per minute and per day go by; nil for the system's.
	Now func() time.Time
}

// Gateway hears on listeners and runs the sessions of one box.
type Gateway struct {
	opts     Options
	log      *slog.Logger
	store    *policy.Store
	audit    *audit.Log
	metrics  *metrics
	accounts accounts
	tunnels  *tunnelSet
	// dialUpstream connects to where a flow leads; tests put networks of their own here.
	dialUpstream func(context.Context, *policy.Flow) (tunnels.Conn, error)
	unknown      unknownPeers
	auditFile    string // which only a restart changes; "-" for standard output
	budget       budget
	handshakes   handshakes
	watchers     watchers
	clock        atomic.Int64 // seconds since the start, plus one; coarse
	began        time.Time

	ctx     context.Context // of dials; ends when draining is over
	cancel  context.CancelFunc
	stopped chan struct{} // closed when all sessions are over

	mu        sync.Mutex
	listeners map[string]*listener // by address
	sessions  map[*session]struct{}
	draining  bool
	empty     *sync.Cond // broadcast when a session ends
	holders   map[string]*holder

	reloading sync.Mutex
	reloads   reloadState
	ids       struct {
		prefix string
		next   atomic.Uint64
	}
}

// New makes a gateway and checks all that can be checked before it hears anything: certificates
// load, addresses can be bound. Nothing is half-started: on an error all is closed again.
func New(o Options) (*Gateway, error) {
	g := &Gateway{
		opts: o, log: o.Log, store: policy.NewStore(o.Policy), audit: o.Audit, auditFile: o.Policy.Box.Audit, began: time.Now(),
		listeners: map[string]*listener{}, sessions: map[*session]struct{}{}, holders: map[string]*holder{},
		stopped: make(chan struct{}),
	}
	if o.Now != nil {
		g.store.Usage = usage.NewBook(o.Now)
	}
	g.clock.Store(1)
	g.budget.limit.Store(o.Policy.Box.Budget)
	g.empty = sync.NewCond(&g.mu)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	var seed [3]byte
	rand.Read(seed[:])
	g.ids.prefix = hex.EncodeToString(seed[:]) + "-"
	g.metrics = newMetrics(g)
	g.accounts.init()
	g.tunnels = newTunnelSet(g.log)
	g.dialUpstream = g.dial
	if err := g.tunnels.prepare(o.Policy); err != nil {
		return nil, err
	}
	if _, err := g.open(o.Policy); err != nil {
		g.closeListeners()
		g.tunnels.close()
		return nil, err
	}
	g.accounts.follow(o.Policy)
	g.opts.Policy = nil // the store has it, for as long as it is in force
	return g, nil
}

// Run accepts connections until ctx ends, then drains: listeners refuse in the protocol's own
// words, what is under way finishes within the grace period, and what is left is ended.
func (g *Gateway) Run(ctx context.Context) error {
	go g.sweep()
	g.mu.Lock()
	for _, l := range g.listeners {
		go l.serve()
	}
	g.mu.Unlock()
	stopWatching := g.watch(ctx)
	<-ctx.Done()
	stopWatching()
	g.drain()
	return nil
}

// drain ends the gateway gracefully.
func (g *Gateway) drain() {
	grace := g.store.Current().Box.Grace
	g.mu.Lock()
	g.draining = true
	g.mu.Unlock()
	g.log.Info("draining", "grace", grace.String(), "sessions", g.sessionCount())
	for _, s := range g.live() {
		s.tell(protocols.Event{Kind: protocols.Shutdown, Reason: reason.SessionShutdown})
	}
	if !g.waitEmpty(grace) {
		for _, s := range g.live() {
			s.tell(protocols.Event{Kind: protocols.Revoked, Reason: reason.SessionShutdown})
			s.ensureEnding()
		}
		if !g.waitEmpty(lastWords) {
			for _, s := range g.live() {
				s.kill()
			}
			g.waitEmpty(lastWords)
		}
	}
	g.closeListeners()
	g.cancel()
	close(g.stopped)
	g.tunnels.close()
	g.log.Info("stopped")
}

// waitEmpty waits until no session is left, at most so long.
func (g *Gateway) waitEmpty(limit time.Duration) bool {
	late := false
	timer := time.AfterFunc(limit, func() {
		g.mu.Lock()
		late = true
		g.mu.Unlock()
		g.empty.Broadcast()
	})
	defer timer.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.sessions) > 0 && !late {
		g.empty.Wait()
	}
	return len(g.sessions) == 0
}

// live returns the sessions there are.
func (g *Gateway) live() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*session, 0, len(g.sessions))
	for s := range g.sessions {
		all = append(all, s)
	}
	return all
}

func (g *Gateway) sessionCount() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sessions)
}

// holder is who has sessions: a source address, or a certificate.
type holder struct {
	sessions int
	share    share
}

// admit registers a session. It returns why the session may only be refused, and whether there is
// room to refuse it in the protocol's own words, for which the peer has to be heard first; without
// room it is not registered.
func (g *Gateway) admit(s *session) (d denial, room bool) {
	box, perPeer := &g.store.Current().Box, 0
	limit := box.Sessions
	for _, f := range s.candidates {
		perPeer = max(perPeer, f.Limits.Sessions)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.holders[s.holder]
	if h == nil {
		h = &holder{share: share{budget: &g.budget}}
	}
	switch {
	case len(g.sessions) >= withRefusals(limit):
		return crowdedBox(box), false
	case h.sessions >= withRefusals(perPeer):
		return crowded(s.candidates), false
	}
	g.sessions[s], g.holders[s.holder] = struct{}{}, h
	h.sessions++
	s.near.win.share, s.far.win.share = &h.share, &h.share
	switch {
	case g.draining:
		return denial{code: reason.SessionShutdown}, true
	case len(g.sessions) > limit:
		return crowdedBox(box), true
	case h.sessions > perPeer:
		return crowded(s.candidates), true
	}
	return denial{}, true
}

// full tells whether there is not even room to refuse a connection in the protocol's own words.
func (g *Gateway) full() bool {
	return g.sessionCount() >= withRefusals(g.store.Current().Box.Sessions)
}

// withRefusals is a limit of sessions with those that are open only to be refused. A connection
// that says nothing is one of these for as long as the setup timer runs.
func withRefusals(limit int) int { return limit + limit/8 + 8 }

// forget takes a session that is over out of the books.
func (g *Gateway) forget(s *session) {
	s.rules.End()
	g.mu.Lock()
	delete(g.sessions, s)
	if h := g.holders[s.holder]; h != nil {
		if h.sessions--; h.sessions <= 0 {
			delete(g.holders, s.holder)
		}
	}
	empty := len(g.sessions) == 0
	g.mu.Unlock()
	if empty {
		g.empty.Broadcast()
	}
	if g.log.Enabled(g.ctx, slog.LevelDebug) {
		s.log().Debug("session over", "peer", s.peer, "duration", time.Since(s.began).Round(time.Millisecond).String())
	}
}

// nextID makes a session's identifier: a prefix that differs from run to run, and a number.
func (g *Gateway) nextID() string {
	return g.ids.prefix + strconv.FormatUint(g.ids.next.Add(1), 36)
}

// newControlID appends a message control ID (MSH-10) for an acknowledgment of our own: at most
// 20 bytes, unique over restarts.
func (g *Gateway) newControlID(dst []byte) []byte {
	dst = append(dst, 'C')
	dst = append(dst, g.ids.prefix...)
	return strconv.AppendUint(dst, g.ids.next.Add(1), 36)
}

// closeListeners stops hearing.
func (g *Gateway) closeListeners() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.listeners {
		if err := l.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			g.log.Warn("closing a listener", "address", l.address, "error", err)
		}
	}
}

// Abandon closes a gateway that was made and never run; after Run it does nothing more.
func (g *Gateway) Abandon() {
	g.closeListeners()
	g.cancel()
	g.tunnels.close()
}
