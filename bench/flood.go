package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	control "cordon/gateway"
)

// FloodOptions say how large a flood is, and what is transferred beside it.
type FloodOptions struct {
	Self     string  // the cordon program
	HalfOpen int     // TLS handshakes that are begun and not finished, held at a time
	Idle     int     // connections that say nothing, held at a time
	Rate     float64 // new ones a second, each in the place of the oldest of its kind
	Rounds   int     // with the flood, and as many without, in turn
	Bytes    int64   // of each transfer
	Progress io.Writer
}

// Flood is what a transfer loses to a flood beside it, and what the flood holds.
type Flood struct {
	HalfOpen int     `json:"half_open"`
	Idle     int     `json:"idle"`
	Rate     float64 `json:"rate"`
	Rounds   int     `json:"rounds"`
	Bytes    int64   `json:"bytes"`
	Machine  Machine `json:"machine"`

	Throughput Beside `json:"throughput"` // MB/s
	CPU        Beside `json:"cpu"`        // s/GiB of the gateway, what the flood costs it included

	PeakBefore float64 `json:"peak_before_mib"` // of the gateway, before the first flood
	Peak       float64 `json:"peak_mib"`        // with the flood
	Handshakes int     `json:"handshakes"`      // most that the gateway held
	Sessions   int     `json:"sessions"`        // most that it held, silent connections among them
	// Refused are the connections that were closed unread, by reason.
	Refused map[string]uint64 `json:"refused"`
	Opened  int64             `json:"opened"`        // by the flood
	Flooder float64           `json:"flooder_cores"` // of the machine, that renewing takes
}

// Beside is a figure without and with a flood.
type Beside struct {
	Without []float64 `json:"without"` // rounds
	With    []float64 `json:"with"`
	Ratio   Interval  `json:"ratio"` // with over without
}

// compare sums up the rounds.
func (b *Beside) compare(moreIsBetter bool) { b.Ratio = ratio(b.With, b.Without, moreIsBetter) }

// flooding is a run.
type flooding struct {
	FloodOptions
	load    *Workload
	sink    *Sink
	process *process
	pids    []int
	target  Target
	control control.Client
	swarms  []*swarm
	result  *Flood
}

// RunFlood measures a transfer without and with a flood beside it, in turn.
func RunFlood(ctx context.Context, o FloodOptions) (*Flood, error) {
	if o.Rounds < 1 || o.HalfOpen < 0 || o.Idle < 0 || o.Rate < 0 || o.Bytes < 1 {
		return nil, errors.New("a flood has at least one round, bytes to transfer, and no negative numbers")
	}
	dir, err := os.MkdirTemp("", "cordon-flood-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	f := &flooding{FloodOptions: o, load: Find("dicom-bulk"), result: &Flood{HalfOpen: o.HalfOpen, Idle: o.Idle, Rate: o.Rate,
		Rounds: o.Rounds, Bytes: o.Bytes, Machine: thisMachine(), Refused: map[string]uint64{}}}
	if err := f.begin(ctx, dir); err != nil {
		return nil, err
	}
	defer f.end()
	for round := range o.Rounds {
		if err := f.round(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("round %d: %w", round+1, err), errors.New(f.process.output.String()))
		}
		r := f.result
		fmt.Fprintf(o.Progress, "round %d/%d: without %.0f MB/s, %.3f s/GiB; with %.0f MB/s, %.3f s/GiB\n", round+1, o.Rounds,
			r.Throughput.Without[round], r.CPU.Without[round], r.Throughput.With[round], r.CPU.With[round])
	}
	f.result.Throughput.compare(true)
	f.result.CPU.compare(false)
	return f.result, nil
}

// begin starts sink and gateway.
func (f *flooding) begin(ctx context.Context, dir string) error {
	pki, err := newPKI(dir)
	if err != nil {
		return err
	}
	cfg, err := pki.tlsConfig(serverName, false)
	if err != nil {
		return err
	}
	if f.sink, err = NewSink("127.0.0.1:0", cfg, f.load); err != nil {
		return err
	}
	h := Hop{Program: f.Self, Role: Client, Listen: freeAddress(), Target: f.sink.Address(), Workload: f.load, Dir: filepath.Join(dir, "g"),
		CA: pki.ca(), Cert: pki.cert(clientName), Key: pki.key(clientName)}
	remote := freeAddress()
	if err := os.Mkdir(h.Dir, 0o700); err != nil {
		return err
	}
	if f.process, err = start(ctx, h, floodForm(h, remote), nil); err != nil {
		f.sink.Close()
		return err
	}
	f.pids = family(f.process.cmd.Process.Pid)
	f.target, f.control = Target{Address: h.Listen}, control.Client{Socket: filepath.Join(h.Dir, "run", "cordon.sock")}
	f.swarms = []*swarm{
		newSwarm(netip.MustParseAddrPort(remote), loopback(firstStranger, strangers), halfHello(), f.HalfOpen),
		newSwarm(netip.MustParseAddrPort(h.Listen), loopback(firstIdler, idlers), nil, f.Idle),
	}
	_, _, err = f.transfer(ctx, min(f.Bytes, 64<<20)) // also shows that the gateway works
	return err
}

func (f *flooding) end() {
	for _, s := range f.swarms {
		s.close()
	}
	if err := f.process.stop(); err != nil {
		fmt.Fprintf(f.Progress, "stopping cordon: %v\n", err)
	}
	f.sink.Close()
}

