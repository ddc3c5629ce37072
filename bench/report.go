package bench

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Report is all that one run found out.
type Report struct {
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Command  string    `json:"command"`
	Version  string    `json:"version"` // Cordon's
	Machine  Machine   `json:"machine"`
	Terms    string    `json:"terms"` // of TLS
	Peers    []Tested  `json:"peers"`
	LeftOut  []string  `json:"left_out"` // each with why
	Cells    []*Cell   `json:"cells"`
	Ratios   []Ratio   `json:"ratios"`
	Sweeps   []*Sweep  `json:"sweeps,omitempty"`
	Sizing   []Sizing  `json:"sizing,omitempty"`
	Problems []string  `json:"problems,omitempty"`
	Soak     *Soaked   `json:"soak,omitempty"` // of a long run; it measures nothing else
}

// Tested is a gateway that took part.
type Tested struct {
	Name    string          `json:"name"`
	About   string          `json:"about"`
	Version string          `json:"version"`
	Program string          `json:"program"`
	Forms   map[string]Form `json:"forms"` // by role and protocol
}

// Setting is what was measured, besides on which gateway.
type Setting struct {
	Workload    string `json:"workload"`
	Role        Role   `json:"role"`
	Connections int    `json:"connections"`
	Loop        string `json:"loop"` // "closed", "open"
}

// Cell is what the rounds of one gateway in one setting measured.
type Cell struct {
	Setting
	Peer     string  `json:"peer"`
	Rate     float64 `json:"rate,omitempty"` // arrivals a second of an open loop
	Measures Figures `json:"measures"`
}

// Figures are what was measured, by the name of the measure.
type Figures map[string]*Measured

// Measured is one measure over the rounds.
type Measured struct {
	Unit   string    `json:"unit"`
	Rounds []float64 `json:"rounds"`
	Summary
}

// Ratio is Cordon's figure over another gateway's. Below 1 Cordon takes less; of throughput, above
// 1 Cordon does more.
type Ratio struct {
	Setting
	Of      string `json:"of"` // always "cordon"
	Peer    string `json:"peer"`
	Measure string `json:"measure"`
	Best    bool   `json:"best,omitempty"` // the peer has the best figure of all that pass bytes unread
	Interval
}

// The measures, in the order in which reports show them.
var measures = []struct {
	name, about  string
	moreIsBetter bool
}{
	{name: "cpu", about: "processor time of the gateway alone"},
	{name: "throughput", about: "throughput", moreIsBetter: true},
	{name: "p50", about: "median latency"},
	{name: "p99", about: "latency, 99th percentile"},
	{name: "p99.9", about: "latency, 99.9th percentile"},
	{name: "memory", about: "resident memory per idle connection"},
	{name: "object", about: "processor time of an object"},
	{name: "connect", about: "processor time of a new connection"},
	{name: "start", about: "time from its start until it listens"},
	{name: "reload", about: "time of a reload"},
	{name: "resident", about: "resident memory"},
	{name: "peak", about: "the largest resident set so far"},
}

func moreIsBetter(measure string) bool { return measure == "throughput" }

// put adds a round's value.
func (f *Figures) put(measure, unit string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	if *f == nil {
		*f = Figures{}
	}
	m := (*f)[measure]
	if m == nil {
		m = &Measured{Unit: unit}
		(*f)[measure] = m
	}
	m.Rounds = append(m.Rounds, value)
	m.Summary = summarize(m.Rounds, moreIsBetter(measure))
}

func (c *Cell) put(measure, unit string, value float64) { c.Measures.put(measure, unit, value) }

// cell returns the cell of a setting and a gateway, made if need be.
func (r *Report) cell(s Setting, peer string) *Cell {
	for _, c := range r.Cells {
		if c.Setting == s && c.Peer == peer {
			return c
		}
	}
	c := &Cell{Setting: s, Peer: peer}
	r.Cells = append(r.Cells, c)
	return c
}

// settings returns what was measured, each once, in the order of measuring.
func (r *Report) settings() (list []Setting) {
	for _, c := range r.Cells {
		if !slices.Contains(list, c.Setting) {
			list = append(list, c.Setting)
		}
	}
	return list
}

// finish adds what follows from the cells: sealing and opening together, and the ratios.
func (r *Report) finish() {
	for _, s := range r.settings() {
		if s.Role != Client || !r.sealsAndOpens(s.Workload) {
			continue
		}
		r.together(s)
	}
	slices.SortStableFunc(r.Cells, func(a, b *Cell) int { return cmp.Compare(place(a.Workload), place(b.Workload)) })
	for _, s := range r.settings() {
		of := r.cell(s, Cordon)
		for _, c := range slices.Clone(r.Cells) {
			if c.Setting == s && c.Peer != Cordon {
				r.Ratios = append(r.Ratios, r.compare(of, c)...)
			}
		}
	}
}

// place is where a workload stands in the table of all.
func place(workload string) int {
	return slices.IndexFunc(Workloads, func(w *Workload) bool { return w.Name == workload })
}

func (r *Report) sealsAndOpens(workload string) bool {
	return slices.ContainsFunc(r.Cells, func(c *Cell) bool {
		return c.Workload == workload && c.Role == Server && c.Measures["cpu"] != nil && c.Measures["cpu"].Unit == "s/GiB"
	})
}

// together joins the rounds of the client role, which seals, and the server role, which opens.
func (r *Report) together(s Setting) {
	opens, both := s, s
	opens.Role, both.Role = Server, Both
	for _, c := range slices.Clone(r.Cells) {
		if c.Setting != s {
			continue
		}
		o, to := r.cell(opens, c.Peer), r.cell(both, c.Peer)
		if a, b := c.Measures["cpu"], o.Measures["cpu"]; a != nil && b != nil {
			for i := range min(len(a.Rounds), len(b.Rounds)) {
				to.put("cpu", a.Unit, (a.Rounds[i]+b.Rounds[i])/2)
			}
		}
		if a, b := c.Measures["throughput"], o.Measures["throughput"]; a != nil && b != nil {
			for i := range min(len(a.Rounds), len(b.Rounds)) {
				to.put("throughput", a.Unit, 2/(1/a.Rounds[i]+1/b.Rounds[i]))
			}
		}
	}
}

func (r *Report) compare(of, to *Cell) (list []Ratio) {
	for _, m := range measures {
		a, b := of.Measures[m.name], to.Measures[m.name]
		if a == nil || b == nil {
			continue
		}
		q := ratio(a.Rounds, b.Rounds, m.moreIsBetter)
		if q.finite() {
			list = append(list, Ratio{of.Setting, Cordon, to.Peer, m.name, r.best(of.Setting, m.name) == to, q})
		}
	}
	return list
}

// best returns, of a setting, the gateway other than Cordon with the best figure.
func (r *Report) best(s Setting, measure string) *Cell {
	var best *Cell
	for _, c := range r.Cells {
		m := c.Measures[measure]
		if c.Setting != s || m == nil || slices.Contains([]string{Cordon, Blind, None, "dcmtk-tls"}, c.Peer) {
			continue
		}
		if best == nil || better(m.Fast, best.Measures[measure].Fast, measure) {
			best = c
		}
	}
	return best
}

func better(a, b float64, measure string) bool {
	if moreIsBetter(measure) {
		a, b = b, a
	}
	return cmp.Less(a, b)
}
