package dicom

import (
	"bytes"
	"fmt"
	"iter"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
	"cordon/protocols/wire"
)

// Narrowing is what is to be taken from a request before the server sees it. Negotiation stays
// end to end: it can only take away (D14).
type Narrowing struct {
	Keep      []ContextDecision // one per context of the request, in its order
	CalledAE  string            // what the server is called by; "": as the device called it
	CallingAE string            // what the server is told the caller is; "": what the device said
	MaxLength uint32            // our cap on PDU lengths; 0: none
	OmitAsync bool              // the server is sent no asynchronous operations window
	masks     []bool            // backs their Transfer
}

// ContextDecision says what becomes of one proposed presentation context.
type ContextDecision struct {
	// Result is Acceptance for a context that goes to the server, else the result that the
	// device is told.
	Result Result
	// Transfer says which of the transfer syntaxes stay. A context that keeps none is stripped,
	// with TransferSyntaxesNotSupported.
	Transfer []bool
	// NoSCU and NoSCP take roles away that the requestor proposes for itself (D12).
	NoSCU, NoSCP bool
}

// Reset makes n a narrowing that keeps all of a. It reuses memory.
func (n *Narrowing) Reset(a *AssociateRQ) {
	if cap(n.Keep) < len(a.Contexts) {
		n.Keep = make([]ContextDecision, len(a.Contexts))
	}
	n.Keep, n.masks = n.Keep[:len(a.Contexts)], n.masks[:0]
	for range a.uids {
		n.masks = append(n.masks, true)
	}
	from := 0
	for i, pc := range a.Contexts {
		to := from + len(pc.Transfer)
		n.Keep[i] = ContextDecision{Transfer: n.masks[from:to:to]}
		from = to
	}
	n.CalledAE, n.CallingAE, n.MaxLength, n.OmitAsync = "", "", 0, false
}

// result is what the device is told of context i at once; Acceptance where the server decides.
func (n *Narrowing) result(i int) Result {
	d := &n.Keep[i]
	if d.Result != Acceptance {
		return d.Result
	}
	for _, keep := range d.Transfer {
		if keep {
			return Acceptance
		}
	}
	return TransferSyntaxesNotSupported
}

// whole tells whether context i goes to the server as it came.
func (n *Narrowing) whole(i int) bool {
	for _, keep := range n.Keep[i].Transfer {
		if !keep {
			return false
		}
	}
	return n.result(i) == Acceptance
}

// lost tells whether contexts of a SOP class were proposed and all are stripped.
func (n *Narrowing) lost(a *AssociateRQ, class []byte) bool {
	proposed := false
	for i, pc := range a.Contexts {
		if !bytes.Equal(pc.Abstract, class) {
			continue
		}
		if n.result(i) == Acceptance {
			return false
		}
		proposed = true
	}
	return proposed
}

// roles returns what stays of a proposed role selection. One item speaks for all contexts of its
// SOP class, so a role goes when no context that is left may have it.
func (n *Narrowing) roles(a *AssociateRQ, r RoleSelection) RoleSelection {
	scu, scp, any := false, false, false
	for i, pc := range a.Contexts {
		if d := &n.Keep[i]; bytes.Equal(pc.Abstract, r.SOPClass) && n.result(i) == Acceptance {
			scu, scp, any = scu || !d.NoSCU, scp || !d.NoSCP, true
		}
	}
	if any {
		r.SCU, r.SCP = r.SCU && scu, r.SCP && scp
	}
	return r
}

// title returns an AE title field with another title, nil where it has that title already.
func title(field []byte, with string) []byte {
	if with == "" || with == string(TrimAE(field)) {
		return nil
	}
	field = bytes.Repeat([]byte{' '}, aeLen)
	copy(field, with)
	return field
}

// AppendNarrowed appends the request for the server: without what n takes away, without the role
// selection and extended negotiation items of SOP classes that lost all their contexts, with the
// roles that are left, and with the maximum length lowered to our cap. All else is as received,
// and all of it where nothing changes.
func (a *AssociateRQ) AppendNarrowed(dst []byte, n *Narrowing) []byte {
	e := edit{called: title(a.CalledAE, n.CalledAE), calling: title(a.CallingAE, n.CallingAE), maxLength: n.MaxLength}
	same := e.called == nil && e.calling == nil && a.fits(n.MaxLength)
	if n.OmitAsync && a.User.HasAsync {
		e.omits, same = ItemAsyncWindow, false
	}
	for i := range n.Keep {
		same = same && n.whole(i)
	}
	for _, r := range a.User.Roles {
		left := n.roles(a, r)
		same = same && left.SCU == r.SCU && left.SCP == r.SCP
	}
	if same {
		return append(dst, a.raw...)
	}
	i := 0
	e.context = func(b *wire.Builder, it *Item) {
		if n.result(i) == Acceptance {
			it.encodeContext(b, n.Keep[i].Transfer)
		}
		i++
	}
	e.drops = func(class []byte) bool { return class != nil && n.lost(a, class) }
	e.roles = func(r RoleSelection) RoleSelection { return n.roles(a, r) }
	return a.encode(dst, &e)
}

