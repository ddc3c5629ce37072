package dicom

// Command Field values (PS3.7 §E.1-1). A response is its request with the highest bit set.
const (
	CStoreRQ       uint16 = 0x0001
	CStoreRSP      uint16 = 0x8001
	CGetRQ         uint16 = 0x0010
	CGetRSP        uint16 = 0x8010
	CFindRQ        uint16 = 0x0020
	CFindRSP       uint16 = 0x8020
	CMoveRQ        uint16 = 0x0021
	CMoveRSP       uint16 = 0x8021
	CEchoRQ        uint16 = 0x0030
	CEchoRSP       uint16 = 0x8030
	NEventRQ       uint16 = 0x0100
	NEventRSP      uint16 = 0x8100
	NGetRQ         uint16 = 0x0110
	NGetRSP        uint16 = 0x8110
	NSetRQ         uint16 = 0x0120
	NSetRSP        uint16 = 0x8120
	NActionRQ      uint16 = 0x0130
	NActionRSP     uint16 = 0x8130
	NCreateRQ      uint16 = 0x0140
	NCreateRSP     uint16 = 0x8140
	NDeleteRQ      uint16 = 0x0150
	NDeleteRSP     uint16 = 0x8150
	CancelRQ       uint16 = 0x0FFF // answers nothing and is not answered
	responseBit    uint16 = 0x8000
	noDataSet      uint16 = 0x0101 // Command Data Set Type (0000,0800): null
	dataSetPresent uint16 = 0x0001 // any other value; this one is what toolkits write
)

// Status values that the conversation itself reads (PS3.7 Annex C, PS3.4).
const (
	StatusSuccess        uint16 = 0x0000
	StatusProcessing     uint16 = 0x0110 // Failure: Processing failure
	StatusCancel         uint16 = 0xFE00 // terminated by a C-CANCEL
	StatusPending        uint16 = 0xFF00
	StatusPendingWarning uint16 = 0xFF01 // Pending, optional keys were not supported
)

// presence says whether a message may or must have a data set.
type presence uint8

const (
	optional presence = iota
	required
	forbidden
)

// form is what PS3.7 §9.3 and §10.3 demand of one command.
type form struct {
	name    string
	demands elements
	data    presence
}

// elements is a set of command elements that Command has a fact for.
type elements uint32

const (
	affectedClass elements = 1 << iota
	requestedClass
	commandField
	messageID
	respondedTo
	moveDestination
	priority
	dataSetType
	status
	affectedInstance
	requestedInstance
	eventType
	actionType
	originator
	originatorID
	subOperations
)

// answer is what every response has. Classes and instances are optional in it: PS3.7 marks them
// "=" or "U", and toolkits leave them out.
const answer = respondedTo | status

// forms lists what a command must have so that its receiver, and the rules, can act on it. It
// demands less than PS3.7 where toolkits are known to.
var forms = map[uint16]*form{
	CStoreRQ:   {"C-STORE-RQ", affectedClass | messageID | priority | affectedInstance, required},
	CStoreRSP:  {"C-STORE-RSP", answer, optional},
	CGetRQ:     {"C-GET-RQ", affectedClass | messageID | priority, required},
	CGetRSP:    {"C-GET-RSP", answer, optional},
	CFindRQ:    {"C-FIND-RQ", affectedClass | messageID | priority, required},
	CFindRSP:   {"C-FIND-RSP", answer, optional},
	CMoveRQ:    {"C-MOVE-RQ", affectedClass | messageID | priority | moveDestination, required},
	CMoveRSP:   {"C-MOVE-RSP", answer, optional},
	CEchoRQ:    {"C-ECHO-RQ", affectedClass | messageID, forbidden},
	CEchoRSP:   {"C-ECHO-RSP", answer, forbidden},
	CancelRQ:   {"C-CANCEL-RQ", respondedTo, forbidden},
	NEventRQ:   {"N-EVENT-REPORT-RQ", affectedClass | messageID | affectedInstance | eventType, optional},
	NEventRSP:  {"N-EVENT-REPORT-RSP", answer, optional},
	NGetRQ:     {"N-GET-RQ", requestedClass | messageID | requestedInstance, optional},
	NGetRSP:    {"N-GET-RSP", answer, optional},
	NSetRQ:     {"N-SET-RQ", requestedClass | messageID | requestedInstance, required},
	NSetRSP:    {"N-SET-RSP", answer, optional},
	NActionRQ:  {"N-ACTION-RQ", requestedClass | messageID | requestedInstance | actionType, optional},
	NActionRSP: {"N-ACTION-RSP", answer, optional},
	NCreateRQ:  {"N-CREATE-RQ", affectedClass | messageID, optional},
	NCreateRSP: {"N-CREATE-RSP", answer, optional},
	NDeleteRQ:  {"N-DELETE-RQ", requestedClass | messageID | requestedInstance, forbidden},
	NDeleteRSP: {"N-DELETE-RSP", answer, optional},
}

// CommandName returns the standard's name of a Command Field value, "" for one it does not have.
func CommandName(field uint16) string {
	if f := forms[field]; f != nil {
		return f.name
	}
	return ""
}

// requested tells whether a command names its SOP class and instance in the Requested elements
// (0000,0003) and (0000,1001) rather than in the Affected ones (0000,0002) and (0000,1000).
func requested(field uint16) bool {
	f := forms[field]
	return f != nil && f.demands&requestedClass != 0
}
