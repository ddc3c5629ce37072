// Package policy turns the files of a site into rules: it reads, validates and compiles them to
// matchers over the facts that protocols read.
//
//	cordon.yaml  site.yaml  tiers/*.yaml  devices/*.yaml
//	     └──────────┴───────────┴──────────────┘
//	                     │ Load: all problems of all files, or
//	                     ▼
//	                  *Policy ─────▶ Store (in force; a reload swaps it)
//	                     │                │ each message asks anew
//	                     ▼                ▼
//	   Listener.Candidates ─▶ Session: chooses the flow, judges, wraps the mode around it
//
// Package file below it knows the shape of the files; package schema describes that shape to
// editors. [Load] compiles what they say to a [Policy], which never changes; [Session] is what
// conversations consult.
package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"cordon/policy/file"
	"cordon/policy/quirks"
	"cordon/policy/usage"
	"cordon/protocols/dicom"
)

// Policy is what all files of a site compile to. It is immutable; a reload makes a new one.
type Policy struct {
	Version   string // short hash over all files, as it stands in audit records
	Box       Box
	Upstreams map[string]*Upstream
	Devices   []*Device   // by name
	Flows     []*Flow     // by device name, then flow name
	Listeners []*Listener // by name; those that flows ask for by address are named by it

	devices map[string]*Device
	retired []*Device
	refs    map[string]file.Pos // where a file is named, by its path
	flows   map[string]*Flow    // by ID
	origins *sources            // what it was compiled from; see Reload and Effective
}

// Device returns the device of that name, nil when there is none.
func (p *Policy) Device(name string) *Device { return p.devices[name] }

// Flow returns a flow by its ID, "device/flow"; nil when there is none.
func (p *Policy) Flow(id string) *Flow { return p.flows[id] }

// FlowsOf returns the flows of a device, by name.
func (p *Policy) FlowsOf(d *Device) []*Flow {
	by := func(f *Flow, name string) int { return cmp.Compare(f.Device.Name, name) }
	first, _ := slices.BinarySearchFunc(p.Flows, d.Name, by)
	last := first
	for last < len(p.Flows) && p.Flows[last].Device.Name == d.Name {
		last++
	}
	return p.Flows[first:last]
}

// Box is what cordon.yaml says about this gateway itself.
type Box struct {
	Name     string
	Dir      string // the directory of cordon.yaml; relative paths were made absolute from it
	Control  string // path of the control socket
	HTTP     string // address of the health and metrics listener, loopback; "" for none
	Audit    string // path of the audit file; "-" for standard output
	Tunnels  map[string]*Tunnel
	Budget   int64 // bytes that undecided units of all sessions may hold
	Sessions int   // connections at a time
	// SessionsRule is where Sessions is set; "" where it is the default.
	SessionsRule string
	// Handshakes is how many connections may be proving who they are at a time; a source has half.
	Handshakes int
	Grace      time.Duration
}

// Tunnel is a named way for bytes to travel: "mtls", "mtls/pacs", "plain".
type Tunnel struct {
	Name string
	Kind string // "mtls" or "plain"
	// For mtls. A "{device}" in CertFile or KeyFile stands for the device's name.
	CAFiles    []string
	CertFile   string
	KeyFile    string
	MinVersion string // "1.3" or "1.2"
}

// Upstream is an end that flows connect to, or come from.
type Upstream struct {
	Name       string
	AE         string // its AE title; "" when not DICOM
	WasAE      string // the AE title that devices still call it by
	WasAddress string // the address that devices still call it by; for reports
	Listen     string // the listener where it is heard; "" where only one fits
	Address    string // host:port
	Tunnel     *Tunnel
	ServerName string // the name its certificate must carry
	// For plain tunnels beyond this host.
	Reason, Owner string
	Until         time.Time
}

// Device is one legacy apparatus with its identity.
type Device struct {
	Name     string
	Tier     string
	About    map[string]string
	Prefixes []netip.Prefix // identify.ip; a single address is a prefix of full length
	MAC      string
	CertName string   // identify.certificate: the name in its peer's client certificate, at a far end
	AETitles []string // ae.titles
	AEPort   int      // where the device itself listens
	Knows    []string // ae.knows: new titles of servers that it was set to
	State    string   // active, quarantined, retired
	// CertFile and KeyFile are the identity that Cordon holds for the device.
	CertFile, KeyFile string
	Quirks            []quirks.Quirk // of the software that fingerprint names
	HL7               HL7Name        // identify.hl7: what it calls itself in MSH-3 and MSH-4
	Usage             *usage.Limits  // what all its flows together are held to; nil for nothing
	Origin            string         // file:line
	Vanished          bool           // that file is gone, and Keep took the device over
}

// The states of a device.
const (
	Active      = "active"
	Quarantined = "quarantined" // known, and refused in every mode
	Retired     = "retired"     // gone; its addresses are free for another
)

// HL7Name is how an HL7 application may name itself; an empty list means any.
type HL7Name struct{ Applications, Facilities []string }

// Mode says what happens to what the rules refuse.
type Mode uint8

const (
	Learn Mode = iota
	Shadow
	Enforce
)

func (m Mode) String() string { return [...]string{"learn", "shadow", "enforce"}[m] }

// Protocol names what a flow speaks.
type Protocol string

const (
	DICOM Protocol = "dicom"
	HL7   Protocol = "hl7"
)

// Flow is one conversation that a device may hold, with the rules compiled for it.
type Flow struct {
	Name    string
	Device  *Device
	written *file.Node // of a flow that follows from another: as a file would hold it
	// Follows is the flow to a server that this one, which no file holds, follows from: its
	// moves and storage commitments bring something back. "" for a flow that a file holds.
	Follows string
	// Lists is the flow whose move lists the SOP classes that come back by this one; "" where none does.
	Lists    string
	Protocol Protocol
	Mode     Mode
	Listener *Listener
	// To is what Cordon dials. For a flow toward the device (FromServer) it is made from the
	// device's own address and AE port.
	To         *Upstream
	From       *Upstream // the server that a flow toward the device comes from; nil otherwise
	FromServer bool
	PassOnFail bool // on_failure: pass
	Timers     Timers
	Limits     Limits
	Usage      usage.Pair // what its device, and it alone, are held to
	CertFile   string     // what Cordon shows when it dials To for this flow; mtls only
	KeyFile    string
	Origin     string // file:line

	id string
	program
}

// ID is "device/flow", as it stands in audit records and metrics.
func (f *Flow) ID() string { return f.id }

// Timers are the waits of a flow.
type Timers struct{ Setup, Idle, Message, Release, Dial time.Duration }

// Limits are the caps of a flow, in bytes and connections. None is zero.
type Limits struct {
	Hold     int // bytes of a unit held undecided
	Message  int // bytes of the largest HL7 block
	MaxPDU   int // bytes of the largest P-DATA-TF PDU, header excluded
	Sessions int // connections of the device on this flow at a time
	// SessionsRule is where Sessions is set; "" where it is the default.
	SessionsRule string
	DataSet      dicom.ScanLimits
}

// Listener is an address where flows are heard.
type Listener struct {
	Name     string
	Address  string
	Protocol Protocol
	Tunnel   *Tunnel  // plain on the devices' segment, mtls toward servers and far ends
	Peers    []string // names that client certificates may carry; mtls only
	// CertFile and KeyFile are what Cordon shows to who connects; mtls only. In a listener
	// "{device}" of the tunnel's files stands for the box's name.
	CertFile, KeyFile string
	Flows             []*Flow // by device name, then flow name
	Origin            string  // file:line

	index index
}
