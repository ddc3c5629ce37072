package policy

import (
	"slices"
	"strconv"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// dicomRules is what a flow allows in DICOM: for each abstract syntax the operations on it.
type dicomRules struct {
	classes map[string]*class // by abstract syntax UID
	// storage is the class of every storage SOP class that the dictionary knows and classes has
	// not; nil where only those of classes are allowed.
	storage *class

	transfer     map[string]bool // transfer syntaxes by UID; nil: all known that can be read, but deflated ones
	transferRule string

	lettered    bool // UIDs with letters in them pass
	anyGeometry bool // images pass whose Pixel Data does not fit what they say of it
	// anyRemainder says that what is malformed passes where no rule reads it: objects
	// behind what was read of them when they were let through, answers, what is no identifier.
	anyRemainder bool
	anyRole      bool // requests pass of a role that was not negotiated
}

// class is what may be done on presentation contexts of one abstract syntax.
type class struct {
	rule       string // the first that allows something of it
	operations []operation
	// members are the operations on SOP classes that commands may name besides the abstract
	// syntax itself, which is then a meta SOP class (PS3.4 §H.3) or shares its instances.
	members map[string][]operation
	// The roles that whoever requested the association may have (PS3.7 §D.3.3.4).
	scu, scp bool
}

// operation allows one DIMSE request. Its response comes with it. Near is the side that requested
// the association.
type operation struct {
	field  uint16         // Command Field (0000,0100)
	from   protocols.Side // who sends it
	within uint16         // Command Field of the request that it is a sub-operation of; 0: of none
	types  []uint16       // action or event types; nil: any
	// destinations are the AE titles that C-MOVE may name.
	destinations []string
	query        *query // what its identifier may ask; nil: anything
	rule         string
}

// tolerates tells whether a breach of the standard is one that the flow lives with.
func (r *dicomRules) tolerates(code reason.Code) bool {
	switch code {
	case reason.DICOMRole:
		return r.anyRole
	case reason.DICOMDataSet, reason.DICOMCommandRemainder:
		return r.anyRemainder
	}
	return false
}

// class returns what may be done with an abstract syntax, nil for nothing.
func (r *dicomRules) class(abstract string) *class {
	if c := r.classes[abstract]; c != nil {
		return c
	}
	if r.storage != nil && dict.IsStorage(abstract) {
		return r.storage
	}
	return nil
}

func (r *dicomRules) takes(transfer string) bool {
	if r.transfer != nil {
		return r.transfer[transfer]
	}
	return dict.IsTransferSyntax(transfer) && !deflated[transfer] && unread[transfer] == ""
}

// allow adds an operation on an abstract syntax. Of several that allow the same the first decides.
func (r *dicomRules) allow(abstract string, op operation) {
	c := r.entry(abstract)
	c.admit(&op)
	c.operations = append(c.operations, op)
}

// allowNamed adds an operation whose command names another SOP class than its abstract syntax.
func (r *dicomRules) allowNamed(abstract, named string, op operation) {
	c := r.entry(abstract)
	c.admit(&op)
	if c.members == nil {
		c.members = map[string][]operation{}
	}
	c.members[named] = append(c.members[named], op)
}

// allowStorage adds an operation on every storage SOP class that the dictionary knows.
func (r *dicomRules) allowStorage(op operation) {
	if r.storage == nil {
		r.storage = &class{}
	}
	r.storage.admit(&op)
	r.storage.operations = append(r.storage.operations, op)
}

// spreadStorage gives storage SOP classes that have rules of their own what all of them have. It
// is called once, when all operations were added.
func (r *dicomRules) spreadStorage() {
	if r.storage == nil {
		return
	}
	for abstract, c := range r.classes {
		if !dict.IsStorage(abstract) {
			continue
		}
		for i := range r.storage.operations {
			c.admit(&r.storage.operations[i])
		}
		c.operations = append(c.operations, r.storage.operations...)
	}
}

func (r *dicomRules) entry(abstract string) *class {
	if r.classes == nil {
		r.classes = map[string]*class{}
	}
	c := r.classes[abstract]
	if c == nil {
		c = &class{}
		r.classes[abstract] = c
	}
	return c
}

// admit notes the rule and the role that an operation needs. An SCP sends event reports and is
// sent everything else.
func (c *class) admit(op *operation) {
	if c.rule == "" {
		c.rule = op.rule
	}
	if near, report := op.from == protocols.Near, op.field == dicom.NEventRQ; near != report {
		c.scu = true
	} else {
		c.scp = true
	}
}

const applicationContext = "1.2.840.10008.3.1.1.1" // PS3.7 §A.2.1

// association judges what an A-ASSOCIATE-RQ says besides its AE titles.
func (p *program) association(a *dicom.Association, v *protocols.Verdict) {
	switch {
	case a.ProtocolVersion&1 == 0:
		v.Refuse(reason.DICOMProtocolVersion, ruleVersion)
	case string(a.ApplicationContext) != applicationContext:
		v.Refuse(reason.DICOMApplicationContext, ruleContext)
	}
}

// context judges a presentation context, and takes the transfer syntaxes and roles away that the
// flow does not allow.
func (p *program) context(pc *dicom.PresentationContext, keep []bool, v *protocols.Verdict) {
	abstract := string(pc.Abstract)
	v.Found.Set(className(abstract))
	c := p.dicom.class(abstract)
	if c == nil {
		v.Refuse(reason.DICOMAbstractSyntax, p.allowRule)
		return
	}
	if !pc.HasRole {
		pc.SCU, pc.SCP = true, false // PS3.7 §D.3.3.4
	}
	silent := !pc.HasRole && p.dicom.anyRole // whoever takes a role that it did not propose is judged by what it asks
	if pc.SCU, pc.SCP = pc.SCU && (c.scu || silent), pc.SCP && c.scp; !pc.SCU && !pc.SCP {
		v.Refuse(reason.DICOMRole, c.rule)
		return
	}
	kept := false
	for i, t := range pc.Transfer {
		keep[i] = p.dicom.takes(string(t))
		kept = kept || keep[i]
	}
	if !kept {
		v.Refuse(reason.DICOMTransferSyntax, p.dicom.transferRule)
		return
	}
	v.Rule = c.rule
}

// request judges a DIMSE request.
func (p *program) request(c *dicom.Command, v *protocols.Verdict) {
	if !p.dicom.safe(c.InstanceSafe, c.SOPInstance) {
		v.Refuse(reason.DICOMUID, ruleUID)
		return
	}
	v.Found.Set(className(c.Abstract))
	cl := p.dicom.class(c.Abstract)
	if cl == nil {
		v.Refuse(reason.DICOMAbstractSyntax, p.allowRule)
		return
	}
	if !p.dicom.takes(c.Transfer) {
		v.Found.Set(className(c.Transfer))
		v.Refuse(reason.DICOMTransferSyntax, p.dicom.transferRule)
		return
	}
	operations, named := cl.on(c)
	if !named {
		misplaced(c, v)
		v.Refuse(reason.DICOMSOPClass, cl.rule)
		return
	}
	code, rule := reason.DICOMCommand, p.allowRule
	for i := range operations {
		op := &operations[i]
		if !op.is(c) {
			continue
		}
		no := op.refuses(c)
		if no == "" {
			v.Rule = op.rule
			return
		}
		if code == reason.DICOMCommand {
			code, rule = no, op.rule
		}
	}
	found(c, code, v)
	v.Refuse(code, rule)
}

// on returns the operations on the SOP class that a command names, and whether it may be named on
// its presentation context at all. C-CANCEL names none (PS3.7 §9.3.2.3).
func (cl *class) on(c *dicom.Command) (operations []operation, named bool) {
	if c.SOPClass == nil {
		return cl.operations, c.Field == dicom.CancelRQ
	}
	if string(c.SOPClass) == c.Abstract {
		return cl.operations, true
	}
	operations, named = cl.members[string(c.SOPClass)]
	return operations, named
}

// is tells whether an operation is the one that a request asks for. C-CANCEL is about another, but
// no part of it.
func (op *operation) is(c *dicom.Command) bool {
	return op.field == c.Field && op.from == c.From && (op.within == c.Within || c.Field == dicom.CancelRQ)
}

// refuses returns why an operation does not allow a request that asks for it, "" when it does.
func (op *operation) refuses(c *dicom.Command) reason.Code {
	switch {
	case c.Field == dicom.CMoveRQ && !slices.ContainsFunc(op.destinations, func(d string) bool { return d == string(c.MoveAE) }):
		return reason.DICOMMoveDestination
	case op.types == nil || slices.Contains(op.types, c.TypeID):
		return ""
	case c.Field == dicom.NEventRQ:
		return reason.DICOMEvent
	}
	return reason.DICOMAction
}

// misplaced says which SOP class a command names on which context.
func misplaced(c *dicom.Command, v *protocols.Verdict) {
	switch name := dict.Name(string(c.SOPClass)); {
	case name != "":
		v.Found.Set(name)
	case c.SOPClass == nil:
		v.Found.Set("no SOP class")
	case !dicom.ValidUID(c.SOPClass):
		v.Found.Set("not a UID")
	default:
		v.Found.Set("")
		v.Found.AppendBytes(c.SOPClass)
	}
	v.Found.Append(" on a context of ")
	v.Found.Append(className(c.Abstract))
}

// found says what of a command was refused.
func found(c *dicom.Command, code reason.Code, v *protocols.Verdict) {
	var digits [5]byte
	switch code {
	case reason.DICOMMoveDestination:
		v.Found.Set("")
		v.Found.AppendBytes(c.MoveAE)
	case reason.DICOMAction, reason.DICOMEvent:
		v.Found.Append(", type ")
		v.Found.AppendBytes(strconv.AppendUint(digits[:0], uint64(c.TypeID), 10))
	}
}

// response judges the answer to a request that was allowed; the conversation has matched the two.
// What it says of action and event types must be what a request may have said.
func (p *program) response(c *dicom.Command, v *protocols.Verdict) {
	if !p.dicom.safe(c.InstanceSafe, c.SOPInstance) {
		v.Refuse(reason.DICOMUID, ruleUID)
		return
	}
	if c.TypeID == 0 || c.Field != dicom.NActionRSP && c.Field != dicom.NEventRSP {
		return
	}
	asked := *c
	asked.From, asked.Within = c.From.Other(), 0
	if asked.Field = dicom.NActionRQ; c.Field == dicom.NEventRSP {
		asked.Field = dicom.NEventRQ
	}
	if asked.SOPClass == nil {
		return // it is optional in a response, and which class it is about is not known
	}
	cl := p.dicom.class(c.Abstract)
	if cl == nil {
		return
	}
	operations, _ := cl.on(&asked)
	code := reason.Code("")
	for i := range operations {
		if op := &operations[i]; op.is(&asked) {
			if code = op.refuses(&asked); code == "" {
				return
			}
		}
	}
	if code != "" {
		found(c, code, v)
		v.Refuse(code, cl.rule)
	}
}

// safe tells whether a UID may become the name of a file or the key of a query: a valid one, or
// one with letters where the flow tolerates them.
func (p *dicomRules) safe(valid bool, uid []byte) bool {
	return valid || p.lettered && dicom.LetteredUID(uid)
}
