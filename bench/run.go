package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Options say what is measured, and how thoroughly.
type Options struct {
	Self      string // the cordon program
	Version   string
	PeerDir   string // where make bench-peers puts what Debian does not have
	Quick     bool
	Rounds    int      // 0: five, three of a quick run
	Workloads []string // empty: all
	Only      []string // gateways besides Cordon; empty: all
	Extra     []string // NAME=COMMAND
	RTT       time.Duration
	Corpus    string // directory with studies to send
	Profile   string // directory for CPU profiles of Cordon
	Size      Size
	Command   string // as it was typed, for the report
	Progress  io.Writer
}

// Size is how much one round sends.
type Size struct {
	Bytes    int64         // of a bulk object
	Objects  int           // of a study
	Messages int           // of an exchange whose requests are bounded
	Duration time.Duration // of what runs for a while
}

// Sizes of a full and of a quick run. Five rounds of a full one send a gateway 5 GiB each way.
var (
	full  = Size{Bytes: 1 << 30, Objects: 200, Duration: 2 * time.Second}
	quick = Size{Bytes: 256 << 20, Objects: 40, Duration: 300 * time.Millisecond}
)

// Defaults of what was not said.
func (o *Options) complete() {
	size := full
	if o.Quick {
		size = quick
	}
	if o.Size.Bytes == 0 {
		o.Size.Bytes = size.Bytes
	}
	if o.Size.Objects == 0 {
		o.Size.Objects = size.Objects
	}
	if o.Size.Duration == 0 {
		o.Size.Duration = size.Duration
	}
	switch {
	case o.Rounds > 0:
	case o.Quick:
		o.Rounds = 3
	default:
		o.Rounds = 5
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
}

// bench is one run.
type bench struct {
	Options
	dir     string
	pki     *pki
	peers   []*contender
	objects []object
	report  *Report
}

// contender is a gateway that takes part.
type contender struct {
	*Peer
	program string
	tested  int // its place in the report
}

// direct tells whether there is no gateway at all.
func (c *contender) direct() bool { return c.form == nil }

// takesPart tells whether a contender is measured in a workload.
func (b *bench) takesPart(c *contender, w *Workload, role Role) bool {
	return (c.fits == nil || c.fits(w, role)) && !(b.Quick && c.stores)
}

// Run measures and reports.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.complete()
	chosen, err := choose(o)
	if err != nil {
		return nil, err
	}
	b, err := newBench(o)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if o.Corpus != "" {
		if b.objects, err = corpus(o.Corpus); err != nil {
			return nil, err
		}
	}
	if err := b.gather(); err != nil {
		return nil, err
	}
	for _, w := range chosen {
		if err := b.workload(ctx, w); err != nil {
			return nil, err
		}
	}
	b.report.Seconds = time.Since(b.report.Started).Seconds()
	b.report.finish()
	return b.report, nil
}

// newBench begins a run; its directory is the caller's to remove.
func newBench(o Options) (*bench, error) {
	dir, err := os.MkdirTemp("", "cordon-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{Options: o, dir: dir, report: &Report{Started: time.Now(), Command: o.Command, Version: o.Version,
		LeftOut: []string{}, Cells: []*Cell{}, Ratios: []Ratio{}, Machine: thisMachine(), Terms: "TLS 1.3, TLS_AES_128_GCM_SHA256, X25519, ECDSA P-256 certificates, both sides verified"}}
	if b.pki, err = newPKI(dir); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return b, nil
}

// choose returns the workloads that were asked for.
func choose(o Options) (list []*Workload, err error) {
	for _, name := range o.Workloads {
		w := Find(name)
		if w == nil {
			return nil, fmt.Errorf("no workload is called %q; there are %s", name, strings.Join(names(), ", "))
		}
		list = append(list, w)
	}
	if list != nil {
		return list, nil
	}
	for _, w := range Workloads {
		if !o.Quick || w.Quick != nil {
			list = append(list, w)
		}
	}
	return list, nil
}

func names() (list []string) {
	for _, w := range Workloads {
		list = append(list, w.Name)
	}
	return list
}

// gather finds the gateways, and names those that are not there.
func (b *bench) gather() error {
	all := peers(b.Self)
	for _, spec := range b.Extra {
		p, err := Custom(spec)
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	for _, name := range b.Only {
		if !slices.ContainsFunc(all, func(p *Peer) bool { return p.Name == name }) {
			return fmt.Errorf("no gateway is called %q", name)
		}
	}
	for _, p := range all {
		extra := slices.ContainsFunc(b.Extra, func(s string) bool { return strings.HasPrefix(s, p.Name+"=") })
		if len(b.Only) > 0 && p.Name != Cordon && !extra && !slices.Contains(b.Only, p.Name) {
			continue
		}
		c := &contender{Peer: p}
		if c.program != "" || c.Peer.program != "" {
			path, err := p.find(b.PeerDir)
			if err != nil {
				b.leaveOut("%s is left out: %s is not installed%s", p.Name, p.program, map[bool]string{false: " (make bench-peers installs it)"}[extra])
				continue
			}
			c.program = path
			c.tested = len(b.report.Peers)
			b.report.Peers = append(b.report.Peers, Tested{Name: p.Name, About: p.About, Version: p.versionOf(path), Program: path, Forms: map[string]Form{}})
		}
		b.peers = append(b.peers, c)
	}
	return nil
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.Progress, format+"\n", args...) }

