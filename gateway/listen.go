package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"cordon/gateway/audit"
	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/tunnels"
	"cordon/tunnels/identity"
	"cordon/tunnels/mtls"
)

// listener hears on one address for as long as any policy in force asks for it.
type listener struct {
	gw      *Gateway
	address string
	tunnel  tunnels.Tunnel
	ln      net.Listener

	mu   sync.Mutex
	spec *policy.Listener // as the policy in force has it
}

// open binds what p wants to hear on and is not bound yet, and hands p's specification to what
// is. It returns the new listeners, which do not accept yet. On an error nothing new stays open.
func (g *Gateway) open(p *policy.Policy) ([]*listener, error) {
	fresh, err := g.bindNew(p)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range fresh {
		g.listeners[l.address] = l
	}
	for _, spec := range p.Listeners {
		l := g.listeners[spec.Address]
		l.mu.Lock()
		l.spec = spec
		l.mu.Unlock()
		if t, ok := l.tunnel.(*mtls.Tunnel); ok {
			t.SetPeers(spec.Peers) // sessions that are resumed are held to it too
		}
	}
	return fresh, nil
}

// bindNew binds the addresses of p that are not heard on yet, all or none.
func (g *Gateway) bindNew(p *policy.Policy) (fresh []*listener, err error) {
	var errs []error
	for _, spec := range p.Listeners {
		g.mu.Lock()
		have := g.listeners[spec.Address]
		g.mu.Unlock()
		l := &listener{gw: g, address: spec.Address, spec: spec}
		l.tunnel, err = g.tunnels.forListener(spec)
		if have != nil {
			if err == nil && l.tunnel != have.tunnel {
				errs = append(errs, fmt.Errorf("listener %s (%s): its tunnel cannot change while Cordon runs; restart it for that", spec.Name, spec.Origin))
			}
			continue
		}
		if err == nil {
			l.ln, err = l.tunnel.Listen(g.ctx, spec.Address)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %s (%s): cannot hear on %s: %w", spec.Name, spec.Origin, spec.Address, err))
			continue
		}
		fresh = append(fresh, l)
	}
	if len(errs) == 0 {
		return fresh, nil
	}
	for _, l := range fresh {
		l.ln.Close()
	}
	return nil, errors.Join(errs...)
}

// closeUnused closes the listeners that p does not have. Their sessions go on.
func (g *Gateway) closeUnused(p *policy.Policy) {
	wanted := map[string]bool{}
	for _, spec := range p.Listeners {
		wanted[spec.Address] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for address, l := range g.listeners {
		if !wanted[address] {
			l.ln.Close()
			delete(g.listeners, address)
		}
	}
}

// serve accepts until the listener is closed.
func (l *listener) serve() {
	l.gw.log.Info("listening", "listener", l.current().Name, "address", l.ln.Addr().String(), "protocol", string(l.current().Protocol))
	pause := time.Millisecond
	for {
		c, err := l.ln.Accept()
		if err == nil {
			pause = time.Millisecond
			go l.handle(c.(tunnels.Conn))
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of descriptors or the like: sessions that end make room, so try again.
		l.gw.log.Warn("accept failed", "listener", l.current().Name, "error", err)
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-l.gw.stopped:
			return
		}
	}
}

func (l *listener) current() *policy.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spec
}

// handle finds out whose connection it is and runs its session. A session's stack is as long as its
// life, so what is needed to begin it is not beneath.
func (l *listener) handle(c tunnels.Conn) {
	if s := l.receive(c); s != nil {
		s.run()
	}
}

// receive makes a session of a connection; nil when it was closed unread.
func (l *listener) receive(c tunnels.Conn) *session {
	g, spec := l.gw, l.current()
	peer := addressOf(c)
	if g.full() {
		g.refuseUnread(spec, c, peer, unread{denial: crowdedBox(&g.store.Current().Box)})
		return nil
	}
	if spec.Tunnel.Kind != "plain" {
		if code, err := g.prove(c, peer); err != nil {
			g.refuseUnread(spec, c, peer, unread{denial: denial{code: code}, why: err})
			return nil
		}
	}
	return g.meet(spec, c, peer)
}

