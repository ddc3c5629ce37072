package file

// Cordon is cordon.yaml: what this box is and where it listens.
type Cordon struct {
	Box       Box                 `json:"box,omitempty" jsonschema:"This box."`
	Listeners map[string]Listener `json:"listeners,omitempty" jsonschema:"Addresses where devices, far ends and servers are heard, by name."`
	Tunnels   map[string]Tunnel   `json:"tunnels,omitempty" jsonschema:"How bytes travel. The name is the kind (mtls), or the kind and a name of your own (mtls/pacs)."`
	Audit     Audit               `json:"audit,omitempty" jsonschema:"Where the audit records go."`
	Control   Control             `json:"control,omitempty" jsonschema:"The socket that the cordon command talks to."`
	HTTP      HTTP                `json:"http,omitempty" jsonschema:"Health and metrics, on this host only."`
	Limits    BoxLimits           `json:"limits,omitempty" jsonschema:"Caps of this box, and the defaults of every flow's."`
	Timers    BoxTimers           `json:"timers,omitempty" jsonschema:"Waits of this box, and the defaults of every flow's."`
	Site      Text                `json:"site,omitempty" jsonschema:"The file that names the site's upstreams; site.yaml unless said otherwise."`
	Tiers     Text                `json:"tiers,omitempty" jsonschema:"The folder of the tiers; tiers unless said otherwise."`
	Devices   Text                `json:"devices,omitempty" jsonschema:"The folder of the devices; devices unless said otherwise."`

	At Pos `json:"-"`
}

// Box names the gateway.
type Box struct {
	Name Text `json:"name,omitempty" jsonschema:"Its name, as it stands in audit records; the host's name unless said otherwise."`
}

// Listener is an address where flows are heard.
type Listener struct {
	Address  Text  `json:"address" jsonschema:"Where it listens: host:port, or :port for all of this host's addresses."`
	Protocol Text  `json:"protocol" enum:"dicom,hl7" jsonschema:"What is spoken there: dicom or hl7."`
	Tunnel   Text  `json:"tunnel,omitempty" jsonschema:"How bytes arrive: plain (the devices' own segment; the default), or the name of a tunnel, for servers and far ends."`
	Peers    Texts `json:"peers,omitempty" jsonschema:"Names that the certificates of those who connect may carry; needed unless the tunnel is plain."`

	At Pos `json:"-"`
}

// Tunnel is a way for bytes to travel.
type Tunnel struct {
	CA          Refs `json:"ca" jsonschema:"Certificates of the authorities that are trusted, as file: references."`
	Certificate Ref  `json:"certificate" jsonschema:"What Cordon shows, as a file: reference; {device} in it stands for the device's name, in a listener for the box's."`
	Key         Ref  `json:"key" jsonschema:"The private key of it, as a file: reference; {device} as above."`
	MinVersion  Text `json:"min_version,omitempty" enum:"1.2,1.3" jsonschema:"The lowest TLS version: \"1.3\" (the default) or \"1.2\"."`

	At Pos `json:"-"`
}

// Audit says where evidence goes.
type Audit struct {
	File Text `json:"file,omitempty" jsonschema:"The file that records are appended to; - for standard output. audit/audit.jsonl unless said otherwise."`
}

// Control is the socket of the cordon command.
type Control struct {
	Socket Text `json:"socket,omitempty" jsonschema:"Path of the socket; run/cordon.sock unless said otherwise."`
}

// HTTP is the listener for health and metrics.
type HTTP struct {
	Address Text `json:"address,omitempty" jsonschema:"A loopback address and port, such as 127.0.0.1:9180; none unless said."`
}

// BoxLimits are the caps of the box and the defaults of its flows.
type BoxLimits struct {
	Connections Int  `json:"connections,omitempty" jsonschema:"Connections of all devices at a time; 10000 unless said otherwise."`
	Handshakes  Int  `json:"handshakes,omitempty" jsonschema:"Connections to TLS listeners at a time that have not proven yet who they are; one address may have half of them, and the oldest makes way for the next; 1024 unless said otherwise."`
	Budget      Size `json:"budget,omitempty" jsonschema:"Memory for units that are not decided yet, over all sessions; one device may have half of what the others leave; 256MiB unless said otherwise."`
	Hold        Size `json:"hold,omitempty" jsonschema:"Bytes of one unit that are held for a decision; 1MiB unless said otherwise."`
	Message     Size `json:"message,omitempty" jsonschema:"The largest HL7 block; 16MiB unless said otherwise."`
	MaxPDU      Size `json:"max_pdu,omitempty" jsonschema:"The largest DICOM P-DATA-TF PDU, header excluded; 256KiB unless said otherwise."`
	Sessions    Int  `json:"sessions,omitempty" jsonschema:"Connections of one device on one flow at a time; 64 unless said otherwise."`

	DataSet DataSetLimits `json:"data_set,omitempty" jsonschema:"How much a DICOM data set may hold as far as it is scanned."`
}

