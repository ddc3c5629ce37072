package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// ScaleOptions say what of the growth of cost is measured.
type ScaleOptions struct {
	Options
	Sweeps []string           // empty: all
	Points map[string][]int64 // instead of a sweep's own
}

// Sweep is how the cost of Cordon grows with one thing.
type Sweep struct {
	Name   string   `json:"name"`
	About  string   `json:"about"`
	Axis   string   `json:"axis"` // what grows
	Points []*Point `json:"points"`
}

// Point is what the rounds of one point of a sweep measured.
type Point struct {
	At       int64   `json:"at"`
	Label    string  `json:"label"`
	Measures Figures `json:"measures"`
}

// sweep is how one is measured.
type sweep struct {
	name, about, axis string
	points            func() []int64
	label             func(int64) string
	fits              func(int64) error // whether a point can be measured here; nil: all can
	// round measures each of the points once more.
	round func(context.Context, *scale, []*Point) error
}

// Names of the sweeps.
const (
	byDevices     = "devices"
	byConnections = "connections"
	bySize        = "object-size"
	byCoresDICOM  = "cores-dicom"
	byCoresHL7    = "cores-hl7"
)

// sweeps is the one place where a sweep is registered.
func sweeps() []*sweep {
	return []*sweep{
		{
			name: byDevices, axis: "devices", label: grouped,
			about:  "a policy file for each device, one listener; one device sends messages of 300 bytes on 32 connections, then connects anew; then the policy is reloaded; memory once it has come to rest after that",
			points: fixed(1, 10, 100, 1000, 10_000), round: measureDevices,
		}, {
			name: byConnections, axis: "open connections", label: grouped,
			about:  "messages of 300 bytes and acknowledgments, closed loop, the same number of messages at each point; memory while the connections are held after them, from 1,000 on once it has come to rest",
			points: fixed(1, 8, 32, 256, 1000, 5000), fits: descriptors, round: each(measureConnections),
		}, {
			name: bySize, axis: "object size", label: byteSize,
			about:  "C-STORE on one association, 16 KiB PDUs, each object after the response to the one before; a fresh gateway at each point",
			points: fixed(1<<10, 16<<10, 256<<10, 4<<20, 64<<20, 512<<20, 4<<30), round: each(measureSize),
		}, {
			name: byCoresDICOM, axis: "cores", label: grouped,
			about:  "GOMAXPROCS of the gateway; huge objects on 4 associations at a time, 128 KiB PDUs; load and sink share the machine",
			points: cores, round: each(measureCoresDICOM),
		}, {
			name: byCoresHL7, axis: "cores", label: grouped,
			about:  "GOMAXPROCS of the gateway; messages of 300 bytes on 32 connections; load and sink share the machine",
			points: cores, round: each(measureCoresHL7),
		},
	}
}

func fixed(points ...int64) func() []int64 { return func() []int64 { return points } }

// each measures one point after the other.
func each(measure func(context.Context, *scale, *Point) error) func(context.Context, *scale, []*Point) error {
	return func(ctx context.Context, s *scale, points []*Point) error {
		for _, p := range points {
			if err := measure(ctx, s, p); err != nil {
				return fmt.Errorf("at %s: %w", p.Label, err)
			}
		}
		return nil
	}
}

// scale is one run of sweeps.
type scale struct {
	*bench
	cordon *contender
}

// Sizes of a point. Objects are as many as their size lets into Bytes, and no more than Objects.
var scaleSize = Size{Bytes: 512 << 20, Objects: 5000, Messages: 50_000, Duration: 300 * time.Millisecond}

// RunScale measures how the cost of Cordon grows with devices, connections, object size and cores.
func RunScale(ctx context.Context, o ScaleOptions) (*Report, error) {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Size == (Size{}) {
		o.Size = scaleSize
	}
	o.Only = []string{None} // and Cordon, which is always there
	chosen, err := chooseSweeps(o)
	if err != nil {
		return nil, err
	}
	b, err := newBench(o.Options)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if err := b.gather(); err != nil {
		return nil, err
	}
	s := &scale{bench: b}
	for _, c := range b.peers {
		if c.Name == Cordon {
			s.cordon = c
		}
	}
	for _, w := range chosen {
		if err := s.sweep(ctx, w, o.Points[w.name]); err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
	}
	b.report.Sizing = sizing(b.report)
	b.report.Seconds = time.Since(b.report.Started).Seconds()
	return b.report, nil
}

