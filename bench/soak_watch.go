package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Moment is how the gateway was at one time of a long run.
type Moment struct {
	At         float64 `json:"at"`         // seconds since the load began
	Resident   float64 `json:"resident"`   // MiB
	Heap       float64 `json:"heap"`       // MiB in use, garbage included
	Goroutines float64 `json:"goroutines"` //
	Files      float64 `json:"files"`      // open descriptors
	Sessions   float64 `json:"sessions"`   //
	Units      float64 `json:"units"`      // judged since the start
	Reloads    float64 `json:"reloads"`    // done since the start
	AuditLost  float64 `json:"audit_lost"` // records
	Held       float64 `json:"held_bytes"` // by undecided units
	Wait       float64 `json:"wait"`       // ms: the longest for an acknowledgment since the last look
}

// gauges are where each figure of a moment comes from: the sum of a metric over its labels.
var gauges = map[string]struct {
	to    func(*Moment) *float64
	scale float64
}{
	"process_resident_memory_bytes":       {func(m *Moment) *float64 { return &m.Resident }, 1.0 / (1 << 20)},
	"go_memstats_heap_inuse_bytes":        {func(m *Moment) *float64 { return &m.Heap }, 1.0 / (1 << 20)},
	"go_goroutines":                       {func(m *Moment) *float64 { return &m.Goroutines }, 1},
	"process_open_fds":                    {func(m *Moment) *float64 { return &m.Files }, 1},
	"cordon_sessions":                     {func(m *Moment) *float64 { return &m.Sessions }, 1},
	"cordon_units_total":                  {func(m *Moment) *float64 { return &m.Units }, 1},
	"cordon_held_bytes":                   {func(m *Moment) *float64 { return &m.Held }, 1},
	"cordon_audit_lost_records":           {func(m *Moment) *float64 { return &m.AuditLost }, 1},
	`cordon_reloads_total{result="done"}`: {func(m *Moment) *float64 { return &m.Reloads }, 1},
}

// scraper reads a gateway's metrics. Each look has a connection of its own, as Prometheus would
// have after a pause, so that what is looked at holds nothing for it in between.
type scraper struct {
	url    string
	client http.Client
}

func newScraper(address string) *scraper {
	return &scraper{"http://" + address + "/metrics", http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (s *scraper) look(ctx context.Context) (m Moment, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return m, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return m, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return m, fmt.Errorf("metrics: %s", resp.Status)
	}
	return m, m.parse(resp.Body)
}

// parse reads the text form of metrics (Prometheus exposition format 0.0.4).
func (m *Moment) parse(text io.Reader) error {
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		series, value, ok := cutLast(lines.Text(), " ")
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		g, known := gauges[series]
		if !known {
			name, _, _ := strings.Cut(series, "{")
			if g, known = gauges[name]; !known {
				continue
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("metrics: %s is %q, not a number", series, value)
		}
		*g.to(m) += v * g.scale
	}
	return lines.Err()
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if at := strings.LastIndex(s, sep); at >= 0 {
		return s[:at], s[at+len(sep):], true
	}
	return s, "", false
}

// quiet looks until there are no sessions, and goroutines and open files are at most as many as in
// base, or, with no base, stay the same from look to look. It returns the last look.
func (s *scraper) quiet(ctx context.Context, base *Moment) (Moment, error) {
	const pause = 50 * time.Millisecond
	var last Moment
	for {
		m, err := s.look(ctx)
		switch {
		case err != nil && last.Goroutines > 0 && ctx.Err() != nil:
			return last, nil
		case err != nil:
			return m, err
		case m.Sessions > 0:
		case base != nil && m.Goroutines <= base.Goroutines && m.Files <= base.Files,
			base == nil && m.Goroutines == last.Goroutines && m.Files == last.Files:
			return m, nil
		}
		last = m
		select {
		case <-ctx.Done():
			return last, nil
		case <-time.After(pause):
		}
	}
}