// leaveOut says, here and in the report, what is missing from it.
func (b *bench) leaveOut(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	b.say("%s", text)
	b.report.LeftOut = append(b.report.LeftOut, text)
}

// workload measures one workload in all its roles.
func (b *bench) workload(ctx context.Context, w *Workload) error {
	for _, role := range w.Roles {
		if b.Quick && role == Pair || b.Quick && w.Memory && role != Client {
			continue
		}
		measure := b.stage
		if w.Memory {
			measure = b.held
		}
		if err := measure(ctx, w, role); err != nil {
			return fmt.Errorf("%s, %s role: %w", w.Name, role, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// connections are those that this run measures a workload with.
func (b *bench) connections(w *Workload) []int {
	if b.Quick && w.Quick != nil {
		return w.Quick
	}
	return w.Connections
}

// stage runs all gateways beside each other and has the load visit them in turn.
func (b *bench) stage(ctx context.Context, w *Workload, role Role) error {
	s, err := b.newStage(ctx, w, role)
	if err != nil && w.dcmtk {
		b.leaveOut("%s is left out: %v", w.Name, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer s.close()
	for _, c := range b.peers {
		if !b.takesPart(c, w, role) {
			continue
		}
		if err := s.start(ctx, c); err != nil {
			b.leaveOut("%s is left out of %s in the %s role: %v", c.Name, w.Name, role, err)
		}
	}
	for i, n := range b.connections(w) {
		b.rounds(ctx, s, Setting{w.Name, role, n, "closed"}, 0)
		if w.Rate != nil && !b.Quick {
			b.rounds(ctx, s, Setting{w.Name, role, n, "open"}, w.Rate[i])
		}
	}
	return nil
}

// quickBudget is how long all rounds of a quick run may take on a slow machine. The memory of idle
// connections, which comes last, takes about 12 s more.
const quickBudget = 34 * time.Second

// rounds measures one setting: A B C, A B C, …
func (b *bench) rounds(ctx context.Context, s *stage, set Setting, rate float64) {
	for _, g := range slices.Clone(s.gateways) {
		if err := s.warm(ctx, g, set); err != nil {
			b.fail(s, g, set, err)
		}
	}
	for round := range b.Rounds {
		if b.Quick && round > 0 && time.Since(b.report.Started) > quickBudget {
			b.say("out of time: %d of %d rounds of %s", round, b.Rounds, set)
			return
		}
		line := fmt.Sprintf("%s, %s role, %d connections, %s loop, round %d/%d:", set.Workload, set.Role, set.Connections, set.Loop, round+1, b.Rounds)
		for _, g := range slices.Clone(s.gateways) {
			if ctx.Err() != nil {
				return
			}
			cell := b.report.cell(set, g.Name)
			cell.Rate = rate
			if err := s.measure(ctx, g, cell); err != nil {
				b.fail(s, g, set, err)
				continue
			}
			line += "  " + g.Name + " " + cell.last()
		}
		b.say("%s", line)
	}
}

// last is the last round in short, for whoever waits.
func (c *Cell) last() string {
	for _, name := range []string{"memory", "cpu", "throughput", "p50"} {
		if m := c.Measures[name]; m != nil {
			return fmt.Sprintf("%.3g %s", m.Rounds[len(m.Rounds)-1], m.Unit)
		}
	}
	return "-"
}

// fail takes a gateway out of a stage. What it measured so far is no longer comparable.
func (b *bench) fail(s *stage, g *gateway, set Setting, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	text := fmt.Sprintf("%s failed in %s, %s role, %d connections, %s loop: %v", g.Name, set.Workload, set.Role, set.Connections, set.Loop, err)
	b.say("%s", text)
	b.report.Problems = append(b.report.Problems, text)
	b.report.Cells = slices.DeleteFunc(b.report.Cells, func(c *Cell) bool { return c.Setting == set && c.Peer == g.Name })
	s.gateways = slices.DeleteFunc(s.gateways, func(o *gateway) bool { return o == g })
}

// held measures the memory of idle connections, each time on a gateway that was just started.
func (b *bench) held(ctx context.Context, w *Workload, role Role) error {
	for _, n := range b.connections(w) {
		set := Setting{w.Name, role, n, "closed"}
		rounds := 1
		if !b.Quick {
			rounds = 3
		}
		for range min(rounds, b.Rounds) {
			for _, c := range b.peers {
				if c.direct() || !b.takesPart(c, w, role) || ctx.Err() != nil {
					continue
				}
				if err := b.hold(ctx, w, role, set, c); err != nil {
					text := fmt.Sprintf("%s failed in %s, %s role, %d connections: %v", c.Name, w.Name, role, n, err)
					b.say("%s", text)
					b.report.Problems = append(b.report.Problems, text)
				}
			}
		}
	}
	return nil
}

func (b *bench) hold(ctx context.Context, w *Workload, role Role, set Setting, c *contender) error {
	s, err := b.newStage(ctx, w, role)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(ctx, c); err != nil {
		return err
	}
	cell := b.report.cell(set, c.Name)
	err = s.resident(ctx, s.gateways[0], cell)
	if err == nil {
		b.say("%s, %s role, %d connections: %s %s", w.Name, role, set.Connections, c.Name, cell.last())
	}
	return err
}
