// Package plain is the tunnel that proves nothing and hides nothing: TCP as it is. It is meant
// for a device's own segment; policy decides where else it may be used, and for how long.
package plain

import (
	"context"
	"fmt"
	"net"

	"cordon/tunnels"
	"cordon/tunnels/tcp"
)

// Tunnel is plain TCP. The zero value is ready.
type Tunnel struct {
	Name string // as it stands in State; "plain" when empty
}

var (
	_ tunnels.Tunnel = (*Tunnel)(nil)
	_ tunnels.Conn   = (*Conn)(nil)
	_ tunnels.Lazy   = (*Conn)(nil)
)

// Dial connects to an address.
func (t *Tunnel) Dial(ctx context.Context, address string) (tunnels.Conn, error) {
	c, err := tcp.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &Conn{c}, nil
}

// Listen hears on an address. Accept hands out *Conn.
func (t *Tunnel) Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := tcp.Listen(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("tunnel %s: %w", t.name(), err)
	}
	return &listener{l}, nil
}

// State is always up: there is nothing that could be missing.
func (t *Tunnel) State() tunnels.State { return tunnels.State{Name: t.name(), Up: true} }

// Close has nothing to free.
func (t *Tunnel) Close() error { return nil }

func (t *Tunnel) name() string {
	if t.Name == "" {
		return "plain"
	}
	return t.Name
}

type listener struct{ *net.TCPListener }

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	t, err := tcp.New(c)
	if err != nil {
		return nil, err
	}
	return &Conn{t}, nil
}

// Conn is a TCP connection whose peer proves nothing.
type Conn struct{ *tcp.Conn }

// Handshake has nothing to prove.
func (c *Conn) Handshake(context.Context) error { return nil }

// Peer is empty: an address is no proof.
func (c *Conn) Peer() tunnels.Peer { return tunnels.Peer{} }
