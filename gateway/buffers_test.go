package gateway

import "testing"

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