// round measures once without and once with the flood.
func (f *flooding) round(ctx context.Context) error {
	r := f.result
	if err := f.measure(ctx, &r.Throughput.Without, &r.CPU.Without); err != nil {
		return err
	}
	if r.PeakBefore == 0 {
		r.PeakBefore = float64(measure(f.pids).peak) / (1 << 20)
	}
	for _, s := range f.swarms {
		if err := s.fill(); err != nil {
			return err
		}
	}
	if err := f.settle(ctx); err != nil {
		return err
	}
	stop := f.renew()
	err := f.measure(ctx, &r.Throughput.With, &r.CPU.With)
	err = errors.Join(err, stop(), f.look(ctx))
	r.Peak = float64(measure(f.pids).peak) / (1 << 20)
	for _, s := range f.swarms {
		s.close()
	}
	return errors.Join(err, f.calm(ctx))
}

// measure transfers once, and adds speed and cost to the rounds.
func (f *flooding) measure(ctx context.Context, speed, cost *[]float64) error {
	s, cpu, err := f.transfer(ctx, f.Bytes)
	*speed = append(*speed, float64(s.Bytes)/1e6/s.Wall.Seconds())
	*cost = append(*cost, cpu.Seconds()/(float64(s.Bytes)/(1<<30)))
	return err
}

// transfer sends one object through the gateway, and returns what processor time that took there.
func (f *flooding) transfer(ctx context.Context, bytes int64) (s Sample, cpu time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before := used(f.pids)
	if s, err = f.load.run(ctx, &Load{Target: f.target, Connections: 1, Bytes: bytes}); err != nil {
		return s, 0, err
	}
	arrived, err := f.sink.Drain(ctx, s.Units)
	if err == nil && arrived.Units != s.Units {
		err = fmt.Errorf("%d objects were sent, %d arrived", s.Units, arrived.Units)
	}
	return s, used(f.pids) - before, err
}

// renew has new connections of the flood arrive at their rate, of each kind as many as its share,
// until it is stopped.
func (f *flooding) renew() (stop func() error) {
	if f.Rate == 0 || f.HalfOpen+f.Idle == 0 {
		return func() error { return nil }
	}
	done, over := make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread() // its time is what the flooder takes
		defer runtime.UnlockOSThread()
		began, before := time.Now(), threadUsage()
		err := f.arrive(done, time.Duration(float64(time.Second)/f.Rate))
		f.result.Flooder = max(f.result.Flooder, (threadUsage()-before).Seconds()/time.Since(began).Seconds())
		over <- err
	}()
	return func() error {
		close(done)
		return <-over
	}
}

func (f *flooding) arrive(done <-chan struct{}, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-done:
			return nil
		case <-tick.C:
		}
		s := f.swarms[0]
		if n%(f.HalfOpen+f.Idle) >= f.HalfOpen {
			s = f.swarms[1]
		}
		if err := s.renew(); err != nil {
			return err
		}
	}
}

// look notes what the gateway holds and has refused.
func (f *flooding) look(ctx context.Context) error {
	st, err := f.control.Status(ctx)
	if err != nil {
		return err
	}
	r := f.result
	r.Handshakes, r.Sessions = max(r.Handshakes, st.Handshakes), max(r.Sessions, st.Connections)
	clear(r.Refused)
	for _, u := range st.Unknown {
		r.Refused[string(u.Reason)] += u.Count
	}
	r.Opened = 0
	for _, s := range f.swarms {
		r.Opened += s.opened
	}
	return nil
}

// settle waits until the gateway has taken or refused all that came: what is measured is a flood
// that is there, not its first moment.
func (f *flooding) settle(ctx context.Context) error {
	var last control.Status
	return f.until(ctx, "the flood is not taken", func(st control.Status) bool {
		same := st.Handshakes == last.Handshakes && st.Connections == last.Connections && slices.Equal(st.Unknown, last.Unknown)
		last = st
		return same
	})
}

// calm waits until the gateway holds nothing of the flood any more.
func (f *flooding) calm(ctx context.Context) error {
	return f.until(ctx, "the flood is not let go", func(st control.Status) bool { return st.Handshakes+st.Connections == 0 })
}

// until waits for a status.
func (f *flooding) until(ctx context.Context, otherwise string, is func(control.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		st, err := f.control.Status(ctx)
		if err != nil {
			return err
		}
		if is(st) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: the gateway has %d handshakes and %d connections", otherwise, st.Handshakes, st.Connections)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// WriteText writes the outcome for a terminal.
func (r *Flood) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%d half-open handshakes and %d idle connections held, %s new a second (%s cores for the flooder).
A transfer of %d MiB, %d times without the flood and with it, in turn.

             without  with   ratio
MB/s         %-7s  %-6s %s
CPU s/GiB    %-7s  %-6s %s
peak MiB     %-7s  %s

The gateway held at most %d handshakes and %d sessions. Of %d connections it closed unread:
`, r.HalfOpen, r.Idle, significant(r.Rate), significant(r.Flooder), r.Bytes>>20, r.Rounds,
		r.Throughput.without(true), r.Throughput.with(true), r.Throughput.Ratio.times(),
		r.CPU.without(false), r.CPU.with(false), r.CPU.Ratio.times(),
		significant(r.PeakBefore), significant(r.Peak), r.Handshakes, r.Sessions, r.Opened)
	for _, reason := range slices.Sorted(maps.Keys(r.Refused)) {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %s: %d\n", reason, r.Refused[reason])
		}
	}
	return err
}

func (b *Beside) without(more bool) string { return significant(summarize(b.Without, more).Fast) }
func (b *Beside) with(more bool) string    { return significant(summarize(b.With, more).Fast) }

func (q Interval) times() string { return fmt.Sprintf("×%.2f [%.2f–%.2f]", q.Value, q.Lo, q.Hi) }
