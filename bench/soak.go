package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// SoakOptions say how long a run is, and how often something changes meanwhile.
type SoakOptions struct {
	Self     string // the cordon program
	Version  string
	Duration time.Duration
	Every    time.Duration // between changes, of which each kind has its turn
	Sample   time.Duration // between looks at the gateway
	Command  string        // as it was typed, for the report
	Progress io.Writer
}

// soak is a long run.
//
//	mixed load ──▶ cordon ──▶ sinks
//	                 ▲
//	     policy files, certificates, the audit file: one of them changes every few seconds
type soak struct {
	SoakOptions
	pki      *pki
	site     site
	sinks    []*Sink
	lab      *Sink // of these, behind the device's messages,
	archive  *Sink // its images,
	near     *Sink // and the other device's messages
	device   *sightings
	box      *sightings
	ids      *ledger
	process  *process
	scraper  *scraper
	threads  []*thread
	result   *Soaked
	began    time.Time
	mu       sync.Mutex // guards the result while load runs, and what follows
	problems []*trouble
}

// Soak runs a mixed load through one gateway for a while, with reloads and certificate rotations,
// and reports whether anything was lost, reset or grew. What was not as it should be stands in the
// report's Problems; an error says that there is no report.
func Soak(ctx context.Context, o SoakOptions) (*Report, error) {
	if o.Duration <= 0 || o.Every <= 0 || o.Sample <= 0 {
		return nil, errors.New("a soak needs a duration, a time between changes and a time between looks; all above 0")
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	dir, err := os.MkdirTemp("", "cordon-soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &soak{SoakOptions: o, ids: newLedger(), began: time.Now(),
		result: &Soaked{Every: o.Every.Seconds(), Moments: []Moment{}, Changes: []Change{}, Growth: []Growth{}}}
	r := &Report{Started: time.Now(), Command: o.Command, Version: o.Version, Machine: thisMachine(), Soak: s.result,
		LeftOut: []string{}, Cells: []*Cell{}, Ratios: []Ratio{},
		Terms: "TLS 1.3, TLS_AES_128_GCM_SHA256, X25519, ECDSA P-256 certificates, both sides verified, sessions may be resumed"}
	defer s.close()
	if err := s.start(ctx, dir); err != nil {
		return nil, err
	}
	r.Peers = []Tested{{Name: Cordon, About: "both roles in one process; mode enforce, audit to a file, metrics on",
		Version: "cordon " + o.Version, Program: o.Self, Forms: map[string]Form{"both roles": s.site.form()}}}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	r.Seconds, r.Problems = time.Since(r.Started).Seconds(), s.told()
	return r, nil
}

func (s *soak) say(format string, args ...any) { fmt.Fprintf(s.Progress, format+"\n", args...) }

// run sends load for the duration and judges what came of it.
func (s *soak) run(ctx context.Context) error {
	if err := s.warm(ctx); err != nil {
		return fmt.Errorf("before the run: %w; the gateway says %q", err, s.process.output.String())
	}
	before, err := s.quiet(ctx, nil)
	if err != nil {
		return err
	}
	s.result.Before, s.began = before, time.Now()
	conns, end := context.WithTimeout(context.WithoutCancel(ctx), s.Duration+changeTime+patience)
	defer end()
	sending, stopSending := context.WithCancel(conns)
	defer stopSending()
	watching, stopWatching := context.WithCancel(conns)
	defer stopWatching()
	var senders, watcher sync.WaitGroup
	for _, t := range s.threads {
		senders.Go(func() { t.run(sending, conns) })
	}
	watcher.Go(func() { s.watch(watching) })
	s.change(ctx)
	stopSending()
	senders.Wait()
	stopWatching()
	watcher.Wait()
	s.result.Seconds = time.Since(s.began).Seconds()
	s.account()
	if s.result.After, err = s.quiet(context.WithoutCancel(ctx), &before); err != nil {
		s.problem("%v", err)
	}
	s.judge()
	return nil
}

// warm makes one visit of each kind that comes and goes. A gateway that does not work shows at once,
// and what is made on first use is there when goroutines are counted before the load.
func (s *soak) warm(ctx context.Context) error {
	for _, t := range s.threads {
		if t.connections > 0 {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, visitTime)
		sample, err := t.visit(t.ids)(limited, t.load)
		cancel()
		t.add(sample)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// change makes one change after the other until the duration is over, each kind once at least.
func (s *soak) change(ctx context.Context) {
	kinds := []struct {
		name string
		make func(context.Context) error
	}{{Reload, s.reload}, {Rotation, s.rotate}, {Reopening, s.reopen}}
	next := time.NewTicker(s.Every)
	defer next.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			s.problem("the run was interrupted; it was to take %s", s.Duration)
			return
		case <-s.process.exited:
			return
		case <-next.C:
		}
		if time.Since(s.began) >= s.Duration && i >= len(kinds) {
			return
		}
		limited, cancel := s.limited(ctx)
		k, began := kinds[i%len(kinds)], time.Now()
		if err := k.make(limited); err != nil && !s.ended() && ctx.Err() == nil {
			s.problem("%s: %v", k.name, err)
		}
		cancel()
		s.mu.Lock()
		s.result.Changes = append(s.result.Changes, Change{began.Sub(s.began).Seconds(), k.name, time.Since(began).Seconds()})
		s.mu.Unlock()
	}
}

// limited bounds a change by its time and by the life of the gateway.
func (s *soak) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	go func() {
		select {
		case <-s.process.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (s *soak) ended() bool {
	select {
	case <-s.process.exited:
		return true
	default:
		return false
	}
}

func (s *soak) reload(ctx context.Context) error {
	return s.site.reload(ctx, s.result.count(Reload)+1)
}

// rotate renews both of the gateway's certificates and waits until their peers are shown them.
func (s *soak) rotate(ctx context.Context) error {
	for _, who := range []struct {
		name  string
		shown *sightings
	}{{clientName, s.device}, {serverName, s.box}} {
		n, err := who.shown.renew(func() (string, error) { return s.pki.issue(who.name) })
		if err == nil {
			err = who.shown.await(ctx, n)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", who.name, err)
		}
	}
	return nil
}

// reopen moves the audit file away, as log rotation does, and waits until there is another.
func (s *soak) reopen(ctx context.Context) error {
	path := filepath.Join(s.site.dir, auditFile)
	if err := os.Rename(path, path+".1"); err != nil {
		return err
	}
	if err := s.process.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the audit file was moved and not opened anew: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// watch looks at the gateway until ctx ends, and tells now and then how it goes.
func (s *soak) watch(ctx context.Context) {
	tick := time.NewTicker(s.Sample)
	defer tick.Stop()
	told := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m, err := s.scraper.look(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.problem("%v", err)
			continue
		}
		m.At, m.Wait = time.Since(s.began).Seconds(), s.ids.longestWait().Seconds()*1000
		s.mu.Lock()
		s.result.Moments = append(s.result.Moments, m)
		changes, problems := len(s.result.Changes), len(s.problems)
		s.mu.Unlock()
		if time.Since(told) >= max(s.Duration/60, 5*time.Second) {
			told = time.Now()
			s.say("%s of %s: resident %.1f MiB, heap %.1f MiB, %.0f goroutines, %.0f files, %.0f units, %d changes, %d problems",
				time.Since(s.began).Round(time.Second), s.Duration, m.Resident, m.Heap, m.Goroutines, m.Files, m.Units, changes, problems)
		}
	}
}

// quietTime is how long the gateway may take until nothing is left of a load.
const quietTime = 20 * time.Second

func (s *soak) quiet(ctx context.Context, base *Moment) (Moment, error) {
	ctx, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	return s.scraper.quiet(ctx, base)
}

// account compares what was sent with what arrived.
func (s *soak) account() {
	ctx, cancel := context.WithTimeout(context.Background(), quietTime)
	defer cancel()
	var images Tally
	for _, sink := range s.sinks {
		t, err := sink.Drain(ctx, 0)
		if err != nil {
			s.problem("a connection did not end well at the far end: %v", err)
		}
		if sink == s.archive {
			images = t
		}
	}
	for _, t := range s.threads {
		s.result.Strands = append(s.result.Strands, t.ran())
		if t.dicom {
			s.result.DICOM.Sent += t.sample.Units
		}
	}
	s.result.DICOM.Arrived = images.Units
	s.result.Messages = s.ids.close()
}
