package bench

import (
	"context"
	"crypto/tls"
	"net"
)

// Target is where a load connects to.
type Target struct {
	Address string
	TLS     *tls.Config // nil: plaintext
}

// Dial connects, with the handshake completed. The connection may be used as long as ctx: a
// gateway that hangs must not hang the bench.
func (t Target) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		c.SetDeadline(end)
	}
	if t.TLS == nil {
		return c, nil
	}
	g := newGathered(c, func(c net.Conn) *tls.Conn { return tls.Client(c, t.TLS) })
	if err := g.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return g, nil
}

// gathered is a TLS connection that makes one system call of each Write, however many records it
// takes, and reads as much as there is. It keeps load and sink from being what is measured.
type gathered struct {
	*tls.Conn
	socket *gatherer
}

func newGathered(c net.Conn, over func(net.Conn) *tls.Conn) *gathered {
	g := &gatherer{Conn: c}
	return &gathered{over(g), g}
}

func (g *gathered) Write(b []byte) (int, error) {
	g.socket.hold = true
	n, err := g.Conn.Write(b)
	g.socket.hold = false
	if flushErr := g.socket.flush(); err == nil {
		err = flushErr
	}
	return n, err
}

// gatherer holds back records until their Write is complete, and reads ahead once a connection
// has shown that it carries bulk.
type gatherer struct {
	net.Conn
	hold bool
	out  []byte
	in   []byte // read ahead and not asked for yet
	buf  []byte
	full int // reads in a row that filled what was asked for
}

const (
	gatherSize = 256 << 10
	keepsBusy  = 8 // reads in a row after which a connection gets a buffer
)

func (g *gatherer) Write(b []byte) (int, error) {
	if !g.hold {
		return g.Conn.Write(b)
	}
	g.out = append(g.out, b...)
	if len(g.out) >= gatherSize {
		return len(b), g.flush()
	}
	return len(b), nil
}

func (g *gatherer) flush() error {
	if len(g.out) == 0 {
		return nil
	}
	_, err := g.Conn.Write(g.out)
	g.out = g.out[:0]
	return err
}

func (g *gatherer) Read(b []byte) (int, error) {
	if g.buf == nil {
		n, err := g.Conn.Read(b)
		if n < len(b) {
			g.full = 0
		} else if g.full++; g.full >= keepsBusy {
			g.buf = make([]byte, gatherSize)
		}
		return n, err
	}
	if len(g.in) == 0 {
		n, err := g.Conn.Read(g.buf)
		if n == 0 {
			return 0, err
		}
		g.in = g.buf[:n]
	}
	n := copy(b, g.in)
	g.in = g.in[n:]
	return n, nil
}
