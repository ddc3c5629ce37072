package policy

import (
	"slices"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// dicomRules is what a flow allows in DICOM: for each abstract syntax the operations on it.
type dicomRules struct {
	classes map[string]*class // by abstract syntax UID
	// storeAll is the class of every storage SOP class that the dictionary knows, when the flow
	// says store: all.
	storeAll *class

	transfer     map[string]bool // transfer syntaxes by UID; nil: all known but deflated ones
	transferRule string

	lettered bool // UIDs with letters in them pass
}

// class is what may be done on presentation contexts of one abstract syntax.
type class struct {
	operations []operation
	// members are the SOP classes that commands may name besides the abstract syntax itself,
	// which is then a meta SOP class (PS3.4 §H.3).
	members []string
}

// operation allows one DIMSE request from the side that connected. Its response comes with it.
type operation struct {
	field uint16 // Command Field (0000,0100)
	rule  string
	// destinations are the AE titles that C-MOVE may name; empty for every other command.
	destinations []string
}

// class returns what may be done with an abstract syntax, nil for nothing.
func (r *dicomRules) class(abstract string) *class {
	if c := r.classes[abstract]; c != nil {
		return c
	}
	if r.storeAll != nil && dict.IsStorage(abstract) {
		return r.storeAll
	}
	return nil
}

func (r *dicomRules) takes(transfer string) bool {
	if r.transfer != nil {
		return r.transfer[transfer]
	}
	return dict.IsTransferSyntax(transfer) && !deflated[transfer]
}

// allow adds an operation on an abstract syntax. The rule that comes first decides.
func (r *dicomRules) allow(abstract string, op operation, members []string) {
	if r.classes == nil {
		r.classes = map[string]*class{}
	}
	c := r.classes[abstract]
	if c == nil {
		c = &class{members: members}
		r.classes[abstract] = c
	}
	c.operations = append(c.operations, op)
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

// context judges a presentation context and takes the transfer syntaxes away that the flow does
// not allow.
func (p *program) context(pc *dicom.PresentationContext, keep []bool, v *protocols.Verdict) {
	abstract := string(pc.Abstract)
	v.Found.Set(className(abstract))
	c := p.dicom.class(abstract)
	if c == nil {
		v.Refuse(reason.DICOMAbstractSyntax, p.allowRule)
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
	v.Rule = c.operations[0].rule
}

// request judges a DIMSE request. The side that connected is the SCU; what would make the other
// side one (returns of C-GET, reports of storage commitment) is not allowed yet.
func (p *program) request(c *dicom.Command, v *protocols.Verdict) {
	if !p.dicom.safe(c.InstanceSafe, c.SOPInstance) {
		v.Refuse(reason.DICOMUID, ruleUID)
		return
	}
	cl := p.dicom.class(c.Abstract)
	if cl == nil {
		v.Found.Set(className(c.Abstract))
		v.Refuse(reason.DICOMAbstractSyntax, p.allowRule)
		return
	}
	if !p.dicom.takes(c.Transfer) {
		v.Found.Set(className(c.Transfer))
		v.Refuse(reason.DICOMTransferSyntax, p.dicom.transferRule)
		return
	}
	op := cl.operation(c)
	if op == nil || c.From != protocols.Near {
		v.Found.Set(className(c.Abstract))
		v.Refuse(reason.DICOMCommand, p.allowRule)
		return
	}
	if !cl.speaksOf(c) {
		v.Refuse(reason.DICOMSOPClass, op.rule)
		return
	}
	v.Found.Set(className(c.Abstract))
	if len(op.destinations) > 0 && !titled(op.destinations, c.MoveAE) {
		v.Found.Set("")
		v.Found.AppendBytes(c.MoveAE)
		v.Refuse(reason.DICOMCommand, op.rule)
		return
	}
	v.Rule = op.rule
}

func (cl *class) operation(c *dicom.Command) *operation {
	for i := range cl.operations {
		if cl.operations[i].field == c.Field {
			return &cl.operations[i]
		}
	}
	return nil
}

// speaksOf tells whether the SOP class that a command names belongs to its presentation context.
// C-CANCEL names none (PS3.7 §9.3.2.3).
func (cl *class) speaksOf(c *dicom.Command) bool {
	if c.SOPClass == nil {
		return c.Field == dicom.CancelRQ
	}
	return string(c.SOPClass) == c.Abstract ||
		slices.ContainsFunc(cl.members, func(m string) bool { return m == string(c.SOPClass) })
}

// response judges the answer to a request that was allowed; the conversation has matched the two.
func (p *program) response(c *dicom.Command, v *protocols.Verdict) {
	if !p.dicom.safe(c.InstanceSafe, c.SOPInstance) {
		v.Refuse(reason.DICOMUID, ruleUID)
	}
}

// safe tells whether a UID may become the name of a file or the key of a query: a valid one, or
// one with letters where the flow tolerates them.
func (p *dicomRules) safe(valid bool, uid []byte) bool {
	return valid || p.lettered && dicom.LetteredUID(uid)
}

// needs says how far into a data set the rules look. Only stored objects carry what names files
// and folders; the identifiers of queries do not.
func (p *program) needs(c *dicom.Command) dicom.Tag {
	if c.Field == dicom.CStoreRQ {
		return dicom.TagStudyInstanceUID
	}
	return 0
}

// dataSet judges the first elements of a stored object. Its command and it must name the same:
// a server may act on either.
func (p *program) dataSet(c *dicom.Command, d *dicom.DataSet, v *protocols.Verdict) {
	switch {
	case d.Fault != nil:
		v.Refuse(d.Fault.Reason, ruleDataSet)
	case !p.dicom.safe(d.InstanceSafe, d.SOPInstance) || !p.dicom.safe(d.StudySafe, d.StudyInstance):
		v.Refuse(reason.DICOMUID, ruleUID)
	case d.SOPClass != nil && string(d.SOPClass) != string(c.SOPClass),
		d.SOPInstance != nil && string(d.SOPInstance) != string(c.SOPInstance):
		v.Refuse(reason.DICOMUIDMismatch, ruleMismatch)
	}
}