// BoxTimers are the waits of the box and the defaults of its flows.
type BoxTimers struct {
	Setup   Duration `json:"setup,omitempty" jsonschema:"Until an association is set up; 30s unless said otherwise."`
	Idle    Duration `json:"idle,omitempty" jsonschema:"Between messages; 10m unless said otherwise."`
	Message Duration `json:"message,omitempty" jsonschema:"Inside a message without progress, and for its answer; 60s unless said otherwise."`
	Release Duration `json:"release,omitempty" jsonschema:"Until a connection that ends is closed; 30s unless said otherwise."`
	Dial    Duration `json:"dial,omitempty" jsonschema:"Until the upstream answers; 5s unless said otherwise."`
	Grace   Duration `json:"grace,omitempty" jsonschema:"For messages under way when Cordon stops; 15s unless said otherwise."`
}

// Site is site.yaml: the upstreams of the site, each named once.
type Site struct {
	Upstreams map[string]Upstream `json:"upstreams,omitempty" jsonschema:"The servers that flows connect to, or come from, by name."`

	At Pos `json:"-"`
}

// Upstream is one server.
type Upstream struct {
	AE         Text  `json:"ae,omitempty" jsonschema:"Its DICOM AE title."`
	Address    Text  `json:"address" jsonschema:"Where it listens: host:port."`
	Tunnel     Text  `json:"tunnel" jsonschema:"The tunnel that leads there: mtls, mtls/name or, with reason, owner and until, plain."`
	ServerName Text  `json:"server_name,omitempty" jsonschema:"The name that its certificate must carry; the host of its address unless said otherwise."`
	Was        Was   `json:"was,omitempty" jsonschema:"What devices still call it."`
	Listen     Text  `json:"listen,omitempty" jsonschema:"The listener where it is heard when it connects to devices; not needed where only one has it among its peers."`
	Reason     Text  `json:"reason,omitempty" jsonschema:"Why it is reached without a tunnel."`
	Owner      Text  `json:"owner,omitempty" jsonschema:"Who answers for that."`
	Until      Until `json:"until,omitempty" jsonschema:"The day (2027-06-30) or time (2026-12-01T18:00+01:00) until which that is accepted."`

	At Pos `json:"-"`
}

// Was is the name that a server had.
type Was struct {
	AE      Text `json:"ae,omitempty" jsonschema:"The AE title it had; devices go on using it, and it is put for the new one, and the new one for it, on the way."`
	Address Text `json:"address,omitempty" jsonschema:"The address it had; for reports."`
}

// Tier is tiers/*.yaml: what a class of devices has in common.
type Tier struct {
	Tier Text `json:"tier" jsonschema:"The name of the tier."`
	Common
}

// Device is devices/*.yaml: one device, and what differs from its tier.
type Device struct {
	Device Text `json:"device" jsonschema:"The name of the device: letters, digits, dots, hyphens and underscores."`
	Common
}

// Common is what tiers and devices may say.
type Common struct {
	Extends     Text             `json:"extends,omitempty" jsonschema:"The tier that this one adds to: scalars override, maps merge by key, lists replace, null removes."`
	Mode        Text             `json:"mode,omitempty" enum:"learn,shadow,enforce" jsonschema:"learn (watch and pass), shadow (judge, report what would be refused, pass; the default) or enforce."`
	About       map[string]Text  `json:"about,omitempty" jsonschema:"Whatever people should know: name, owner, phone, os, location."`
	Identify    Identify         `json:"identify,omitempty" jsonschema:"How a connection is known to be the device's."`
	AE          AE               `json:"ae,omitempty" jsonschema:"Its DICOM application entity."`
	Fingerprint Texts            `json:"fingerprint,omitempty" jsonschema:"DICOM Implementation Version Names and Implementation Class UIDs of its software; what that is known not to bear is kept from it."`
	State       Text             `json:"state,omitempty" enum:"active,quarantined,retired" jsonschema:"active (the default), quarantined (known, refused in every mode) or retired."`
	Identity    Identity         `json:"identity,omitempty" jsonschema:"The certificate that Cordon shows servers for the device, when it is not the tunnel's."`
	Patches     Patches          `json:"patches,omitempty" jsonschema:"Virtual patches: auto, none, or a list of names."`
	OnDrift     Text             `json:"on_drift,omitempty" enum:"alert,quarantine" jsonschema:"What its software says of itself changed: alert or quarantine."`
	OnFailure   Text             `json:"on_failure,omitempty" enum:"refuse,pass" jsonschema:"Inspection itself fails: refuse (the default) or pass."`
	WhenDown    Text             `json:"when_down,omitempty" enum:"block,pass" jsonschema:"Cordon is down: block or pass."`
	Timers      Timers           `json:"timers,omitempty" jsonschema:"Waits of all flows of the device."`
	Limits      Limits           `json:"limits,omitempty" jsonschema:"Caps of all flows of the device."`
	Flows       map[string]Flow  `json:"flows,omitempty" jsonschema:"The conversations that the device may hold, by name."`
	Network     []NetworkPinhole `json:"network,omitempty" jsonschema:"Traffic that passes uninspected, each with its reason; it stands in every report."`

	At Pos `json:"-"`
}

