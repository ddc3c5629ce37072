package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stage is one workload in one role with the gateways that run beside each other.
type stage struct {
	*bench
	workload *Workload
	role     Role
	far      receiver // behind the gateways
	alone    receiver // for the load without a gateway
	home     *Sink    // of the load, where objects of a C-MOVE return; nil where none do
	lenient  *Sink    // behind those that cannot be given the terms of TLS; nil until needed
	client   *tls.Config
	relays   []*relay
	started  []*gateway
	gateways []*gateway // of these, those that did not fail
}

// gateway is a contender that runs.
type gateway struct {
	*contender
	processes []*process
	target    Target
	sink      receiver
	back      Target // where the sink sends what returns to the load
}

func (b *bench) newStage(ctx context.Context, w *Workload, role Role) (*stage, error) {
	s := &stage{bench: b, workload: w, role: role}
	var err error
	if s.client, err = b.pki.tlsConfig(clientName, w.Resume); err != nil {
		return nil, err
	}
	if s.far, err = s.receiver(ctx, role == Client); err != nil {
		return nil, err
	}
	if s.alone, err = s.receiver(ctx, role == Server); err != nil {
		s.far.Close()
		return nil, err
	}
	if w.returns {
		if s.home, err = NewSink("127.0.0.1:0", nil, w); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// receiver starts a sink of the workload.
func (s *stage) receiver(ctx context.Context, secure bool) (receiver, error) {
	if s.workload.dcmtk {
		return s.newStorescp(ctx, s.workload, secure)
	}
	if !secure {
		return NewSink("127.0.0.1:0", nil, s.workload)
	}
	cfg, err := s.pki.tlsConfig(serverName, s.workload.Resume)
	if err != nil {
		return nil, err
	}
	return NewSink("127.0.0.1:0", cfg, s.workload)
}

// behind returns the sink that a contender leads to.
func (s *stage) behind(c *contender) (receiver, error) {
	switch {
	case c.secure:
		return s.far, nil
	case c.direct():
		return s.alone, nil
	case !c.lenient || s.role != Client:
		return s.far, nil
	}
	if s.lenient == nil {
		cfg, err := s.pki.tlsConfig(serverName, s.workload.Resume)
		if err != nil {
			return nil, err
		}
		cfg.CurvePreferences, cfg.VerifyConnection, cfg.MinVersion = nil, nil, tls.VersionTLS12
		if s.lenient, err = NewSink("127.0.0.1:0", cfg, s.workload); err != nil {
			return nil, err
		}
	}
	return s.lenient, nil
}

func (s *stage) close() {
	for _, g := range s.started {
		if err := g.stop(); err != nil {
			s.say("stopping %s: %v", g.Name, err)
		}
	}
	for _, r := range s.relays {
		r.close()
	}
	s.far.Close()
	s.alone.Close()
	if s.lenient != nil {
		s.lenient.Close()
	}
	if s.home != nil {
		s.home.Close()
	}
}

// through returns the address that leads to a sink, over a relay where delay is asked for.
func (s *stage) through(sink receiver) (string, error) {
	if s.RTT == 0 {
		return sink.Address(), nil
	}
	r, err := newRelay(sink.Address(), s.RTT)
	if err != nil {
		return "", err
	}
	s.relays = append(s.relays, r)
	return r.ln.Addr().String(), nil
}

// start runs a contender in the stage's role.
func (s *stage) start(ctx context.Context, c *contender) error {
	g := &gateway{contender: c}
	var err error
	if g.sink, err = s.behind(c); err != nil {
		return err
	}
	address, err := s.through(g.sink)
	if err != nil {
		return err
	}
	if !c.direct() {
		hops := []Role{s.role}
		if s.role == Pair {
			hops = []Role{Server, Client} // from the sink on
		}
		for _, role := range hops {
			if address, err = s.hop(ctx, g, s.workload, role, address); err != nil {
				return errors.Join(err, g.stop())
			}
		}
	}
	if s.home != nil {
		g.back.Address = s.home.Address()
		if !c.direct() {
			if g.back.Address, err = s.hop(ctx, g, Find("dicom-study"), Server, g.back.Address); err != nil {
				return errors.Join(err, g.stop())
			}
			g.back.TLS = s.client
		}
	}
	g.target.Address = address
	if s.role == Server {
		g.target.TLS = s.client
	}
	s.started, s.gateways = append(s.started, g), append(s.gateways, g)
	return nil
}

// stop ends a gateway that did not start as a whole.
func (g *gateway) stop() (err error) {
	for _, p := range g.processes {
		err = errors.Join(err, p.stop())
	}
	return err
}

// hop starts one process of a gateway in front of an address and returns where it hears.
func (s *stage) hop(ctx context.Context, g *gateway, w *Workload, role Role, target string) (string, error) {
	dir, err := os.MkdirTemp(s.dir, "")
	if err != nil {
		return "", err
	}
	c := g.contender
	name := clientName
	if role == Server {
		name = serverName
	}
	h := Hop{Program: c.program, Role: role, Listen: freeAddress(), Target: target, Workload: w, Dir: dir,
		CA: s.pki.ca(), Cert: s.pki.cert(name), Key: s.pki.key(name), Both: s.pki.both(name), Objects: s.objects}
	if s.Profile != "" && c.Name == Cordon {
		h.Profile = filepath.Join(s.Profile, fmt.Sprintf("%s-%s.pprof", s.workload.Name, role))
	}
	f := c.form(h)
	s.report.Peers[c.tested].Forms[string(role)+" "+s.workload.Protocol] = abridged(f)
	p, err := start(ctx, h, f, c.env)
	if err == nil {
		g.processes = append(g.processes, p)
	}
	return h.Listen, err
}

// load is what one round sends.
func (s *stage) load(g *gateway, set Setting, rate float64) (*Load, error) {
	l := &Load{Target: g.target, Connections: set.Connections, Rate: rate, Bytes: s.Size.Bytes,
		Count: s.Size.Objects, Objects: s.objects, Duration: s.Size.Duration}
	if s.workload.size > 0 {
		l.Bytes = min(s.workload.size, 4*s.Size.Bytes) // small in a small run
	}
	if s.workload.dcmtk {
		files, err := s.files()
		if err != nil {
			return nil, err
		}
		l.Programs = programs{files: files, env: s.workload.env}
		if g.secure {
			l.Programs.args = s.pki.dcmtk(clientName)
		}
	}
	return l, nil
}

// patience is how long a round may take beyond what it should.
const patience = 60 * time.Second

// warm runs a small load, which also shows that the gateway works.
func (s *stage) warm(ctx context.Context, g *gateway, set Setting) error {
	l, err := s.load(g, set, 0)
	if err != nil {
		return err
	}
	l.Bytes, l.Count, l.Duration = min(l.Bytes, 64<<20), min(l.Count, 10), min(l.Duration, 100*time.Millisecond)
	_, err = s.visit(ctx, g, l)
	return err
}

// visit runs a load and checks that what was sent arrived.
func (s *stage) visit(ctx context.Context, g *gateway, l *Load) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, l.Duration+patience)
	defer cancel()
	if s.home != nil {
		g.sink.(*Sink).sends(&g.back)
	}
	before, began := lastID.Load(), time.Now()
	sample, err := s.workload.run(ctx, l)
	if err != nil {
		_, sinkErr := g.sink.Drain(ctx, 0)
		return sample, errors.Join(err, sinkErr, g.said())
	}
	if g.stores { // it has answered, and passes on when it likes
		err := s.lenient.Arrived(ctx, sample.Units)
		sample.Wall, sample.Latency = time.Since(began), nil
		return sample, err
	}
	arrived, err := g.sink.Drain(ctx, sample.Units)
	if err == nil && s.home != nil {
		arrived, err = s.home.Drain(ctx, sample.Units)
	}
	if err != nil {
		return sample, errors.Join(err, g.said())
	}
	return sample, s.account(sample, arrived, before)
}

