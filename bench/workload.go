package bench

import (
	"context"
	"net"
	"time"

	"cordon/protocols/dicom"
)

// Role is where a gateway stands.
type Role string

const (
	Direct Role = "direct" // no gateway
	Client Role = "client" // plaintext in, mTLS out: seals what a load sends
	Server Role = "server" // mTLS in, plaintext out: opens it
	Pair   Role = "pair"   // one of each, plaintext at both ends
	Both   Role = "both"   // client and server role together, each round of one with one of the other
)

// Workload is a kind of load.
type Workload struct {
	Name     string
	About    string
	Protocol string // as the policy names it
	Unit     string // that cost is counted for: "GiB", "message", "connection"
	Roles    []Role
	// Connections are the numbers of connections to measure with; at the same time, or idle.
	Connections []int
	// Rate, for workloads that have an open loop too: arrivals a second, for each entry of
	// Connections.
	Rate   []float64
	Resume bool  // sessions may be resumed
	Memory bool  // what is measured is memory while connections are held, on fresh gateways
	Quick  []int // connections of a quick run; none: left out of it

	allow string   // what a policy allows besides C-ECHO and objects that were given
	dcmtk bool     // dcmtk's programs stand at both ends
	env   []string // of these
	size  int64    // of the object, whatever the run's size; 0: the run's
	// returns says that objects return to the load by associations that the sink opens, through
	// another process of the gateway in the server role.
	returns bool

	serve func(net.Conn, *Tally) error
	run   func(context.Context, *Load) (Sample, error)
}

// Load is one run of a workload.
type Load struct {
	Target      Target
	Connections int
	Rate        float64       // arrivals a second; 0: closed loop
	Bytes       int64         // of a bulk object
	Count       int           // of objects, or of requests where their number is bounded
	Objects     []object      // instead of generated ones
	Duration    time.Duration // of what runs for a while
	Ready       func()        // called when the connections are open, before requests that count
	Holding     func()        // called while idle connections are held
	Programs    programs      // of a load that another program sends
}

// Sample is what a run of a load brought.
type Sample struct {
	Units   int64 // messages, objects, connections
	Bytes   int64 // sent, in the protocol's own framing
	Wall    time.Duration
	Latency *histogram // of units; nil where there is only one
}

const (
	largePDU = 128 << 10
	smallPDU = 16 << 10
)

