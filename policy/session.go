package policy

import (
	"cmp"
	"slices"

	"cordon/policy/usage"
	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/hl7"
	"cordon/protocols/reason"
)

// Session judges one connection. It implements dicom.Rules and hl7.Rules: it chooses the flow by
// what the first unit says, takes the policy in force at the beginning of each message, and wraps
// the mode around what the flow's rules say. Like the conversation that consults it, it is used
// by one goroutine at a time.
//
// The flow is chosen among the candidates in this order; what comes first decides:
//
//  1. the one that both identity (calling AE title; MSH-3 and MSH-4) and target (called AE
//     title; MSH-5 and MSH-6) fit;
//  2. those whose identity fits: the peer is known, what it calls is wrong;
//  3. those whose target fits: the peer does not call itself what its device file says;
//  4. any.
//
// After 1. the flow's rules judge. Otherwise the unit is a misfit and is refused, unless every
// flow at that place is in learn or shadow; then, as in the reports of a refusal, it belongs to
// the flow there that allows most of what the unit asks for, and among equals to the first by
// name. From then on the connection belongs to that flow.
type Session struct {
	store      *Store
	listener   *Listener
	candidates []*Flow

	policy *Policy // in force when the last message began
	bound  *Flow   // the flow that the first unit chose, as it was then; nil before
	flow   *Flow   // the same in the policy in force; nil when it is gone
	denied bool    // several flows fit, so nothing may pass
	// current says that the device called a renamed server by the title it has now.
	current bool

	last    [2]*Flow  // by sender: what the command that was judged last is judged by
	pending []request // in order; made with the first one: links of HL7 have none
	asked   uint64    // counts all that ever were in pending
	used    usage.Association
}

// maxPending is how many requests are remembered: as many as a conversation keeps account of, from
// both sides. Should there be more, the oldest make way.
const maxPending = 2 * mostOutstanding

// request is a DIMSE request that passes and whose final response has not passed yet. Its response
// is judged by the rules that it was judged by itself.
type request struct {
	flow      *Flow
	number    uint64 // by asked
	id, field uint16
	context   uint8
	from      protocols.Side
	counted   bool // as outstanding: what only passes because of the mode is not
}

var (
	_ dicom.Rules = (*Session)(nil)
	_ hl7.Rules   = (*Session)(nil)
)

// NewSession begins to judge a connection that was heard by l and fits the candidates, which are
// what [Listener.Candidates] returned. Without a candidate everything is refused.
func NewSession(store *Store, l *Listener, candidates []*Flow) *Session {
	return &Session{store: store, listener: l, candidates: candidates, policy: store.Current()}
}

// Flow returns the flow that the connection belongs to: nil before the first unit was judged,
// and from then on the same one, in the policy in force when the last message began. A flow that
// is gone from it is returned as it was last.
func (s *Session) Flow() *Flow {
	if s.flow != nil {
		return s.flow
	}
	return s.bound
}

// Device returns the device that the connection belongs to: before the flow is chosen the one
// that all candidates share, nil when they do not.
func (s *Session) Device() *Device {
	if f := s.Flow(); f != nil {
		return f.Device
	}
	var d *Device
	for _, f := range s.candidates {
		if d != nil && d != f.Device {
			return nil
		}
		d = f.Device
	}
	return d
}

// Policy returns the policy that the last message was judged by.
func (s *Session) Policy() *Policy { return s.policy }

// Mode returns what happens to what is refused: the flow's mode, and before there is a flow the
// strictest of the candidates.
func (s *Session) Mode() Mode {
	if s.bound != nil {
		return modeOf(s.flow)
	}
	return strictest(s.candidates)
}

// modeOf returns the mode of a flow. One that is gone from the policy is refused.
func modeOf(f *Flow) Mode {
	if f == nil || f.Device.State == Quarantined {
		return Enforce
	}
	return f.Mode
}

func strictest(flows []*Flow) Mode {
	if len(flows) == 0 {
		return Enforce
	}
	m := Learn
	for _, f := range flows {
		m = max(m, modeOf(f))
	}
	return m
}

// settle wraps the mode around a verdict: outside enforce what would be refused passes, and the
// verdict says so. This is the only place where a mode changes what happens.
func settle(m Mode, v *protocols.Verdict) {
	if m != Enforce && v.Action == protocols.Refuse {
		v.Action = protocols.Allow
	}
}

// begin takes the policy in force; a message is judged by it from its beginning to its end.
func (s *Session) begin() {
	p := s.store.Current()
	if p == s.policy {
		return
	}
	s.policy = p
	if s.bound != nil {
		s.flow = p.heard(s.bound.id)
		return
	}
	var now []*Flow
	for _, f := range s.candidates {
		if f = p.heard(f.id); f != nil {
			now = append(now, f)
		}
	}
	s.candidates = now
}

