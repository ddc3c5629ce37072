package plain_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"cordon/tunnels"
	"cordon/tunnels/plain"
	"cordon/tunnels/tunneltest"
)

func pair(t *testing.T) (a, b tunneltest.Conn) {
	t.Helper()
	var tunnel plain.Tunnel
	l, err := tunnel.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := tunnel.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*plain.Conn), s.(*plain.Conn)
}

func TestConn(t *testing.T) { tunneltest.TestConn(t, pair) }

// waiter is a memory that tells when it is given back.
type waiter struct {
	buf  [100]byte
	back chan struct{}
}

func (w *waiter) Get() []byte { return w.buf[:] }
func (w *waiter) Put() {
	select {
	case w.back <- struct{}{}:
	default:
	}
}

func TestWaitingHoldsNoMemory(t *testing.T) {
	a, b := pair(t)
	w := &waiter{back: make(chan struct{}, 1)}
	read := make(chan int, 1)
	go func() {
		n, _ := a.ReadLazy(w)
		read <- n
	}()
	select {
	case <-w.back:
	case n := <-read:
		t.Fatalf("read %d bytes of nothing", n)
	}
	if _, err := b.Write([]byte("now")); err != nil {
		t.Fatal(err)
	}
	if n := <-read; string(w.buf[:n]) != "now" {
		t.Errorf("got %q", w.buf[:n])
	}
}

func TestPlainProvesNothing(t *testing.T) {
	a, b := pair(t)
	for _, c := range []tunneltest.Conn{a, b} {
		if err := c.Handshake(t.Context()); err != nil {
			t.Error(err)
		}
		if p := c.Peer(); p.Names != nil || p.Fingerprint != "" {
			t.Errorf("proves %+v", p)
		}
	}
}

func TestSocketOptions(t *testing.T) {
	a, b := pair(t)
	for _, c := range []tunneltest.Conn{a, b} {
		raw, err := c.(*plain.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			for name, opt := range map[string][2]int{
				"TCP_NODELAY":  {syscall.IPPROTO_TCP, syscall.TCP_NODELAY},
				"SO_KEEPALIVE": {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
			} {
				if on, err := syscall.GetsockoptInt(int(fd), opt[0], opt[1]); err != nil || on == 0 {
					t.Errorf("%s is %d, %v", name, on, err)
				}
			}
		})
	}
}

func TestDialSaysWhatItTried(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = (&plain.Tunnel{}).Dial(t.Context(), address)
	if !errors.Is(err, tunnels.ErrUnreachable) || !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = (&plain.Tunnel{}).Dial(ctx, address); !errors.Is(err, tunnels.ErrUnreachable) {
		t.Errorf("given up: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := (&plain.Tunnel{Name: "plain/lan"}).Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = (&plain.Tunnel{Name: "plain/lan"}).Listen(t.Context(), l.Addr().String())
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "plain/lan") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}