// Identify says how a connection is known to be the device's.
type Identify struct {
	IP          Texts   `json:"ip,omitempty" jsonschema:"Its address, or several, or prefixes such as 10.20.3.0/28."`
	MAC         Text    `json:"mac,omitempty" jsonschema:"Its hardware address, in quotes: \"00:1b:21:aa:bb:cc\"."`
	Certificate Text    `json:"certificate,omitempty" jsonschema:"At a far end: the name in the certificate that the near end shows for the device."`
	HL7         HL7Name `json:"hl7,omitempty" jsonschema:"What it calls itself in HL7 messages."`

	At Pos `json:"-"`
}

// HL7Name is how an HL7 application names itself, or is named.
type HL7Name struct {
	Application Texts `json:"application,omitempty" jsonschema:"Sending (MSH-3) or receiving (MSH-5) application: the whole field or its first component."`
	Facility    Texts `json:"facility,omitempty" jsonschema:"Sending (MSH-4) or receiving (MSH-6) facility: the whole field or its first component."`

	At Pos `json:"-"`
}

// AE is a DICOM application entity.
type AE struct {
	Titles Texts `json:"titles,omitempty" jsonschema:"The AE titles that it calls itself by; at most 16 characters each."`
	Port   Int   `json:"port,omitempty" jsonschema:"Where it listens itself, for flows that servers begin."`
	Knows  Texts `json:"knows,omitempty" jsonschema:"New AE titles of servers that it was set to already, so that was: of theirs does not apply to what it is sent."`

	At Pos `json:"-"`
}

// Identity is the certificate that Cordon holds for the device.
type Identity struct {
	Certificate Ref `json:"certificate" jsonschema:"The certificate, as a file: reference."`
	Key         Ref `json:"key" jsonschema:"The private key, as a file: reference."`

	At Pos `json:"-"`
}

// Flow is one conversation that the device may hold.
type Flow struct {
	To               Text     `json:"to,omitempty" jsonschema:"The upstream that the device connects to."`
	From             Text     `json:"from,omitempty" jsonschema:"The upstream that connects to the device; instead of to. Written so, it stands for what would follow from move and commit of the flows to that upstream."`
	Listen           Text     `json:"listen,omitempty" jsonschema:"The listener, or an address, where the flow is heard; not needed where only one listener fits."`
	Protocol         Text     `json:"protocol,omitempty" enum:"dicom,hl7" jsonschema:"dicom or hl7; not needed where allow says it."`
	Allow            Allow    `json:"allow,omitempty" jsonschema:"What the flow lets through; everything else is refused."`
	TransferSyntaxes Texts    `json:"transfer_syntaxes,omitempty" jsonschema:"DICOM transfer syntaxes by name or UID; all known that can be read but deflated ones unless said."`
	Receiver         HL7Name  `json:"receiver,omitempty" jsonschema:"Whom HL7 messages must be addressed to."`
	Tolerate         Tolerate `json:"tolerate,omitempty" jsonschema:"Departures from the standard that the flow lives with."`
	Mode             Text     `json:"mode,omitempty" enum:"learn,shadow,enforce" jsonschema:"The flow's own mode, when it is not the device's."`
	Timers           Timers   `json:"timers,omitempty" jsonschema:"The flow's own waits."`
	Limits           Limits   `json:"limits,omitempty" jsonschema:"The flow's own caps."`
	MaxPDU           Size     `json:"max_pdu,omitempty" jsonschema:"The largest DICOM P-DATA-TF PDU, header excluded; the same as limits.max_pdu."`
	OnFailure        Text     `json:"on_failure,omitempty" enum:"refuse,pass" jsonschema:"Inspection itself fails: refuse or pass; when it is not the device's."`

	At Pos `json:"-"`
}

