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
	s.rules.Settle(v)
	s.denial.complete(v)
	now := time.Now()
	a := s.account
	if a == nil {
		a = g.unbound(s)
	}
	a.note(s, v, now)
	if t := s.tracing.Load(); t != nil {
		t.recorded(v)
	}
	r := audit.Of(v, s.flow != nil && s.flow.FromServer)
	r.Time, r.Source = now, *s.source()
	g.audit.Put(&r)
}

// unbound returns the account for what was refused before a flow was chosen: the device's where
// all candidates are one device, else the listener's.
func (g *Gateway) unbound(s *session) *account {
	if d := s.rules.Device(); d != nil {
		return g.accounts.at(d.Name, "")
	}
	return g.accounts.at("("+s.listener.Name+")", "")
}

// judged is what the source of a session's records depends on.
type judged struct {
	flow   *policy.Flow
	policy *policy.Policy
	mode   policy.Mode
}

// source is what the session's audit records have in common. The caller holds s.mu.
func (s *session) source() *audit.Source {
	now := judged{s.flow, s.rules.Policy(), s.rules.Mode()}
	if now == s.judged {
		return &s.from
	}
	s.judged = now
	s.from.Become(audit.Source{Session: s.id, Peer: s.peer, Mode: now.mode.String(), Policy: now.policy.Version})
	if f := s.flow; f != nil {
		s.from.Device, s.from.Flow = f.Device.Name, f.Name
	} else if d := s.rules.Device(); d != nil {
		s.from.Device = d.Name
	}
	s.from.Encode()
	return &s.from
}

// fromServer tells whether who sends from that side is the server rather than the device.
func (s *session) fromServer(from protocols.Side) bool {
	towardDevice := s.flow != nil && s.flow.FromServer
	return (from == protocols.Far) != towardDevice
}
