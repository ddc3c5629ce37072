package dicom

import (
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/protocols/wire"
)

// ApplicationContextName is the one that DICOM defines (PS3.7 §A.2.1).
const ApplicationContextName = "1.2.840.10008.3.1.1.1"

const (
	associateFixed = 68 // bytes of the fixed fields after the PDU header
	aeLen          = 16 // bytes of an AE title field
	contextFixed   = 4  // bytes of a presentation context item before its sub-items
	// maxRejected bounds a rejected context's answer, whose sub-items mean nothing and are not
	// tested (Table 9-18), so that an A-ASSOCIATE-AC always has room for what is put back.
	maxRejected = 4096
)

// associate is what A-ASSOCIATE-RQ and -AC have in common. Slices alias the caller's buffer.
type associate struct {
	raw       []byte // as received, PDU header included
	Version   uint16 // bit field; bit 0 is version 1
	CalledAE  []byte // 16 bytes, as received; in an A-ASSOCIATE-AC an echo
	CallingAE []byte // likewise
	reserved  [2][]byte

	ApplicationContext []byte // name, padding trimmed
	User               UserInformation

	seenContext [256]bool // by presentation context ID
}

// AssociateRQ is a view of an A-ASSOCIATE-RQ PDU (PS3.8 §9.3.2, Table 9-11). It is parsed from a
// whole PDU and lives as long as that.
type AssociateRQ struct {
	associate
	Contexts []PresentationContext // as proposed, in that order
	uids     [][]byte              // backs their Transfer
}

// AssociateAC is a view of an A-ASSOCIATE-AC PDU (PS3.8 §9.3.3, Table 9-17).
type AssociateAC struct {
	associate
	Contexts []ContextResult // in the order received
}

// Result is the answer to a proposed presentation context (PS3.8 Table 9-18).
type Result uint8

// The results.
const (
	Acceptance                   Result = 0
	UserRejection                Result = 1
	NoReason                     Result = 2
	AbstractSyntaxNotSupported   Result = 3
	TransferSyntaxesNotSupported Result = 4
	lastResult                          = TransferSyntaxesNotSupported
)

var resultNames = [...]string{"acceptance", "user-rejection", "no-reason",
	"abstract-syntax-not-supported", "transfer-syntaxes-not-supported"}

func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return fmt.Sprintf("undefined %d", uint8(r))
}

// ContextResult is the answer to one presentation context (PS3.8 §9.3.3.2).
type ContextResult struct {
	ID       uint8
	Result   Result
	Transfer []byte // the accepted transfer syntax, padding trimmed; nil unless accepted
	item     Item
}

// Parse reads a whole PDU. Its memory is reused when called again. A proposal without any context
// is read; it is for the rules to find nothing in it.
func (a *AssociateRQ) Parse(pdu []byte) error {
	a.Contexts, a.uids = a.Contexts[:0], a.uids[:0]
	if err := a.parse(pdu, TypeAssociateRQ, ItemContextRQ, inRQ, a.parseContext); err != nil {
		return err
	}
	if !a.User.HasMaxLength && len(pdu)-PDUHeaderLen > MaxAssociatePDU-maxLengthItem {
		return &protocols.Malformed{Reason: reason.DICOMPDUTooLong, Section: "PS3.8 §D.1", Offset: 2,
			Detail: "no maximum length, and no room for one"}
	}
	return nil
}

// Parse reads a whole PDU. Its memory is reused when called again. Whether it answers what was
// asked is for Check.
func (a *AssociateAC) Parse(pdu []byte) error {
	a.Contexts = a.Contexts[:0]
	return a.parse(pdu, TypeAssociateAC, ItemContextAC, inAC, a.parseContext)
}