// fits tells whether the maximum length is as it would be with limit.
func (a *associate) fits(limit uint32) bool {
	return limit == 0 || a.User.HasMaxLength && LowerMaxLength(a.User.MaxLength, limit) == a.User.MaxLength
}

// Offer remembers what the device asked and what of it the server was offered.
type Offer struct {
	contexts []offered // in the order the device asked
	roles    []offeredRole
	called   []byte // the device's called AE title field where the server was called otherwise
	calling  []byte // the device's calling AE title field where the server was told another
	identity bool   // a user identity was sent
	window   [2]int // asynchronous operations, see AssociateAC.Window
}

type offered struct {
	id       uint8
	result   Result // what the device is told; Acceptance: for the server to decide
	abstract string
	transfer []string // what the server may choose from; of a stripped context one of those asked
	noSCU    bool     // roles that are taken away
	noSCP    bool
}

type offeredRole struct {
	class    string
	scu, scp bool
}

// Offer returns what a narrowed by n offers. It holds copies.
func (a *AssociateRQ) Offer(n *Narrowing) *Offer {
	o := &Offer{identity: a.User.Identity.Type != 0, window: a.User.window()}
	if n.OmitAsync {
		o.window = [2]int{1, 1}
	}
	if title(a.CalledAE, n.CalledAE) != nil {
		o.called = bytes.Clone(a.CalledAE)
	}
	if title(a.CallingAE, n.CallingAE) != nil {
		o.calling = bytes.Clone(a.CallingAE)
	}
	o.contexts = make([]offered, 0, len(a.Contexts))
	transfers := make([]string, 0, len(a.uids)) // of all contexts
	for i, pc := range a.Contexts {
		c := offered{id: pc.ID, result: n.result(i), abstract: dict.Intern(pc.Abstract), noSCU: n.Keep[i].NoSCU, noSCP: n.Keep[i].NoSCP}
		from := len(transfers)
		for j, t := range pc.Transfer {
			if c.result != Acceptance && j == 0 || c.result == Acceptance && n.Keep[i].Transfer[j] {
				transfers = append(transfers, dict.Intern(t))
			}
		}
		c.transfer = transfers[from:len(transfers):len(transfers)]
		o.contexts = append(o.contexts, c)
	}
	for _, r := range a.User.Roles {
		if !n.lost(a, r.SOPClass) {
			left := n.roles(a, r)
			o.roles = append(o.roles, offeredRole{string(r.SOPClass), left.SCU, left.SCP})
		}
	}
	return o
}

// Remaining returns how many contexts the server is offered.
func (o *Offer) Remaining() (n int) {
	for i := range o.contexts {
		if o.contexts[i].result == Acceptance {
			n++
		}
	}
	return n
}

// open returns the context of that ID that the server may answer, nil for any other.
func (o *Offer) open(id uint8) *offered {
	for i := range o.contexts {
		if c := &o.contexts[i]; c.id == id && c.result == Acceptance {
			return c
		}
	}
	return nil
}

// choose returns the transfer syntax that was offered, "" for one that was not.
func (c *offered) choose(transfer []byte) string {
	for _, t := range c.transfer {
		if t == string(transfer) {
			return t
		}
	}
	return ""
}

// Check judges an answer against the offer: a server cannot accept, or answer for, what it was
// not offered. Contexts may be left unanswered, and what is said in extended negotiation is
// between the peers (D15).
func (ac *AssociateAC) Check(o *Offer) error {
	if string(ac.ApplicationContext) != ApplicationContextName {
		return &protocols.Malformed{Reason: reason.DICOMApplicationContext, Section: "PS3.8 §9.3.3.1",
			Offset: PDUHeaderLen + associateFixed, Detail: "the answer names another application context than DICOM's"}
	}
	var seen [256]bool
	for i := range ac.Contexts {
		cr := &ac.Contexts[i]
		c := o.open(cr.ID)
		switch {
		case c == nil:
			return unoffered(cr.item.Off, "§9.3.3.2", "an answer to presentation context %d, which was not offered", cr.ID)
		case seen[cr.ID]:
			return unoffered(cr.item.Off, "§9.3.3.2", "a second answer to presentation context %d", cr.ID)
		case cr.Result == Acceptance && c.choose(cr.Transfer) == "":
			return unoffered(cr.item.Off, "§9.3.3.2", "presentation context %d is accepted with a transfer syntax that was not offered", cr.ID)
		}
		seen[cr.ID] = true
	}
	for _, r := range ac.User.Roles {
		if !o.grants(r) {
			return unoffered(ac.User.off, "§9.3.3.3", "a role is accepted that was not proposed")
		}
	}
	if ac.User.HasResponse && !o.identity {
		return unoffered(ac.User.off, "§9.3.3.3", "a user identity is answered, and none was sent")
	}
	return nil
}

