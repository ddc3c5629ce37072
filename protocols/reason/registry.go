package reason

// The codes. A new one gets a row in the registry below and a test that provokes it.
const (
	// PolicyDenied is the general refusal: no rule allows it.
	PolicyDenied Code = "policy.denied"
	// PolicyRewrite is no refusal: the unit passed, changed as the policy says.
	PolicyRewrite Code = "policy.rewrite"

	SessionUnknownPeer  Code = "session.unknown-peer"
	SessionAmbiguous    Code = "session.ambiguous"
	SessionPeerIdentity Code = "session.peer-identity"
	SessionRefusesUs    Code = "session.certificate-refused"
	SessionHalfOpen     Code = "session.half-open"
	SessionLimit        Code = "session.limit"
	SessionOpaque       Code = "session.opaque"
	SessionRevoked      Code = "session.revoked"
	SessionShutdown     Code = "session.shutdown"
	SessionCut          Code = "session.cut"

	UpstreamUnreachable Code = "upstream.unreachable"
	UpstreamIdentity    Code = "upstream.identity"
	UpstreamRefusesUs   Code = "upstream.certificate-refused"

	TimerHandshake Code = "timer.handshake"
	TimerSetup     Code = "timer.setup"
	TimerIdle      Code = "timer.idle"
	TimerMessage   Code = "timer.message"
	TimerRelease   Code = "timer.release"

	CapRate        Code = "cap.rate"
	CapInstances   Code = "cap.instances"
	CapBytes       Code = "cap.bytes"
	CapOutstanding Code = "cap.outstanding"

	CapHold    Code = "cap.hold"
	CapBudget  Code = "cap.budget"
	CapReplies Code = "cap.replies"
	CapDataSet Code = "cap.data-set"

	EngineFailure Code = "engine.failure"

	DICOMNotDICOM           Code = "dicom.not-dicom"
	DICOMPDU                Code = "dicom.pdu"
	DICOMPDUTooLong         Code = "dicom.pdu-too-long"
	DICOMPDUType            Code = "dicom.pdu-type"
	DICOMPDUState           Code = "dicom.pdu-state"
	DICOMItem               Code = "dicom.item"
	DICOMPDV                Code = "dicom.pdv"
	DICOMApplicationContext Code = "dicom.application-context"
	DICOMProtocolVersion    Code = "dicom.protocol-version"
	DICOMCalledAE           Code = "dicom.called-ae"
	DICOMCallingAE          Code = "dicom.calling-ae"
	DICOMAbstractSyntax     Code = "dicom.abstract-syntax"
	DICOMTransferSyntax     Code = "dicom.transfer-syntax"
	DICOMNoContext          Code = "dicom.no-context"
	DICOMNegotiation        Code = "dicom.negotiation"
	DICOMCommandSet         Code = "dicom.command-set"
	DICOMCommandRemainder   Code = "dicom.command-remainder"
	DICOMCommand            Code = "dicom.command"
	DICOMSOPClass           Code = "dicom.sop-class"
	DICOMUID                Code = "dicom.uid"
	DICOMUIDMismatch        Code = "dicom.uid-mismatch"
	DICOMDataSet            Code = "dicom.data-set"
	DICOMUnaskedResponse    Code = "dicom.unasked-response"
	DICOMStatus             Code = "dicom.status"
	DICOMRole               Code = "dicom.role"
	DICOMWindow             Code = "dicom.window"
	DICOMLateCancel         Code = "dicom.late-cancel"
	DICOMMoveDestination    Code = "dicom.move-destination"
	DICOMPeerRejected       Code = "dicom.peer-rejected"
	DICOMPeerFailed         Code = "dicom.peer-failed"
	DICOMQueryLevel         Code = "dicom.query-level"
	DICOMQueryKey           Code = "dicom.query-key"
	DICOMQueryEverything    Code = "dicom.query-everything"
	DICOMAction             Code = "dicom.action"
	DICOMEvent              Code = "dicom.event"
	DICOMGeometry           Code = "dicom.geometry"

	HL7Framing     Code = "hl7.framing"
	HL7TooLong     Code = "hl7.too-long"
	HL7Header      Code = "hl7.header"
	HL7MessageType Code = "hl7.message-type"
	HL7Trigger     Code = "hl7.trigger-event"
	HL7Sender      Code = "hl7.sender"
	HL7Receiver    Code = "hl7.receiver"
	HL7SegmentEnd  Code = "hl7.segment-end"
	HL7Batch       Code = "hl7.batch"
	HL7AckUnframed Code = "hl7.ack-unframed"
	HL7AckMismatch Code = "hl7.ack-mismatch"
	HL7AckLate     Code = "hl7.ack-late"
	HL7CommitBlock Code = "hl7.commit-block"

	HL7Unacknowledged Code = "hl7.unacknowledged"
)

