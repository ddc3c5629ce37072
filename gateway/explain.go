package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"cordon/gateway/audit"
	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Explanation is the answer to `cordon explain REASON|SESSION`.
type Explanation struct {
	Asked string `json:"asked"`
	// For a reason.
	Reason *reason.Info `json:"reason,omitempty"`
	Recent []FlowReport `json:"recent,omitempty"`
	Remedy []string     `json:"remedy,omitempty"` // what would allow each of Recent
	// For a session.
	Records []Decision `json:"records,omitempty"`
}

// FlowReport is a report of a flow, of a device where no flow was chosen, or of neither.
type FlowReport struct {
	Device string `json:"device,omitempty"`
	Flow   string `json:"flow,omitempty"`
	Report
}

// Decision is one audit record of a session, with what would allow what it refused.
type Decision struct {
	Record  audit.Record `json:"record"` // as it stands in the audit
	Meaning string       `json:"meaning,omitempty"`
	Remedy  string       `json:"remedy,omitempty"`
}

// Explain explains a reason code, with its latest refusals, or what was decided in a session.
func (g *Gateway) Explain(asked string) (Explanation, error) {
	e := Explanation{Asked: asked}
	p := g.store.Current()
	if reason.Known(reason.Code(asked)) {
		info := reason.Lookup(reason.Code(asked))
		e.Reason = &info
		for _, r := range g.latest(info.Code) {
			r.Do = remedyIn(p, r.Device, r.Flow, &r.Refusal)
			e.Recent = append(e.Recent, r)
			e.Remedy = append(e.Remedy, nameOf(r.Device, r.Flow)+": "+r.Do)
		}
		return e, nil
	}
	if asked == "" { // records of no session have none
		return e, errors.New("name a reason code or a session")
	}
	for _, r := range g.audit.BySession(asked) {
		d := Decision{Record: r}
		if code := r.Reason; code != "" {
			d.Meaning = reason.Lookup(code).Meaning
			d.Remedy = remedyIn(p, r.Device, r.Flow, refusalOf(&r))
		}
		e.Records = append(e.Records, d)
	}
	if len(e.Records) == 0 {
		return e, g.unknownSession(asked)
	}
	return e, nil
}

// remedyIn says what would allow a refusal by a policy.
func remedyIn(p *policy.Policy, device, flow string, r *Refusal) string {
	if gone(p, device, flow) {
		return "The policy has no such flow any longer."
	}
	return advised(p, device, flow, r).Do
}

// unknownSession says where to look for a session that is not remembered.
func (g *Gateway) unknownSession(asked string) error {
	err := fmt.Errorf("%q is neither a reason code nor a session of the last %d records, which are all that the gateway remembers", asked, g.audit.Remembers())
	switch {
	case strings.Trim(asked, "abcdefghijklmnopqrstuvwxyz0123456789-") != "": // no identifier of a session
		return err
	case g.auditFile == "-":
		return fmt.Errorf("%w; older ones are in the audit, which goes to the standard output of `cordon run`", err)
	}
	return fmt.Errorf("%w; older ones are in the audit file:\n  grep '\"%s\"' '%s'", err, asked, g.auditFile)
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

// latest returns what happened for that reason on each flow, a refusal or not: a session that was cut has
// a reason too. The accounts know all that sessions did; of connections that never became one the audit
// remembers the last.
func (g *Gateway) latest(code reason.Code) (all []FlowReport) {
	for _, a := range g.accounts.sorted() {
		a.mu.Lock()
		known := a.reports.list()
		a.mu.Unlock()
		for _, r := range known {
			if r.Reason == code {
				all = append(all, FlowReport{a.device, a.flow, r})
			}
		}
	}
	at := map[[2]string]int{}
	for _, r := range g.audit.Recent(math.MaxInt) {
		if r.Reason != code || r.Session != "" {
			continue
		}
		key := [2]string{r.Device, r.Flow}
		i, known := at[key]
		if !known {
			i = len(all)
			at[key] = i
			all = append(all, FlowReport{r.Device, r.Flow, Report{Kind: Refused, First: r.Time}})
		}
		all[i].Refusal, all[i].Policy = *refusalOf(&r), r.Policy
		all[i].Count++
	}
	slices.SortStableFunc(all, func(x, y FlowReport) int {
		return cmp.Or(cmp.Compare(x.Device, y.Device), cmp.Compare(x.Flow, y.Flow), y.Time.Compare(x.Time))
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
