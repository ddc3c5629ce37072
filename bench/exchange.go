package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// exchanger is a connection on which requests and responses alternate.
type exchanger interface {
	send() (int, error) // the next request
	await() error       // its response
	close() error
}

type opener func(context.Context, *Load) (exchanger, error)

// exchange sends requests on a number of connections for a while: each after the response to the
// one before (closed loop), or, with a rate, at constant arrival (open loop).
func exchange(open opener) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (s Sample, err error) {
		conns, err := openAll(ctx, l, open)
		defer closeAll(conns)
		if err != nil {
			return s, err
		}
		if l.Rate > 0 {
			return openLoop(conns, l)
		}
		return closedLoop(conns, l)
	}
}

// openAll opens the connections of a load, a few at a time.
func openAll(ctx context.Context, l *Load, open opener) ([]exchanger, error) {
	conns := make([]exchanger, l.Connections)
	err := inParallel(min(l.Connections, 32), l.Connections, func(i int) (err error) {
		conns[i], err = open(ctx, l)
		return err
	})
	return conns, err
}

func closeAll(conns []exchanger) {
	inParallel(min(len(conns), 32), len(conns), func(i int) error {
		if conns[i] == nil {
			return nil
		}
		return conns[i].close()
	})
}

// inParallel calls do for 0 to n-1 on a number of goroutines, and returns the errors.
func inParallel(workers, n int, do func(int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func closedLoop(conns []exchanger, l *Load) (Sample, error) {
	parts := make([]Sample, len(conns))
	began := time.Now()
	until := began.Add(l.Duration)
	err := inParallel(len(conns), len(conns), func(i int) error {
		p := &parts[i]
		p.Latency = newHistogram()
		for sent := time.Now(); sent.Before(until); {
			n, err := conns[i].send()
			if err != nil {
				return err
			}
			if err := conns[i].await(); err != nil {
				return err
			}
			now := time.Now()
			p.Latency.record(now.Sub(sent))
			p.Units++
			p.Bytes += int64(n)
			sent = now
		}
		return nil
	})
	return merge(parts, time.Since(began)), err
}

func merge(parts []Sample, wall time.Duration) Sample {
	s := Sample{Wall: wall, Latency: newHistogram()}
	for _, p := range parts {
		s.Units, s.Bytes = s.Units+p.Units, s.Bytes+p.Bytes
		if p.Latency != nil {
			s.Latency.Merge(p.Latency.Histogram)
		}
	}
	return s
}

// arrivals is a connection of an open loop. Requests that come due while one is under way wait,
// and their waiting counts: a latency is measured from when the request was due, not from when it
// could be sent. That is what corrects for coordinated omission: a gateway that stalls does not
// get fewer requests for it.
type arrivals struct {
	exchanger
	mu      sync.Mutex
	due     []time.Time // those under way or waiting, the oldest first
	woken   *sync.Cond
	stopped bool
	err     error
	sample  Sample
}

func newArrivals(c exchanger) *arrivals {
	a := &arrivals{exchanger: c, sample: Sample{Latency: newHistogram()}}
	a.woken = sync.NewCond(&a.mu)
	return a
}

// arrive says that a request is due.
func (a *arrivals) arrive(at time.Time) {
	a.mu.Lock()
	a.due = append(a.due, at)
	if len(a.due) == 1 && a.err == nil {
		a.sendNow()
		a.woken.Signal()
	}
	a.mu.Unlock()
}

func (a *arrivals) sendNow() {
	n, err := a.send()
	a.sample.Bytes += int64(n)
	a.err = err
}

// run awaits responses until the connection is stopped and nothing is left.
func (a *arrivals) run() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		for len(a.due) == 0 && !a.stopped {
			a.woken.Wait()
		}
		if a.err != nil || len(a.due) == 0 {
			return a.err
		}
		a.mu.Unlock()
		err := a.await()
		now := time.Now()
		a.mu.Lock()
		if err != nil {
			a.err = err
			return err
		}
		a.sample.Latency.record(now.Sub(a.due[0]))
		a.sample.Units++
		if a.due = a.due[:copy(a.due, a.due[1:])]; len(a.due) > 0 {
			a.sendNow()
		}
	}
}

func (a *arrivals) stop() {
	a.mu.Lock()
	a.stopped = true
	a.woken.Signal()
	a.mu.Unlock()
}

