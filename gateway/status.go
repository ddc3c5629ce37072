package gateway

import (
	"fmt"
	"time"

	"cordon/policy"
	"cordon/protocols/reason"
)

// Status is how the gateway is, as `cordon status` shows it.
type Status struct {
	Box         string         `json:"box"`
	Version     string         `json:"version"`
	Policy      string         `json:"policy"`
	Since       time.Time      `json:"since"`
	Draining    bool           `json:"draining"`
	Sessions    int            `json:"sessions"`    // of known flows, that go on
	Connections int            `json:"connections"` // all that are open, those that are only refused included
	Handshakes  int            `json:"handshakes"`  // connections whose peers have not proven yet who they are
	AuditLost   uint64         `json:"audit_lost"`
	Audit       *AuditStatus   `json:"audit,omitempty"` // nil while records can be written
	Reload      *ReloadStatus  `json:"reload,omitempty"`
	Flows       []FlowStatus   `json:"flows"`
	Limits      []LimitStatus  `json:"limits"`
	Unknown     []UnknownPeer  `json:"unknown_peers"`
	Tunnels     []TunnelStatus `json:"tunnels"`
	Uninspected []Uninspected  `json:"plain_upstreams"`
}

// AuditStatus says why audit records cannot be written, and what becomes of them.
type AuditStatus struct {
	Problem string    `json:"problem"`
	Since   time.Time `json:"since"`
	Waiting int       `json:"waiting"` // records kept in memory until they can be written
	Lost    uint64    `json:"lost"`    // records that found no room there, since the start
}

// auditStatus returns nil while records can be written.
func (g *Gateway) auditStatus() *AuditStatus {
	since, err := g.audit.Trouble()
	if err == nil {
		return nil
	}
	return &AuditStatus{Problem: err.Error(), Since: since, Waiting: g.audit.Waiting(), Lost: g.audit.Lost()}
}

// ReloadStatus says how the last reload went.
type ReloadStatus struct {
	At      time.Time `json:"at"`
	Problem string    `json:"problem,omitempty"`
}

// FlowStatus is one device's flow. Do says what to do about its State; it is empty when nothing
// is to be done.
type FlowStatus struct {
	Device      string     `json:"device"`
	Flow        string     `json:"flow"`
	Protocol    string     `json:"protocol,omitempty"`
	Mode        string     `json:"mode,omitempty"`
	Upstream    string     `json:"upstream,omitempty"` // what the flow connects to; the device, of a flow toward it
	From        string     `json:"from,omitempty"`     // the server that a flow toward the device comes from
	State       string     `json:"state"`
	Sessions    int64      `json:"sessions"`
	LastSeen    *time.Time `json:"last_seen,omitempty"`
	LastGood    *time.Time `json:"last_good,omitempty"` // when the end that it connects to last accepted something
	Refused     uint64     `json:"refused"`
	LastRefusal *Refusal   `json:"last_refusal,omitempty"`
	Meaning     string     `json:"meaning,omitempty"` // of the last refusal's reason; in the state rejected, of the last rejection
	// Rejected is how many associations the end that the flow connects to rejected by itself since it
	// last accepted something.
	Rejected      uint64     `json:"rejected,omitempty"`
	RejectedSince *time.Time `json:"rejected_since,omitempty"`
	LastRejection *Refusal   `json:"last_rejection,omitempty"`
	// Narrowed is the last association of which presentation contexts were taken away; a device
	// that has nothing else to send releases it without a word.
	Narrowed  *Refusal   `json:"narrowed,omitempty"`
	Problem   string     `json:"problem,omitempty"` // with the upstream
	DownSince *time.Time `json:"down_since,omitempty"`
	Do        string     `json:"do,omitempty"`
}

// remembered is how long a refusal marks its flow although other units pass: a device that is
// refused one object in ten is in trouble too.
const remembered = 5 * time.Minute

// States of a flow.
const (
	FlowOK          = "ok"           // what comes is allowed
	FlowSilent      = "silent"       // nothing was heard yet
	FlowRefusing    = "refusing"     // the last unit was refused, or one in the last five minutes
	FlowWouldRefuse = "would-refuse" // it passed, but enforce would have refused it
	FlowRejected    = "rejected"     // the server itself rejects associations or fails requests (or the device, of a server)
	FlowDown        = "down"         // the upstream cannot be reached
	FlowHeld        = "held"         // the device is quarantined or retired
)

// TunnelStatus is how a tunnel is.
type TunnelStatus struct {
	Name     string     `json:"name"`
	Up       bool       `json:"up"`
	Problem  string     `json:"problem,omitempty"`
	NotAfter *time.Time `json:"not_after,omitempty"`
}