// said is what a gateway's processes printed.
func (g *gateway) said() error {
	var errs []error
	for _, p := range g.processes {
		if text := p.output.String(); text != "" {
			errs = append(errs, errors.New(text))
		}
	}
	return errors.Join(errs...)
}

// account compares what was sent with what arrived: how many units, and the sum and the exclusive
// or of their control IDs.
func (s *stage) account(sent Sample, arrived Tally, before int64) error {
	if arrived.Units == unknown {
		return nil
	}
	if sent.Units != arrived.Units {
		return fmt.Errorf("%d units were sent and acknowledged, %d arrived", sent.Units, arrived.Units)
	}
	if s.workload.Protocol != "hl7" {
		return nil
	}
	var want Tally
	for id := before + 1; id <= lastID.Load(); id++ {
		want.Sum, want.Xor = want.Sum+firstID+id, want.Xor^(firstID+id)
	}
	if want.Sum != arrived.Sum || want.Xor != arrived.Xor {
		return errors.New("the control IDs that arrived are not those that were sent")
	}
	return nil
}

// pids are the processes of a gateway as they are now.
func (g *gateway) pids() (all []int) {
	for _, p := range g.processes {
		all = append(all, family(p.cmd.Process.Pid)...)
	}
	return all
}

// measure runs one round.
func (s *stage) measure(ctx context.Context, g *gateway, c *Cell) error {
	pids := g.pids()
	before := used(pids)
	l, err := s.load(g, c.Setting, c.Rate)
	if err != nil {
		return err
	}
	sample, err := s.visit(ctx, g, l)
	if err != nil {
		return err
	}
	after := measure(pids)
	if !g.direct() {
		s.cost(c, sample, after.cpu-before)
		c.put("peak", "MiB", float64(after.peak)/(1<<20))
	}
	if c.Loop == "closed" {
		s.speed(c, sample)
	}
	if sample.Latency != nil && sample.Units > 1 {
		c.put("p50", "µs", sample.Latency.at(0.5))
		c.put("p99", "µs", sample.Latency.at(0.99))
		c.put("p99.9", "µs", sample.Latency.at(0.999))
	}
	return nil
}