func openLoop(conns []exchanger, l *Load) (Sample, error) {
	all := make([]*arrivals, len(conns))
	for i, c := range conns {
		all[i] = newArrivals(c)
	}
	began := time.Now()
	go pace(all, l.Rate, began, l.Duration)
	err := inParallel(len(all), len(all), func(i int) error { return all[i].run() })
	parts := make([]Sample, len(all))
	for i, a := range all {
		parts[i] = a.sample
	}
	return merge(parts, time.Since(began)), err
}

// pace has requests arrive at a constant rate, on one connection after the other. It sleeps by the
// kernel's clock on a thread of its own, since the runtime's timers are a millisecond coarse.
func pace(all []*arrivals, rate float64, began time.Time, duration time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0) // nanoseconds
	defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	total := int(rate * duration.Seconds())
	for k := range total {
		due := began.Add(time.Duration(float64(k) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			ts := unix.NsecToTimespec(int64(wait))
			unix.Nanosleep(&ts, nil)
		}
		all[k%len(all)].arrive(due)
	}
	for _, a := range all {
		a.stop()
	}
}

// connect opens connections, one exchange on each, on a number of workers for a while.
func connect(open opener) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (Sample, error) {
		parts := make([]Sample, l.Connections)
		began := time.Now()
		until := began.Add(l.Duration)
		err := inParallel(l.Connections, l.Connections, func(i int) error {
			p := &parts[i]
			p.Latency = newHistogram()
			for at := time.Now(); at.Before(until); at = time.Now() {
				n, err := once(ctx, l, open)
				if err != nil {
					return err
				}
				p.Latency.record(time.Since(at))
				p.Units++
				p.Bytes += int64(n)
			}
			return nil
		})
		return merge(parts, time.Since(began)), err
	}
}

func once(ctx context.Context, l *Load, open opener) (n int, err error) {
	c, err := open(ctx, l)
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	if n, err = c.send(); err == nil {
		err = c.await()
	}
	return n, errors.Join(err, c.close())
}

// openUsed opens the connections of a load and makes one exchange on each. It comes before the next
// is opened, so that only a few handshakes are under way at a time: what they need is no cost of an
// open connection.
func openUsed(ctx context.Context, l *Load, open opener) ([]exchanger, error) {
	conns := make([]exchanger, l.Connections)
	err := inParallel(min(len(conns), 16), len(conns), func(i int) (err error) {
		if conns[i], err = open(ctx, l); err != nil {
			return err
		}
		if _, err = conns[i].send(); err != nil {
			return err
		}
		return conns[i].await()
	})
	return conns, err
}

// bounded sends l.Count requests in a closed loop, over all connections together. What opening them
// took is not in the sample, but the one exchange on each is among its units.
func bounded(open opener) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (s Sample, err error) {
		conns, err := openUsed(ctx, l, open)
		defer closeAll(conns)
		if err != nil {
			return s, err
		}
		if l.Ready != nil {
			l.Ready()
		}
		var left atomic.Int64
		left.Store(int64(l.Count))
		took := make([][]time.Duration, len(conns)) // a histogram for each would be 150 kB
		began := time.Now()
		err = inParallel(len(conns), len(conns), func(i int) error {
			for left.Add(-1) >= 0 {
				sent := time.Now()
				if _, err := conns[i].send(); err != nil {
					return err
				}
				if err := conns[i].await(); err != nil {
					return err
				}
				took[i] = append(took[i], time.Since(sent))
			}
			return nil
		})
		s = Sample{Units: int64(l.Count + len(conns)), Wall: time.Since(began), Latency: newHistogram()}
		for _, one := range took {
			for _, d := range one {
				s.Latency.record(d)
			}
		}
		if err == nil && l.Holding != nil {
			l.Holding()
		}
		return s, err
	}
}

// idle opens connections, makes one exchange on each, and holds them while l.Holding runs.
func idle(open opener) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (s Sample, err error) {
		began := time.Now()
		conns, err := openUsed(ctx, l, open)
		defer closeAll(conns)
		s = Sample{Units: int64(len(conns)), Wall: time.Since(began)}
		if err == nil && l.Holding != nil {
			l.Holding()
		}
		return s, err
	}
}
