package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"cordon/gateway/audit"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

// sceneLimit bounds everything that a device does in one scene.
const sceneLimit = 30 * time.Second

// Scene is one thing that a device of the demo does, and what must come of it: what the device
// sees, what reaches a server, and what stands in the audit.
type Scene struct {
	Device string
	Title  string
	do     func(a *actor) (sees string, err error)

	Sees    string // the answer in the protocol's own words
	Reaches int    // objects and messages that a server receives, each as it was sent
	Verdict string // "allow" or "refuse"
	Would   string // what enforce would have decided, where the mode let it pass
	Reasons []reason.Code
}

// allowed tells whether nothing of the scene would be refused by any rule.
func (s *Scene) allowed() bool { return s.Verdict == "allow" && s.Would != "refuse" }

// scenes is the play. What must pass comes first, then what must be refused, then the device
// whose policy is in shadow.
func scenes(slices int) []Scene {
	return []Scene{
		{"ct-3", "asks whether the archive is there (C-ECHO)", echo,
			"0000H", 0, "allow", "", nil},
		{"ct-3", fmt.Sprintf("stores a CT series of %d images", slices), storeSeries,
			fmt.Sprintf("0000H ×%d", slices), slices, "allow", "", nil},
		{"analyzer-7", "sends a result (ORU^R01)", send((*Desk).Glucose),
			"AA", 1, "allow", "", nil},
		{"analyzer-7", "sends a panel of results (ORU^R01)", send((*Desk).Panel),
			"AA", 1, "allow", "", nil},

		{"ct-3", "calls an AE title that is not its archive's", associateAs("ARCHIVE9", ""),
			"A-ASSOCIATE-RJ 1/1/7", 0, "refuse", "", []reason.Code{reason.DICOMCalledAE}},
		{"ct-3", "calls itself by an AE title that is not its own", associateAs("", "INTRUDER"),
			"A-ASSOCIATE-RJ 1/1/3", 0, "refuse", "", []reason.Code{reason.DICOMCallingAE}},
		{"ct-3", "proposes a SOP class that it may not store", propose(secondaryCapture),
			"A-ASSOCIATE-RJ 1/1/1", 0, "refuse", "", []reason.Code{reason.DICOMAbstractSyntax, reason.DICOMNoContext}},
		{"ct-3", "wants to query the archive (C-FIND)", propose(studyRootFind),
			"A-ASSOCIATE-RJ 1/1/1", 0, "refuse", "", []reason.Code{reason.DICOMAbstractSyntax, reason.DICOMNoContext}},
		{"ct-3", "stores an image whose Instance UID leaves its folder, then a good one", storeEvil((*Study).InstanceOutside),
			"C000H 0000H", 1, "refuse", "", []reason.Code{reason.DICOMUID}},
		{"ct-3", "stores an image whose Study UID leaves its folder, then a good one", storeEvil((*Study).StudyOutside),
			"C000H 0000H", 1, "refuse", "", []reason.Code{reason.DICOMUID}},
		{"analyzer-7", "registers a patient (ADT^A04)", send((*Desk).Registration),
			"AR 200", 0, "refuse", "", []reason.Code{reason.HL7MessageType}},
		{"analyzer-7", "sends a result with another trigger event (ORU^R30)", send((*Desk).PointOfCare),
			"AR 201", 0, "refuse", "", []reason.Code{reason.HL7Trigger}},
		{"ct-3", "sends garbage", raw("\xde\xad\xbe\xef\x00\xff garbage, more garbage \x00\x01\x02\x03"),
			"A-ABORT 2/1", 0, "refuse", "", []reason.Code{reason.DICOMNotDICOM, reason.DICOMPDU}},
		{"ct-3", "speaks HTTP to the DICOM port", raw("GET /studies HTTP/1.1\r\nHost: pacs\r\n\r\n"),
			"A-ABORT 2/1", 0, "refuse", "", []reason.Code{reason.DICOMNotDICOM}},

		{"us-2", "stores a screen shot that its policy, still in shadow, would refuse", storeCapture,
			"0000H", 1, "allow", "refuse", []reason.Code{reason.DICOMAbstractSyntax, reason.DICOMNoContext}},
	}
}

// Stage is where the play happens.
type Stage struct {
	DICOM, HL7 string // addresses that devices connect to
	Called     string // AE title of the archive
	servers    *servers
	study      *Study
	desk       *Desk
	// heard hands over the audit records of each verdict; nil when no gateway is there, and then
	// only what it would allow is played.
	heard *heard
}

// Play plays the scenes and returns each expectation that did not hold.
func (st *Stage) Play(ctx context.Context, scenes []Scene) (failed []error) {
	for i := range scenes {
		s := &scenes[i]
		if ctx.Err() != nil {
			return append(failed, ctx.Err())
		}
		if st.heard == nil && !s.allowed() {
			continue
		}
		if err := st.scene(ctx, s); err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w", s.Device, s.Title, err))
		}
	}
	return failed
}

