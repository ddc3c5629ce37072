package policy

import (
	"cordon/policy/usage"
	"cordon/protocols"
	"cordon/protocols/dicom"
)

// What is refused for another reason is not counted, in any mode.

// enter counts the association, or refuses it when the device or the flow has had as many as it
// may.
func (s *Session) enter(f *Flow, v *protocols.Verdict) {
	if v.Would != protocols.Refuse {
		exceeds(v, s.used.Begin(s.store.Usage, f.Device.Name, f.id, f.Usage))
	}
}

// spend counts a request, or refuses it when a limit is used up. It tells whether the request
// counts as outstanding.
func (s *Session) spend(f *Flow, c *dicom.Command, v *protocols.Verdict) (counted bool) {
	if v.Would == protocols.Refuse || c.Field == dicom.CancelRQ || exceeds(v, s.used.Request(c.From, f.Usage)) {
		return false
	}
	if c.Field != dicom.CStoreRQ {
		return true
	}
	charge, over := s.used.Store(f.Usage)
	if v.Charge = charge; exceeds(v, over) {
		s.used.Answered(c.From)
		return false
	}
	return true
}

// spendOnStudy counts the data set of a request that spend has counted on its study, or refuses
// it when the study has as much as it may.
func (s *Session) spendOnStudy(f *Flow, d *dicom.DataSet, v *protocols.Verdict) {
	if v.Would != protocols.Refuse && v.Charge != 0 {
		charge, over := s.used.Study(v.Charge, d.StudyInstance, f.Usage)
		v.Charge = charge
		exceeds(v, over)
	}
}

// takeBack takes back what was counted for the command set of a request when the request is refused
// for what came later, or would be. One that is refused has no response to wait for.
func (s *Session) takeBack(v *protocols.Verdict) {
	if v.Would != protocols.Refuse {
		return
	}
	if f := s.last[v.From]; f != nil && v.Charge != 0 {
		s.used.Settle(v.Charge, 0, false, f.Usage)
		v.Charge = 0
	}
	i := s.numbered(v.Request)
	if i < 0 {
		return
	}
	s.uncount(i)
	if v.Refused() {
		s.forget(i)
		v.Request = 0
	}
}

// uncount makes a request that is remembered count as outstanding no longer.
func (s *Session) uncount(i int) {
	if r := &s.pending[i]; r.counted {
		s.used.Answered(r.from)
		r.counted = false
	}
}

// exceeds refuses what would exceed a limit; nil is none.
func exceeds(v *protocols.Verdict, over *usage.Limit) bool {
	if over == nil {
		return false
	}
	v.Refuse(over.Reason(), over.Rule)
	v.Found.Set(over.Text)
	return true
}

// Settle takes a verdict back that is recorded: it counts the bytes of an object that was charged.
func (s *Session) Settle(v *protocols.Verdict) {
	if f := s.Flow(); f != nil && v.Charge != 0 {
		s.used.Settle(v.Charge, v.Bytes, v.Settled && !v.Refused(), f.Usage)
	}
}

// End ends the session: the association is not one of those at once any longer.
func (s *Session) End() { s.used.End() }