// cost puts the processor time of a round, per unit.
func (s *stage) cost(c *Cell, sample Sample, cpu time.Duration) {
	if s.workload.Unit == "GiB" {
		c.put("cpu", "s/GiB", cpu.Seconds()/(float64(sample.Bytes)/(1<<30)))
		return
	}
	c.put("cpu", "µs/"+s.workload.Unit, float64(cpu.Microseconds())/float64(sample.Units))
}

func (s *stage) speed(c *Cell, sample Sample) {
	if s.workload.Unit == "GiB" || s.workload.Unit == "object" {
		c.put("throughput", "MB/s", float64(sample.Bytes)/1e6/sample.Wall.Seconds())
		return
	}
	c.put("throughput", s.workload.Unit+"s/s", float64(sample.Units)/sample.Wall.Seconds())
}

// resident measures the memory of idle connections: what their number adds to that of one.
func (s *stage) resident(ctx context.Context, g *gateway, c *Cell) error {
	one, err := s.load(g, c.Setting, 0)
	if err != nil {
		return err
	}
	one.Connections = 1
	var base int64
	one.Holding = func() { base = measure(g.pids()).resident }
	if _, err := s.visit(ctx, g, one); err != nil {
		return err
	}
	l, err := s.load(g, c.Setting, 0)
	if err != nil {
		return err
	}
	var held int64
	l.Holding = func() { held = settled(g.pids()) }
	if _, err := s.visit(ctx, g, l); err != nil {
		return err
	}
	c.put("memory", "KiB", float64(held-base)/1024/float64(c.Connections))
	return nil
}

// settled reads the resident memory once it has stopped falling: garbage of the handshakes is
// given back within a few seconds, and is no cost of an idle connection.
func settled(pids []int) int64 {
	const (
		pause = 500 * time.Millisecond
		most  = 20 // pauses
		calm  = 5  // pauses without a fall of one percent
	)
	least, quiet := measure(pids).resident, 0
	for i := 0; i < most && quiet < calm; i++ {
		time.Sleep(pause)
		now := measure(pids).resident
		if quiet++; now < least-least/100 {
			quiet = 0
		}
		least = min(least, now)
	}
	return least
}