// Answers that several rows share.
var (
	rjNoReason   = RJ{1, 1, 1} // rejected-permanent, service-user, no-reason-given
	rjCongestion = RJ{2, 3, 1} // rejected-transient, service-provider (presentation), temporary-congestion
	rjLocalLimit = RJ{2, 3, 2} // rejected-transient, service-provider (presentation), local-limit-exceeded

	abortUnspecified = Abort{2, 0} // service-provider, reason-not-specified
	abortUnknownPDU  = Abort{2, 1} // service-provider, unrecognized-PDU
	abortUnexpected  = Abort{2, 2} // service-provider, unexpected-PDU
	abortValue       = Abort{2, 6} // service-provider, invalid-PDU-parameter-value
)

const (
	statusNotAuthorized = 0x0124 // Refused: Not authorized (PS3.7 C.4.2)
	statusNoSuchClass   = 0x0122 // Refused: SOP Class not supported
	statusUnrecognized  = 0x0211 // Failure: Unrecognized operation
	statusMismatch      = 0xA900 // Error: Data Set does not match SOP Class (PS3.4 B.2.3)
	statusUnderstand    = 0xC000 // Error: Cannot understand
	statusResources     = 0xA700 // Refused: Out of resources
	statusDestination   = 0xA801 // Refused: Move Destination unknown (PS3.4 C.4.2.1.5)
	statusNoSuchEvent   = 0x0113 // Failure: No such event type (PS3.7 10.1.1.1.8)
	statusNoSuchAction  = 0x0123 // Failure: No such action type (PS3.7 10.1.4.1.10)
)