// prove has the peer of a connection prove who it is. When it does not, it says why.
func (g *Gateway) prove(c tunnels.Conn, peer netip.Addr) (reason.Code, error) {
	ctx, end := g.handshakes.begin(g.ctx, peer, g.store.Current().Box.Handshakes)
	defer end()
	err := c.Handshake(ctx)
	if err == nil {
		return "", nil
	}
	switch cause := context.Cause(ctx); {
	case cause == errCrowdedOut:
		return reason.SessionHalfOpen, cause
	case cause == errLate:
		return reason.TimerHandshake, cause
	case errors.Is(err, tunnels.ErrRefused):
		return reason.SessionRefusesUs, err
	default:
		return reason.SessionPeerIdentity, err
	}
}

// meet makes a session of a connection whose peer is known; nil when it was closed unread.
func (g *Gateway) meet(spec *policy.Listener, c tunnels.Conn, peer netip.Addr) *session {
	names := c.Peer().Names
	candidates := spec.Candidates(peer, names)
	if len(candidates) == 0 {
		u := unread{denial: denial{code: reason.SessionUnknownPeer}}
		if len(names) > 0 {
			u.found = "certificate " + identity.Few(names)
		}
		if gone := g.store.Current().Retired(peer, names); gone != nil {
			u.device, u.rule = gone.Name, gone.Origin
			u.found = fmt.Sprintf("device %s is retired", gone.Name)
			u.do = fmt.Sprintf("Device %s is retired (%s). Switch it off, or take state: retired out of its file if it is to talk again.", gone.Name, gone.Origin)
		}
		g.refuseUnread(spec, c, peer, u)
		return nil
	}
	s := newSession(g, spec, candidates, c, peer.String())
	d, room := g.admit(s)
	if !room {
		u := unread{denial: d}
		if of := s.rules.Device(); of != nil {
			u.device = of.Name
		}
		if len(candidates) == 1 {
			u.flow = candidates[0].Name
		}
		g.refuseUnread(spec, c, peer, u)
		return nil
	}
	if g.watchers.count.Load() > 0 {
		s.retrace(nil)
	}
	if d.code != "" {
		s.turnAway(d)
	}
	return s
}

func addressOf(c net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap()
	}
	return netip.Addr{}
}

// unread is a connection of which nothing was read: why, and whose it is as far as that is known.
type unread struct {
	denial
	device, flow string
	why          error
	do           string // what to do, where that is more than its code says
}

// refuseUnread closes a connection of which nothing was read, and records why. Only a peer that
// answered wrongly is worth a line in the log each time.
func (g *Gateway) refuseUnread(spec *policy.Listener, c tunnels.Conn, peer netip.Addr, u unread) {
	c.Close()
	level, wrong := slog.LevelDebug, errors.Is(u.why, tunnels.ErrIdentity) || errors.Is(u.why, tunnels.ErrRefused)
	if wrong {
		level, u.found, u.rule = slog.LevelWarn, tunnels.Why(u.why), spec.Origin
	}
	do := cmp.Or(u.do, Remedy(&Refusal{Reason: u.code, Found: u.found, Rule: u.rule}))
	g.unknown.note(peer.String(), spec.Name, u.code, u.found, do)
	g.metrics.unread.WithLabelValues(spec.Name, string(u.code)).Inc()
	attrs := []any{"listener", spec.Name, "peer", peer.String(), "reason", string(u.code)}
	if u.why != nil {
		attrs = append(attrs, "error", u.why)
	}
	g.log.Log(g.ctx, level, "connection refused unread", attrs...)
	var v protocols.Verdict
	v.Unit.Set("connection")
	v.Found.Set(u.found)
	v.Refuse(u.code, cmp.Or(u.rule, spec.Origin))
	r := audit.Of(&v, false)
	r.Time, r.Source = time.Now(), audit.Source{
		Device: u.device, Flow: u.flow, Peer: peer.String(), Mode: policy.Enforce.String(), Policy: g.store.Current().Version,
	}
	g.audit.Put(&r)
}
