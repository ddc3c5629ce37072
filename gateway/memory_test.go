package gateway

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"cordon/tunnels"
)

// pipe makes two ends of a connection in memory that behaves like TCP: it buffers up to size
// bytes each way, half-closes, resets and honours deadlines. All waiting is on sync.Cond, so
// that testing/synctest can see it.
func pipe(size int) (a, b *memConn) {
	p := &memPipe{}
	p.cond.L = &p.mu
	for i := range p.ends {
		p.ends[i].limit = size
	}
	return &memConn{p: p, me: 0}, &memConn{p: p, me: 1}
}

type memPipe struct {
	mu    sync.Mutex
	cond  sync.Cond
	ends  [2]memEnd
	reset bool
}

// memEnd is what one end has sent and the other has not read.
type memEnd struct {
	limit    int
	buf      []byte
	finished bool // FIN sent
	closed   bool
	readBy   time.Time
	writeBy  time.Time
}

type memConn struct {
	p     *memPipe
	me    int
	reset bool // a reset was read: a socket says it once, then it is at its end
}

var _ tunnels.Conn = (*memConn)(nil)

func (c *memConn) own() *memEnd   { return &c.p.ends[c.me] }
func (c *memConn) other() *memEnd { return &c.p.ends[1-c.me] }

func (c *memConn) Read(b []byte) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for {
		from := c.other()
		switch {
		case c.own().closed:
			return 0, net.ErrClosed
		case len(from.buf) > 0:
			n := copy(b, from.buf)
			from.buf = from.buf[n:]
			c.p.cond.Broadcast()
			return n, nil
		case c.p.reset && !c.reset:
			c.reset = true
			return 0, syscall.ECONNRESET
		case c.p.reset || from.finished || from.closed:
			return 0, io.EOF
		case past(c.own().readBy):
			return 0, os.ErrDeadlineExceeded
		}
		c.p.cond.Wait()
	}
}

func (c *memConn) Write(b []byte) (n int, err error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for len(b) > 0 {
		me := c.own()
		switch room := me.limit - len(me.buf); {
		case me.closed || me.finished:
			return n, net.ErrClosed
		case c.p.reset, c.other().closed:
			return n, syscall.EPIPE
		case past(me.writeBy):
			return n, os.ErrDeadlineExceeded
		case room > 0:
			k := min(room, len(b))
			me.buf = append(me.buf, b[:k]...)
			b, n = b[k:], n+k
			c.p.cond.Broadcast()
			continue
		}
		c.p.cond.Wait()
	}
	return n, nil
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (c *memConn) change(f func()) error {
	c.p.mu.Lock()
	f()
	c.p.mu.Unlock()
	c.p.cond.Broadcast()
	return nil
}

func (c *memConn) CloseWrite() error { return c.change(func() { c.own().finished = true }) }
func (c *memConn) Close() error      { return c.change(func() { c.own().closed = true }) }

func (c *memConn) Reset() error {
	return c.change(func() {
		if !c.own().closed {
			c.own().closed, c.p.reset = true, true
			c.own().buf = nil
		}
	})
}

func (c *memConn) QuickAck() {}

func (c *memConn) Broken() bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.p.reset
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.change(func() { c.own().readBy = t })
	c.wake(t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.change(func() { c.own().writeBy = t })
	c.wake(t)
	return nil
}

func (c *memConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *memConn) wake(t time.Time) {
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), c.p.cond.Broadcast)
	}
}

func (c *memConn) Handshake(context.Context) error { return nil }
func (c *memConn) Peer() tunnels.Peer              { return tunnels.Peer{} }
func (c *memConn) LocalAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 104} }
func (c *memConn) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5000} }
