package dicom

import "fmt"

// The upper layer state machine (PS3.8 §9.2, Tables 9-6 to 9-10) as data. An implementation in
// the middle holds two of them: toward the requestor it is the acceptor, and the other way round.

// State is a state of Tables 9-1 to 9-5.
type State uint8

// The states.
const (
	Sta1 State = iota + 1
	Sta2
	Sta3
	Sta4
	Sta5
	Sta6
	Sta7
	Sta8
	Sta9
	Sta10
	Sta11
	Sta12
	Sta13
)

var stateTexts = [...]string{
	Sta1:  "Idle",
	Sta2:  "Transport connection open (awaiting A-ASSOCIATE-RQ PDU)",
	Sta3:  "Awaiting local A-ASSOCIATE response primitive (from local user)",
	Sta4:  "Awaiting transport connection opening to complete (from local transport service)",
	Sta5:  "Awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ PDU",
	Sta6:  "Association established and ready for data transfer",
	Sta7:  "Awaiting A-RELEASE-RP PDU",
	Sta8:  "Awaiting local A-RELEASE response primitive (from local user)",
	Sta9:  "Release collision requestor side; awaiting A-RELEASE response (from local user)",
	Sta10: "Release collision acceptor side; awaiting A-RELEASE-RP PDU",
	Sta11: "Release collision requestor side; awaiting A-RELEASE-RP PDU",
	Sta12: "Release collision acceptor side; awaiting A-RELEASE response primitive (from local user)",
	Sta13: "Awaiting transport connection close indication (association no longer exists)",
}

func (s State) String() string { return fmt.Sprintf("Sta%d", uint8(s)) }

// Text returns the standard's description.
func (s State) Text() string { return stateTexts[s] }

// Event is an event of Table 9-10.
type Event uint8

// The events.
const (
	Evt1 Event = iota + 1
	Evt2
	Evt3
	Evt4
	Evt5
	Evt6
	Evt7
	Evt8
	Evt9
	Evt10
	Evt11
	Evt12
	Evt13
	Evt14
	Evt15
	Evt16
	Evt17
	Evt18
	Evt19
)

var eventTexts = [...]string{
	Evt1:  "A-ASSOCIATE request (local user)",
	Evt2:  "Transport connection confirmation (local transport service)",
	Evt3:  "A-ASSOCIATE-AC PDU (received on transport connection)",
	Evt4:  "A-ASSOCIATE-RJ PDU (received on transport connection)",
	Evt5:  "Transport connection indication (local transport service)",
	Evt6:  "A-ASSOCIATE-RQ PDU (received on transport connection)",
	Evt7:  "A-ASSOCIATE response primitive (accept)",
	Evt8:  "A-ASSOCIATE response primitive (reject)",
	Evt9:  "P-DATA request primitive",
	Evt10: "P-DATA-TF PDU (received on transport connection)",
	Evt11: "A-RELEASE request primitive",
	Evt12: "A-RELEASE-RQ PDU (received on open transport connection)",
	Evt13: "A-RELEASE-RP PDU (received on transport connection)",
	Evt14: "A-RELEASE response primitive",
	Evt15: "A-ABORT request primitive",
	Evt16: "A-ABORT PDU (received on open transport connection)",
	Evt17: "Transport connection closed indication (local transport service)",
	Evt18: "ARTIM timer expired (association reject/release timer)",
	Evt19: "Unrecognized or invalid PDU received",
}

func (e Event) String() string { return fmt.Sprintf("Evt%d", uint8(e)) }

// Text returns the standard's description.
func (e Event) Text() string { return eventTexts[e] }

// Received returns the event that a received PDU of type t is.
func Received(t PDUType) Event {
	if !t.Known() {
		return Evt19
	}
	return [...]Event{TypeAssociateRQ: Evt6, TypeAssociateAC: Evt3, TypeAssociateRJ: Evt4, TypePDataTF: Evt10,
		TypeReleaseRQ: Evt12, TypeReleaseRP: Evt13, TypeAbort: Evt16}[t]
}

// Action is an action of Tables 9-6 to 9-9.
type Action uint8

// The actions: association establishment, data transfer, association release, abort.
const (
	___ Action = iota // a blank cell of Table 9-10: the event cannot happen in that state
	AE1
	AE2
	AE3
	AE4
	AE5
	AE6
	AE7
	AE8
	DT1
	DT2
	AR1
	AR2
	AR3
	AR4
	AR5
	AR6
	AR7
	AR8
	AR9
	AR10
	AA1
	AA2
	AA3
	AA4
	AA5
	AA6
	AA7
	AA8
)