// Uninspected is an upstream that is reached without encryption, with who answers for it.
type Uninspected struct {
	Upstream string     `json:"upstream"`
	Address  string     `json:"address"`
	Reason   string     `json:"reason"`
	Owner    string     `json:"owner"`
	Until    *time.Time `json:"until,omitempty"`
}

// Status returns how the gateway is now.
func (g *Gateway) Status() Status {
	p := g.store.Current()
	st := Status{
		Box: p.Box.Name, Version: g.opts.Version, Policy: p.Version, Since: g.began,
		Connections: g.sessionCount(), Handshakes: g.handshakes.count(), AuditLost: g.audit.Lost(), Audit: g.auditStatus(), Unknown: g.unknown.list(),
		Flows: []FlowStatus{}, Limits: g.limits(p), Tunnels: []TunnelStatus{}, Uninspected: []Uninspected{},
	}
	sessions, by := g.sessionsOf()
	st.Sessions = sessions
	g.mu.Lock()
	st.Draining = g.draining
	g.mu.Unlock()
	if at, problem := g.reloads.get(); !at.IsZero() {
		st.Reload = &ReloadStatus{At: at, Problem: problem}
	}
	for _, a := range g.accounts.sorted() {
		f := p.Flow(a.device + "/" + a.flow)
		if f == nil && a.lastSeen.Load() == 0 {
			continue // a flow of an earlier policy that never said anything
		}
		st.Flows = append(st.Flows, a.status(p, f, by[a]))
	}
	for _, t := range g.tunnels.states() {
		st.Tunnels = append(st.Tunnels, TunnelStatus{t.Name, t.Up, t.Problem, timeOrNil(t.NotAfter)})
	}
	for _, u := range p.Upstreams {
		if u.Tunnel.Kind == "plain" && u.Reason != "" {
			st.Uninspected = append(st.Uninspected, Uninspected{u.Name, u.Address, u.Reason, u.Owner, timeOrNil(u.Until)})
		}
	}
	return st
}

// status describes an account with so many sessions; f is its flow in p, the policy in force, nil
// when it has none.
func (a *account) status(p *policy.Policy, f *policy.Flow, sessions int64) FlowStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := FlowStatus{
		Device: a.device, Flow: a.flow, State: FlowSilent, Sessions: sessions, Refused: a.refused,
		LastSeen: unixOrNil(a.lastSeen.Load()), LastGood: unixOrNil(a.lastGood.Load()),
		LastRefusal: advised(p, a.device, a.flow, a.lastRefusal), Narrowed: advised(p, a.device, a.flow, a.narrowed), Problem: a.dialProblem, DownSince: timeOrNil(a.downSince),
	}
	if f != nil {
		st.Protocol, st.Mode, st.Upstream = string(f.Protocol), f.Mode.String(), f.To.Name
		if f.FromServer {
			st.From = f.From.Name
		}
	}
	r, rejection := st.LastRefusal, a.rejections.last
	marks := func(r *Refusal) bool {
		return r != nil && (st.LastGood == nil || r.Time.After(*st.LastGood) || time.Since(r.Time) < remembered)
	}
	refused, rejected := marks(r), marks(rejection)
	rejected = rejected && (!refused || rejection.Time.After(r.Time))
	if r != nil {
		st.Meaning = reason.Lookup(r.Reason).Meaning
	}
	if rejected {
		st.Rejected, st.RejectedSince, st.LastRejection = a.rejections.count, timeOrNil(a.rejections.since), advised(p, a.device, a.flow, rejection)
	}
	switch {
	case f != nil && f.Device.State != policy.Active:
		st.State, st.Do = FlowHeld, fmt.Sprintf("The device is %s. Set state: active in %s when it may talk again.", f.Device.State, f.Device.Origin)
	case a.dialProblem != "":
		st.State, st.Do = FlowDown, reason.Lookup(a.dialReason).Do
		if st.From != "" {
			st.Do = fmt.Sprintf("Check that the device is on, and that identify.ip and ae.port are right (%s).", f.Device.Origin)
		}
	case rejected:
		st.State = FlowRejected
		st.Meaning, st.Do = refusedBy(rejection.From == "device", rejection.Found)
	case refused && r.Passed:
		st.State, st.Do = FlowWouldRefuse, r.Do
	case refused:
		st.State, st.Do = FlowRefusing, r.Do
	case st.LastSeen != nil:
		st.State = FlowOK
	}
	return st
}

func unixOrNil(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns)
	return &t
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
