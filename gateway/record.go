package gateway

import (
	"time"

	"cordon/gateway/audit"
	"cordon/policy"
	"cordon/protocols"
)

// record takes a verdict of a session into account, metrics and audit. It is called with the
// session's lock held: it must not wait and, for an allowed unit, not allocate.
func (g *Gateway) record(s *session, v *protocols.Verdict) {
	now := time.Now()
	a := s.account
	if a == nil {
		a = g.unbound(s)
	}
	a.note(s, v, now)
	g.put(v, s, s.peer, now)
}

// unbound returns the account for what was refused before a flow was chosen: the device's where
// all candidates are one device, else the listener's.
func (g *Gateway) unbound(s *session) *account {
	if d := s.rules.Device(); d != nil {
		return g.accounts.at(d.Name, "")
	}
	return g.accounts.at("("+s.listener.Name+")", "")
}

// put writes an audit record. s is nil for a connection that never became a session.
func (g *Gateway) put(v *protocols.Verdict, s *session, peer string, now time.Time) {
	if s == nil {
		r := audit.Of(v, false)
		r.Time, r.Peer, r.Mode, r.Policy = now, peer, policy.Enforce.String(), g.store.Current().Version
		g.audit.Put(r)
		return
	}
	r := audit.Of(v, s.flow != nil && s.flow.FromServer)
	r.Time, r.Peer, r.Session = now, peer, s.id
	r.Mode, r.Policy = s.rules.Mode().String(), s.rules.Policy().Version
	if f := s.flow; f != nil {
		r.Device, r.Flow = f.Device.Name, f.Name
	} else if d := s.rules.Device(); d != nil {
		r.Device = d.Name
	}
	g.audit.Put(r)
}

// fromServer tells whether who sends from that side is the server rather than the device.
func (s *session) fromServer(from protocols.Side) bool {
	towardDevice := s.flow != nil && s.flow.FromServer
	return (from == protocols.Far) != towardDevice
}
