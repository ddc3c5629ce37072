package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogram counts latencies in steps of 100 ns up to 10 s, three digits each.
type histogram struct{ *hdrhistogram.Histogram }

const tick = 100 * time.Nanosecond

func newHistogram() *histogram {
	return &histogram{hdrhistogram.New(1, int64(10*time.Second/tick), 3)}
}

// record counts a latency; one beyond the end counts as the largest.
func (h *histogram) record(d time.Duration) {
	h.RecordValue(min(max(int64(d/tick), 1), h.HighestTrackableValue()))
}

// at returns the latency below which a fraction of all lies, in microseconds.
func (h *histogram) at(q float64) float64 {
	return float64(h.ValueAtQuantile(100*q)) * float64(tick) / float64(time.Microsecond)
}
