package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// strand is one kind of load of the mix. It holds connections open on which requests arrive in
// turn, or each arrival opens one of its own and ends it.
type strand struct {
	name, about string
	enter       func(*site) string // where it connects to
	secure      bool               // with mutual TLS
	connections int                // held open; 0: none
	rate        float64            // arrivals a second; 0: one exchange at the start and one at the end
	open        func(*ledger) opener
	visit       func(*ledger) func(context.Context, *Load) (Sample, error) // of those that come and go
	dicom       bool
}

func hl7Entry(s *site) string    { return s.hl7 }
func dicomEntry(s *site) string  { return s.dicom }
func secureEntry(s *site) string { return s.secure }

// studyObjects are the objects of a study, 0.525 MB each.
const studyObjects = 10

// strands are the mix: what a box in front of a department carries at the same time.
var strands = []strand{
	{name: "hl7-open", about: "messages of 300 bytes on open connections, sealed", enter: hl7Entry, connections: 16, rate: 400, open: accountedMessages},
	{name: "hl7-passing", about: "connections of three messages each, sealed", enter: hl7Entry, rate: 40, visit: several},
	{name: "hl7-secure", about: "messages of 300 bytes on open connections, opened", enter: secureEntry, secure: true, connections: 8, rate: 200, open: accountedMessages},
	{name: "hl7-secure-passing", about: "connections of three messages each, opened", enter: secureEntry, secure: true, rate: 20, visit: several},
	{name: "hl7-idle", about: "connections that say something at the start and at the end", enter: hl7Entry, connections: 50, open: accountedMessages},
	{name: "dicom-study", about: "associations with a study of 10 CT-like objects each", enter: dicomEntry, rate: 1, dicom: true,
		visit: func(*ledger) func(context.Context, *Load) (Sample, error) { return study(ctStudy) }},
	{name: "echo-open", about: "C-ECHO on open associations", enter: dicomEntry, connections: 4, rate: 50, dicom: true,
		open: func(*ledger) opener { return newEchoes }},
	{name: "echo-passing", about: "associations with one C-ECHO each", enter: dicomEntry, rate: 10, dicom: true,
		visit: func(*ledger) func(context.Context, *Load) (Sample, error) { return repeated(newEchoes, 1) }},
}

func accountedMessages(ids *ledger) opener {
	return func(ctx context.Context, l *Load) (exchanger, error) {
		conn, err := l.Target.Dial(ctx)
		if err != nil {
			return nil, err
		}
		return &accounted{messages: overMLLP(conn, 300), ids: ids}, nil
	}
}

func several(ids *ledger) func(context.Context, *Load) (Sample, error) {
	return repeated(accountedMessages(ids), 3)
}

// repeated opens a connection, makes n exchanges on it and ends it.
func repeated(open opener, n int) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (Sample, error) {
		s := Sample{Latency: newHistogram()}
		c, err := open(ctx, l)
		if err != nil {
			return s, fmt.Errorf("connect: %w", err)
		}
		for range n {
			if err = s.exchange(c); err != nil {
				break
			}
		}
		return s, errors.Join(err, c.close())
	}
}

// exchange makes one exchange and counts it.
func (s *Sample) exchange(c exchanger) error {
	sent := time.Now()
	n, err := c.send()
	if err == nil {
		err = c.await()
	}
	if err != nil {
		return err
	}
	s.Units, s.Bytes = s.Units+1, s.Bytes+int64(n)
	s.Latency.record(time.Since(sent))
	return nil
}

// visitTime is how long a connection that comes and goes may take.
const visitTime = 30 * time.Second

// thread is a strand under way.
type thread struct {
	*strand
	load *Load
	ids  *ledger
	fail func(error)

	mu     sync.Mutex
	sample Sample
}

func (t *thread) add(s Sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sample = merge([]Sample{t.sample, s}, 0)
}

// ran sums up.
func (t *thread) ran() StrandRan {
	r := StrandRan{Name: t.name, About: t.about, Connections: t.connections, Rate: t.rate, Units: t.sample.Units, Bytes: t.sample.Bytes}
	if h := t.sample.Latency; h != nil && t.sample.Units > 0 {
		r.P50, r.P99, r.Most = h.at(0.5), h.at(0.99), h.at(1)
	}
	return r
}

// run sends until ctx ends, then ends what it holds in good order. conns bounds the connections.
func (t *thread) run(ctx, conns context.Context) {
	if t.connections == 0 {
		t.passing(ctx, conns)
		return
	}
	t.load.Connections = t.connections
	held, err := openAll(conns, t.load, t.open(t.ids))
	if err != nil {
		closeAll(held)
		t.fail(err)
		return
	}
	if t.rate == 0 {
		t.idle(ctx, held)
	} else {
		t.arrivals(ctx, held)
	}
	for _, c := range held {
		if err := c.close(); err != nil {
			t.fail(err)
		}
	}
}

// passing opens a connection for each arrival.
func (t *thread) passing(ctx, conns context.Context) {
	var under sync.WaitGroup
	visit := t.visit(t.ids)
	every(ctx, t.rate, func(int) {
		under.Go(func() {
			limited, cancel := context.WithTimeout(conns, visitTime)
			defer cancel()
			s, err := visit(limited, t.load)
			t.add(s)
			if err != nil {
				t.fail(err)
			}
		})
	})
	under.Wait()
}

// arrivals has requests arrive on connections in turn.
func (t *thread) arrivals(ctx context.Context, held []exchanger) {
	all := make([]*arrivals, len(held))
	var under sync.WaitGroup
	for i, c := range held {
		all[i] = newArrivals(c)
		under.Go(func() {
			if err := all[i].run(); err != nil {
				t.fail(err)
			}
		})
	}
	// From when the load is ready to send: its timers, which are coarse, are not the gateway's.
	every(ctx, t.rate, func(k int) { all[k%len(all)].arrive(time.Now()) })
	for _, a := range all {
		a.stop()
	}
	under.Wait()
	for _, a := range all {
		t.add(a.sample)
	}
}

// idle makes one exchange on each connection, holds them, and makes another: they are still there.
func (t *thread) idle(ctx context.Context, held []exchanger) {
	once := func() {
		s := Sample{Latency: newHistogram()}
		for _, c := range held {
			if err := s.exchange(c); err != nil {
				t.fail(err)
			}
		}
		t.add(s)
	}
	once()
	<-ctx.Done()
	once()
}

// every calls do at a constant rate until ctx ends, with how often it was called before. It does
// not skip what it is late with.
func every(ctx context.Context, rate float64, do func(k int)) {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := 0; ; k++ {
		due := began.Add(time.Duration(float64(k) / rate * float64(time.Second)))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			do(k)
		}
	}
}
