package bench

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// slow answers after a while.
type slow struct {
	takes time.Duration
	sent  int
	fails int // the exchange that fails; 0: none
}

func (s *slow) send() (int, error) { s.sent++; return 10, nil }
func (s *slow) await() error {
	time.Sleep(s.takes)
	if s.sent == s.fails {
		return errors.New("reset")
	}
	return nil
}
func (s *slow) close() error { return nil }

// A gateway that stalls once does not get fewer requests for it: those that were due meanwhile
// count with the time that they waited.
func TestOpenLoopCountsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: 10 * time.Millisecond}
		a := newArrivals(s)
		ended := make(chan error)
		go func() { ended <- a.run() }()
		now := time.Now()
		for range 4 { // all due at once
			a.arrive(now)
		}
		a.stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if a.sample.Units != 4 || a.sample.Bytes != 40 {
			t.Errorf("%+v", a.sample)
		}
		for i, q := range []float64{0.25, 0.5, 0.75, 1} {
			want := float64(i+1) * 10_000
			if got := a.sample.Latency.at(q); got < want*0.99 || got > want*1.01 {
				t.Errorf("request %d took %v µs, not %v", i+1, got, want)
			}
		}
	})
}

func TestOpenLoopSendsAtItsRate(t *testing.T) {
	conns := []exchanger{&slow{}, &slow{}, &slow{}}
	s, err := openLoop(conns, &Load{Rate: 3000, Duration: 20 * time.Millisecond})
	if err != nil || s.Units != 60 {
		t.Errorf("%d requests, %v", s.Units, err)
	}
	if _, err := openLoop([]exchanger{&slow{fails: 2}, &slow{}}, &Load{Rate: 3000, Duration: 20 * time.Millisecond}); err == nil {
		t.Error("a failed exchange goes unnoticed")
	}
}

func TestClosedLoopReportsFailures(t *testing.T) {
	if _, err := closedLoop([]exchanger{&slow{fails: 3}}, &Load{Duration: time.Minute}); err == nil {
		t.Error("a failed exchange goes unnoticed")
	}
}

func TestRelayPassesBytesAndEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		io.Copy(c, c)
		c.Close()
	}()
	r, err := newRelay(ln.Addr().String(), 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	c, err := net.Dial("tcp", r.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const size = 3 << 20
	go func() {
		c.Write(make([]byte, size))
		c.(*net.TCPConn).CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, c); err != nil || n != size {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}
