package gateway

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// handshakeTime is how long a peer has to prove who it is.
const handshakeTime = 10 * time.Second

var (
	errCrowdedOut = errors.New("its place was needed for another connection")
	errLate       = errors.New("it did not prove who it is in time")
)

// handshakes are the connections whose peers have not proven yet who they are. Nobody stands
// behind them, so they have places of their own, fewer than sessions have, and a source has at
// most half of them. Where there is none left the oldest goes: an honest handshake takes a moment,
// and what waits longest is most likely to wait for ever. A flood from one source displaces only
// itself.
type handshakes struct {
	mu       sync.Mutex
	all      list.List // of *handshake, the oldest first
	bySource map[netip.Prefix]*list.List
}

type handshake struct {
	source   netip.Prefix
	giveUp   context.CancelCauseFunc
	all, own *list.Element
}

// begin takes one of so many places for a connection from an address. The context ends with
// errCrowdedOut when another needs the place, with errLate after handshakeTime; end gives the
// place back.
func (h *handshakes) begin(ctx context.Context, from netip.Addr, places int) (context.Context, func()) {
	ctx, giveUp := context.WithCancelCause(ctx)
	ctx, stop := context.WithTimeoutCause(ctx, handshakeTime, errLate)
	n := &handshake{source: sourceOf(from), giveUp: giveUp}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bySource == nil {
		h.bySource = map[netip.Prefix]*list.List{}
	}
	if own := h.bySource[n.source]; own != nil && own.Len() >= max(places/2, 1) {
		h.crowdOut(own.Front().Value.(*handshake))
	} else if h.all.Len() >= places {
		h.crowdOut(h.all.Front().Value.(*handshake))
	}
	own := h.bySource[n.source]
	if own == nil {
		own = list.New()
		h.bySource[n.source] = own
	}
	n.all, n.own = h.all.PushBack(n), own.PushBack(n)
	return ctx, func() {
		h.mu.Lock()
		h.remove(n)
		h.mu.Unlock()
		stop()
		giveUp(nil)
	}
}

// crowdOut ends a handshake for the sake of another. The caller holds h.mu.
func (h *handshakes) crowdOut(n *handshake) {
	h.remove(n)
	n.giveUp(errCrowdedOut)
}

// remove gives a place back, once. The caller holds h.mu.
func (h *handshakes) remove(n *handshake) {
	if n.all == nil {
		return
	}
	own := h.bySource[n.source]
	h.all.Remove(n.all)
	own.Remove(n.own)
	n.all, n.own = nil, nil
	if own.Len() == 0 {
		delete(h.bySource, n.source)
	}
}

func (h *handshakes) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.Len()
}

// sourceOf is what counts as one source: an IPv4 address, or the /64 of an IPv6 address, because
// a host may give itself any address in that.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails only for an address that there is not: all of these are one
	return p
}
