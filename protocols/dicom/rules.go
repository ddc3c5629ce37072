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
	// (all are true when it is called). Clearing pc.SCU or pc.SCP takes a proposed role away; a
	// context that is left without a role is refused.
	Context(a *Association, pc *PresentationContext, keep []bool, v *protocols.Verdict)

	// Command judges a command set, request or response, from either side.
	Command(c *Command, v *protocols.Verdict)

	// Needs returns how far into the data set of a command that Command allowed the rules want
	// to look: the last tag they read, 0 for not at all. Pixel Data (7FE0,0010) is read as far as
	// its length and, when encapsulated, its offset table and first fragment headers.
	Needs(c *Command) Tag

	// DataSet judges what was read of a data set up to that tag. Its message is the one last
	// given to Command for the same side.
	DataSet(c *Command, d *DataSet, v *protocols.Verdict)

	// Breach judges something that PS3.7 or PS3.8 forbids but that could be passed on, such as a
	// response that nobody asked for. Enforcing rules refuse with the given code. The message may be
	// one that Command and DataSet allowed.
	Breach(code reason.Code, v *protocols.Verdict)

	// Renames tells whether Title may return anything but "". Where it says no, messages are not
	// searched for titles.
	Renames() bool

	// Title returns the AE title that the other side knows an application entity by, where the
	// side that names it uses one that it had before; "" where both use the same. It is asked
	// about Move Destination, Move Originator and Retrieve AE Title.
	Title(from protocols.Side, title []byte) string
}

// Tag is a data element tag: group in the upper, element in the lower 16 bits.
type Tag uint32

// Whole is what Needs returns for a data set that is to be read to its end, whatever tags it has.
const Whole Tag = 0xFFFFFFFF

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
	HasAsync           bool   // asynchronous operations window; absent means 1 and 1 (D11)
	AsyncInvoked       uint16 // requests that the requestor may leave outstanding; 0: no limit
	AsyncPerformed     uint16 // likewise, the acceptor

	// CallAs, when set by Rules.Associate (with a verdict of Rewrite), is the AE title that the
	// server is called by, at most 16 bytes. The device sees the title it used.
	CallAs string
	// CallingAs likewise is the title that the server is told the caller has.
	CallingAs string
	// Caps, when set by Rules.Associate, replace those that the conversation began with: what they
	// are may depend on who calls. They are not changed.
	Caps *Config
	// OmitAsync, set by Rules.Associate, keeps the asynchronous operations window from the server:
	// it stands for 1 and 1 then (D11).
	OmitAsync bool
}

// PresentationContext holds one proposed presentation context (PS3.8 §9.3.2.2).
type PresentationContext struct {
	ID       uint8 // odd
	Abstract []byte
	Transfer [][]byte // in the order of preference
	// Roles that the requestor proposes for itself (PS3.7 D.3.3.4): without a role selection item
	// SCU alone.
	SCU, SCP bool
	HasRole  bool // there is such an item
}

// Command holds the facts of a command set (PS3.7 §6.3, §9.3, §10.3).
type Command struct {
	From      protocols.Side
	ContextID uint8
	Abstract  string // of the accepted presentation context
	Transfer  string // likewise

	Field      uint16 // Command Field (0000,0100)
	MessageID  uint16 // (0000,0110), or Message ID Being Responded To (0000,0120) of a response
	HasDataSet bool   // Command Data Set Type (0000,0800) is not 0101H
	Status     uint16 // (0000,0900) of a response
	Comment    []byte // (0000,0902), Error Comment, of a response of ours; what peers write is not read
	// Refused is why another Cordon on the way refused the request that this answers, by the Error
	// Comment that it writes; "" where none says so.
	Refused      reason.Code
	SOPClass     []byte // Affected or Requested SOP Class UID, trimmed; nil when absent
	SOPInstance  []byte // Affected or Requested SOP Instance UID, trimmed; nil when absent
	Priority     uint16 // (0000,0700)
	MoveAE       []byte // Move Destination (0000,0600), trimmed
	Originator   []byte // Move Originator Application Entity Title (0000,1030), trimmed
	OriginatorID uint16 // Move Originator Message ID (0000,1031)
	TypeID       uint16 // Event Type ID (0000,1002) or Action Type ID (0000,1008)
	InstanceSafe bool   // SOPInstance is absent or a valid UID (PS3.5 §9.1), so safe as a name

	SubOperations SubOperations // of a C-GET-RSP or C-MOVE-RSP
	Remainder     bool          // elements of other groups follow the command set of a response

	// Within is the Command Field of the request that this one is about; 0 for none. It is C-GET-RQ
	// of a C-STORE-RQ that is a sub-operation: one that comes from the side that a C-GET is
	// outstanding at, on the same association. Of a C-CANCEL-RQ it is the field of the request that
	// it names, C-FIND-RQ, C-GET-RQ or C-MOVE-RQ, while that is outstanding.
	Within uint16
	// WithinID is that request's Message ID. A sub-operation does not say which C-GET it is of; of
	// several that are outstanding it is the oldest one's.
	WithinID uint16
}

