package protocols

import (
	"errors"
	"fmt"

	"cordon/protocols/reason"
)

// Side names one leg of a session.
type Side uint8

const (
	Near Side = iota // connected to us
	Far              // dialled by us, when the first bytes are planned for it
)

// Other returns the opposite leg.
func (s Side) Other() Side { return s ^ 1 }

func (s Side) String() string {
	if s == Near {
		return "near"
	}
	return "far"
}

// Conversation follows one connection in both directions. It is called by one goroutine at a
// time and must not keep win, or anything that aliases it, after Step returns.
type Conversation interface {
	// Step reads win, all bytes from that side that are not settled yet, and settles a prefix
	// of them through p, in order. The next win for that side starts where the settled prefix
	// ended and has at least the bytes that were left, so a scan may resume where it stopped.
	// Settling nothing holds the bytes. A plan that settles beyond win (Pass or Drop) lets the
	// rest stream by unseen; Step is called again with what follows it.
	//
	// An error voids p: nothing it planned happens. It is a *Malformed when the bytes cannot be
	// read; the pump then either tells the conversation (Event Failed) or, where the mode lets
	// everything pass, goes on without inspection.
	Step(from Side, win []byte, p *Plan) error

	// Tell reports what is not bytes. What it puts into p is the answer to it. Pass and Drop
	// are not allowed there; bytes not settled yet stay unsettled.
	Tell(e Event, p *Plan)
}

// Interrupter is a conversation that knows what an orderly end is.
type Interrupter interface {
	// Interrupts tells how many requests wait for their answers, and whether an event that was not
	// told yet cuts the session: one other than a timer, after which they never come.
	Interrupts(e Event) (unanswered int, yes bool)
}

// EventKind says what a conversation is told.
type EventKind uint8

const (
	// Closed: Side has sent all it will send (FIN). Bytes of that side that are still
	// unsettled will never be completed.
	Closed EventKind = iota + 1
	// Lost: Side is gone without a FIN (reset, TLS failure). Nothing can be sent to it.
	Lost
	// DialFailed: the upstream could not be reached; Event.Reason says why. The bytes planned
	// for it were never sent.
	DialFailed
	// Expired: the timer named by Event.Timer ran out.
	Expired
	// Overflow: Side has more unsettled bytes than the cap or the process budget allows.
	Overflow
	// Shutdown: the gateway drains. Finish what is under way, begin nothing.
	Shutdown
	// Revoked: the device or the peer may not talk any longer; end now.
	Revoked
	// Failed: Step returned an error, Event.Err (Event.Reason has its code); end now, in the
	// protocol's own words.
	Failed
)

// Event is what a conversation is told besides bytes.
type Event struct {
	Kind   EventKind
	Side   Side        // Closed, Lost, Overflow, Failed: the side it is about
	Timer  Timer       // Expired
	Reason reason.Code // DialFailed, Overflow, Revoked, Failed: why; Lost: where that is known
	Err    error       // Failed
}

// Timer names what a conversation is waiting for; the pump knows how long that may take.
type Timer uint8

const (
	NoTimer Timer = iota // leave the timer as it is
	Setup                // an association or session is being set up; counts from its start
	Idle                 // between messages; any byte restarts it
	Message              // inside a message, or an answer is owed; every 4 KiB restart it
	Release              // the end has begun; counts from then
)

var timerNames = [...]string{"none", "setup", "idle", "message", "release"}

func (t Timer) String() string { return timerNames[t] }

// Reason is the code for what ended because the timer ran out.
func (t Timer) Reason() reason.Code { return timerReasons[t] }

var timerReasons = [...]reason.Code{
	Setup: reason.TimerSetup, Idle: reason.TimerIdle, Message: reason.TimerMessage, Release: reason.TimerRelease,
}

// Closing says how a leg ends, from the mildest way to the harshest.
type Closing uint8

const (
	// Open leaves the leg as it is.
	Open Closing = iota
	// Await: once its output is written, wait for the peer to close; when the release timer
	// runs out, close. What the peer still sends is shown to the conversation.
	Await
	// FIN: once its output is written, shut down sending. The leg closes when its peer closes
	// too, at the latest when the release timer runs out. What the peer still sends is shown to
	// the conversation while the other leg is open (half-close), and drained otherwise.
	FIN
	// RST: discard what is not written yet and reset the connection.
	RST
)

var closingNames = [...]string{"open", "await", "FIN", "RST"}

func (c Closing) String() string { return closingNames[c] }

// Malformed says that bytes do not parse, where, and by which section of which standard. It
// carries no value from the wire, only positions, lengths, tags and codes.
type Malformed struct {
	Reason  reason.Code
	Section string // of the standard, "PS3.8 §9.3.5"
	Offset  int    // bytes from the start of the unit
	Detail  string // what was found and what would be right
}

func (m *Malformed) Error() string {
	return fmt.Sprintf("%s at byte %d: %s (%s)", m.Reason, m.Offset, m.Detail, m.Section)
}

// ReasonOf returns the reason code that err carries, or the one for a failure of our own.
func ReasonOf(err error) reason.Code {
	var m *Malformed
	if errors.As(err, &m) {
		return m.Reason
	}
	return reason.EngineFailure
}