func (a *associate) parse(pdu []byte, t PDUType, context ItemType, in direction, parseContext func(*Item) error) error {
	if err := whole(pdu, t); err != nil {
		return err
	}
	section := pduLengths[t].section
	a.raw, a.ApplicationContext, a.seenContext = pdu, nil, [256]bool{}
	a.User.reset()
	c := wire.Cursor(pdu)
	if !c.Skip(PDUHeaderLen) || !c.Uint16(&a.Version) || !c.Take(&a.reserved[0], 2) ||
		!c.Take(&a.CalledAE, aeLen) || !c.Take(&a.CallingAE, aeLen) || !c.Take(&a.reserved[1], 32) {
		return itemFault(len(pdu), section, "fixed fields cut short")
	}
	users := 0
	r := items{rest: c, off: len(pdu) - len(c)}
	var it Item
	for r.next(&it) {
		var err error
		switch it.Type {
		case ItemApplicationContext:
			err = a.parseApplicationContext(&it)
		case context:
			err = parseContext(&it)
		case ItemUserInformation:
			if users++; users > 1 {
				return it.fault(section, "a second user information item; there is one")
			}
			err = a.User.parse(&it, in)
		default:
			if it.Type.known() {
				err = it.fault(section, "item %02XH, which %s does not have", uint8(it.Type), t)
			}
		}
		if err != nil {
			return err
		}
	}
	switch err := r.trailing(section); {
	case err != nil:
		return err
	case a.ApplicationContext == nil:
		return itemFault(len(pdu), section, "no application context item; there is one")
	case users == 0:
		return itemFault(len(pdu), section, "no user information item; there is one")
	}
	return nil
}

// parseApplicationContext bounds the name; which one it is, is for the rules.
func (a *associate) parseApplicationContext(it *Item) error {
	name := TrimUID(it.Value)
	switch {
	case a.ApplicationContext != nil:
		return it.fault("PS3.8 §9.3.2.1", "a second application context item; there is one")
	case len(it.Value) > maxUID || len(name) == 0:
		return it.fault("PS3.8 §9.3.2.1", "application context name of %d bytes; it has 1 to %d", len(name), maxUID)
	}
	a.ApplicationContext = name
	return nil
}

// parseID checks a presentation context ID: odd (D13).
func parseID(it *Item, section string) (uint8, error) {
	if len(it.Value) < contextFixed {
		return 0, it.fault(section, "presentation context item of length %d; it has at least %d bytes", len(it.Value), contextFixed)
	}
	id := it.Value[0]
	if id%2 == 0 {
		return 0, it.fault(section, "presentation context ID %d; they are odd", id)
	}
	return id, nil
}

// parseContext reads what was proposed. Whether its UIDs have the form of UIDs is for the rules: one
// that has not is like one that nobody knows, and costs its context alone.
func (a *AssociateRQ) parseContext(it *Item) error {
	const section = "PS3.8 §9.3.2.2"
	id, err := parseID(it, section)
	switch {
	case err != nil:
		return err
	case a.seenContext[id]:
		return it.fault(section, "presentation context ID %d a second time; they are unique", id)
	}
	a.seenContext[id] = true
	pc := PresentationContext{ID: id}
	from, abstracts := len(a.uids), 0
	r := it.within(contextFixed)
	for sub := (Item{}); r.next(&sub); {
		switch sub.Type {
		case ItemAbstractSyntax:
			if abstracts++; abstracts > 1 {
				return sub.fault(section, "a second abstract syntax in one presentation context; there is one")
			}
			pc.Abstract = TrimUID(sub.Value)
		case ItemTransferSyntax:
			if len(a.uids)-from == maxTransfers {
				return sub.fault(section, "more than %d transfer syntaxes in one presentation context", maxTransfers)
			}
			a.uids = append(a.uids, TrimUID(sub.Value))
		default:
			if sub.Type.known() {
				return sub.fault(section, "sub-item %02XH, which a presentation context does not have", uint8(sub.Type))
			}
			continue
		}
		if len(sub.Value) > maxUID {
			return sub.fault(section, "sub-item %02XH of %d bytes; a UID has at most %d", uint8(sub.Type), len(sub.Value), maxUID)
		}
	}
	pc.Transfer = a.uids[from:len(a.uids):len(a.uids)]
	switch err := r.trailing(section); {
	case err != nil:
		return err
	case abstracts == 0:
		return it.fault(section, "a presentation context without an abstract syntax; there is one")
	case len(pc.Transfer) == 0:
		return it.fault(section, "a presentation context without a transfer syntax; there is at least one")
	}
	a.Contexts = append(a.Contexts, pc)
	return nil
}

