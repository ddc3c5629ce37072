package hl7

import (
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Rules is what an HL7 conversation consults. Each method is handed a verdict that allows, with
// From and Unit set, and makes it a refusal where the rules refuse. An implementation that lets
// pass what it would refuse (shadow) leaves Action at Allow and sets Would, Reason and Rule.
// Methods must not allocate; the facts alias the conversation's memory and die with the call.
type Rules interface {
	// Message judges a message from either side that is not an acknowledgment of one that is
	// waiting. The first one of a connection is where a flow is chosen when several fit.
	Message(m *Message, v *protocols.Verdict)

	// Acknowledgment judges an acknowledgment that answers a waiting message.
	Acknowledgment(m *Message, v *protocols.Verdict)

	// Breach judges something that the standard forbids but that could be passed on, such as an
	// acknowledgment that nobody waits for. Enforcing rules refuse with the given code.
	Breach(code reason.Code, v *protocols.Verdict)

	// Tolerance says what the flow tolerates from that side.
	Tolerance(from protocols.Side) Tolerance
}

// Tolerance says which departures from MLLP and HL7 chapter 2 a flow lives with.
type Tolerance struct {
	// Strays lets CR, LF and spaces between blocks pass (H3). They are dropped.
	Strays bool
	// SegmentEnds lets LF or CR LF end a segment (H6). Bytes pass as they came.
	SegmentEnds bool
	// MaxMessage is the largest block, in bytes, framing included.
	MaxMessage int
}

// Message holds the facts of a message's MSH and MSA segments (HL7 v2 chapter 2). Fields are
// raw: escape sequences are not decoded, `""` is kept.
type Message struct {
	From protocols.Side
	// Delimiters as declared: field, component, repetition, escape, subcomponent, truncation
	// (0 when MSH-2 does not declare it).
	Delimiters [6]byte

	SendingApplication   []byte // MSH-3, all components
	SendingFacility      []byte // MSH-4
	ReceivingApplication []byte // MSH-5
	ReceivingFacility    []byte // MSH-6
	Type                 []byte // MSH-9.1 message code: "ORU"
	Trigger              []byte // MSH-9.2 trigger event: "R01"
	Structure            []byte // MSH-9.3
	ControlID            []byte // MSH-10
	ProcessingID         []byte // MSH-11
	Version              []byte // MSH-12.1
	AcceptAck            []byte // MSH-15
	ApplicationAck       []byte // MSH-16
	CharacterSet         []byte // MSH-18, all repetitions

	// AckCode and AckedID are MSA-1 and MSA-2; nil when there is no MSA segment.
	AckCode []byte
	AckedID []byte

	Batch bool // starts with FHS or BHS, or holds a second MSH
	// EndsWithLF says that segments end with LF or CR LF instead of CR alone.
	EndsWithLF bool
}
