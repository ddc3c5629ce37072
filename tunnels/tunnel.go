// Package tunnels is the small contract that every way for bytes to travel fulfils: dial, listen,
// state, close. A package below it implements one: mtls, plain (a device's own segment, or a
// server that has an exception with a reason, an owner and an end date).
package tunnels

import (
	"context"
	"errors"
	"net"
	"time"
)

// Tunnel carries connections to and from one kind of peer.
type Tunnel interface {
	// Dial connects to an address (host:port) and returns when the peer has proven who it is.
	// An error wraps ErrIdentity when the peer was reached and could not, ErrRefused when it did not
	// believe us, ErrUnreachable when it was not reached. There is never a fall-back to a weaker way.
	Dial(ctx context.Context, address string) (Conn, error)

	// Listen hears on an address. Accept of the listener it returns hands out connections whose
	// peer has not been asked for anything yet; see Conn.Handshake.
	Listen(ctx context.Context, address string) (net.Listener, error)

	// State says how the tunnel is, for status and metrics.
	State() State

	// Close frees what the tunnel holds; connections stay.
	Close() error
}

// Conn is a connection through a tunnel. Its Read returns io.EOF only for an end that the peer
// meant: where the tunnel can tell, a connection that was cut is io.ErrUnexpectedEOF. An error of
// Read or Write wraps ErrRefused when the peer did not believe us after it had let us in.
type Conn interface {
	net.Conn
	// Handshake completes what must be proven before bytes may flow. On a dialled connection it
	// was done already.
	Handshake(ctx context.Context) error
	// Peer names who is at the other end, as far as the tunnel proves it: the names in its
	// certificate; nothing for plain.
	Peer() Peer
	// CloseWrite ends sending (FIN; with TLS a close_notify before it) and leaves receiving.
	CloseWrite() error
	// Reset discards what was not sent and resets the connection.
	Reset() error
	// QuickAck has received bytes acknowledged at once, this time: whoever sent them waits for
	// that before it sends the rest (Nagle's algorithm).
	QuickAck()
	// Broken tells whether the peer has reset the connection, without reading from it: nobody
	// reads a side whose bytes wait for the other side to take them.
	Broken() bool
}

// Lazy is what a Conn may offer besides, so that a pump holds no read buffer while a connection is
// idle.
type Lazy interface {
	// ReadLazy is Read into memory that it asks for when there is something to read.
	ReadLazy(m Memory) (n int, err error)
}

// Memory gives a buffer to read into, and takes it back when there was nothing to read after
// all. What was read stays in it: the reader keeps it then.
type Memory interface {
	Get() []byte
	Put()
}

// Peer is what a tunnel proves about the other end.
type Peer struct {
	Names       []string // of the certificate, each once: DNS names, its common name last
	Fingerprint string   // SHA-256 of the certificate, hex; "" for plain
}

// State says how a tunnel is.
type State struct {
	Name     string
	Up       bool
	Problem  string    // why it is not up, in words
	NotAfter time.Time // when the certificate in use ends; zero for none
}

// Why says why a handshake failed, in one short line: an error of a tunnel says with whom besides,
// which its reader may know. What it quotes of the peer's certificate is fit to stand in a message.
func Why(err error) string {
	var w interface{ Why() string }
	if errors.As(err, &w) {
		return w.Why()
	}
	return err.Error()
}

// Errors that a gateway tells apart.
var (
	ErrUnreachable = errors.New("peer not reached")
	ErrIdentity    = errors.New("peer's identity not proven")
	ErrRefused     = errors.New("our identity not believed")
)