// heard returns a flow unless its device is retired.
func (p *Policy) heard(id string) *Flow {
	if f := p.flows[id]; f != nil && f.Device.State != Retired {
		return f
	}
	return nil
}

// admitted refuses what no rule of a flow is asked for: a session whose flow is gone, and a
// quarantined device, in every mode.
func (s *Session) admitted(v *protocols.Verdict) bool {
	switch {
	case s.bound == nil:
		v.Refuse(reason.SessionUnknownPeer, s.listener.Origin+" listeners."+s.listener.Name)
	case s.denied:
		v.Refuse(reason.SessionAmbiguous, s.bound.identityRule)
	case s.flow == nil:
		code := reason.PolicyDenied
		if d := s.policy.Device(s.bound.Device.Name); d != nil && d.State == Retired {
			code = reason.SessionRevoked
		}
		v.Refuse(code, s.bound.goneRule)
	case s.flow.Device.State == Quarantined:
		v.Refuse(reason.SessionRevoked, s.flow.stateRule)
	default:
		return true
	}
	return false
}

// Associate chooses the flow and judges the request as a whole.
func (s *Session) Associate(a *dicom.Association, v *protocols.Verdict) {
	s.begin()
	c := s.choose(func(f *Flow) fit { return f.fitsAssociation(a) }, func(f *Flow) (n int) {
		for i := range a.Contexts {
			if f.dicom.class(string(a.Contexts[i].Abstract)) != nil {
				n++
			}
		}
		return n
	})
	if !s.admitted(v) {
		return
	}
	f := s.flow
	if c.fit != fitsAll {
		v.Found.Set("")
		if c.fit&fitsIdentity == 0 {
			v.Found.AppendBytes(a.CallingAE)
		} else {
			v.Found.AppendBytes(a.CalledAE)
		}
		f.refuseMisfit(c.fit, reason.DICOMCallingAE, reason.DICOMCalledAE, v)
		settle(c.mode, v)
		if v.Refused() {
			return
		}
	}
	if v.Would != protocols.Refuse {
		f.association(a, v)
		s.enter(f, v)
		settle(f.Mode, v)
	}
	if !v.Refused() {
		a.Caps = &s.flow.caps
		s.rename(a, v)
		s.flow.accommodate(a, v)
	}
}

// Context judges a proposed presentation context. Where the mode lets everything pass, nothing
// is taken away.
func (s *Session) Context(_ *dicom.Association, pc *dicom.PresentationContext, keep []bool, v *protocols.Verdict) {
	if !s.admitted(v) {
		return
	}
	scu, scp := pc.SCU, pc.SCP
	s.flow.context(pc, keep, v)
	settle(s.flow.Mode, v)
	if s.flow.Mode != Enforce {
		pc.SCU, pc.SCP = scu, scp
		for i := range keep {
			keep[i] = true
		}
	}
}

// Command judges a command set. A request begins a message; a response, a C-CANCEL and a data set
// belong to one that has begun.
func (s *Session) Command(c *dicom.Command, v *protocols.Verdict) {
	if c.Response() {
		s.response(c, v)
		return
	}
	var f *Flow
	if c.Field == dicom.CancelRQ {
		if i := s.find(c.From, c, 0); i >= 0 {
			f = s.pending[i].flow
		}
	}
	if f == nil {
		s.begin()
		if s.last[c.From] = s.flow; !s.admitted(v) {
			return
		}
		f = s.flow
	}
	s.last[c.From] = f
	f.request(c, v)
	counted := s.spend(f, c, v)
	settle(f.Mode, v)
	if !v.Refused() && c.Field != dicom.CancelRQ {
		v.Request = s.remember(f, c, counted)
	}
}

func (s *Session) response(c *dicom.Command, v *protocols.Verdict) {
	var f *Flow
	if i := s.find(c.From.Other(), c, c.Field&^responseBit); i >= 0 {
		if f = s.pending[i].flow; dicom.KindOfStatus(c.Field, c.Status).Final() {
			s.forget(i)
		}
	}
	if f == nil {
		if s.last[c.From] = s.flow; !s.admitted(v) {
			return
		}
		f = s.flow
	}
	s.last[c.From] = f
	f.response(c, v)
	settle(f.Mode, v)
}

// responseBit is what the Command Field of a response has besides its request's (PS3.7 §E.1).
const responseBit = 0x8000

// remember notes a request that passes until it is answered, and returns its number.
func (s *Session) remember(f *Flow, c *dicom.Command, counted bool) uint64 {
	if len(s.pending) == maxPending {
		s.forget(0)
	}
	s.asked++
	s.pending = append(s.pending, request{f, s.asked, c.MessageID, c.Field, c.ContextID, c.From, counted})
	return s.asked
}

