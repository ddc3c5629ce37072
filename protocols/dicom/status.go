package dicom

// StatusKind is what a status says of an operation (PS3.7 §C.1).
type StatusKind uint8

// The kinds.
const (
	StatusUnknown   StatusKind = iota // not one that the standard has for the command
	StatusIsSuccess                   // final
	StatusIsWarning                   // final: done, but for something
	StatusIsFailure                   // final
	StatusIsCancel                    // final, after a C-CANCEL
	StatusIsPending                   // not final: another response follows
)

func (k StatusKind) String() string {
	return [...]string{"unknown", "success", "warning", "failure", "cancel", "pending"}[k]
}

// Final tells whether no other response to the request follows.
func (k StatusKind) Final() bool { return k != StatusIsPending }

// KindOfStatus returns what a status says in the response, or to the request, of a command. Pending
// and Cancel belong to C-FIND, C-GET and C-MOVE alone. Service classes define their warnings and
// failures within ranges, and implementations more of them, so a range is all that is asked of one.
func KindOfStatus(field, status uint16) StatusKind {
	k := statusRange(status)
	if (k == StatusIsPending || k == StatusIsCancel) && !manyResponses(field|responseBit) {
		return StatusUnknown
	}
	return k
}

// manyResponses tells whether a response may be one of several, and its request be cancelled.
func manyResponses(response uint16) bool {
	return response == CFindRSP || response == CGetRSP || response == CMoveRSP
}

// statusRange returns the kind of a status whatever the command (PS3.7 §C.1).
func statusRange(status uint16) StatusKind {
	switch status {
	case StatusSuccess:
		return StatusIsSuccess
	case 0x0001, 0x0107, 0x0116:
		return StatusIsWarning
	case StatusCancel:
		return StatusIsCancel
	case StatusPending, StatusPendingWarning:
		return StatusIsPending
	}
	switch {
	case status>>12 == 0xB:
		return StatusIsWarning
	case status>>12 == 0xA, status>>12 == 0xC, status>>8 == 0x01, status>>8 == 0x02:
		return StatusIsFailure
	}
	return StatusUnknown
}

// statusTexts has the statuses that PS3.7 Annex C defines for all services.
var statusTexts = map[uint16]string{
	StatusSuccess:        "Success",
	0x0001:               "Requested optional Attributes are not supported",
	0x0105:               "No such Attribute",
	0x0106:               "Invalid Attribute Value",
	0x0107:               "Attribute List Error",
	StatusProcessing:     "Processing failure",
	0x0111:               "Duplicate SOP Instance",
	0x0112:               "No such SOP Instance",
	0x0113:               "No such Event Type",
	0x0114:               "No such argument",
	0x0115:               "Invalid argument value",
	0x0116:               "Attribute Value Out of Range",
	0x0117:               "Invalid SOP Instance",
	0x0118:               "No such SOP Class",
	0x0119:               "Class-Instance conflict",
	0x0120:               "Missing Attribute",
	0x0121:               "Missing Attribute Value",
	0x0122:               "SOP Class not supported",
	0x0123:               "No such Action Type",
	0x0124:               "Not authorized",
	0x0210:               "Duplicate invocation",
	0x0211:               "Unrecognized operation",
	0x0212:               "Mistyped argument",
	0x0213:               "Resource limitation",
	StatusCancel:         "Cancel",
	StatusPending:        "Pending",
	StatusPendingWarning: "Pending, optional keys not supported",
}

// serviceStatuses has those of PS3.4 that C-services define: storage (Table B.2-1), query (Table
// C.4-1), retrieve (Tables C.4-2 and C.4-3). The last digits that mask leaves out are free.
var serviceStatuses = []struct {
	fields       []uint16 // of responses
	status, mask uint16
	text         string
}{
	{[]uint16{CMoveRSP, CGetRSP}, 0xA701, 0xFFFF, "Out of resources: unable to calculate number of matches"},
	{[]uint16{CMoveRSP, CGetRSP}, 0xA702, 0xFFFF, "Out of resources: unable to perform sub-operations"},
	{[]uint16{CMoveRSP}, 0xA801, 0xFFFF, "Move Destination unknown"},
	{[]uint16{CMoveRSP, CGetRSP}, 0xB000, 0xFFFF, "Sub-operations complete, one or more failures"},
	{[]uint16{CStoreRSP}, 0xB000, 0xFFFF, "Coercion of Data Elements"},
	{[]uint16{CStoreRSP}, 0xB006, 0xFFFF, "Elements Discarded"},
	{[]uint16{CStoreRSP}, 0xB007, 0xFFFF, "Data Set does not match SOP Class"},
	{[]uint16{CStoreRSP, CFindRSP}, 0xA700, 0xFF00, "Out of resources"},
	{[]uint16{CStoreRSP, CFindRSP, CMoveRSP, CGetRSP}, 0xA900, 0xFF00, "Data Set does not match SOP Class"},
	{[]uint16{CStoreRSP}, 0xC000, 0xF000, "Cannot understand"},
	{[]uint16{CFindRSP, CMoveRSP, CGetRSP}, 0xC000, 0xF000, "Unable to process"},
}

// StatusText returns a status of a response in the standard's words; "" for one that has none
// there, such as those that a service class of N-services defines.
func StatusText(field, status uint16) string {
	for i := range serviceStatuses {
		s := &serviceStatuses[i]
		if status&s.mask != s.status {
			continue
		}
		for _, f := range s.fields {
			if f == field|responseBit {
				return s.text
			}
		}
	}
	return statusTexts[status]
}

// refusals says by which status a refused request is answered where the service does not have the
// one that the reason asks for: storage and query have all of PS3.7 Annex C and the general ones of
// PS3.4; retrieve tells resources apart, and C-ECHO and N-services have those of PS3.7 alone.
var refusals = []struct {
	fields     []uint16 // of requests
	asked, has uint16
}{
	{[]uint16{CGetRQ, CMoveRQ}, 0xA700, 0xA702},
	{generalOnly, 0xA700, 0x0213}, // Resource limitation
	{generalOnly, 0xA900, 0x0119}, // Class-Instance conflict
	{generalOnly, 0xC000, 0x0115}, // Invalid argument value
	{allButMove, 0xA801, 0x0124},  // Not authorized
}

var (
	generalOnly = []uint16{CEchoRQ, NEventRQ, NGetRQ, NSetRQ, NActionRQ, NCreateRQ, NDeleteRQ}
	allButMove  = append([]uint16{CStoreRQ, CFindRQ, CGetRQ}, generalOnly...)
)

// refusal returns the status that a request is refused with where a reason asks for one.
func refusal(field, asked uint16) uint16 {
	if asked == 0 {
		return StatusProcessing
	}
	for i := range refusals {
		r := &refusals[i]
		if r.asked != asked {
			continue
		}
		for _, f := range r.fields {
			if f == field {
				return r.has
			}
		}
	}
	return asked
}