// Workloads is the one place where a protocol or a tunnel registers what is measured of it.
var Workloads = []*Workload{
	{
		Name: "dicom-bulk", About: "one huge multi-frame object on one association, 128 KiB PDUs", Protocol: "dicom", Unit: "GiB",
		Roles: []Role{Client, Server, Pair}, Connections: []int{1}, Quick: []int{1},
		serve: serveDICOM, run: bulk(largePDU),
	}, {
		Name: "dicom-bulk-16k", About: "the same in 16 KiB PDUs", Protocol: "dicom", Unit: "GiB",
		Roles: []Role{Client, Server}, Connections: []int{1},
		serve: serveDICOM, run: bulk(smallPDU),
	}, {
		Name: "dicom-study", About: "many CT-like objects of 0.525 MB on one association, 16 KiB PDUs", Protocol: "dicom", Unit: "object",
		Roles: []Role{Client}, Connections: []int{1},
		serve: serveDICOM, run: study(ctStudy),
	}, {
		Name: "dicom-mixed", About: "CT-like objects, structured reports of 6 kB and ultrasound loops of 3.7 MB on one association", Protocol: "dicom", Unit: "object",
		Roles: []Role{Client}, Connections: []int{1},
		allow: "store: [CT Image Storage, Basic Text SR Storage, Ultrasound Multi-frame Image Storage]",
		serve: serveDICOM, run: study(mixedStudy),
	}, {
		Name: "dicom-find", About: "C-FINDs with 100 small matches each on open associations", Protocol: "dicom", Unit: "request",
		Roles: []Role{Client}, Connections: []int{1, 8}, allow: "find: {model: Study Root}",
		serve: serveDICOM, run: exchange(newFinds),
	}, {
		Name: "dicom-get", About: "C-GETs of 20 CT-like objects each, which return on the same association", Protocol: "dicom", Unit: "object",
		Roles: []Role{Client}, Connections: []int{1}, allow: "get: {returns: [CT Image Storage]}",
		serve: serveDICOM, run: retrieve(dicom.CGetRQ),
	}, {
		Name: "dicom-move", About: "C-MOVEs of 20 CT-like objects each, which return on an association that the sink opens, through a second gateway", Protocol: "dicom", Unit: "object",
		Roles: []Role{Client}, Connections: []int{1}, allow: "move: {to: " + homeAE + "}", returns: true,
		serve: serveDICOM, run: retrieve(dicom.CMoveRQ),
	}, {
		Name: "dicom-object", About: "one object of 500 MB on one association, 16 KiB PDUs", Protocol: "dicom", Unit: "object",
		Roles: []Role{Client}, Connections: []int{1}, size: 500 << 20,
		serve: serveDICOM, run: bulk(smallPDU),
	}, {
		Name: "dcmtk-study", About: "the study from dcmtk's storescu to its storescp, as Debian ships them", Protocol: "dicom", Unit: "object",
		Roles: []Role{Client}, Connections: []int{1}, dcmtk: true,
		run: storescu,
	}, {
		Name: "dcmtk-study-nodelay", About: "the same with TCP_NODELAY=1 in dcmtk's environment", Protocol: "dicom", Unit: "object",
		Roles: []Role{Client}, Connections: []int{1}, dcmtk: true, env: []string{"TCP_NODELAY=1"},
		run: storescu,
	}, {
		Name: "dicom-echo", About: "C-ECHO on open associations", Protocol: "dicom", Unit: "message",
		Roles: []Role{Client}, Connections: []int{1, 32}, Rate: []float64{2000, 10000},
		serve: serveDICOM, run: exchange(newEchoes),
	}, {
		Name: "hl7-300", About: "messages of 300 bytes and acknowledgments of 150 on open connections", Protocol: "hl7", Unit: "message",
		Roles: []Role{Client, Pair}, Connections: []int{1, 32, 256}, Rate: []float64{5000, 20000, 20000}, Quick: []int{1, 32},
		serve: serveHL7, run: exchange(newMessages(300)),
	}, {
		Name: "hl7-5k", About: "messages of 5 kB", Protocol: "hl7", Unit: "message",
		Roles: []Role{Client}, Connections: []int{32}, Rate: []float64{10000},
		serve: serveHL7, run: exchange(newMessages(5000)),
	}, {
		Name: "hl7-1m", About: "messages of 1 MB, a document in one field", Protocol: "hl7", Unit: "message",
		Roles: []Role{Client}, Connections: []int{4}, Rate: []float64{100},
		serve: serveHL7, run: exchange(newMessages(1_000_000)),
	}, {
		Name: "connect", About: "new connections, each with a full mTLS handshake, one exchange and an end, 16 at a time", Protocol: "hl7", Unit: "connection",
		Roles: []Role{Client}, Connections: []int{16},
		serve: serveHL7, run: connect(newMessages(300)),
	}, {
		Name: "connect-resumed", About: "the same where the server hands out session tickets", Protocol: "hl7", Unit: "connection",
		Roles: []Role{Client}, Connections: []int{16}, Resume: true,
		serve: serveHL7, run: connect(newMessages(300)),
	}, {
		Name: "idle", About: "connections held open after one exchange of 300 bytes", Protocol: "hl7", Unit: "connection",
		Roles: []Role{Client, Server}, Connections: []int{1000, 5000}, Memory: true, Quick: []int{1000},
		serve: serveHL7, run: idle(newMessages(300)),
	},
}

// Find returns the workload of that name; nil when there is none.
func Find(name string) *Workload {
	for _, w := range Workloads {
		if w.Name == name {
			return w
		}
	}
	return nil
}