// chooseSweeps returns the sweeps that were asked for.
func chooseSweeps(o ScaleOptions) (list []*sweep, err error) {
	all := sweeps()
	var names []string
	for _, w := range all {
		names = append(names, w.name)
		if len(o.Sweeps) == 0 || slices.Contains(o.Sweeps, w.name) {
			list = append(list, w)
		}
	}
	for _, name := range o.Sweeps {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("no sweep is called %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return list, nil
}

// sweep measures one sweep: all points, round after round.
func (s *scale) sweep(ctx context.Context, w *sweep, at []int64) error {
	if at == nil {
		at = w.points()
	}
	out := &Sweep{Name: w.name, About: w.about, Axis: w.axis, Points: []*Point{}}
	s.report.Sweeps = append(s.report.Sweeps, out)
	for _, n := range at {
		p := &Point{At: n, Label: w.label(n)}
		if w.fits != nil {
			if err := w.fits(n); err != nil {
				s.leaveOut("%s %s are left out: %v", p.Label, w.axis, err)
				continue
			}
		}
		out.Points = append(out.Points, p)
	}
	for round := range s.Rounds {
		if err := w.round(ctx, s, out.Points); err != nil {
			return err
		}
		s.say("%s, round %d/%d: %s", w.name, round+1, s.Rounds, out.last())
	}
	return context.Cause(ctx)
}

// last is the last round in short, for whoever waits.
func (w *Sweep) last() string {
	var parts []string
	for _, p := range w.Points {
		if m := p.Measures["cpu"]; m != nil {
			parts = append(parts, fmt.Sprintf("%s: %.3g %s", p.Label, m.Rounds[len(m.Rounds)-1], m.Unit))
		}
	}
	return strings.Join(parts, ", ")
}

// with returns Cordon with something about it changed.
func (s *scale) with(change func(*Peer)) *contender {
	c := *s.cordon
	p := *c.Peer
	if change != nil {
		change(&p)
	}
	c.Peer = &p
	return &c
}

// gateway starts Cordon in the client role between a load and a sink of its own.
func (s *scale) gateway(ctx context.Context, w *Workload, change func(*Peer)) (*stage, *gateway, error) {
	st, err := s.newStage(ctx, w, Client)
	if err != nil {
		return nil, nil, err
	}
	if err := st.start(ctx, s.with(change)); err != nil {
		st.close()
		return nil, nil, err
	}
	return st, st.gateways[0], nil
}

// fresh measures on a gateway that was just started.
func (s *scale) fresh(ctx context.Context, w *Workload, change func(*Peer), measure func(*stage, *gateway) error) error {
	st, g, err := s.gateway(ctx, w, change)
	if err != nil {
		return err
	}
	defer st.close()
	return measure(st, g)
}

// exchanged is what a bounded exchange cost the gateway.
type exchanged struct {
	sample   Sample
	cpu      time.Duration // of the requests, without the opening of connections
	resident int64         // bytes, while the connections are held
}

// exchange has a gateway pass s.Size.Messages messages. When settle is set, resident memory is read
// once it has stopped falling.
func (s *scale) exchange(ctx context.Context, st *stage, g *gateway, connections int, settle bool) (e exchanged, err error) {
	pids := g.pids()
	var before, after time.Duration
	l := &Load{Target: g.target, Connections: connections, Count: s.Size.Messages,
		Ready: func() { before = used(pids) },
		Holding: func() {
			u := measure(pids)
			if after, e.resident = u.cpu, u.resident; settle {
				e.resident = settled(pids)
			}
		}}
	e.sample, err = st.visit(ctx, g, l)
	e.cpu = after - before
	return e, err
}

// put puts what an exchange cost.
func (e exchanged) put(p *Point, messages int) {
	p.Measures.put("cpu", "µs/message", micro(e.cpu, messages))
	p.Measures.put("throughput", "messages/s", float64(messages)/e.sample.Wall.Seconds())
	p.Measures.put("p99", "µs", e.sample.Latency.at(0.99))
}

// micro is a time in microseconds for each of n.
func micro(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
