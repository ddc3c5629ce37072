package gateway

import (
	"fmt"
	"slices"
	"strings"
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
	Device   string     `json:"device"`
	Flow     string     `json:"flow"`
	Protocol string     `json:"protocol,omitempty"`
	Mode     string     `json:"mode,omitempty"`
	Upstream string     `json:"upstream,omitempty"` // what the flow connects to; the device, of a flow toward it
	From     string     `json:"from,omitempty"`     // the server that a flow toward the device comes from
	Vanished string     `json:"vanished,omitempty"` // the file of the device, where it is gone; the device stays in force
	State    string     `json:"state"`
	Sessions int64      `json:"sessions"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	LastGood *time.Time `json:"last_good,omitempty"` // when the end that it connects to last accepted something
	Refused  uint64     `json:"refused"`
	// LastRefusal is the one that State tells of; where it tells of something else, the last.
	LastRefusal *Refusal `json:"last_refusal,omitempty"`
	Meaning     string   `json:"meaning,omitempty"` // of the last refusal's reason; in the state rejected, of the last rejection
	// Rejected is how many associations the end that the flow connects to rejected by itself since it
	// last accepted something, how many requests it failed, and how many sessions it cut.
	Rejected      uint64     `json:"rejected,omitempty"`
	RejectedSince *time.Time `json:"rejected_since,omitempty"`
	LastRejection *Refusal   `json:"last_rejection,omitempty"`
	// Narrowed is the last association of which presentation contexts were taken away; a device
	// that has nothing else to send releases it without a word.
	Narrowed  *Refusal   `json:"narrowed,omitempty"`
	Problem   string     `json:"problem,omitempty"` // with the upstream
	DownSince *time.Time `json:"down_since,omitempty"`
	Do        string     `json:"do,omitempty"`
	// Besides is what would be the flow's State, were it not in a worse one: what a server rejects does
	// not make untrue what enforce would have refused.
	Besides []Report `json:"besides,omitempty"`
	// Reports is all that was refused, or would have been, narrowed or rejected since the start, the
	// latest first. It is there where devices are named; Would counts what enforce would have refused or
	// narrowed.
	Reports []Report `json:"reports,omitempty"`
	Would   *Would   `json:"would,omitempty"`
}

// Would counts what passed on a flow that enforce would not have let pass so.
type Would struct {
	Kinds   int       `json:"kinds"`
	Earlier int       `json:"earlier,omitempty"` // of the kinds, under an earlier policy alone
	Units   uint64    `json:"units"`
	Last    time.Time `json:"last"`
}

// wouldOf counts reports; nil for none. policy is the version in force.
func wouldOf(all []Report, policy string) *Would {
	var w Would
	for _, r := range all {
		if !r.Kind.Would() {
			continue
		}
		w.Kinds++
		w.Units += r.Count
		if r.Policy != policy {
			w.Earlier++
		}
		if r.Time.After(w.Last) {
			w.Last = r.Time
		}
	}
	if w.Kinds == 0 {
		return nil
	}
	return &w
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
	FlowRejected    = "rejected"     // the server itself rejects associations, fails requests or leaves them unanswered (or the device, of a server)
	FlowDown        = "down"         // the upstream cannot be reached
	FlowHeld        = "held"         // the device is quarantined or retired
	FlowRemoved     = "removed"      // the policy has no such flow any longer
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

// Status returns how the gateway is now. Where devices are named it tells of their flows alone, with
// all reports: those of all flows together may be too many for one answer.
func (g *Gateway) Status(devices ...string) Status {
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
		if len(devices) > 0 && !slices.Contains(devices, a.device) {
			continue
		}
		f := p.Flow(a.device + "/" + a.flow)
		if f == nil && a.lastSeen.Load() == 0 {
			continue // a flow of an earlier policy that never said anything
		}
		fs := a.status(p, f, by[a])
		if len(devices) == 0 {
			fs.Reports = nil
		}
		st.Flows = append(st.Flows, fs)
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
	a.mu.Lock() // for copying alone: sessions wait for it
	all, rejected := a.reports.list(), a.rejections
	st := FlowStatus{
		Device: a.device, Flow: a.flow, State: FlowSilent, Sessions: sessions, Refused: a.refused,
		LastSeen: unixOrNil(a.lastSeen.Load()), LastGood: unixOrNil(a.lastGood.Load()), Problem: a.dialProblem, DownSince: timeOrNil(a.downSince),
	}
	down := a.dialReason
	a.mu.Unlock()

	latestFirst(all)
	removed := gone(p, a.device, a.flow)
	if f != nil {
		st.Protocol, st.Mode, st.Upstream = string(f.Protocol), f.Mode.String(), f.To.Name
		if f.FromServer {
			st.From = f.From.Name
		}
		if f.Device.Vanished {
			st.Vanished = f.Device.Origin
		}
	}
	if !removed { // what would allow it stood where something else stands now
		for i := range all {
			all[i].Refusal = *advised(p, a.device, a.flow, &all[i].Refusal)
		}
	}
	st.Reports, st.Would = all, wouldOf(all, p.Version)
	st.LastRefusal = refusalIn(all, Refused, WouldRefuse)
	if removed {
		st.State, st.Problem, st.DownSince = FlowRemoved, "", nil
		return st
	}
	st.Narrowed = refusalIn(all, Narrowed, WouldNarrow)

	st.judge(f, rejected, reason.Lookup(down).Do)
	return st
}

// judge says how the flow is, what to do about it, and what else is to be said of it. f is its flow in
// the policy in force, nil when it has none; mend is what to do about an upstream that is down.
func (st *FlowStatus) judge(f *policy.Flow, rejected rejections, mend string) {
	var refused, would, rejection *Report // the latest that say how the flow is
	for i := len(st.Reports) - 1; i >= 0; i-- {
		switch r := &st.Reports[i]; {
		case !st.marks(&r.Refusal):
		case r.Kind == Refused:
			refused = r
		case r.Kind == WouldRefuse:
			would = r
		case r.Kind == Rejected:
			rejection = r
		}
	}
	if rejection != nil {
		st.Rejected, st.RejectedSince, st.LastRejection = rejected.count, timeOrNil(rejected.since), &rejection.Refusal
	}
	if st.Problem != "" && refused != nil && ofUpstream(refused.Reason) {
		refused = nil // it says no more than that
	}
	var told *Report // by the state
	switch {
	case f != nil && f.Device.State != policy.Active:
		st.State, st.Do = FlowHeld, fmt.Sprintf("The device is %s. Set state: active in %s when it may talk again.", f.Device.State, f.Device.Origin)
	case st.Problem != "" && st.From != "":
		st.State, st.Do = FlowDown, fmt.Sprintf("Check that the device is on, and that identify.ip and ae.port are right (%s).", f.Device.Origin)
	case st.Problem != "":
		st.State, st.Do = FlowDown, mend
	case rejection != nil && (refused == nil || rejection.Time.After(refused.Time)):
		st.State, told = FlowRejected, rejection
		st.Meaning, st.Do = refusedBy(rejection.From == "device", rejection.Found)
	case refused != nil:
		st.State, told, st.LastRefusal, st.Do = FlowRefusing, refused, &refused.Refusal, refused.Do
	case would != nil:
		st.State, told, st.LastRefusal, st.Do = FlowWouldRefuse, would, &would.Refusal, would.Do
	case st.LastSeen != nil:
		st.State = FlowOK
	}
	if st.LastRefusal != nil && st.State != FlowRejected {
		st.Meaning = reason.Lookup(st.LastRefusal.Reason).Meaning
	}
	for _, r := range []*Report{rejection, refused, would} {
		if r != nil && r != told {
			st.Besides = append(st.Besides, *r)
		}
	}
}

// gone tells whether a policy does not have a flow any longer, or a device where no flow was chosen.
// Where no device was known there is nothing that could be.
func gone(p *policy.Policy, device, flow string) bool {
	switch {
	case device == "" || strings.HasPrefix(device, "("):
		return false
	case flow == "":
		return p.Device(device) == nil
	}
	return p.Flow(device+"/"+flow) == nil
}

// refusalIn is the latest report of some kinds, nil where there is none.
func refusalIn(all []Report, kinds ...Kind) *Refusal {
	for i := range all {
		if slices.Contains(kinds, all[i].Kind) {
			return &all[i].Refusal
		}
	}
	return nil
}

// marks tells whether a refusal still says how its flow is. That of an upstream that could not be
// reached is over as soon as it accepts something.
func (st *FlowStatus) marks(r *Refusal) bool {
	if st.LastGood == nil || r.Time.After(*st.LastGood) {
		return true
	}
	return !ofUpstream(r.Reason) && time.Since(r.Time) < remembered
}

// ofUpstream tells whether a reason says that an upstream was not reached, or not believed.
func ofUpstream(code reason.Code) bool { return code.Group() == reason.UpstreamUnreachable.Group() }

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
