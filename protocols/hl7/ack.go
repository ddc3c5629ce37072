package hl7

import "cordon/protocols/reason"

// Acknowledgment is one that is made here (HL7 v2 §2.9): a refusal by the gateway, or the answer
// of an endpoint.
type Acknowledgment struct {
	Code      string      // MSA-1, from table 0008: AA, AE, AR, CA, CE, CR
	ControlID []byte      // MSH-10 of the acknowledgment, letters and digits
	Time      []byte      // MSH-7, as §2.A.22 (DTM) writes it; may be empty
	Reason    reason.Code // why, for AE, AR, CE and CR; "" makes no ERR segment
}

// Append appends the message that acknowledges m, without framing (H10). The values that m gives
// stand in it as they came, under m's own delimiters, so their escapes keep their meaning.
func (a *Acknowledgment) Append(dst []byte, m *Message) []byte {
	w := segmentWriter{b: dst, d: m.Delimiters}
	v := versionOf(m.Version)

	w.raw("MSH")
	w.b = append(w.b, m.Delimiters[field])
	w.encodingCharacters()
	w.field().value(m.ReceivingApplication) // MSH-3: who is answering
	w.field().value(m.ReceivingFacility)
	w.field().value(m.SendingApplication)
	w.field().value(m.SendingFacility)
	w.field().raw(string(a.Time))
	w.field()            // MSH-8, security
	w.field().raw("ACK") // MSH-9
	if len(m.Trigger) > 0 {
		w.component().value(m.Trigger)
		if v >= v231 {
			w.component().raw("ACK")
		}
	}
	w.field().value(a.ControlID)
	w.field().value(m.ProcessingID)
	w.field().value(m.Version)
	w.end()

	info := reason.Lookup(a.Reason)
	w.raw("MSA")
	w.field().raw(a.Code)
	w.field().value(m.ControlID)
	if a.Reason != "" && v < v25 {
		w.field().text(userMessage(info)) // MSA-3, replaced by ERR-8 in version 2.5
	}
	w.end()

	switch {
	case a.Reason == "":
	case v < v25:
		w.err24(info)
	default:
		w.err25(info)
	}
	return w.b
}

// err24 writes ERR as it was before version 2.5: location and code are components of ERR-1.
func (w *segmentWriter) err24(info reason.Info) {
	at := locations[info.Code]
	w.raw("ERR")
	w.field().raw(at.segment)
	w.component()
	if at.segment != "" {
		w.raw("1")
	}
	w.component().raw(at.field)
	w.component().raw(errorCode(info))
	w.subcomponent().raw(table0357[errorCode(info)])
	w.subcomponent().raw("HL70357")
	w.end()
}

// err25 writes ERR as it is from version 2.5 on (HL7 v2 §2.14.5).
func (w *segmentWriter) err25(info reason.Info) {
	at := locations[info.Code]
	w.raw("ERR")
	w.field() // ERR-1, withdrawn
	w.field() // ERR-2, error location
	if at.segment != "" {
		w.raw(at.segment)
		w.component().raw("1")
		w.component().raw(at.field)
		if at.component != "" {
			w.component().raw("1") // repetition
			w.component().raw(at.component)
		}
	}
	w.field().raw(errorCode(info)) // ERR-3
	w.component().raw(table0357[errorCode(info)])
	w.component().raw("HL70357")
	w.field().raw("E")                // ERR-4, severity
	w.field().text(string(info.Code)) // ERR-5, application error code
	w.field()                         // ERR-6
	w.field()                         // ERR-7
	w.field().text(userMessage(info)) // ERR-8
	w.end()
}

// errorCode is ERR-3.1; a reason that names none in the registry is an application error.
func errorCode(info reason.Info) string {
	if info.ERR == "" {
		return "207"
	}
	return info.ERR
}

// userMessage is the text for whoever reads the acknowledgment.
func userMessage(info reason.Info) string {
	if info.Meaning == "" {
		return "Refused (" + string(info.Code) + ")"
	}
	return info.Meaning + " (" + string(info.Code) + ")"
}

// locations says where in a message the field stands that a reason is about.
var locations = map[reason.Code]struct{ segment, field, component string }{
	reason.HL7Header:      {"MSH", "10", ""}, // the only field whose absence is answered
	reason.HL7MessageType: {"MSH", "9", "1"},
	reason.HL7Trigger:     {"MSH", "9", "2"},
	reason.HL7Sender:      {"MSH", "3", ""},
	reason.HL7Receiver:    {"MSH", "5", ""},
}

