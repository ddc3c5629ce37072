package gateway

import (
	"testing"

	"cordon/tunnels/buffer"
)

// Who takes all that may be taken, and others with him, leaves something to the rest.
func TestSharesOfTheBudget(t *testing.T) {
	const unit = 1 << 10
	var b budget
	b.limit.Store(64 * unit)
	left := int64(64)
	var all []*share
	for _, want := range []int64{32, 16, 8, 4, 2, 1, 0} {
		s, got := &share{budget: &b}, int64(0)
		for s.take(unit) {
			got++
		}
		if got != want || s.used.Load() != want*unit {
			t.Errorf("of %d units one gets %d, want %d", left, got, want)
		}
		left -= got
		all = append(all, s)
	}
	if got := b.used.Load(); got != 63*unit {
		t.Errorf("%d bytes are taken", got)
	}
	for _, s := range all {
		s.give(s.used.Load())
	}
	if b.used.Load() != 0 {
		t.Errorf("%d bytes were not given back", b.used.Load())
	}
	// What is only convenient leaves half of all to what is needed.
	one, other := &share{budget: &b}, &share{budget: &b}
	for one.takeHalf(unit) {
	}
	if one.used.Load() != 32*unit || other.takeHalf(unit) || !other.take(unit) {
		t.Errorf("%d bytes for convenience, then %d", one.used.Load(), other.used.Load())
	}
}

// One session may hold what limits.hold says, as long as that is within a device's half of the budget.
func TestOneWindowWithinHalfOfTheBudget(t *testing.T) {
	for _, c := range []struct{ budget, hold int }{{256 << 20, 64 << 20}, {256 << 20, 100 << 20}, {4 << 20, 1 << 20}} {
		var b budget
		b.limit.Store(int64(c.budget))
		w := window{share: &share{budget: &b}}
		for limit := c.hold + 256<<10 + buffer.Large; w.len() < c.hold; {
			buf, how := w.room(limit)
			if how != roomy {
				t.Errorf("of %d KiB, %d may be held: over at %d", c.budget>>10, c.hold>>10, w.len()>>10)
				break
			}
			w.fed(len(buf), len(buf))
		}
		if w.free(); b.used.Load() != 0 {
			t.Errorf("%d bytes were not given back", b.used.Load())
		}
	}
}
