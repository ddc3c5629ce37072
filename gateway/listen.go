package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/tunnels"
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

// handle finds out whose connection it is and runs its session.
func (l *listener) handle(c tunnels.Conn) {
	g, spec := l.gw, l.current()
	peer := addressOf(c)
	if !g.enter() {
		g.refuseUnread(spec, c, peer, reason.SessionLimit, "")
		return
	}
	if s := g.meet(spec, c, peer); s != nil {
		s.run()
	}
}

// meet makes a session of a connection whose peer is known; nil when it was closed unread.
func (g *Gateway) meet(spec *policy.Listener, c tunnels.Conn, peer netip.Addr) *session {
	defer g.leave()
	ctx, cancel := context.WithTimeout(g.ctx, handshakeTime)
	err := c.Handshake(ctx)
	cancel()
	if err != nil {
		g.refuseUnread(spec, c, peer, reason.SessionPeerIdentity, err.Error())
		return nil
	}
	candidates := spec.Candidates(peer, c.Peer().Names)
	if len(candidates) == 0 {
		g.refuseUnread(spec, c, peer, reason.SessionUnknownPeer, "")
		return nil
	}
	s := newSession(g, spec, candidates, c, peer.String())
	if code := g.admit(s); code != "" {
		s.tell(protocols.Event{Kind: protocols.Shutdown, Reason: code})
	}
	return s
}

// handshakeTime is how long a peer has to prove who it is.
const handshakeTime = 10 * time.Second

func addressOf(c net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap()
	}
	return netip.Addr{}
}

// refuseUnread closes a connection of which nothing was read, and records why.
func (g *Gateway) refuseUnread(spec *policy.Listener, c tunnels.Conn, peer netip.Addr, code reason.Code, why string) {
	c.Close()
	g.unknown.note(peer.String(), spec.Name, code)
	g.metrics.unread.WithLabelValues(spec.Name, string(code)).Inc()
	if why == "" {
		g.log.Debug("connection refused unread", "listener", spec.Name, "peer", peer.String(), "reason", string(code))
	} else {
		g.log.Warn("connection refused unread", "listener", spec.Name, "peer", peer.String(), "reason", string(code), "error", why)
	}
	var v protocols.Verdict
	v.Unit.Set("connection")
	v.Refuse(code, spec.Origin)
	g.put(&v, nil, peer.String(), time.Now())
}