// table0357 is HL7 table 0357, message error condition codes.
var table0357 = map[string]string{
	"100": "Segment sequence error",
	"101": "Required field missing",
	"102": "Data type error",
	"103": "Table value not found",
	"200": "Unsupported message type",
	"201": "Unsupported event code",
	"202": "Unsupported processing id",
	"203": "Unsupported version id",
	"204": "Unknown key identifier",
	"205": "Duplicate key identifier",
	"206": "Application record locked",
	"207": "Application internal error",
}

// Versions in which the form of an acknowledgment changed.
const (
	v231   = 231 // MSH-9.3, the message structure
	v25    = 250 // ERR-2 to ERR-12
	latest = 999
)

// versionOf returns "2.3.1" as 231. What is not a version is taken as the latest.
func versionOf(b []byte) int {
	if len(b) < 3 || b[0] != '2' || b[1] != '.' || b[2] < '0' || b[2] > '9' {
		return latest
	}
	v := 200 + 10*int(b[2]-'0')
	if len(b) >= 5 && b[3] == '.' && b[4] >= '0' && b[4] <= '9' {
		v += int(b[4] - '0')
	}
	return v
}

// segmentWriter appends segments under a message's delimiters.
type segmentWriter struct {
	b []byte
	d [6]byte
}

func (w *segmentWriter) encodingCharacters() {
	n := len(w.d)
	if w.d[truncation] == 0 {
		n--
	}
	w.b = append(w.b, w.d[component:n]...)
}

func (w *segmentWriter) field() *segmentWriter        { return w.mark(field) }
func (w *segmentWriter) component() *segmentWriter    { return w.mark(component) }
func (w *segmentWriter) subcomponent() *segmentWriter { return w.mark(subcomponent) }

func (w *segmentWriter) mark(delimiter int) *segmentWriter {
	w.b = append(w.b, w.d[delimiter])
	return w
}

// value appends what came in a message, escapes and all.
func (w *segmentWriter) value(v []byte) { w.b = append(w.b, v...) }

// raw appends a constant of letters, digits and blanks, which no delimiter can be.
func (w *segmentWriter) raw(s string) { w.b = append(w.b, s...) }

// text appends s with delimiters escaped (HL7 v2 §2.7.1).
func (w *segmentWriter) text(s string) {
	const codes = "FSRETP" // in the order of Message.Delimiters
	for i := range len(s) {
		escaped := false
		for d, delimiter := range w.d {
			if s[i] == delimiter {
				w.b = append(w.b, w.d[escape], codes[d], w.d[escape])
				escaped = true
				break
			}
		}
		if !escaped {
			w.b = append(w.b, s[i])
		}
	}
}

func (w *segmentWriter) end() { w.b = append(w.b, carriageReturn) }

// Conditions of acknowledgment, MSH-15 and MSH-16 (HL7 table 0155).
const (
	always    = "AL"
	never     = "NE"
	onError   = "ER"
	onSuccess = "SU"
)

// enhanced tells whether m asks for enhanced mode (HL7 v2 §2.9.3) instead of the original one.
func (m *Message) enhanced() bool { return len(m.AcceptAck) > 0 || len(m.ApplicationAck) > 0 }

// rejection returns the MSA-1 that refuses m, or "" where m asks for no acknowledgment that a
// refusal could be: AR in original mode; in enhanced mode CR where an accept acknowledgment is
// wanted for errors, else AR where an application acknowledgment is, else none.
func (m *Message) rejection() string {
	switch {
	case !m.enhanced():
		return "AR"
	case wantedOnError(m.AcceptAck):
		return "CR"
	case wantedOnError(m.ApplicationAck):
		return "AR"
	}
	return ""
}

// wantedOnError tells whether a condition asks for acknowledging errors. A value outside of the
// table asks for something, so it is taken as always.
func wantedOnError(condition []byte) bool {
	switch string(condition) {
	case "", never, onSuccess:
		return false
	}
	return true
}

// wantedAlways tells whether a condition promises an acknowledgment whatever happens.
func wantedAlways(condition []byte) bool {
	return wantedOnError(condition) && string(condition) != onError
}
