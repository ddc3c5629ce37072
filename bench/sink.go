package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Tally is what arrived at a sink.
type Tally struct {
	Units int64 // messages, objects
	Bytes int64
	// Control IDs, so that none that was sent can be missing, and none come twice, unnoticed.
	Sum, Xor int64

	arrived *atomic.Int64 // objects of all connections, as they arrive; nil where nobody asks
	home    *Target       // where objects of a C-MOVE go; nil where none do
	ids     *ledger       // control IDs of all connections one by one; nil where nobody asks
}

// object counts an object.
func (t *Tally) object() {
	t.Units++
	if t.arrived != nil {
		t.arrived.Add(1)
	}
}

// message counts a message by its control ID.
func (t *Tally) message(id []byte) {
	n, _ := strconv.ParseInt(string(id), 10, 64)
	t.Units, t.Sum, t.Xor = t.Units+1, t.Sum+n, t.Xor^n
	if t.ids != nil {
		t.ids.arrive(n)
	}
}

func (t *Tally) add(o *Tally) {
	t.Units, t.Bytes, t.Sum, t.Xor = t.Units+o.Units, t.Bytes+o.Bytes, t.Sum+o.Sum, t.Xor^o.Xor
}

// receiver is what stands behind the gateways.
type receiver interface {
	Address() string
	// Drain waits until so many units have arrived and no connection is left, and takes what they
	// brought.
	Drain(ctx context.Context, units int64) (Tally, error)
	Close() error
}

// Sink serves a workload on one address.
type Sink struct {
	ln    net.Listener
	tls   *tls.Config
	serve func(net.Conn, *Tally) error

	mu     sync.Mutex
	ended  *sync.Cond
	live   map[net.Conn]struct{}
	tally  Tally
	home   *Target // where objects of a C-MOVE go
	count  atomic.Int64
	failed error // of the first connection that did not end well
}

// NewSink hears on an address; cfg is nil for plaintext.
func NewSink(address string, cfg *tls.Config, w *Workload) (*Sink, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Sink{ln: ln, tls: cfg, serve: w.serve, live: map[net.Conn]struct{}{}}
	s.ended = sync.NewCond(&s.mu)
	go s.accept()
	return s, nil
}

// Address is where the sink hears.
func (s *Sink) Address() string { return s.ln.Addr().String() }

func (s *Sink) accept() {
	for {
		c, err := s.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // out of descriptors: connections that end make room
			continue
		}
		s.mu.Lock()
		s.live[c] = struct{}{}
		s.mu.Unlock()
		go s.handle(c)
	}
}

func (s *Sink) handle(c net.Conn) {
	s.mu.Lock()
	t := Tally{arrived: &s.count, home: s.home}
	s.mu.Unlock()
	err := s.run(c, &t)
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, c)
	s.tally.add(&t)
	if err != nil && s.failed == nil {
		s.failed = err
	}
	if len(s.live) == 0 {
		s.ended.Broadcast()
	}
}

func (s *Sink) run(c net.Conn, t *Tally) error {
	if s.tls == nil {
		return s.serve(c, t)
	}
	g := newGathered(c, func(c net.Conn) *tls.Conn { return tls.Server(c, s.tls) })
	if err := g.Handshake(); err != nil {
		return fmt.Errorf("handshake with the sink: %w", err)
	}
	return errors.Join(s.serve(g, t), g.Close())
}

// Drain waits until so many units have arrived and no connection is left, and takes what they
// brought. When ctx ends, connections that are still there are cut.
func (s *Sink) Drain(ctx context.Context, units int64) (Tally, error) {
	stop := context.AfterFunc(ctx, func() {
		s.cut()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.live) > 0 || s.tally.Units < units && s.failed == nil && ctx.Err() == nil {
		s.ended.Wait()
	}
	t, err := s.tally, s.failed
	s.tally, s.failed = Tally{}, nil
	return t, err
}

// Arrived waits until so many objects have arrived, whether or not their connections stay open.
func (s *Sink) Arrived(ctx context.Context, units int64) error {
	for s.count.Load() < units {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d objects arrived: %w", s.count.Load(), units, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	s.count.Add(-units)
	return nil
}

// sends says where objects of a C-MOVE go that is asked for from now on.
func (s *Sink) sends(home *Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.home = home
}

func (s *Sink) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.live {
		c.Close()
	}
}

// Close stops hearing and ends all connections.
func (s *Sink) Close() error {
	err := s.ln.Close()
	s.cut()
	return err
}
