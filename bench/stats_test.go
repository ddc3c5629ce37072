package bench

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{7}, 0.25, 7},
		{[]float64{1, 2}, 0.5, 1.5},
		{[]float64{1, 2, 3, 4, 5}, 0.25, 2},
		{[]float64{1, 2, 3, 4, 5}, 0.75, 4},
		{[]float64{1, 2, 3, 4}, 0.25, 1.75},
		{[]float64{1, 2, 3, 4}, 1, 4},
	} {
		if got := quantile(c.values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v of %v is %v, not %v", c.q, c.values, got, c.want)
		}
	}
	if !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("nothing has a quantile")
	}
}

func TestFastIsTheBetterEnd(t *testing.T) {
	rounds := []float64{5, 1, 4, 2, 3}
	if s := summarize(rounds, false); s.Fast != 2 || s.Median != 3 || math.Abs(s.Spread-2.0/3) > 1e-9 {
		t.Errorf("of a cost: %+v", s)
	}
	if s := summarize(rounds, true); s.Fast != 4 {
		t.Errorf("of a speed: %+v", s)
	}
	if rounds[0] != 5 {
		t.Error("the rounds were sorted in place")
	}
}

func TestRatioHasAnIntervalAroundIt(t *testing.T) {
	of, to := []float64{1.0, 1.1, 0.9, 1.3, 1.05}, []float64{2.0, 2.3, 1.9, 2.5, 2.1}
	q := ratio(of, to, false)
	if q.Value != 0.5 || q.Lo > q.Value || q.Hi < q.Value || q.Lo < 0.4 || q.Hi > 0.6 {
		t.Errorf("%+v", q)
	}
	if again := ratio(of, to, false); again != q {
		t.Errorf("the same rounds give %+v and %+v", q, again)
	}
	// The rounds share what the machine did: where both slow down alike, the ratio is sure.
	if q := ratio([]float64{1, 2, 4}, []float64{2, 4, 8}, false); q.Lo != 0.5 || q.Hi != 0.5 {
		t.Errorf("rounds that slow down together: %+v", q)
	}
	if q := ratio(of, []float64{0, 0, 0, 0, 0}, false); q.finite() || !ratio(of, to, true).finite() {
		t.Errorf("to nothing: %+v", q)
	}
	if q := ratio(nil, to, false); q.finite() {
		t.Errorf("without rounds: %+v", q)
	}
}
