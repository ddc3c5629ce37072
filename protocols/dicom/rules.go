package dicom

import (
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Rules is what a DICOM conversation consults. Each method is handed a verdict that allows, with
// From and Unit set, and makes it a refusal where the rules refuse. An implementation that lets
// pass what it would refuse (shadow) leaves Action at Allow and sets Would, Reason and Rule.
//
// The facts handed over alias the conversation's memory and die when the method returns. Methods
// that are called once a message (Command, DataSet, Breach) must not allocate.
type Rules interface {
	// Associate judges an A-ASSOCIATE-RQ as a whole: AE titles, application context, version.
	// It is the first unit of a connection, so this is where a flow is chosen when several fit.
	Associate(a *Association, v *protocols.Verdict)

	// Context judges one proposed presentation context of an association that Associate allowed.
	// Refused with reason.DICOMTransferSyntax the context is answered with result 4 (transfer
	// syntaxes not supported), with any other reason with result 3 (abstract syntax not
	// supported). It may keep a context and narrow it: keep[i] false takes Transfer[i] away
	// (all are true when it is called).
	Context(a *Association, pc *PresentationContext, keep []bool, v *protocols.Verdict)

	// Command judges a command set, request or response, from either side.
	Command(c *Command, v *protocols.Verdict)

	// Needs returns how far into the data set of a command that Command allowed the rules want
	// to look: the last tag they read, 0 for not at all.
	Needs(c *Command) Tag

	// DataSet judges what was read of a data set up to that tag. Its message is the one last
	// given to Command for the same side.
	DataSet(c *Command, d *DataSet, v *protocols.Verdict)

	// Breach judges something that PS3.7 or PS3.8 forbids but that could be passed on, such as a
	// response that nobody asked for. Enforcing rules refuse with the given code.
	Breach(code reason.Code, v *protocols.Verdict)
}

// Tag is a data element tag: group in the upper, element in the lower 16 bits.
type Tag uint32

// The tags that the conversation itself reads.
const (
	TagSOPClassUID      Tag = 0x00080016
	TagSOPInstanceUID   Tag = 0x00080018
	TagStudyInstanceUID Tag = 0x0020000D
)

// Association holds the facts of an A-ASSOCIATE-RQ (PS3.8 §9.3.2).
type Association struct {
	ProtocolVersion    uint16 // bit field; bit 0 is version 1
	CalledAE           []byte // leading and trailing spaces and NULs trimmed
	CallingAE          []byte // likewise
	ApplicationContext []byte // UID
	Contexts           []PresentationContext
	MaxLength          uint32 // of P-DATA-TF PDUs the requestor accepts, bytes after the PDU header; 0: no limit
	HasMaxLength       bool
	ImplementationUID  []byte // Implementation Class UID (PS3.7 D.3.3.2)
	ImplementationName []byte // Implementation Version Name, trimmed
	UserIdentityType   uint8  // PS3.7 D.3.3.7; 0: none

	// CallAs, when set by Rules.Associate (with a verdict of Rewrite), is the AE title that the
	// server is called by, at most 16 bytes. The device sees the title it used.
	CallAs string
}

// PresentationContext holds one proposed presentation context (PS3.8 §9.3.2.2).
type PresentationContext struct {
	ID       uint8 // odd
	Abstract []byte
	Transfer [][]byte // in the order of preference
}

// Command holds the facts of a command set (PS3.7 §6.3, §9.3, §10.3).
type Command struct {
	From      protocols.Side
	ContextID uint8
	Abstract  string // of the accepted presentation context
	Transfer  string // likewise

	Field        uint16 // Command Field (0000,0100)
	MessageID    uint16 // (0000,0110), or Message ID Being Responded To (0000,0120) of a response
	HasDataSet   bool   // Command Data Set Type (0000,0800) is not 0101H
	Status       uint16 // (0000,0900) of a response
	SOPClass     []byte // Affected or Requested SOP Class UID, trimmed; nil when absent
	SOPInstance  []byte // Affected or Requested SOP Instance UID, trimmed; nil when absent
	Priority     uint16 // (0000,0700)
	MoveAE       []byte // Move Destination (0000,0600), trimmed
	Originator   []byte // Move Originator Application Entity Title (0000,1030), trimmed
	OriginatorID uint16 // Move Originator Message ID (0000,1031)
	TypeID       uint16 // Event Type ID (0000,1002) or Action Type ID (0000,1008)
	InstanceSafe bool   // SOPInstance is absent or a valid UID (PS3.5 §9.1), so safe as a name
}

// Response tells whether the command answers another.
func (c *Command) Response() bool { return c.Field&0x8000 != 0 && c.Field != CancelRQ }

// DataSet holds what was read of a data set.
type DataSet struct {
	SOPClass      []byte // (0008,0016), trimmed; nil when absent
	SOPInstance   []byte // (0008,0018)
	StudyInstance []byte // (0020,000D)
	InstanceSafe  bool   // SOPInstance is absent or a valid UID
	StudySafe     bool   // StudyInstance is absent or a valid UID
	Complete      bool   // the data set ended before the tag that was asked for
	// Fault is set when the data set could not be scanned as far as asked.
	Fault *protocols.Malformed
}
