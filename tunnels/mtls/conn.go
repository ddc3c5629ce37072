package mtls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cordon/tunnels"
	"cordon/tunnels/identity"
)

// errCut is what Read returns for a FIN without a close_notify before it: whoever sits on the
// path could have sent it (RFC 8446 §6.1).
var errCut = fmt.Errorf("connection cut without a TLS close_notify: %w", io.ErrUnexpectedEOF)

// Conn is a TLS connection whose both ends have a certificate.
type Conn struct {
	tunnel *Tunnel
	rec    *record
	tls    *tls.Conn
	dialed bool
	peer   atomic.Pointer[tunnels.Peer] // set by the handshake

	reading sync.Mutex
	pending error // ends reading; was held back because bytes came before it
	drained bool  // only the socket can bring more
	writing sync.Mutex
	closed  atomic.Bool
}

var (
	_ tunnels.Conn = (*Conn)(nil)
	_ tunnels.Lazy = (*Conn)(nil)
)

// Handshake proves both ends to each other. When it fails, or ctx ends, the connection is of no
// use any more; the caller closes it.
func (c *Conn) Handshake(ctx context.Context) error {
	if c.peer.Load() != nil {
		return nil
	}
	if err := c.tls.HandshakeContext(ctx); err != nil {
		if !c.dialed && ctx.Err() == nil && toldWhy(err) {
			c.dismiss()
		}
		return c.tunnel.explain(c, err)
	}
	c.rec.handshaking, c.rec.proven = false, true
	leaf := c.tls.ConnectionState().PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	c.peer.Store(&tunnels.Peer{Names: identity.Names(leaf), Fingerprint: hex.EncodeToString(sum[:])})
	return nil
}

// dismiss lets the alert that says why arrive. In TLS 1.3 a client may have sent data already,
// and closing a socket with unread bytes resets it, which can overtake the alert.
func (c *Conn) dismiss() {
	c.rec.Conn.CloseWrite()
	c.rec.Conn.SetReadDeadline(time.Now().Add(time.Second))
	io.Copy(io.Discard, io.LimitReader(c.rec.Conn, 64<<10))
}

// Peer says who is at the other end; nothing before the handshake.
func (c *Conn) Peer() tunnels.Peer {
	if p := c.peer.Load(); p != nil {
		return *p
	}
	return tunnels.Peer{}
}

// Version is the TLS version in use.
func (c *Conn) Version() uint16 { return c.tls.ConnectionState().Version }

// Read waits for bytes and returns as many as are there.
func (c *Conn) Read(b []byte) (int, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return 0, nil
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		c.await()
		if n, err := c.read(b); err != errNothing {
			return n, err
		}
	}
}

// ReadLazy waits for bytes without memory for them, and returns as many as are there.
func (c *Conn) ReadLazy(m tunnels.Memory) (int, error) {
	if err := c.Handshake(context.Background()); err != nil {
		return 0, err
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		c.await()
		n, err := c.read(m.Get())
		if n > 0 {
			return n, nil
		}
		m.Put()
		if err != errNothing {
			return 0, err
		}
	}
}

// await returns when read is worth calling. What goes wrong comes out of read.
func (c *Conn) await() {
	if c.drained {
		c.rec.await()
	}
}

// read fills b with what is there, or returns errNothing. crypto/tls gives one record at a time,
// and a pump that judges and writes per read is better served by many.
func (c *Conn) read(b []byte) (n int, err error) {
	if err := c.pending; err != nil {
		return 0, err
	}
	c.drained = false
	for n < len(b) {
		k, err := c.tls.Read(b[n:])
		n += k
		switch {
		case err == nil:
		case errors.Is(err, errNothing):
			c.drained = true
			if n == 0 {
				return 0, errNothing
			}
			return n, nil
		default:
			// Only a deadline lets reading go on later, and it strikes when all was read.
			c.drained = errors.Is(err, os.ErrDeadlineExceeded)
			err = c.lastWords(err)
			if n > 0 {
				c.pending = err
				return n, nil
			}
			return 0, err
		}
	}
	return n, nil
}

// lastWords says why reading ends.
func (c *Conn) lastWords(err error) error {
	switch {
	case err == io.EOF && c.rec.cut:
		return errCut
	case refusedIdentity(err):
		return c.tunnel.explain(c, err)
	}
	return err
}

// Write sends b, its records gathered.
func (c *Conn) Write(b []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	if err := c.Handshake(context.Background()); err != nil {
		return 0, err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.rec.begin(len(b))
	n, err := c.tls.Write(b)
	content := c.rec.end()
	if err != nil {
		n = int(min(int64(n), content)) // crypto/tls counts what is gathered as written
	}
	return n, err
}

// CloseWrite ends sending: a close_notify, then a FIN. Receiving goes on. It waits for the peer
// to take the close_notify, at most until the write deadline or five seconds.
func (c *Conn) CloseWrite() error {
	err := c.tls.CloseWrite()
	c.rec.shutWrite()
	return errors.Join(err, c.rec.Conn.CloseWrite())
}

// Close closes the connection, with a close_notify if the socket takes it at once. Who reads or
// writes meanwhile gets an error.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.rec.abandon()
	c.tls.CloseWrite() // a courtesy; it can fail only on a connection that is broken already
	return c.rec.Conn.Close()
}

// Reset discards what was not sent and resets the connection.
func (c *Conn) Reset() error {
	c.closed.Store(true)
	return c.rec.Conn.Reset()
}

// QuickAck has received bytes acknowledged at once.
func (c *Conn) QuickAck() { c.rec.QuickAck() }

// Broken tells whether the peer has reset the connection.
func (c *Conn) Broken() bool { return c.rec.Broken() }

// LocalAddr is the local address.
func (c *Conn) LocalAddr() net.Addr { return c.rec.LocalAddr() }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.rec.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline ends waiting reads at that time. Reading may go on after it.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.rec.SetReadDeadline(t) }

// SetWriteDeadline ends waiting writes at that time. After one that ended so nothing more can be
// written: the peer has a part of a record.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.rec.limitWrites(t) }
