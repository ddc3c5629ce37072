package bench

import (
	"errors"
	"io"
	"net"
	"time"
)

// relay stands between a gateway and its sink and delays what passes, half of the round trip each
// way. It knows nothing of packets: it delays, and neither loses nor reorders.
type relay struct {
	ln     net.Listener
	target string
	delay  time.Duration
}

func newRelay(target string, rtt time.Duration) (*relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{ln, target, rtt / 2}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.handle(c)
		}
	}()
	return r, nil
}

func (r *relay) handle(near net.Conn) {
	time.Sleep(r.delay) // the SYN's way
	far, err := net.Dial("tcp", r.target)
	if err != nil {
		near.Close()
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); r.pass(far, near) }()
	r.pass(near, far)
	<-done
	near.Close()
	far.Close()
}

// piece is what one read brought, and when it is due.
type piece struct {
	b   []byte
	due time.Time
}

// pass moves bytes until an end, and passes on the end. What is under way is bounded, as a path's
// window is.
func (r *relay) pass(from, to net.Conn) {
	const window, most = 64, 256 << 10
	free, under := make(chan []byte, window), make(chan piece, window)
	for range window {
		free <- nil
	}
	go func() {
		defer close(under)
		for b := range free {
			if b == nil {
				b = make([]byte, most)
			}
			n, err := from.Read(b[:most])
			if n > 0 {
				under <- piece{b[:n], time.Now().Add(r.delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range under {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.b); err != nil {
			from.Close()
		}
		free <- p.b
	}
	time.Sleep(r.delay)
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		if err := c.CloseWrite(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			to.Close()
		}
	}
}

func (r *relay) close() error { return r.ln.Close() }
