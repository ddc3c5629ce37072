package dicom

import (
	"bytes"
	"strconv"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// setup is what only the negotiation needs.
type setup struct {
	rq     AssociateRQ
	ac     AssociateAC
	facts  Association
	narrow Narrowing
	offer  *Offer
	far    uint32 // longest P-DATA-TF PDU that Far is told it may send
	would  bool   // enforce would have refused the request
	made   []byte
}

// associate judges an A-ASSOCIATE-RQ. What the rules leave of it goes to Far; nothing is dialled
// for one that is refused, or of which nothing is left (D14).
func (t *turn) associate(pdu []byte) error {
	c, su := t.c, t.c.setup
	broken := su.rq.Parse(pdu)
	if su.rq.CallingAE == nil {
		return broken
	}
	su.rq.Facts(&su.facts)
	if broken != nil && su.facts.ApplicationContext == nil {
		su.facts.ApplicationContext = []byte(ApplicationContextName) // what was not read is no reason to refuse
	}
	var v protocols.Verdict
	v.Reset(protocols.Near)
	v.Unit.Set(TypeAssociateRQ.String())
	v.Bytes, v.Settled = int64(len(pdu)), true
	if c.draining != "" {
		v.Refuse(c.draining, "")
	} else {
		c.rules.Associate(&su.facts, &v)
	}
	if v.Refused() {
		t.reject(len(pdu), &v)
		return nil
	}
	if broken != nil {
		return broken // the rules know now whose it is, and so what becomes of it
	}
	if su.facts.Caps != nil {
		c.cap(*su.facts.Caps)
	}
	if t.narrow(&v); v.Refused() {
		t.reject(len(pdu), &v)
		return nil
	}
	t.traceRequest(&v)
	t.p.Record(&v)
	su.would = v.Would == protocols.Refuse
	su.far = LowerMaxLength(su.rq.User.MaxLength, c.cfg.MaxPDU)
	su.made = su.rq.AppendNarrowed(su.made[:0], &su.narrow)
	t.replace(pdu, su.made)
	c.issue(protocols.Far, Evt1)
	c.issue(protocols.Far, Evt2)
	return nil
}

// narrow asks the rules about each proposed context, makes the offer of what they leave, and puts
// into the request's verdict what went: many toolkits propose all they know, so one record stands
// for all SOP classes of an association that lost a context, and for what the rules rewrote of it
// besides. Without any left the request is refused, for the reason that all share, if it says more
// than that.
func (t *turn) narrow(v *protocols.Verdict) {
	su := t.c.setup
	su.narrow.Reset(&su.rq)
	su.narrow.MaxLength, su.narrow.CalledAE, su.narrow.CallingAE = t.c.cfg.MaxPDU, su.facts.CallAs, su.facts.CallingAs
	su.narrow.OmitAsync = su.facts.OmitAsync
	w := taken{classes: make([]int, 0, 128)}
	for i := range su.facts.Contexts {
		pc := &su.facts.Contexts[i]
		brought := pc.SCP && dict.IsStorage(string(pc.Abstract))
		if pv := t.context(i); pv.Reason != "" {
			w.add(su.facts.Contexts, i, &pv, brought)
		}
	}
	su.offer = su.rq.Offer(&su.narrow)
	rewrites := v.Reason == reason.PolicyRewrite
	n, about := len(su.facts.Contexts), &w.first.Verdict
	none := about.Reason
	switch all := su.offer.Remaining() == 0 || w.would == n; {
	case w.unknown.Reason != "" && all:
		about, none = &w.unknown.Verdict, reason.DICOMNoContext
	case w.mixed || n == 0:
		none = reason.DICOMNoContext
	}
	switch {
	case su.offer.Remaining() == 0:
		v.Refuse(none, about.Rule)
	case w.goes+w.would == 0 || v.Reason != "" && v.Reason != reason.PolicyRewrite:
		return // nothing goes, or what is recorded already says more
	case w.goes > 0:
		v.Action, v.Would, v.Reason, v.Rule = protocols.Rewrite, protocols.Rewrite, about.Reason, about.Rule
	case w.would == n:
		v.Would, v.Reason, v.Rule = protocols.Refuse, none, about.Rule
	default:
		v.Would, v.Reason, v.Rule = protocols.Rewrite, about.Reason, about.Rule
	}
	rewritten := v.Found // by the rules of the request, if they say so
	v.Found.Set(w.found(su.facts.Contexts, about.Found.String(), v.Reason))
	if v.Refused() || !rewrites {
		return
	}
	v.Found.Append("; ")
	v.Found.AppendBytes(rewritten.Bytes())
}

// context asks the rules about a proposed context and keeps what they answer.
func (t *turn) context(i int) (v protocols.Verdict) {
	su := t.c.setup
	pc, d := &su.facts.Contexts[i], &su.narrow.Keep[i]
	v.Reset(protocols.Near)
	v.Unit.Set(TypeAssociateRQ.String())
	v.Found.Set(className(string(pc.Abstract)))
	scu, scp := pc.SCU, pc.SCP
	t.c.rules.Context(&su.facts, pc, d.Transfer, &v)
	d.NoSCU, d.NoSCP = scu && !pc.SCU, scp && !pc.SCP
	if (scu || scp) && !pc.SCU && !pc.SCP && !v.Refused() {
		v.Refuse(reason.DICOMRole, v.Rule)
	}
	switch {
	case v.Refused() && v.Reason == reason.DICOMTransferSyntax:
		d.Result = TransferSyntaxesNotSupported
	case v.Refused():
		d.Result = AbstractSyntaxNotSupported
	case su.narrow.result(i) != Acceptance: // no transfer syntax was kept
		v.Refuse(reason.DICOMTransferSyntax, v.Rule)
	}
	return v
}

// reject answers the association request, of size bytes, with an A-ASSOCIATE-RJ.
func (t *turn) reject(size int, v *protocols.Verdict) {
	t.traceRequest(v)
	t.c.traceOwn(protocols.Near, TypeAssociateRJ, v.Reason)
	t.drop(size)
	t.p.Send(protocols.Near, AppendRJ(nil, rjOf(v.Reason)))
	t.p.Record(v)
	t.c.issue(protocols.Near, Evt8)
	t.c.end(t.p, protocols.FIN, protocols.FIN)
}

// rjOf returns the A-ASSOCIATE-RJ for a reason; for one that has none, that of a gateway that
// cannot do it now.
func rjOf(code reason.Code) reason.RJ {
	rj := reason.Lookup(code).RJ
	if rj.Result == 0 {
		rj = reason.Lookup(reason.UpstreamUnreachable).RJ
	}
	return rj
}

// replace settles a control PDU: as it is, or with other bytes in its place.
func (t *turn) replace(pdu, made []byte) {
	if bytes.Equal(pdu, made) {
		t.pass(len(pdu))
		return
	}
	t.p.Send(t.from.Other(), made)
	t.drop(len(pdu))
}

// accepted takes an A-ASSOCIATE-AC: it must answer what was offered, and Near gets it with the
// answers to what was not. From here on each side is held to the maximum length that it is told,
// which is that of its receiver or our own (D1, D2).
func (t *turn) accepted(pdu []byte) error {
	c, su := t.c, t.c.setup
	if err := su.ac.Parse(pdu); err != nil {
		return err
	}
	if err := su.ac.Check(su.offer); err != nil {
		return err
	}
	accepted := 0
	for a := range su.ac.Accepted(su.offer) {
		c.accept(a)
		accepted++
	}
	for side, n := range su.ac.Window(su.offer) {
		c.sent[side].window = n
	}
	c.sent[protocols.Near].limit = LowerMaxLength(su.ac.User.MaxLength, c.cfg.MaxPDU)
	c.sent[protocols.Far].limit = su.far
	su.made = su.ac.AppendRestored(su.made[:0], su.offer, c.cfg.MaxPDU)
	t.replace(pdu, su.made)
	t.traceAccepted(len(pdu))
	c.issue(protocols.Near, Evt7)
	if c.would = su.would; accepted == 0 {
		t.nothingAccepted(len(pdu))
	} else if !c.would {
		t.p.Taken()
	}
	c.setup = nil
	return nil
}

// nothingAccepted records an answer that is of no use to the device.
func (t *turn) nothingAccepted(size int) {
	var v protocols.Verdict
	v.Reset(protocols.Far)
	v.Unit.Set(TypeAssociateAC.String())
	v.Found.Set("none of " + strconv.Itoa(t.c.setup.offer.Remaining()) + " presentation contexts accepted")
	v.Reason, v.Bytes, v.Settled = reason.DICOMPeerFailed, int64(size), true
	t.p.Record(&v)
}

// rejected takes an A-ASSOCIATE-RJ, which is the server's own answer.
func (t *turn) rejected(pdu []byte) error {
	rj, err := ParseRJ(pdu)
	if err != nil {
		return err
	}
	var v protocols.Verdict
	v.Reset(protocols.Far)
	v.Unit.Set(TypeAssociateRJ.String())
	v.Found.Set(BriefRJ(rj))
	v.Reason, v.Bytes, v.Settled = reason.DICOMPeerRejected, int64(len(pdu)), true
	t.p.Record(&v)
	t.pass(len(pdu))
	t.c.issue(protocols.Near, Evt8)
	t.c.end(t.p, protocols.FIN, protocols.FIN)
	return nil
}
