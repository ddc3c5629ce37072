package gateway

import (
	"slices"
	"time"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// Report stands for all that happened on a flow in the same way: for one reason, to one unit, with the
// same found. It is the last of them, and says how many there were.
type Report struct {
	Refusal
	Kind   Kind      `json:"kind"`
	Count  uint64    `json:"count"`
	First  time.Time `json:"first"`            // Time is when it was last
	Policy string    `json:"policy,omitempty"` // the version under which it was last
}

// Kind is what became of a unit.
type Kind string

const (
	Refused     Kind = "refused"
	WouldRefuse Kind = "would-refuse" // it passed, but enforce would have refused it
	Narrowed    Kind = "narrowed"     // something was taken away from an association
	WouldNarrow Kind = "would-narrow" // enforce would have taken it away
	Rejected    Kind = "rejected"     // the end that the flow connects to rejected, failed or cut it by itself
	Ended       Kind = "ended"        // nothing was refused: a session ended otherwise than in order
)

// Would tells whether the unit passed that enforce would not have let pass so.
func (k Kind) Would() bool { return k == WouldRefuse || k == WouldNarrow }

// kindOf is what a verdict that has a reason reports, "" for nothing. enforce says that the session is
// held to that mode.
func kindOf(v *protocols.Verdict, enforce bool) Kind {
	switch {
	case v.Reason == reason.DICOMPeerRejected || v.Reason == reason.DICOMPeerFailed:
		return Rejected
	case v.Refused():
		return Refused
	case v.Would == protocols.Refuse:
		return WouldRefuse
	case v.Reason == "" || v.Reason == reason.PolicyRewrite: // which is in every association
		return ""
	case v.Would == protocols.Rewrite && enforce:
		return Narrowed
	case v.Would == protocols.Rewrite:
		return WouldNarrow
	case v.Reason == reason.SessionCut && v.From == protocols.Far && v.Unanswered > 0:
		return Rejected
	}
	return Ended
}

// reports are those of one flow. What repeats is counted, so ordinary traffic pushes nothing out.
type reports struct{ all []*Report }

// maxReports is how many a flow has; the one not seen for longest goes first.
const maxReports = 64

// note counts one more. It allocates for what is new alone.
func (rs *reports) note(kind Kind, s *session, v *protocols.Verdict, now time.Time) {
	from := "device"
	if s.fromServer(v.From) {
		from = "server"
	}
	r := rs.find(kind, from, v)
	if r == nil {
		r = &Report{Kind: kind, First: now, Refusal: Refusal{
			Unit: v.Unit.String(), From: from, Reason: v.Reason, Found: v.Found.String(),
			Passed: kind.Would(),
		}}
		rs.put(r)
	}
	if r.Found != string(v.Found.Bytes()) { // in its numbers
		r.Found = v.Found.String()
	}
	r.Count++
	r.Time, r.Session, r.Peer, r.Rule, r.Policy = now, s.id, s.peer, v.Rule, s.rules.Policy().Version
}

func (rs *reports) find(kind Kind, from string, v *protocols.Verdict) *Report {
	unit, found := v.Unit.Bytes(), v.Found.Bytes()
	numbers := numbered(v)
	for _, r := range rs.all {
		if r.Kind == kind && r.Reason == v.Reason && r.From == from && r.Unit == string(unit) &&
			(r.Found == string(found) || numbers && alike(r.Found, found)) {
			return r
		}
	}
	return nil
}

// numbered tells whether numbers in what was found are measures, which differ each time: how much there
// was of something, how many requests are unanswered, where a form breaks.
func numbered(v *protocols.Verdict) bool {
	switch v.Reason.Group() {
	case "cap", "session", "timer":
		return true
	}
	return string(v.Unit.Bytes()) == unitUnreadable
}

// alike tells whether two texts differ in their numbers alone.
func alike(a string, b []byte) bool {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if digit(a[i]) && digit(b[j]) {
			for i < len(a) && digit(a[i]) {
				i++
			}
			for j < len(b) && digit(b[j]) {
				j++
			}
			continue
		}
		if a[i] != b[j] {
			return false
		}
		i, j = i+1, j+1
	}
	return i == len(a) && j == len(b)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func (rs *reports) put(r *Report) {
	if len(rs.all) < maxReports {
		rs.all = append(rs.all, r)
		return
	}
	oldest := 0
	for i, o := range rs.all {
		if o.Time.Before(rs.all[oldest].Time) {
			oldest = i
		}
	}
	rs.all[oldest] = r
}

// list copies them.
func (rs *reports) list() []Report {
	all := make([]Report, 0, len(rs.all))
	for _, r := range rs.all {
		all = append(all, *r)
	}
	return all
}

// latestFirst puts reports in that order.
func latestFirst(all []Report) {
	slices.SortFunc(all, func(a, b Report) int { return b.Time.Compare(a.Time) })
}
