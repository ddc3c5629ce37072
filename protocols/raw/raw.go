// Package raw follows a connection that is not inspected: a session that turned opaque because
// it could not be read where its mode refuses nothing, or because a failure of our own must not
// stop care. Every byte passes as it came, and each end of sending is passed on alone, so that
// return traffic is not cut.
package raw

import "cordon/protocols"

// Conversation passes everything. It is a protocols.Conversation.
type Conversation struct {
	closed [2]bool
}

// New returns a conversation that begins wherever another one stopped.
func New() *Conversation { return &Conversation{} }

// Step passes win.
func (c *Conversation) Step(_ protocols.Side, win []byte, p *protocols.Plan) error {
	p.Pass(len(win))
	p.Wait(0, protocols.Idle)
	return nil
}

// Tell passes on that a side has ended, and ends both where nothing more can come.
func (c *Conversation) Tell(e protocols.Event, p *protocols.Plan) {
	switch e.Kind {
	case protocols.Closed:
		c.closed[e.Side] = true
		switch {
		case c.closed[e.Side.Other()]:
			p.End(protocols.FIN, protocols.FIN)
		case e.Side == protocols.Near:
			p.End(protocols.Open, protocols.FIN)
		default:
			p.End(protocols.FIN, protocols.Open)
		}
	case protocols.Lost, protocols.Revoked:
		p.End(protocols.RST, protocols.RST)
	case protocols.Shutdown:
		// Nobody can tell where a unit ends, so the session goes on until the grace period ends.
	default:
		p.End(protocols.FIN, protocols.FIN)
	}
}
