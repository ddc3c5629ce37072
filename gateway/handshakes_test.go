package gateway

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"cordon/policy"
	"cordon/protocols/reason"
	"cordon/tunnels"
)

// G4: a source has half of the places; where it has them, or where all are taken, the oldest goes.
func TestOldestHandshakeMakesWay(t *testing.T) {
	var h handshakes
	const places = 4
	begin := func(from string) context.Context {
		ctx, end := h.begin(t.Context(), netip.MustParseAddr(from), places)
		t.Cleanup(end)
		return ctx
	}
	crowded := func(c context.Context) bool { return context.Cause(c) == errCrowdedOut }

	honest := begin("10.0.0.1")
	a, b, c := begin("10.0.0.2"), begin("10.0.0.2"), begin("10.0.0.2")
	if crowded(honest) || !crowded(a) || crowded(b) || crowded(c) {
		t.Error("a flood from one source did not displace its own oldest alone")
	}
	d, e, f := begin("2001:db8::1"), begin("2001:db8::2"), begin("2001:db8::3")
	if !crowded(honest) || !crowded(d) || crowded(b) || crowded(e) || crowded(f) {
		t.Error("a full house did not displace the oldest, or the addresses of one /64 are not one source")
	}
	if n := h.count(); n != places {
		t.Errorf("%d places are taken, want %d", n, places)
	}
}

func TestPlaceIsGivenBack(t *testing.T) {
	var h handshakes
	for range 100 {
		_, end := h.begin(t.Context(), netip.Addr{}, 2)
		end()
		end()
	}
	if h.count() != 0 || len(h.bySource) != 0 {
		t.Errorf("%d places and %d sources are left", h.count(), len(h.bySource))
	}
}

// silent is a connection whose peer never answers.
type silent struct{ tunnels.Conn }

func (silent) Handshake(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// reason.TimerHandshake: a peer that says nothing does not keep its place.
func TestSilentPeerIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gateway{store: policy.NewStore(&policy.Policy{Box: policy.Box{Handshakes: 10}}), ctx: t.Context()}
		began := time.Now()
		code, err := g.prove(silent{}, netip.MustParseAddr("10.0.0.1"))
		if took := time.Since(began); code != reason.TimerHandshake || err == nil || took != handshakeTime {
			t.Errorf("%s, %v after %s", code, err, took)
		}
		if g.handshakes.count() != 0 {
			t.Error("it kept its place")
		}
	})
}
