package gateway

import (
	"cmp"
	"fmt"

	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
)

// denial is why a connection may only be refused: nothing of it is judged by rules.
type denial struct {
	code  reason.Code // "" where it is admitted
	rule  string      // the limit that is reached, with its file and line
	found string      // how much that limit is
}

// crowded is the denial of one connection more than a device may have. It is held to the most
// generous of the flows that it may be for.
func crowded(candidates []*policy.Flow) denial {
	var l policy.Limits
	for _, f := range candidates {
		if f.Limits.Sessions > l.Sessions {
			l = f.Limits
		}
	}
	return reached("limits.sessions", l.SessionsRule, fmt.Sprintf("%d sessions", l.Sessions))
}

// crowdedBox is the denial of one connection more than the gateway may have.
func crowdedBox(b *policy.Box) denial {
	return reached("limits.connections", b.SessionsRule, fmt.Sprintf("%d connections of this gateway", b.Sessions))
}

func reached(key, rule, found string) denial {
	if rule == "" {
		found += ", the default"
	}
	return denial{reason.SessionLimit, cmp.Or(rule, "built-in "+key), found}
}

// complete puts into a refusal for the denial what the conversation does not know of it.
func (d *denial) complete(v *protocols.Verdict) {
	if d.rule != "" && v.Reason == d.code && v.Rule == "" {
		v.Rule = d.rule
		v.Found.Set(d.found)
	}
}

// deny keeps a session from everything but its refusal. Where only one flow fits, that is whose
// refusal it is. The caller holds s.mu.
func (s *session) deny(d denial) {
	s.denial = d
	if len(s.candidates) == 1 {
		s.use(s.candidates[0])
	}
}

// turnAway has the conversation refuse what comes.
func (s *session) turnAway(d denial) {
	s.mu.Lock()
	s.deny(d)
	s.mu.Unlock()
	s.tell(protocols.Event{Kind: protocols.Shutdown, Reason: d.code})
	if d.code == reason.SessionLimit && s.listener.Protocol == policy.HL7 {
		// MLLP has no words for it: the link was closed before anything was said, so nothing of it
		// is recorded yet.
		var v protocols.Verdict
		v.Reset(protocols.Near)
		v.Unit.Set("connection")
		v.Refuse(d.code, "")
		s.mu.Lock()
		s.gw.record(s, &v)
		s.mu.Unlock()
	}
}

// goesOn tells whether the session is one of a flow that is known, and not over but for its end.
func (s *session) goesOn() (a *account, yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := s.legs[protocols.Near].closing != protocols.Open && s.legs[protocols.Far].closing != protocols.Open
	return s.account, s.account != nil && s.denial.code == "" && !s.over && !ended
}

// sessionsOf counts the sessions that go on, by account.
func (g *Gateway) sessionsOf() (all int, by map[*account]int64) {
	by = map[*account]int64{}
	for _, s := range g.live() {
		if a, yes := s.goesOn(); yes {
			all++
			by[a]++
		}
	}
	return all, by
}