func (st *Stage) scene(ctx context.Context, s *Scene) error {
	ctx, cancel := context.WithTimeout(ctx, sceneLimit)
	defer cancel()
	st.servers.take()
	a := &actor{Stage: st, ctx: ctx, who: cast[s.Device]}
	defer a.leave()
	sees, err := s.do(a)
	var wrong []error
	switch {
	case err != nil:
		wrong = append(wrong, err)
	case sees != s.Sees:
		wrong = append(wrong, fmt.Errorf("the device sees %q, not %q", sees, s.Sees))
	}
	if st.heard != nil {
		wrong = append(wrong, st.heard.expect(ctx, s))
	}
	return errors.Join(append(wrong, a.arrived(s.Reaches))...)
}

// cast lists the devices that act, as the demo's policy knows them.
var cast = map[string]role{
	"ct-3":       {"127.0.0.1", "CT3"},
	"analyzer-7": {"127.0.0.2", ""},
	"us-2":       {"127.0.0.3", "US2"},
}

// role is how a device shows itself on the wire.
type role struct{ address, ae string }

// actor is a device during one scene.
type actor struct {
	*Stage
	ctx   context.Context
	who   role
	sent  [][]byte // what a server must receive, in order
	conns []net.Conn
}

// dial connects from the device's own address.
func (a *actor) dial(address string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.who.address)}}
	c, err := d.DialContext(a.ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	a.conns = append(a.conns, c)
	deadline, _ := a.ctx.Deadline()
	return c, c.SetDeadline(deadline)
}

func (a *actor) leave() {
	for _, c := range a.conns {
		c.Close()
	}
}

// associate opens an association that proposes the abstract syntaxes.
func (a *actor) associate(called, calling string, abstract ...string) (*endpoint.Association, error) {
	c, err := a.dial(a.DICOM)
	if err != nil {
		return nil, err
	}
	r := endpoint.Request{Called: called, Calling: calling}
	for _, s := range abstract {
		r.Contexts = append(r.Contexts, endpoint.Context{Abstract: s, Transfer: []string{explicitLE, implicitLE}})
	}
	return endpoint.Associate(c, r)
}

// store sends an object and returns the status of the response.
func (a *actor) store(assoc *endpoint.Association, o Object) (string, error) {
	status, err := assoc.Store(o.Class, o.Instance, o.Syntax, bytes.NewReader(o.Data), int64(len(o.Data)))
	return fmt.Sprintf("%04XH", status), err
}

func echo(a *actor) (string, error) {
	assoc, err := a.associate(a.Called, a.who.ae, verification)
	if err != nil {
		return answer(err)
	}
	status, err := assoc.Echo()
	if err != nil {
		return answer(err)
	}
	return fmt.Sprintf("%04XH", status), assoc.Release()
}

// storeSeries stores the CT series, the second half of it in Implicit VR.
func storeSeries(a *actor) (string, error) {
	assoc, err := a.associateBoth()
	if err != nil {
		return answer(err)
	}
	n := a.study.Slices()
	for i := range n {
		syntax := explicitLE
		if i >= n/2 {
			syntax = implicitLE
		}
		o := a.study.CT(i, syntax)
		sees, err := a.store(assoc, o)
		if err != nil {
			return answer(err)
		}
		if sees != "0000H" {
			return fmt.Sprintf("%s at image %d", sees, i+1), assoc.Release()
		}
		a.sent = append(a.sent, o.Data)
	}
	return fmt.Sprintf("0000H ×%d", n), assoc.Release()
}

// associateBoth proposes CT Image Storage in a presentation context for each transfer syntax, so
// that either can be sent.
func (a *actor) associateBoth() (*endpoint.Association, error) {
	c, err := a.dial(a.DICOM)
	if err != nil {
		return nil, err
	}
	return endpoint.Associate(c, endpoint.Request{Called: a.Called, Calling: a.who.ae, Contexts: []endpoint.Context{
		{Abstract: ctImageStorage, Transfer: []string{explicitLE}},
		{Abstract: ctImageStorage, Transfer: []string{implicitLE}},
	}})
}

// storeEvil stores an object that must be refused, then one that must pass on the same
// association.
func storeEvil(evil func(*Study, string) Object) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		assoc, err := a.associate(a.Called, a.who.ae, ctImageStorage)
		if err != nil {
			return answer(err)
		}
		first, err := a.store(assoc, evil(a.study, explicitLE))
		if err != nil {
			return answer(err)
		}
		good := a.study.CT(0, explicitLE)
		a.sent = append(a.sent, good.Data)
		second, err := a.store(assoc, good)
		if err != nil {
			return answer(err)
		}
		return first + " " + second, assoc.Release()
	}
}