// find returns which pending request of a side a command is about, -1 for none. Like the
// conversation, it goes by Message ID, presentation context and Command Field, 0 for any: where the
// mode lets a Message ID pass that is in use, several have the same.
func (s *Session) find(from protocols.Side, c *dicom.Command, field uint16) int {
	return slices.IndexFunc(s.pending, func(r request) bool {
		return r.id == c.MessageID && r.from == from && r.context == c.ContextID && (field == 0 || r.field == field)
	})
}

// numbered returns which pending request has a number, -1 for none.
func (s *Session) numbered(n uint64) int {
	i, ok := slices.BinarySearchFunc(s.pending, n, func(r request, n uint64) int { return cmp.Compare(r.number, n) })
	if !ok {
		return -1
	}
	return i
}

// forget takes a request away that nothing more is to come of.
func (s *Session) forget(i int) {
	s.uncount(i)
	s.pending = slices.Delete(s.pending, i, i+1)
}

// Needs says how far into the data set of a command the rules look.
func (s *Session) Needs(c *dicom.Command) dicom.Tag {
	if f := s.last[c.From]; f != nil {
		return f.needs(c)
	}
	return 0
}

// DataSet judges what was read of a data set, by the rules that its command was judged by.
func (s *Session) DataSet(c *dicom.Command, d *dicom.DataSet, v *protocols.Verdict) {
	f := s.last[c.From]
	if f == nil {
		v.Refuse(reason.PolicyDenied, ruleStandard)
		return
	}
	f.dataSet(c, d, v)
	s.spendOnStudy(f, d, v)
	settle(f.Mode, v)
	s.takeBack(v)
}

// Breach judges what a standard forbids and could be passed on: enforce refuses it. It may be about
// a request whose command set was allowed.
func (s *Session) Breach(code reason.Code, v *protocols.Verdict) {
	f, mode := s.flow, s.Mode()
	if v.Request != 0 { // its command was judged: it ends under the same rules
		f = s.last[v.From]
		mode = modeOf(f)
	}
	if f != nil && f.dicom.tolerates(code) {
		return
	}
	v.Refuse(code, ruleStandard)
	settle(mode, v)
	s.takeBack(v)
}

// Message judges an HL7 message. The first one chooses the flow; each later one must fit it.
func (s *Session) Message(m *hl7.Message, v *protocols.Verdict) {
	s.begin()
	if s.bound == nil && len(s.candidates) > 0 {
		c := s.choose(func(f *Flow) fit { return f.fitsMessage(m) }, func(f *Flow) int {
			if _, why := f.hl7.allowing(m.Type, m.Trigger); why != "" {
				return 0
			}
			return 1
		})
		if s.admitted(v) {
			s.flow.message(m, v)
			settle(max(c.mode, s.flow.Mode), v)
		}
		return
	}
	if s.admitted(v) {
		s.flow.message(m, v)
		settle(s.flow.Mode, v)
	}
}

// Acknowledgment judges the answer to a message that is waiting.
func (s *Session) Acknowledgment(m *hl7.Message, v *protocols.Verdict) {
	if s.admitted(v) {
		s.flow.acknowledgment(m, v)
		settle(s.flow.Mode, v)
	}
}

// Tolerance says what the flow tolerates; before the first message chose it, what any candidate
// does, since that message is then judged by its own flow's.
func (s *Session) Tolerance(protocols.Side) hl7.Tolerance {
	if f := s.Flow(); f != nil {
		return f.hl7.tolerance
	}
	var t hl7.Tolerance
	for _, f := range s.candidates {
		o := &f.hl7.tolerance
		t.Strays = t.Strays || o.Strays
		t.SegmentEnds = t.SegmentEnds || o.SegmentEnds
		t.MaxMessage = max(t.MaxMessage, o.MaxMessage)
	}
	return t
}

// choice is how well the chosen flow fits, and the mode for a unit that does not fit it whole.
type choice struct {
	fit  fit
	mode Mode
}

// choose binds the session to a flow; see [Session] for the order.
func (s *Session) choose(fits func(*Flow) fit, weigh func(*Flow) int) choice {
	best := choice{}
	var picked *Flow
	equals := 0
	for _, f := range s.candidates {
		switch got := fits(f); {
		case picked == nil || got > best.fit:
			best, picked, equals = choice{got, modeOf(f)}, f, 1
		case got == best.fit:
			best.mode = max(best.mode, modeOf(f))
			equals++
		}
	}
	if equals > 1 { // a server's candidates may be thousands, so only those that count are weighed
		picked = heaviest(s.candidates, func(f *Flow) bool { return fits(f) == best.fit }, weigh)
	}
	s.bound, s.flow = picked, picked
	s.denied = best.fit == fitsAll && equals > 1
	return best
}

// heaviest returns the first of the flows of most weight among those that count.
func heaviest(flows []*Flow, counts func(*Flow) bool, weigh func(*Flow) int) (picked *Flow) {
	weight := -1
	for _, f := range flows {
		if counts(f) {
			if w := weigh(f); w > weight {
				picked, weight = f, w
			}
		}
	}
	return picked
}