func (a *AssociateAC) parseContext(it *Item) error {
	const section = "PS3.8 §9.3.3.2"
	id, err := parseID(it, section)
	if err != nil {
		return err
	}
	cr := ContextResult{ID: id, Result: Result(it.Value[2]), item: *it}
	switch {
	case cr.Result > lastResult:
		return it.fault(section, "result %d of a presentation context; there are 0 to %d", cr.Result, lastResult)
	case cr.Result != Acceptance && len(it.Value) > maxRejected:
		return it.fault(section, "a rejected presentation context of %d bytes; at most %d are read", len(it.Value), maxRejected)
	case len(a.Contexts) == maxContexts:
		return it.fault(section, "more than %d presentation contexts", maxContexts)
	}
	r := it.within(contextFixed)
	for sub := (Item{}); r.next(&sub); {
		switch {
		case cr.Result == Acceptance && sub.Type == ItemTransferSyntax && len(TrimUID(sub.Value)) == 0:
			return sub.fault(section, "an empty transfer syntax in an accepted presentation context; it names one")
		case sub.Type == ItemTransferSyntax && len(sub.Value) > maxUID:
			return sub.fault(section, "sub-item %02XH of %d bytes; a UID has at most %d", uint8(sub.Type), len(sub.Value), maxUID)
		case cr.Result != Acceptance:
			// Not significant, not tested.
		case sub.Type != ItemTransferSyntax && sub.Type.known():
			return sub.fault(section, "sub-item %02XH, which an answered presentation context does not have", uint8(sub.Type))
		case sub.Type != ItemTransferSyntax:
			// Skipped.
		case cr.Transfer != nil:
			return sub.fault(section, "a second transfer syntax in one accepted presentation context; there is one")
		default:
			cr.Transfer = TrimUID(sub.Value) // of what form it is counts for nothing: it must be one that was offered
		}
	}
	if err := r.trailing(section); err != nil {
		return err
	}
	if cr.Result == Acceptance && cr.Transfer == nil {
		return it.fault(section, "an accepted presentation context without a transfer syntax; there is one")
	}
	a.Contexts = append(a.Contexts, cr)
	return nil
}

// Facts fills out with what rules judge. It aliases a; memory of out is reused.
func (a *AssociateRQ) Facts(out *Association) {
	*out = Association{
		ProtocolVersion:    a.Version,
		CalledAE:           TrimAE(a.CalledAE),
		CallingAE:          TrimAE(a.CallingAE),
		ApplicationContext: a.ApplicationContext,
		Contexts:           append(out.Contexts[:0], a.Contexts...),
		MaxLength:          a.User.MaxLength,
		HasMaxLength:       a.User.HasMaxLength,
		ImplementationUID:  a.User.ImplementationUID,
		ImplementationName: a.User.ImplementationName,
		UserIdentityType:   a.User.Identity.Type,
		HasAsync:           a.User.HasAsync,
		AsyncInvoked:       a.User.AsyncInvoked,
		AsyncPerformed:     a.User.AsyncPerformed,
	}
	for i := range out.Contexts {
		pc := &out.Contexts[i]
		pc.SCU, pc.SCP, pc.HasRole = true, false, false
		for _, r := range a.User.Roles {
			if string(r.SOPClass) == string(pc.Abstract) {
				pc.SCU, pc.SCP, pc.HasRole = r.SCU, r.SCP, true
			}
		}
	}
}

// Raw returns the PDU as received.
func (a *associate) Raw() []byte { return a.raw }

// Append appends the PDU encoded anew from its parts. It is what was received: every byte of a
// PDU that Parse accepts belongs to a part.
func (a *associate) Append(dst []byte) []byte { return a.encode(dst, &edit{}) }