// grants tells whether an accepted role was proposed, or is the one that holds without negotiation
// (PS3.7 §D.3.3.4).
func (o *Offer) grants(r RoleSelection) bool {
	for _, p := range o.roles {
		if p.class == string(r.SOPClass) {
			return (p.scu || !r.SCU) && (p.scp || !r.SCP)
		}
	}
	return r.SCU && !r.SCP
}

func unoffered(off int, section, format string, args ...any) error {
	return &protocols.Malformed{Reason: reason.DICOMNegotiation, Section: "PS3.8 " + section, Offset: off, Detail: fmt.Sprintf(format, args...)}
}

// AppendRestored appends the answer for the device: what the server said, and the stripped
// contexts under their own IDs with the result that policy gave them, in the order the device
// asked; the maximum length lowered to our cap, and the AE titles that the device used. All else
// is as received, and all of it where nothing changes. ac has passed Check.
func (ac *AssociateAC) AppendRestored(dst []byte, o *Offer, maxLength uint32) []byte {
	e := edit{maxLength: maxLength}
	if o.called != nil && !bytes.Equal(o.called, ac.CalledAE) {
		e.called = o.called
	}
	if o.calling != nil && !bytes.Equal(o.calling, ac.CallingAE) {
		e.calling = o.calling
	}
	stripped := o.Remaining() < len(o.contexts)
	if !stripped && e.called == nil && e.calling == nil && ac.fits(maxLength) {
		return append(dst, ac.raw...)
	}
	if stripped && len(ac.Contexts) == 0 {
		e.missing = func(b *wire.Builder) { ac.answers(b, o) }
	}
	if stripped {
		first := true
		e.context = func(b *wire.Builder, _ *Item) {
			if first {
				ac.answers(b, o)
			}
			first = false
		}
	}
	return ac.encode(dst, &e)
}

// answers appends the answers to all contexts the device asked for, in its order.
func (ac *AssociateAC) answers(b *wire.Builder, o *Offer) {
	for _, c := range o.contexts {
		if c.result != Acceptance {
			c.refuse(b)
			continue
		}
		for i := range ac.Contexts {
			if ac.Contexts[i].ID == c.id {
				ac.Contexts[i].item.encodeContext(b, nil)
			}
		}
	}
}

// refuse appends the answer to a stripped context. It has one transfer syntax, which is not
// significant, because Table 9-18 wants one.
func (c *offered) refuse(b *wire.Builder) {
	it := Item{Type: ItemContextAC}
	it.wrap(b, func(b *wire.Builder) {
		b.Bytes([]byte{c.id, 0, uint8(c.result), 0})
		sub := Item{Type: ItemTransferSyntax, Value: []byte(c.transfer[0])}
		sub.append(b)
	})
}

// AcceptedContext is a presentation context that both sides agreed on.
type AcceptedContext struct {
	ID       uint8
	Abstract string
	Transfer string
	SCU, SCP bool // the roles of the requestor; without negotiation it is the SCU (D12)
}

// Accepted iterates over the accepted contexts. ac has passed Check; what it yields does not
// alias the PDU.
func (ac *AssociateAC) Accepted(o *Offer) iter.Seq[AcceptedContext] {
	return func(yield func(AcceptedContext) bool) {
		for i := range ac.Contexts {
			cr := &ac.Contexts[i]
			c := o.open(cr.ID)
			if cr.Result != Acceptance || c == nil {
				continue
			}
			out := AcceptedContext{ID: cr.ID, Abstract: c.abstract, Transfer: c.choose(cr.Transfer), SCU: true}
			for _, r := range ac.User.Roles {
				if string(r.SOPClass) == c.abstract {
					out.SCU, out.SCP = r.SCU, r.SCP
				}
			}
			out.SCU, out.SCP = out.SCU && !c.noSCU, out.SCP && !c.noSCP
			if !yield(out) {
				return
			}
		}
	}
}

// window returns how many requests the requestor and the acceptor may leave unanswered (PS3.7
// §D.3.3.3); 0 means no limit, and without the item it is one each (D11).
func (u *UserInformation) window() [2]int {
	if !u.HasAsync {
		return [2]int{1, 1}
	}
	return [2]int{int(u.AsyncInvoked), int(u.AsyncPerformed)}
}

// Window returns how many requests Near, the requestor, and Far may leave unanswered; 0 means no
// limit. The answer speaks of the requestor's operations first, as the request does, and cannot
// widen what was asked: of an answer that does, the request counts.
func (ac *AssociateAC) Window(o *Offer) (w [2]int) {
	answered := ac.User.window()
	for i := range w {
		w[i] = int(LowerMaxLength(uint32(answered[i]), uint32(o.window[i]))) // 0 means no limit here, too
	}
	return w
}
