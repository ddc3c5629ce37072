package dicom

import (
	"strings"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// A message that names an application entity by a title that the other side knows another one for
// is sent anew as far as it names it: its command set (Move Destination, Move Originator), or its
// data set (Retrieve AE Title). The PDVs of that set are replaced by PDUs of our own; all others of
// the message pass as they came.

const (
	uidStorageCommitment = "1.2.840.10008.1.20.1"          // Storage Commitment Push Model (PS3.4 §J.3)
	uidPerformedStep     = "1.2.840.10008.3.1.2.3.3"       // Modality Performed Procedure Step (PS3.4 §F.7)
	uidStepRetrieve      = "1.2.840.10008.3.1.2.3.4"       // … Retrieve (PS3.4 §F.8)
	uidAvailability      = "1.2.840.10008.5.1.4.33"        // Instance Availability Notification (PS3.4 §R.3)
	uidUnifiedStep       = "1.2.840.10008.5.1.4.34.6."     // what the Unified Procedure Step classes begin with (PS3.4 §CC.3)
	uidQueryRetrieve     = "1.2.840.10008.5.1.4.1.2."      // what the models of Query/Retrieve begin with (PS3.4 §C.6)
	uidRepositoryQuery   = "1.2.840.10008.5.1.4.1.1.201.6" // which has the Study Root model (PS3.4 §C.6.4)
	moveDestinationTag   = 0x0600
	originatorTag        = 0x1030
)

// titlesOf says where the data set of a message may have a Retrieve AE Title; nil where it has none:
// matches of a query, storage commitment's requests and reports, and the attributes of procedure
// steps and notifications.
func titlesOf(c *Command) *places {
	switch c.Field {
	case CFindRSP:
		if strings.HasPrefix(c.Abstract, uidQueryRetrieve) || c.Abstract == uidRepositoryQuery {
			return &inReferences
		}
	case NActionRQ, NEventRQ:
		if c.Abstract == uidStorageCommitment {
			return &inReferences
		}
		return nil
	case NCreateRQ, NCreateRSP, NSetRQ, NSetRSP, NGetRSP:
		switch c.Abstract {
		case uidPerformedStep, uidStepRetrieve:
			return &inPerformed
		case uidAvailability:
			return &inAvailable
		}
	default:
		return nil
	}
	if strings.HasPrefix(c.Abstract, uidUnifiedStep) {
		return &inUnified
	}
	return nil
}

// retitle makes anew what the allowed message under way names by another title than its receiver
// does. It may refuse the message: where the titles cannot be replaced because more of it would have
// to be held than may be.
func (t *turn) retitle() {
	r, m := &t.c.retitler, &t.s.msg
	m.anew = [2]int{}
	if !t.c.rules.Renames() {
		return
	}
	r.reset(t.c.rules, t.from)
	switch {
	case m.cmd.Field == CMoveRQ:
		t.retitleCommand(r, moveDestinationTag)
	case m.cmd.Field == CStoreRQ && m.cmd.Originator != nil:
		t.retitleCommand(r, originatorTag)
	case m.cmd.HasDataSet && m.read.titles && m.read.done():
		t.retitleDataSet(r)
	}
	r.out = emptied(r.out, keptRewrite)
	if v := &m.verdict; r.found && !v.Refused() {
		v.Action = protocols.Rewrite
		if v.Would == protocols.Allow {
			v.Would, v.Reason = protocols.Rewrite, reason.PolicyRewrite
			v.Found.Set("")
			v.Found.AppendBytes(r.told)
		}
	}
}

// retitleCommand makes the command set anew if the rules know another title for the one that an
// element of it holds.
func (t *turn) retitleCommand(r *retitler, elem uint16) {
	s, m := t.s, &t.s.msg
	if r.commandSet(m.set, elem); r.found {
		m.anew[0] = s.remakeSet(m.ctx.id, true, r.out)
	}
}

// retitleDataSet likewise makes the data set anew. One that cannot be read, or inflates to more than
// may be, passes as it came: rules that want it sound look at it themselves.
func (t *turn) retitleDataSet(r *retitler) {
	s, m := t.s, &t.s.msg
	held, e := t.held(t.c.work[:0]), encodingOf(m.ctx.transfer)
	set, whole := held, true
	if e.deflated {
		set, whole = inflated(held, t.c.cfg.Scan.OrDefault().Inflated)
	}
	read := r.dataSet(set, e, titlesOf(&m.cmd))
	switch {
	case r.found && m.read.cut:
		// The rest names the same by the same title, and is not here to be made anew.
		r.found = false
		t.c.rules.Breach(reason.CapHold, &m.verdict)
	case !read || !whole:
		r.found = false
	case r.found:
		if e.deflated {
			r.out = deflated(r.out)
		}
		m.anew[1] = s.remakeSet(m.ctx.id, false, r.out)
	}
	t.c.work = emptied(held, keptRewrite)
}

// held appends as much of the undecided data set as is in the window.
func (t *turn) held(dst []byte) []byte {
	s, at := t.s, 0
	for i := s.first; i < len(s.pieces); i++ {
		pc := &s.pieces[i]
		if pc.pdu > 0 {
			at += PDUHeaderLen
		}
		if end := min(at+int(pc.n), len(t.win)); i >= s.sure && !pc.set && end > at+pdvHeaderLen {
			dst = append(dst, t.win[at+pdvHeaderLen:end]...)
		}
		at += int(pc.n)
	}
	return dst
}

// remakeSet queues the PDUs of a set that was made anew, and returns how many bytes they have.
func (s *sender) remakeSet(contextID uint8, command bool, set []byte) int {
	n := len(s.anew)
	s.anew = AppendFragments(s.anew, contextID, command, set, s.limit)
	return len(s.anew) - n
}

// remake has the PDUs that were made anew take the place of the undecided pieces of their set.
func (s *sender) remake() {
	anew := s.msg.anew
	for i := s.sure; i < len(s.pieces); i++ {
		pc, which := &s.pieces[i], 1
		if pc.set {
			which = 0
		}
		if s.msg.anew[which] > 0 {
			pc.fate, pc.anew = replaced, int32(anew[which])
			anew[which] = 0
		}
	}
}

// sendAnew sends the next n bytes that take the place of a piece.
func (t *turn) sendAnew(n int) {
	s := t.s
	if n == 0 {
		return
	}
	s.open = true
	t.p.Send(t.from.Other(), s.anew[:n])
	if s.anew = append(s.anew[:0], s.anew[n:]...); len(s.anew) == 0 {
		s.anew = emptied(s.anew, keptRewrite)
	}
}