func storeCapture(a *actor) (string, error) {
	assoc, err := a.associate(a.Called, a.who.ae, secondaryCapture)
	if err != nil {
		return answer(err)
	}
	o := a.study.Capture(explicitLE)
	a.sent = append(a.sent, o.Data)
	status, err := a.store(assoc, o)
	if err != nil {
		return answer(err)
	}
	return status, assoc.Release()
}

// associateAs asks for an association with other AE titles than the right ones.
func associateAs(called, calling string) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		return a.ask(orElse(called, a.Called), orElse(calling, a.who.ae), ctImageStorage)
	}
}

// propose asks for an association for an abstract syntax.
func propose(abstract string) func(*actor) (string, error) {
	return func(a *actor) (string, error) { return a.ask(a.Called, a.who.ae, abstract) }
}

func (a *actor) ask(called, calling, abstract string) (string, error) {
	assoc, err := a.associate(called, calling, abstract)
	if err != nil {
		return answer(err)
	}
	return "A-ASSOCIATE-AC", assoc.Release()
}

// send sends a message of the desk and returns what the acknowledgment says.
func send(message func(*Desk) Message) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		m := message(a.desk)
		a.sent = append(a.sent, m.Data)
		c, err := a.dial(a.HL7)
		if err != nil {
			return "", err
		}
		over := mllp{conn: c}
		if err := over.send(m.Data); err != nil {
			return "", err
		}
		ack, err := over.receive()
		if err != nil {
			return "", fmt.Errorf("acknowledgment: %w", err)
		}
		short, id, err := acknowledged(ack)
		if err == nil && id != m.ID {
			err = errors.New("the acknowledgment's MSA-2 is not the message's MSH-10")
		}
		return short, err
	}
}

// raw sends bytes that are no DICOM and returns the PDU that comes back.
func raw(text string) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		c, err := a.dial(a.DICOM)
		if err != nil {
			return "", err
		}
		if _, err := io.WriteString(c, text); err != nil {
			return "", err
		}
		return answer(endpoint.ReadRefusal(c))
	}
}

// answer writes a refusal of the peer in short; any other error stays one.
func answer(err error) (string, error) {
	var rj *endpoint.Rejected
	var abort *endpoint.Aborted
	switch {
	case errors.As(err, &rj):
		return fmt.Sprintf("A-ASSOCIATE-RJ %d/%d/%d", rj.Result, rj.Source, rj.Reason), nil
	case errors.As(err, &abort):
		return fmt.Sprintf("A-ABORT %d/%d", abort.Source, abort.Reason), nil
	}
	return "", err
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// arrived compares what the servers received during the scene with what was sent.
func (a *actor) arrived(want int) error {
	got := a.servers.take()
	if len(got) != want {
		return fmt.Errorf("the servers received %d objects or messages, not %d", len(got), want)
	}
	for i, r := range got {
		data, err := r.read()
		if err != nil {
			return err
		}
		if !bytes.Equal(data, a.sent[i]) {
			return fmt.Errorf("what the server received as number %d differs from what was sent", i+1)
		}
	}
	return nil
}

// read returns the bytes that came over the wire: the data set of an object without its file
// meta information, or a message.
func (r Received) read() ([]byte, error) {
	f, err := os.Open(r.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if r.Instance != "" {
		if _, err := endpoint.ReadFileMeta(f); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(f)
}

// heard collects audit records until the play asks for them.
type heard struct{ rows chan row }

// record keeps what a record says. The play reads it soon; a record too many is lost rather than
// waited for.
func (h *heard) record(r audit.Record) {
	select {
	case h.rows <- rowOf(r):
	default:
	}
}

// expect waits for the record that the scene must leave. A refusal that it must not leave is an
// error too.
func (h *heard) expect(ctx context.Context, s *Scene) error {
	want := max(1, s.Reaches)
	if s.Verdict == "refuse" || s.Would == "refuse" {
		want = 1
	}
	for want > 0 {
		select {
		case r := <-h.rows:
			switch {
			case r.device != s.Device:
			case r.verdict == "refuse" && !slices.Contains(s.Reasons, reason.Code(r.code)):
				return fmt.Errorf("audit: %s is refused with %s", r.unit, r.code)
			case s.matches(r):
				want--
			}
		case <-ctx.Done():
			return fmt.Errorf("audit: no record says %s%s", s.Verdict, s.because())
		}
	}
	return nil
}

// matches tells whether a record is the one that the scene must leave.
func (s *Scene) matches(r row) bool {
	if r.verdict != s.Verdict || r.would == "refuse" != (s.Verdict == "refuse" || s.Would == "refuse") {
		return false
	}
	return len(s.Reasons) == 0 || slices.Contains(s.Reasons, reason.Code(r.code))
}

func (s *Scene) because() string {
	if len(s.Reasons) == 0 {
		return ""
	}
	return fmt.Sprintf(" because of %s", s.Reasons[0])
}
