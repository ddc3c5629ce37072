package protocols

import "cordon/protocols/reason"

// Tracer watches a conversation live. It is called inside Step and Tell, so it must not wait. What
// it is handed is a copy, and its to keep.
type Tracer interface {
	Trace(t Traced)
}

// Traced is one thing that happened in a conversation, in the words of its standard: a PDU of a
// negotiation, a message, the end of a message. It names roles, classes, codes and counts; values
// of data sets, identifiers of instances and patients and control IDs never stand in it. All texts
// are printable ASCII.
type Traced struct {
	From  Side // who sent the unit; of one of our own, the side in whose place we sent it
	Own   bool // the gateway made it
	Unit  string
	Text  string
	Lines []string // what Text has no room for: one line for each presentation context
	Stage Stage

	Message uint16 // Message ID of a DIMSE request, or that a response responds to; else 0

	// Status of a response, and its class; Class is "" for what has no status.
	Status uint16
	Class  StatusClass

	Action, Would Action // as of the unit's verdict
	Reason        reason.Code
	Rule, Found   string

	Bytes int64 // on the wire, as far as the unit has come
	PDVs  int   // of a DIMSE message, likewise
}

// Stage says which part of a message is traced.
type Stage uint8

const (
	Whole Stage = iota // all of it, or something that is no message
	Begun              // it was judged; the rest of it is still to come
	Ended              // the end of the one that was begun last on that side
)

// StatusClass is the class of a status (PS3.7 Annex C).
type StatusClass string

// The classes.
const (
	StatusSuccess StatusClass = "success"
	StatusPending StatusClass = "pending"
	StatusCancel  StatusClass = "cancel"
	StatusWarning StatusClass = "warning"
	StatusFailure StatusClass = "failure"
	StatusUnknown StatusClass = "unknown" // not one of the standard
)

// Judge takes over what a verdict decided.
func (t *Traced) Judge(v *Verdict) {
	t.Action, t.Would, t.Reason, t.Rule = v.Action, v.Would, v.Reason, v.Rule
	if v.Reason != "" {
		t.Found = v.Found.String()
	}
}