var registry = []Info{
	{Code: PolicyDenied, Meaning: "No rule of the flow allows this.",
		Do: "Add it to the flow's allow list if the device needs it.",
		RJ: rjNoReason, Abort: abortUnspecified, Status: statusNotAuthorized, ERR: "207", HTTP: 403},

	{Code: PolicyRewrite, Meaning: "The unit passed with a part rewritten, as the policy says: each side is told the AE titles that it knows, and nothing that its software is known not to bear.",
		Do: "Nothing has to be done: it passed. A device that is to use a new AE title by itself may be set to it, and was.ae taken out of site.yaml when all are."},

	{Code: SessionUnknownPeer, Meaning: "The connection comes from an address, or with a certificate, that no device of this listener has; it was closed unread.",
		Do: "If it is one of your devices, write a device file with its address, or the name in its certificate, under identify."},
	{Code: SessionAmbiguous, Meaning: "More than one device or flow fits this connection, and its first unit does not tell them apart.",
		Do: "Give the devices distinct AE titles or addresses, or the flows distinct listeners.",
		RJ: rjNoReason, Abort: abortUnspecified, ERR: "207"},
	{Code: SessionPeerIdentity, Meaning: "The peer of a TLS listener could not prove to be one of the named peers.",
		Do: "Check the peer's certificate, its issuer and the listener's list of peers."},
	{Code: SessionRefusesUs, Meaning: "The peer of a TLS listener did not believe the certificate that Cordon showed it there.",
		Do: "Have the peer trust the authority that issued the certificate of the listener's tunnel in cordon.yaml, and connect by a name that is in it; look whether it has expired."},
	{Code: SessionHalfOpen, Meaning: "The connection had not proven yet who it is when others needed its place; its source, or all sources together, had as many such connections as are allowed.", Transient: true,
		Do: "Find out what opens connections there and does not go on: a scanner, or an attack. Raise limits.handshakes in cordon.yaml if many peers connect at once."},
	{Code: SessionLimit, Meaning: "The device or this gateway has as many connections as its limit allows.", Transient: true,
		Do: "Find out why connections stay open, or raise the limit.",
		RJ: rjLocalLimit, Abort: abortUnspecified, HTTP: 503},
	{Code: SessionOpaque, Meaning: "The session could not be read and goes on without inspection.",
		Do: "Look at the reason recorded before it; the flow cannot be enforced until it reads."},
	{Code: SessionRevoked, Meaning: "The device or its flow was retired, quarantined or revoked.",
		Do: "Lift the quarantine in the device file when the device may talk again.",
		RJ: rjNoReason, Abort: abortUnspecified},
	{Code: SessionShutdown, Meaning: "The gateway is shutting down and begins nothing new.", Transient: true,
		Do: "Nothing: the device will try again.",
		RJ: rjCongestion, Abort: abortUnspecified, HTTP: 503},
	{Code: SessionCut, Meaning: "The session ended otherwise than in order: a side closed or lost its connection, or aborted. What was under way was not completed, and what was asked not answered.", Transient: true,
		Do: "Look at what closed first: device, network or server.", Abort: abortUnspecified},

	{Code: UpstreamUnreachable, Meaning: "The server could not be reached, or closed the connection before it answered.", Transient: true,
		Do: "Check that the server runs and that its address in site.yaml is right.",
		RJ: rjCongestion, Abort: abortUnspecified, HTTP: 502},
	{Code: UpstreamIdentity, Meaning: "The server could not prove who it is; nothing was sent to it.", Transient: true,
		Do: "Check the server's certificate, the name that site.yaml expects in it (server_name), and the authority that the tunnel in cordon.yaml trusts (ca).",
		RJ: rjCongestion, Abort: abortUnspecified, HTTP: 502},
	{Code: UpstreamRefusesUs, Meaning: "The server did not believe the certificate that Cordon showed it for the device.", Transient: true,
		Do: "Have the server trust the authority that issued the certificate, and admit the name in it; look whether it has expired. It is identity.certificate of the device, else certificate of the tunnel in cordon.yaml.",
		RJ: rjCongestion, Abort: abortUnspecified, HTTP: 502},

	{Code: TimerHandshake, Meaning: "The peer of a TLS listener did not prove in time who it is.", Transient: true,
		Do: "Look for a peer that connects and does not go on: a scanner, a health check, or a client that does not speak TLS."},
	{Code: TimerSetup, Meaning: "The peer did not finish setting up in time.", Transient: true,
		Do: "Look for a peer that connects and says nothing; raise timers.setup if it is merely slow.", RJ: rjCongestion, Abort: abortUnspecified},
	{Code: TimerIdle, Meaning: "Nothing was said between messages for too long.", Transient: true,
		Do: "Nothing if the device reconnects; otherwise raise timers.idle.", Abort: abortUnspecified},
	{Code: TimerMessage, Meaning: "A message stopped half-way, or its answer did not come in time.", Transient: true,
		Do: "Look at the network and the server's load; raise timers.message if the peer is merely slow.", Abort: abortUnspecified},
	{Code: TimerRelease, Meaning: "The peer did not finish its end of the session in time.", Transient: true,
		Do: "Nothing, unless it happens often.", Abort: abortUnspecified},

	{Code: CapRate, Meaning: "The device asked for more associations in a minute than its limit allows.", Transient: true,
		Do: "Find out why the device connects so often; raise limits.associations_per_minute if that is ordinary for it.",
		RJ: rjCongestion, Abort: abortUnspecified},
	{Code: CapInstances, Meaning: "The association, the study or the day has as many objects as the limit allows.", Transient: true,
		Do:    "Find out why there are so many; raise the limit if that is ordinary for the device.",
		Abort: abortUnspecified, Status: statusResources},
	{Code: CapBytes, Meaning: "The objects of the association, the study or the day have as many bytes as the limit allows.", Transient: true,
		Do:    "Find out why there are so many; raise the limit if that is ordinary for the device.",
		Abort: abortUnspecified, Status: statusResources},
	{Code: CapOutstanding, Meaning: "As many operations wait for their responses as the limit allows.", Transient: true,
		Do:    "Find out why the peer goes on without waiting for responses; raise limits.outstanding if its server keeps up.",
		Abort: abortUnspecified, Status: statusResources},

	{Code: CapHold, Meaning: "More had to be held for a decision than the cap allows.",
		Do: "Raise limits.hold for the flow if such large headers are ordinary for this device.",
		RJ: rjNoReason, Abort: abortValue, Status: statusResources, ERR: "207", HTTP: 413},
	{Code: CapBudget, Meaning: "The memory set aside for undecided units is used up, by all sessions or by those of this device.", Transient: true,
		Do: "Raise limits.budget in cordon.yaml, or find the device that floods it.",
		RJ: rjCongestion, Abort: abortUnspecified, Status: statusResources, HTTP: 503},
	{Code: CapReplies, Meaning: "The peer asked for more refusals than it reads.",
		Do: "Find out why the device sends on without reading its answers.", Abort: abortUnspecified},

	{Code: CapDataSet, Meaning: "A data set nests deeper, or has more elements, longer values or more inflated bytes than is looked at.",
		Do:    "Treat the sender as suspect: real objects stay far below these caps.",
		Abort: abortValue, Status: statusUnderstand},

	{Code: EngineFailure, Meaning: "Cordon itself failed while it judged this.", Transient: true,
		Do: "Report it with the log line that names the session.",
		RJ: rjCongestion, Abort: abortUnspecified, Status: 0x0110, HTTP: 500},

	{Code: DICOMNotDICOM, Meaning: "The bytes are not DICOM but another protocol (HTTP, TLS, text).",
		Do: "Point that client to its own port.", Abort: abortUnknownPDU},
	{Code: DICOMPDU, Meaning: "A PDU does not have the form that PS3.8 gives it.",
		Do: "Update or replace the software that sent it; in shadow mode the session passes unread.", Abort: abortValue},
	{Code: DICOMPDUTooLong, Meaning: "A PDU is longer than its receiver said it accepts.",
		Do: "Lower the maximum PDU length in the sender's configuration.", Abort: abortValue},
	{Code: DICOMPDUType, Meaning: "A PDU is of a type that PS3.8 does not define.",
		Do: "Update or replace the software that sent it.", Abort: abortUnknownPDU},
	{Code: DICOMPDUState, Meaning: "A PDU came when the state table of PS3.8 does not expect it.",
		Do: "Update or replace the software that sent it.", Abort: abortUnexpected},
	{Code: DICOMItem, Meaning: "An item of the association negotiation does not have the form that PS3.8 or PS3.7 Annex D gives it.",
		Do: "Update or replace the software that sent it.", Abort: abortValue},
	{Code: DICOMPDV, Meaning: "A presentation data value is malformed, or on a presentation context that was not accepted.",
		Do: "Update or replace the software that sent it.", Abort: abortValue},
	{Code: DICOMApplicationContext, Meaning: "The application context name is not the one of DICOM.",
		Do: "Find out what this client is; it does not speak DICOM as published.",
		RJ: RJ{1, 1, 2}, Abort: abortValue},
	{Code: DICOMProtocolVersion, Meaning: "The protocol version is not one that PS3.8 defines.",
		Do: "Find out what this client is; it does not speak DICOM as published.",
		RJ: RJ{1, 2, 2}, Abort: abortValue},
	{Code: DICOMCalledAE, Meaning: "The called AE title is not the one of the flow's server.",
		Do: "Correct the called AE title on the device, or add it to the upstream in site.yaml (ae or was.ae).",
		RJ: RJ{1, 1, 7}, Abort: abortUnspecified},
	{Code: DICOMCallingAE, Meaning: "The calling AE title is not one of the device's.",
		Do: "Correct the AE title on the device, or add it to ae.titles in its file.",
		RJ: RJ{1, 1, 3}, Abort: abortUnspecified},
	{Code: DICOMAbstractSyntax, Meaning: "The flow allows nothing of this abstract syntax (SOP class).",
		Do: "Add the SOP class to the flow's allow list if the device needs it.",
		RJ: rjNoReason, Abort: abortUnspecified, Status: statusNoSuchClass},
	{Code: DICOMTransferSyntax, Meaning: "The flow allows none of the transfer syntaxes proposed.",
		Do: "Name the transfer syntax in the flow's transfer_syntaxes if its server takes it.",
		RJ: rjNoReason, Abort: abortUnspecified, Status: statusNotAuthorized},
	{Code: DICOMNoContext, Meaning: "No presentation context of the request is allowed, so the association was rejected.",
		Do: "Add the SOP classes that the device needs to the flow's allow list.",
		RJ: rjNoReason, Abort: abortUnspecified},
	{Code: DICOMNegotiation, Meaning: "The server accepted something that was not offered to it.",
		Do: "Report it to the maker of the server.", Abort: abortValue},
	{Code: DICOMCommandSet, Meaning: "A DIMSE command set does not have the form that PS3.7 gives it.",
		Do: "Update or replace the software that sent it.", Abort: abortValue},
	{Code: DICOMCommandRemainder, Meaning: "Elements that are no part of it follow the command set of a response.",
		Do: "Update the software that answers: Orthanc lists there what failed of a C-GET. With tolerate: {remainder: true} in the flow it passes.", Abort: abortValue},
	{Code: DICOMCommand, Meaning: "The flow does not allow this DIMSE operation.",
		Do:    "Add the operation to the flow's allow list if the device needs it.",
		Abort: abortUnspecified, Status: statusNotAuthorized},
	{Code: DICOMSOPClass, Meaning: "The SOP class of the command is not the one of its presentation context, or is not allowed.",
		Do:    "Add the SOP class to the flow's allow list if the device needs it; update software that names another class than it negotiated.",
		Abort: abortUnspecified, Status: statusNoSuchClass},
	{Code: DICOMUID, Meaning: "A UID is not a valid one: it could leave a folder or break a query where it is used as a name.",
		Do:    "Treat the sender as suspect; a device whose software writes such UIDs must be updated. Where they only have letters in them, tolerate: {lettered_uids: true} lets them pass.",
		Abort: abortValue, Status: statusUnderstand},
	{Code: DICOMUIDMismatch, Meaning: "The data set names another SOP class or instance than its command.",
		Do:    "Treat the sender as suspect; a device whose software does this must be updated.",
		Abort: abortValue, Status: statusMismatch},
	{Code: DICOMDataSet, Meaning: "The data set does not have the form that PS3.5 gives it in its transfer syntax.",
		Do:    "Update or replace the software that wrote it. What no rule reads, the rest of an object or the answer to a query, passes with tolerate: {remainder: true}.",
		Abort: abortValue, Status: statusUnderstand},
	{Code: DICOMUnaskedResponse, Meaning: "A response answers nothing that was asked.",
		Do: "Report it to the maker of the software that sent it.", Abort: abortUnspecified},
	{Code: DICOMStatus, Meaning: "A response carries a status that its operation does not have.",
		Do: "Report it to the maker of the software that sent it.", Abort: abortValue},
	{Code: DICOMRole, Meaning: "A side proposed a role, SCU or SCP, that the flow does not allow for the SOP class, or sent a request that only the other role sends.",
		Do: "Let the side that opens the association propose the role (SCP/SCU role selection), as C-GET needs it; where its software cannot, tolerate: {roles: true} lets it pass what the flow allows.",
		RJ: rjNoReason, Abort: abortUnspecified, Status: statusNotAuthorized},
	{Code: DICOMWindow, Meaning: "A request came while as many as were negotiated (asynchronous operations window) still waited for their responses.", Transient: true,
		Do:    "Let the device wait for each response, or negotiate a larger window.",
		Abort: abortUnspecified, Status: statusResources},
	{Code: DICOMLateCancel, Meaning: "A C-CANCEL named a request that is not outstanding; it has no answer and was dropped.",
		Do: "Nothing: it crossed with the last response, or named a request that was refused.", Abort: abortUnspecified},
	{Code: DICOMMoveDestination, Meaning: "A C-MOVE names a destination that the flow does not allow.",
		Do:    "Add the AE title to the flow's move destinations if images may be sent there.",
		Abort: abortUnspecified, Status: statusDestination},
	{Code: DICOMPeerRejected, Meaning: "The server itself rejected the association (or the device, where a server connects to it); Cordon passed its answer on.", Theirs: true,
		Do: "Look at the answer's result and reason: they say whether it is permanent, and why."},
	{Code: DICOMPeerFailed, Meaning: "The server itself took nothing (or the device, where a server connects to it): it answered with a failure, or accepted no presentation context; Cordon passed its answer on.", Theirs: true,
		Do: "Look into the log of who answered; the status, or what it was offered, says where to begin."},

	{Code: DICOMQueryLevel, Meaning: "The query or retrieval is at a level that the flow does not allow.",
		Do:    "Add the level to levels of the flow's find, move or get if the device needs it.",
		Abort: abortUnspecified, Status: statusNotAuthorized},
	{Code: DICOMQueryKey, Meaning: "The query matches by an attribute, or asks for one, that the flow does not allow.",
		Do:    "Add the attribute to match or return of the flow's find if the device needs it.",
		Abort: abortUnspecified, Status: statusNotAuthorized},
	{Code: DICOMQueryEverything, Meaning: "The query matches by nothing that servers must heed, so it asks for everything; or the retrieval names nothing.",
		Do:    "Have the user narrow the search by a key of the level that is asked at: patient or date for studies, the study for its series. What the server takes besides goes under match of the flow's find, and everything: true lets all pass.",
		Abort: abortUnspecified, Status: statusNotAuthorized},
	{Code: DICOMAction, Meaning: "The flow does not allow this action type of N-ACTION.",
		Do:    "Add the action type to actions of the flow's normalized service if the device needs it.",
		Abort: abortUnspecified, Status: statusNoSuchAction},
	{Code: DICOMEvent, Meaning: "The flow does not allow this event type of N-EVENT-REPORT.",
		Do:    "Add the event type to events of the flow's normalized service if the device needs it.",
		Abort: abortUnspecified, Status: statusNoSuchEvent},
	{Code: DICOMGeometry, Meaning: "The image cannot be what it says: its Pixel Data is shorter than rows, columns, bits and frames make it, or its RLE header leads out of it.",
		Do:    "Treat the sender as suspect; tolerate geometry in the flow only for a device that is known to write such images.",
		Abort: abortValue, Status: statusUnderstand},

	{Code: HL7Framing, Meaning: "The bytes are not an MLLP block: VT, message, FS, CR.",
		Do: "Look at what is connected there; let the policy tolerate stray bytes between blocks if the device sends them."},
	{Code: HL7TooLong, Meaning: "The MLLP block is larger than the flow allows.",
		Do: "Raise limits.message for the flow if such messages are ordinary for this device."},
	{Code: HL7Header, Meaning: "The MSH segment is missing or does not have the form that HL7 chapter 2 gives it.",
		Do: "Correct the sender; an acknowledgment cannot be made without a readable MSH.", ERR: "101"},
	{Code: HL7MessageType, Meaning: "The flow does not allow this message type.",
		Do: "Add the message type to the flow's allow list if the device needs it.", ERR: "200"},
	{Code: HL7Trigger, Meaning: "The flow allows the message type, but not with this trigger event.",
		Do: "Add the trigger event to the flow's allow list if the device needs it.", ERR: "201"},
	{Code: HL7Sender, Meaning: "The sending application or facility (MSH-3, MSH-4) is not the device's.",
		Do: "Correct it on the device, or in identify.hl7 of its file.", ERR: "103"},
	{Code: HL7Receiver, Meaning: "The receiving application or facility (MSH-5, MSH-6) is not the flow's.",
		Do: "Correct it on the device, or in the flow's receiver.", ERR: "103"},
	{Code: HL7SegmentEnd, Meaning: "Segments do not end with CR as HL7 chapter 2 says.",
		Do: "Set segment_ends in the flow if the device cannot be corrected.", ERR: "100"},
	{Code: HL7Batch, Meaning: "The block holds a batch or several messages, which the flow does not allow.",
		Do: "Send messages one to a block.", ERR: "207"},
	{Code: HL7AckUnframed, Meaning: "The server answered without an MLLP block around its acknowledgment.",
		Do: "Correct the server's MLLP framing."},
	{Code: HL7AckMismatch, Meaning: "The acknowledgment answers no message that is waiting (MSA-2 is not its MSH-10).",
		Do: "Report it to the maker of the server."},
	{Code: HL7AckLate, Meaning: "The acknowledgment did not come in time; both connections were closed so that the device sends again.", Transient: true,
		Do: "Look at the server's load; raise timers.message if it is merely slow."},
	{Code: HL7Unacknowledged, Meaning: "The sender went on with more messages than may wait for an acknowledgment.",
		Do: "Find out why the receiver does not acknowledge, and let the sender wait for each acknowledgment."},
	{Code: HL7CommitBlock, Meaning: "An MLLP release 2 commit block came where the flow does not expect one.",
		Do: "Set mllp_release: 2 for the flow's upstream when that is available; until then the flow stays in shadow."},
}
