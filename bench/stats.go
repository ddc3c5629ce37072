package bench

import (
	"math"
	"math/rand/v2"
	"slices"
)

// quantile is the value below which the fraction q of the sorted values lies, interpolated
// between neighbours.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Summary is what the rounds of one measurement say together.
type Summary struct {
	// Fast is the fast quartile: a machine shared with others slows rounds down and never speeds
	// one up, so the better end of the rounds says most about what is measured.
	Fast   float64 `json:"fast"`
	Median float64 `json:"median"`
	Spread float64 `json:"spread"` // between the quartiles, as a fraction of the median
}

// summarize sums up rounds in which less is better, or more.
func summarize(values []float64, moreIsBetter bool) Summary {
	v := slices.Sorted(slices.Values(values))
	s := Summary{Fast: fast(v, moreIsBetter), Median: quantile(v, 0.5)}
	if s.Median != 0 {
		s.Spread = (quantile(v, 0.75) - quantile(v, 0.25)) / s.Median
	}
	return s
}

// fast is the fast quartile of sorted values.
func fast(sorted []float64, moreIsBetter bool) float64 {
	if moreIsBetter {
		return quantile(sorted, 0.75)
	}
	return quantile(sorted, 0.25)
}

// Interval is a ratio of two fast quartiles with its confidence interval.
type Interval struct {
	Value float64 `json:"value"`
	Lo    float64 `json:"lo"` // 2.5 %
	Hi    float64 `json:"hi"` // 97.5 %
}

// finite tells whether there is a ratio: there is none to nothing.
func (q Interval) finite() bool {
	for _, v := range []float64{q.Value, q.Lo, q.Hi} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

const resamples = 2000

// ratio compares two series of one run, round by round: the bootstrap draws rounds, not values,
// because the rounds share what the machine was doing at the time. The draws are the same in each
// call, so that one set of rounds always gives one interval.
func ratio(of, to []float64, moreIsBetter bool) Interval {
	n := min(len(of), len(to))
	if n == 0 {
		return Interval{math.NaN(), math.NaN(), math.NaN()}
	}
	of, to = of[:n], to[:n]
	r := rand.New(rand.NewPCG(1, uint64(n)))
	a, b, drawn := make([]float64, n), make([]float64, n), make([]float64, resamples)
	for i := range drawn {
		for k := range n {
			at := r.IntN(n)
			a[k], b[k] = of[at], to[at]
		}
		slices.Sort(a)
		slices.Sort(b)
		drawn[i] = fast(a, moreIsBetter) / fast(b, moreIsBetter)
	}
	slices.Sort(drawn)
	return Interval{
		Value: summarize(of, moreIsBetter).Fast / summarize(to, moreIsBetter).Fast,
		Lo:    quantile(drawn, 0.025),
		Hi:    quantile(drawn, 0.975),
	}
}