// actions has for each action its name, what it does, and the state that follows.
var actions = [...]struct {
	name, text string
	next       State
}{
	AE1: {"AE-1", "Issue TRANSPORT CONNECT request primitive to local transport service", Sta4},
	AE2: {"AE-2", "Send A-ASSOCIATE-RQ PDU", Sta5},
	AE3: {"AE-3", "Issue A-ASSOCIATE confirmation (accept) primitive", Sta6},
	AE4: {"AE-4", "Issue A-ASSOCIATE confirmation (reject) primitive and close transport connection", Sta1},
	AE5: {"AE-5", "Issue transport connection response primitive; start ARTIM timer", Sta2},
	// Where the service-provider does not accept it, the RQ is rejected and Sta13 follows; Evt8
	// in Sta3 says the same.
	AE6:  {"AE-6", "Stop ARTIM timer and, if A-ASSOCIATE-RQ acceptable by service-provider, issue A-ASSOCIATE indication primitive", Sta3},
	AE7:  {"AE-7", "Send A-ASSOCIATE-AC PDU", Sta6},
	AE8:  {"AE-8", "Send A-ASSOCIATE-RJ PDU and start ARTIM timer", Sta13},
	DT1:  {"DT-1", "Send P-DATA-TF PDU", Sta6},
	DT2:  {"DT-2", "Send P-DATA indication primitive", Sta6},
	AR1:  {"AR-1", "Send A-RELEASE-RQ PDU", Sta7},
	AR2:  {"AR-2", "Issue A-RELEASE indication primitive", Sta8},
	AR3:  {"AR-3", "Issue A-RELEASE confirmation primitive, and close transport connection", Sta1},
	AR4:  {"AR-4", "Issue A-RELEASE-RP PDU and start ARTIM timer", Sta13},
	AR5:  {"AR-5", "Stop ARTIM timer", Sta1},
	AR6:  {"AR-6", "Issue P-DATA indication", Sta7},
	AR7:  {"AR-7", "Issue P-DATA-TF PDU", Sta8},
	AR8:  {"AR-8", "Issue A-RELEASE indication (release collision)", Sta10}, // Sta9 for the requestor
	AR9:  {"AR-9", "Send A-RELEASE-RP PDU", Sta11},
	AR10: {"AR-10", "Issue A-RELEASE confirmation primitive", Sta12},
	AA1:  {"AA-1", "Send A-ABORT PDU (service-user source) and start (or restart if already started) ARTIM timer", Sta13},
	AA2:  {"AA-2", "Stop ARTIM timer if running; close transport connection", Sta1},
	AA3:  {"AA-3", "Issue A-ABORT or A-P-ABORT indication, after who initiated it, and close transport connection", Sta1},
	AA4:  {"AA-4", "Issue A-P-ABORT indication primitive", Sta1},
	AA5:  {"AA-5", "Stop ARTIM timer", Sta1},
	AA6:  {"AA-6", "Ignore PDU", Sta13},
	AA7:  {"AA-7", "Send A-ABORT PDU", Sta13},
	AA8:  {"AA-8", "Send A-ABORT PDU (service-provider source), issue an A-P-ABORT indication, and start ARTIM timer", Sta13},
}

func (a Action) String() string { return actions[a].name }

// Text returns the standard's description.
func (a Action) Text() string { return actions[a].text }

// transitions is Table 9-10.
var transitions = [Evt19 + 1][Sta13 + 1]Action{
	//           Sta1 Sta2 Sta3 Sta4 Sta5 Sta6 Sta7 Sta8 Sta9 Sta10 Sta11 Sta12 Sta13
	Evt1:  {___, AE1, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___},
	Evt2:  {___, ___, ___, ___, AE2, ___, ___, ___, ___, ___, ___, ___, ___, ___},
	Evt3:  {___, ___, AA1, AA8, ___, AE3, AA8, AA8, AA8, AA8, AA8, AA8, AA8, AA6},
	Evt4:  {___, ___, AA1, AA8, ___, AE4, AA8, AA8, AA8, AA8, AA8, AA8, AA8, AA6},
	Evt5:  {___, AE5, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___},
	Evt6:  {___, ___, AE6, AA8, ___, AA8, AA8, AA8, AA8, AA8, AA8, AA8, AA8, AA7},
	Evt7:  {___, ___, ___, AE7, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___},
	Evt8:  {___, ___, ___, AE8, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___},
	Evt9:  {___, ___, ___, ___, ___, ___, DT1, ___, AR7, ___, ___, ___, ___, ___},
	Evt10: {___, ___, AA1, AA8, ___, AA8, DT2, AR6, AA8, AA8, AA8, AA8, AA8, AA6},
	Evt11: {___, ___, ___, ___, ___, ___, AR1, ___, ___, ___, ___, ___, ___, ___},
	Evt12: {___, ___, AA1, AA8, ___, AA8, AR2, AR8, AA8, AA8, AA8, AA8, AA8, AA6},
	Evt13: {___, ___, AA1, AA8, ___, AA8, AA8, AR3, AA8, AA8, AR10, AR3, AA8, AA6},
	Evt14: {___, ___, ___, ___, ___, ___, ___, ___, AR4, AR9, ___, ___, AR4, ___},
	Evt15: {___, ___, ___, AA1, AA2, AA1, AA1, AA1, AA1, AA1, AA1, AA1, AA1, ___},
	Evt16: {___, ___, AA2, AA3, ___, AA3, AA3, AA3, AA3, AA3, AA3, AA3, AA3, AA2},
	Evt17: {___, ___, AA5, AA4, AA4, AA4, AA4, AA4, AA4, AA4, AA4, AA4, AA4, AR5},
	Evt18: {___, ___, AA2, ___, ___, ___, ___, ___, ___, ___, ___, ___, ___, AA2},
	Evt19: {___, ___, AA1, AA8, ___, AA8, AA8, AA8, AA8, AA8, AA8, AA8, AA8, AA7},
}

// Next looks up what an event does in a state: the action and the state that follows. requestor
// tells whether this side requested the association, which decides a release collision (AR-8).
// ok is false where the event cannot happen in that state.
func Next(s State, e Event, requestor bool) (a Action, next State, ok bool) {
	if s < Sta1 || s > Sta13 || e < Evt1 || e > Evt19 {
		return ___, s, false
	}
	a = transitions[e][s]
	switch {
	case a == ___:
		return a, s, false
	case a == AR8 && requestor:
		return a, Sta9, true
	}
	return a, actions[a].next, true
}