// SubOperations holds the numbers of C-STORE sub-operations that a response tells (PS3.7 §9.3.3.2,
// §9.3.4.2), elements (0000,1020) to (0000,1023).
type SubOperations struct {
	Told                                  bool // at least one of them is there
	Remaining, Completed, Failed, Warning uint16
}

// Response tells whether the command answers another.
func (c *Command) Response() bool { return c.Field&0x8000 != 0 && c.Field != CancelRQ }

// DataSet holds what was read of a data set, up to the tag that was asked for. Values are raw,
// trimmed of padding; nil when absent or empty.
type DataSet struct {
	// Of an identifier these are nil, but for CharacterSet: what it names are Query.Keys. So they are
	// of all that is no object.
	SOPClass       []byte // (0008,0016)
	SOPInstance    []byte // (0008,0018)
	StudyInstance  []byte // (0020,000D)
	SeriesInstance []byte // (0020,000E)
	Modality       []byte // (0008,0060)
	CharacterSet   []byte // (0008,0005), all values
	InstanceSafe   bool   // SOPInstance is absent or a valid UID
	StudySafe      bool   // StudyInstance is absent or a valid UID
	SeriesSafe     bool   // SeriesInstance is absent or a valid UID

	Image Image
	Query Query // Keys of identifiers alone

	Elements int  // walked over so far, at all depths
	Depth    int  // of the deepest sequence with items so far; 1 at the top level
	Complete bool // the data set ended before the tag that was asked for
	// Mismatch is the first element whose explicit VR is not one that the dictionary gives it
	// (UN aside); 0 for none. In a key of an identifier that is a fault, unless both are short texts.
	Mismatch Tag
	// Fault is set when the data set could not be scanned as far as asked.
	Fault *protocols.Malformed
}

// Image is what a data set says about its pixels (PS3.3 §C.7.6.3). Numbers are 0 when absent.
type Image struct {
	Rows, Columns   uint16 // (0028,0010), (0028,0011)
	SamplesPerPixel uint16 // (0028,0002)
	Planar          uint16 // (0028,0006)
	BitsAllocated   uint16 // (0028,0100)
	BitsStored      uint16 // (0028,0101)
	HighBit         uint16 // (0028,0102)
	Representation  uint16 // (0028,0103)
	Frames          uint32 // (0028,0008), 1 when absent, 0 when FramesBad
	Photometric     []byte // (0028,0004)
	FramesBad       bool   // (0028,0008) is no number, or one that does not fit
	HasPixels       bool   // Pixel Data (7FE0,0010) was reached
	Encapsulated    bool   // in fragments
	PixelLength     uint32 // bytes of native Pixel Data
	OffsetTable     uint32 // bytes of the basic offset table
	FirstFragment   uint32 // bytes of the first fragment; 0: not reached
	// Segments is the number that an RLE header says (PS3.5 §G.5), RLESane whether its offsets
	// ascend within the fragment.
	Segments uint32
	RLESane  bool
}

// Query is what a C-FIND, C-MOVE or C-GET identifier asks (PS3.4 §C.2.2).
type Query struct {
	Level []byte // (0008,0052)
	Keys  []Key  // in order, of the top level and one level down in sequences; memory is reused
}

// Key is one attribute of an identifier.
type Key struct {
	Tag   Tag
	In    Tag // of the sequence that it stands in; 0: the top level
	Match Match
}

// Match says how a key matches (PS3.4 §C.2.2.2).
type Match uint8

const (
	Universal  Match = iota // without a value, or a sequence without an item that has one: only returned
	Everything              // nothing but wildcards, or a range without ends: matches whatever is there
	Wildcard                // with * or ? besides other characters
	Range                   // of dates or times, with a hyphen
	List                    // of values
	Single                  // one value
	Sequence                // a sequence with an item that has elements
)
