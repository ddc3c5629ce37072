package gateway

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"cordon/gateway/audit"
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Explanation is the answer to `cordon explain REASON|SESSION`.
type Explanation struct {
	Asked string `json:"asked"`
	// For a reason.
	Reason  *reason.Info `json:"reason,omitempty"`
	Recent  []Refusal    `json:"recent,omitempty"`
	Remedy  []string     `json:"remedy,omitempty"` // what would allow each of Recent
	Records []Decision   `json:"records,omitempty"`
}

// Decision is one audit record of a session, with what would allow what it refused.
type Decision struct {
	Record  audit.Record `json:"-"`
	Line    string       `json:"record"` // the record as it stands in the audit
	Meaning string       `json:"meaning,omitempty"`
	Remedy  string       `json:"remedy,omitempty"`
}

// Explain explains a reason code, with its latest refusals, or what was decided in a session.
func (g *Gateway) Explain(asked string) (Explanation, error) {
	e := Explanation{Asked: asked}
	if reason.Known(reason.Code(asked)) {
		info := reason.Lookup(reason.Code(asked))
		e.Reason = &info
		for _, a := range g.latest(info.Code) {
			r := advised(g.store.Current(), a.device, a.flow, a.last)
			e.Recent = append(e.Recent, *r)
			e.Remedy = append(e.Remedy, nameOf(a.device, a.flow)+": "+r.Do)
		}
		return e, nil
	}
	for _, r := range g.audit.BySession(asked) {
		d := Decision{Record: r, Line: string(r.AppendJSON(nil))}
		if code := r.Reason; code != "" {
			d.Meaning = reason.Lookup(code).Meaning
			d.Remedy = advised(g.store.Current(), r.Device, r.Flow, refusalOf(&r)).Do
		}
		e.Records = append(e.Records, d)
	}
	if len(e.Records) == 0 {
		return e, fmt.Errorf("%q is neither a reason code nor a session of the latest records; see `cordon status` for both, and the audit file for older sessions", asked)
	}
	return e, nil
}

// nameOf names a flow, a device where no flow was chosen, or neither where nobody knows whose it was.
func nameOf(device, flow string) string {
	switch {
	case device == "":
		return "no device"
	case flow == "":
		return device
	}
	return device + "/" + flow
}

// flowRefusal is a refusal of a flow, or of a device where no flow was chosen.
type flowRefusal struct {
	device, flow string
	last         *Refusal
}

// latest returns what last happened for that reason on each flow, a refusal or not: a session that
// was cut has a reason too. An account knows the flow's last refusal, which may have another reason;
// the audit remembers those before it.
func (g *Gateway) latest(code reason.Code) (all []flowRefusal) {
	at := map[[2]string]int{}
	put := func(device, flow string, r *Refusal) {
		i, known := at[[2]string{device, flow}]
		if !known {
			i = len(all)
			at[[2]string{device, flow}] = i
			all = append(all, flowRefusal{device: device, flow: flow})
		}
		if all[i].last == nil || !r.Time.Before(all[i].last.Time) {
			all[i].last = r
		}
	}
	for _, r := range g.audit.Recent(math.MaxInt) {
		if r.Reason == code && code != reason.PolicyRewrite { // that one is in every association
			put(r.Device, r.Flow, refusalOf(&r))
		}
	}
	for _, a := range g.accounts.sorted() {
		a.mu.Lock()
		for _, r := range []*Refusal{a.lastRefusal, a.rejections.last} {
			if r != nil && r.Reason == code {
				put(a.device, a.flow, r)
			}
		}
		a.mu.Unlock()
	}
	slices.SortFunc(all, func(x, y flowRefusal) int {
		return cmp.Or(cmp.Compare(x.device, y.device), cmp.Compare(x.flow, y.flow))
	})
	return all
}

// refusalOf is a record of a refusal as status and explain show it.
func refusalOf(r *audit.Record) *Refusal {
	from := "device"
	if r.Direction == audit.ToDevice {
		from = "server"
	}
	return &Refusal{
		Time: r.Time, Session: r.Session, Peer: r.Peer, Unit: r.Unit.String(), From: from, Reason: r.Reason,
		Rule: r.Rule, Found: r.Found.String(), Passed: r.Verdict != protocols.Refuse && r.Would != protocols.Allow,
	}
}
