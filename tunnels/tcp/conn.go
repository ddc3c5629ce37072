//go:build unix

// Package tcp is the TCP connection that tunnels stand on. It adds to net.TCPConn what a pump
// wants of a socket: to wait for something to read without holding a buffer for it, to write
// without waiting, and to reset.
package tcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cordon/tunnels"
)

// keepAlive finds a peer that vanished without a FIN within about a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// Conn is a TCP connection with TCP_NODELAY on and keep-alive. It is a tunnels.Lazy.
type Conn struct {
	*net.TCPConn
	raw syscall.RawConn

	reading sync.Mutex
	in      attempt[tunnels.Memory]
	writing sync.Mutex
	out     attempt[[]byte]

	// The functions that the runtime calls with the descriptor, made once so that waiting,
	// reading and writing allocate nothing.
	read, write func(fd uintptr) bool
}

// attempt is one system call that does not wait: what it is given and what came of it.
type attempt[T any] struct {
	given T
	n     int
	err   error
}

// Dial connects to an address. An error wraps tunnels.ErrUnreachable and says what was tried.
func Dial(ctx context.Context, address string) (*Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tunnels.ErrUnreachable, err)
	}
	return New(c.(*net.TCPConn))
}

// Listen hears on an address; AcceptTCP of what it returns is for New.
func Listen(ctx context.Context, address string) (*net.TCPListener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// New takes over a connection that was dialled or accepted.
func New(c *net.TCPConn) (*Conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		c.Close()
		return nil, err
	}
	t := &Conn{TCPConn: c, raw: raw}
	t.read, t.write = t.readWhenThere, t.writeNow
	return t, nil
}

// ReadLazy is Read into memory that is asked for when there is something to read. When there is,
// it is one system call, and one more when there was not at first.
func (c *Conn) ReadLazy(m tunnels.Memory) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.in.given = m
	err := c.raw.Read(c.read)
	n, tried := c.in.n, c.in.err
	c.in = attempt[tunnels.Memory]{}
	if err != nil {
		return 0, err
	}
	return n, c.explain("read", tried)
}

// TryWrite writes what the socket takes now, in one attempt.
func (c *Conn) TryWrite(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out.given = b
	err := c.raw.Write(c.write)
	n, tried := c.out.n, c.out.err
	c.out = attempt[[]byte]{}
	if err != nil {
		return 0, err
	}
	return n, c.explain("write", tried)
}

// Reset discards what was not sent and resets the connection.
func (c *Conn) Reset() error {
	c.SetLinger(0) // fails only when the connection is gone already
	return c.Close()
}

// QuickAck has received bytes acknowledged at once.
func (c *Conn) QuickAck() { c.raw.Control(quickAck) }

func quickAck(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }

// Broken tells whether the connection was reset, without taking the error off the socket.
func (c *Conn) Broken() (broken bool) {
	c.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		broken = err == nil && n > 0 && p[0].Revents&unix.POLLERR != 0
	})
	return broken
}

// explain gives an error of a system call the form that package net gives it.
func (c *Conn) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

// readWhenThere reads once. It returns false when nothing was there, and is then called again
// when something is.
func (c *Conn) readWhenThere(fd uintptr) bool {
	n, err := retry(syscall.Read, fd, c.in.given.Get())
	if n > 0 {
		c.in.n = n
		return true
	}
	c.in.given.Put()
	switch err {
	case syscall.EAGAIN:
		return false
	case nil:
		err = io.EOF
	}
	c.in.err = err
	return true
}

func (c *Conn) writeNow(fd uintptr) bool {
	n, err := retry(syscall.Write, fd, c.out.given)
	c.out.n, c.out.err = max(n, 0), err
	return true
}

// retry repeats a system call that a signal interrupted.
func retry(call func(int, []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		n, err := call(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