// Tolerate lists departures from MLLP, HL7 chapter 2 and DICOM.
type Tolerate struct {
	Strays      Bool `json:"strays,omitempty" jsonschema:"CR, LF and spaces between MLLP blocks."`
	SegmentEnds Bool `json:"segment_ends,omitempty" jsonschema:"Segments that end with LF, or CR and LF."`
	LetteredUID Bool `json:"lettered_uids,omitempty" jsonschema:"DICOM UIDs whose components have letters, as some old systems make them."`
	Geometry    Bool `json:"geometry,omitempty" jsonschema:"DICOM images whose Pixel Data does not fit what they say of it."`
	Remainder   Bool `json:"remainder,omitempty" jsonschema:"What is malformed in DICOM where no rule reads it: the rest of objects, answers to queries, what follows the command set of an answer."`
	Roles       Bool `json:"roles,omitempty" jsonschema:"DICOM requests of a role that was not negotiated, such as a storage commitment's report of a server that proposes no SCP role."`

	At Pos `json:"-"`
}

// Timers are waits.
type Timers struct {
	Setup   Duration `json:"setup,omitempty" jsonschema:"Until an association is set up."`
	Idle    Duration `json:"idle,omitempty" jsonschema:"Between messages."`
	Message Duration `json:"message,omitempty" jsonschema:"Inside a message without progress, and for its answer."`
	Release Duration `json:"release,omitempty" jsonschema:"Until a connection that ends is closed."`
	Dial    Duration `json:"dial,omitempty" jsonschema:"Until the upstream answers."`
}

// Limits are caps, and what a device or a flow may use up in DICOM. Where a device says the latter,
// its flows share it.
type Limits struct {
	Hold     Size `json:"hold,omitempty" jsonschema:"Bytes of one unit that are held for a decision."`
	Message  Size `json:"message,omitempty" jsonschema:"The largest HL7 block."`
	MaxPDU   Size `json:"max_pdu,omitempty" jsonschema:"The largest DICOM P-DATA-TF PDU, header excluded."`
	Sessions Int  `json:"sessions,omitempty" jsonschema:"Connections at a time: DICOM associations, MLLP connections."`

	DataSet DataSetLimits `json:"data_set,omitempty" jsonschema:"How much a DICOM data set may hold as far as it is scanned."`

	AssociationsPerMinute   Int  `json:"associations_per_minute,omitempty" jsonschema:"DICOM associations in the last sixty seconds; 0 for no limit."`
	InstancesPerAssociation Int  `json:"instances_per_association,omitempty" jsonschema:"Objects stored on one DICOM association; 0 for no limit."`
	BytesPerAssociation     Size `json:"bytes_per_association,omitempty" jsonschema:"Bytes of the objects stored on one DICOM association; 0 for no limit."`
	InstancesPerStudy       Int  `json:"instances_per_study,omitempty" jsonschema:"Objects stored of one study; 0 for no limit."`
	BytesPerStudy           Size `json:"bytes_per_study,omitempty" jsonschema:"Bytes of the objects stored of one study; 0 for no limit."`
	InstancesPerDay         Int  `json:"instances_per_day,omitempty" jsonschema:"Objects stored since midnight; 0 for no limit."`
	BytesPerDay             Size `json:"bytes_per_day,omitempty" jsonschema:"Bytes of the objects stored since midnight; 0 for no limit."`
	Outstanding             Int  `json:"outstanding,omitempty" jsonschema:"DICOM operations that one side of an association may have without a final response; 0 for no limit."`
}

// DataSetLimits are caps of what is scanned of a data set. Real objects stay far below them.
type DataSetLimits struct {
	Depth    Int  `json:"depth,omitempty" jsonschema:"Of sequences in sequences, at most 64; 32 unless said otherwise."`
	Elements Int  `json:"elements,omitempty" jsonschema:"Data elements and items; 262144 unless said otherwise."`
	Value    Size `json:"value,omitempty" jsonschema:"Bytes of one value other than Pixel Data; 1GiB unless said otherwise."`
	Text     Size `json:"text,omitempty" jsonschema:"Bytes of one value of text; 1MiB unless said otherwise."`
	Inflated Size `json:"inflated,omitempty" jsonschema:"Bytes that are inflated of a deflated data set, or held of it; 1MiB unless said otherwise."`

	At Pos `json:"-"`
}

// NetworkPinhole is traffic of the device that nothing inspects.
type NetworkPinhole struct {
	From   Text  `json:"from,omitempty" jsonschema:"The address or prefix that may reach the device."`
	To     Text  `json:"to,omitempty" jsonschema:"The address or prefix that the device may reach; instead of from."`
	Port   Text  `json:"port" jsonschema:"tcp/3389 or udp/123."`
	Reason Text  `json:"reason" jsonschema:"Why."`
	Owner  Text  `json:"owner,omitempty" jsonschema:"Who answers for it."`
	Ticket Text  `json:"ticket,omitempty" jsonschema:"Where it was decided."`
	Until  Until `json:"until" jsonschema:"The day (2027-06-30) or time (2026-12-01T18:00+01:00) until which it is accepted."`

	At Pos `json:"-"`
}
