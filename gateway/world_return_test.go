package gateway

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

const (
	studyFind  = "1.2.840.10008.5.1.4.1.2.2.1"
	studyMove  = "1.2.840.10008.5.1.4.1.2.2.2"
	commitment = "1.2.840.10008.1.20.1"
	// committed is the instance that requests and reports of storage commitment name (PS3.4 §J.3.5).
	committed = "1.2.840.10008.1.20.1.1"
)

// returnCordon has a listener where the archive and the RIS connect to devices.
const returnCordon = `box: {name: test}
listeners:
  imaging: {address: %q, protocol: dicom}
  servers: {address: %q, protocol: dicom, tunnel: mtls, peers: [pacs.test, ris.test]}
tunnels:
  mtls: {ca: ["file:pki/ca.pem"], certificate: "file:pki/{device}.pem", key: "file:pki/{device}.key"}
control: {socket: run/cordon.sock}
timers: {grace: 30s, dial: 30s}
`

// returnSite has an archive that was renamed, and another one, where no flow leads.
const returnSite = `upstreams:
  pacs: {ae: PACS2, address: %q, tunnel: mtls, server_name: pacs.test, was: {ae: PACS}}
  ris: {ae: RIS, address: "127.0.0.1:9", tunnel: mtls, server_name: ris.test}
  attic: {ae: ATTIC2, address: "127.0.0.1:9", tunnel: mtls, was: {ae: ATTIC}}
`

// station is a workstation, ct-1, that listens itself, and an archive that comes back to it.
type station struct {
	*world
	servers string // address where servers connect
	met     chan net.Conn
	objects chan returned
	reports chan endpoint.Operation
	asked   chan endpoint.Operation // of the archive
	sought  chan string             // destinations that the archive does not know
}

// returned is an object as the workstation got it.
type returned struct {
	endpoint.Stored
	data string
}

// newStation starts a station with these flows.
func newStation(t *testing.T, flows string) *station {
	t.Helper()
	pki := &world{t: t, dir: t.TempDir()}
	pki.makePKI("pacs", "ris", "his", "ct-1", "us-1", "test")
	device, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	archive := pki.listen("pacs")
	s := &station{
		servers: freeAddress(t), met: make(chan net.Conn, 10),
		objects: make(chan returned, 10), reports: make(chan endpoint.Operation, 10),
		asked: make(chan endpoint.Operation, 10), sought: make(chan string, 10),
	}
	imaging := freeAddress(t)
	s.world = newWorldWith(t, pki, map[string]string{
		"cordon.yaml":             fmt.Sprintf(returnCordon, imaging, s.servers),
		"site.yaml":               fmt.Sprintf(returnSite, archive.Addr().String()),
		"devices/analyzer-1.yaml": "device: analyzer-1\nstate: retired\n",
		"devices/ct-1.yaml": fmt.Sprintf("device: ct-1\nmode: enforce\nidentify: {ip: 127.0.0.1}\nae: {titles: [CT1], port: %d}\nflows:\n%s",
			device.Addr().(*net.TCPAddr).Port, flows),
	})
	s.dicom = imaging
	go s.serveDevice(device)
	go s.serveArchive(archive)
	return s
}

// serveDevice is the workstation's own SCP.
func (s *station) serveDevice(l net.Listener) {
	srv := &endpoint.Server{
		AE:       "CT1",
		Contexts: []endpoint.Context{{Abstract: verification}, {Abstract: endpoint.StandardStorage}, {Abstract: commitment}},
		Store: func(o *endpoint.Stored, data io.Reader) uint16 {
			b, _ := io.ReadAll(data)
			s.objects <- returned{*o, string(b)}
			return endpoint.StatusSuccess
		},
		Operate: func(o *endpoint.Operation) ([]byte, uint16) {
			s.reports <- *o
			return nil, endpoint.StatusSuccess
		},
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.met <- c
		go srv.Serve(c)
	}
}

// serveArchive is an archive that has one study, and sends it where it is asked to.
func (s *station) serveArchive(l net.Listener) {
	srv := &endpoint.Server{
		AE:       "PACS2",
		Contexts: []endpoint.Context{{Abstract: studyFind}, {Abstract: studyMove}, {Abstract: commitment}},
		Find: func(q *endpoint.Stored, _ []byte) ([][]byte, uint16) {
			return [][]byte{written(q.Transfer, retrievable("PACS2")), written(q.Transfer, retrievable("PACS2\\RIS\\ATTIC2"))}, endpoint.StatusSuccess
		},
		Operate: func(o *endpoint.Operation) ([]byte, uint16) {
			s.asked <- *o
			return nil, endpoint.StatusSuccess
		},
		Retrieve: func(*endpoint.Stored, []byte) ([]endpoint.Object, uint16) {
			return []endpoint.Object{
				{Class: ctImage, Instance: "1.2.3.1", Transfer: explicitVRLittle, Data: []byte(image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 200_000))},
				{Class: mrImage, Instance: "1.2.3.2", Transfer: explicitVRLittle, Data: []byte(image(mrImage, "1.2.3.2", "1.2.3", "Doe^Jane", 1000))},
			}, endpoint.StatusSuccess
		},
		Dial: func(destination string) (io.ReadWriteCloser, error) {
			if destination != "CT1" {
				s.sought <- destination
				return nil, errors.New("unknown")
			}
			return s.dialAs("pacs", s.servers, "test.test")
		},
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go srv.Serve(c)
	}
}

// come associates with the workstation as a server.
func (s *station) come(certificate string, r endpoint.Request) (*endpoint.Association, error) {
	s.t.Helper()
	c, err := s.dialAs(certificate, s.servers, "test.test")
	if err != nil {
		s.t.Fatal(err)
	}
	return endpoint.Associate(c, r)
}

// D19: a C-MOVE is all that the policy says, and what it asks for comes back through Cordon: the
// classes that return, to the device that asked, from the server that it knows by its old title.
func TestMoveComesBack(t *testing.T) {
	s := newStation(t, "  archive: {to: pacs, allow: [move: {to: self, returns: [CT Image Storage]}]}\n")
	a, err := s.associate("PACS", "CT1", studyMove)
	if err != nil {
		t.Fatal(err)
	}
	identifier := element(0x0008, 0x0052, "CS", "STUDY") + element(0x0020, 0x000D, "UI", "1.2.3")
	r, err := a.Query(dicom.CMoveRQ, &endpoint.Query{Class: studyMove, Destination: "CT1", Identifier: []byte(identifier)})
	if err != nil || r.Status != endpoint.StatusIncomplete || r.Counts.Completed != 1 || r.Counts.Failed != 1 {
		t.Errorf("C-MOVE ended with %+v, %v; want one object sent and one that may not come back", r, err)
	}
	if err := a.Release(); err != nil {
		t.Error(err)
	}
	got := <-s.objects
	if got.Calling != "PACS" || got.Called != "CT1" || got.data != image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 200_000) {
		t.Errorf("%s stored %d bytes at %s", got.Calling, len(got.data), got.Called)
	}
	s.heard(`"flow":"archive.return"`, `"direction":"to-device"`, `"unit":"C-STORE-RQ"`, `"verdict":"allow"`)
	s.heard(`"flow":"archive.return"`, `"unit":"A-ASSOCIATE-RQ"`, `"verdict":"rewrite"`)
	for _, f := range s.gw.Status().Flows {
		if f.Flow == "archive.return" && f.LastGood == nil {
			t.Errorf("status says %+v", f)
		}
	}
}

// D20: the report of a storage commitment comes on an association that the server opens, as the
// SCP that it is. Nothing else comes that way.
func TestReportComesBack(t *testing.T) {
	s := newStation(t, "  archive: {to: pacs, allow: [store: [CT Image Storage], commit]}\n")
	a, err := s.come("pacs", endpoint.Request{Called: "CT1", Calling: "PACS2", Serves: []string{commitment}, Contexts: []endpoint.Context{
		{Abstract: commitment, Transfer: []string{explicitVRLittle}}, {Abstract: ctImage, Transfer: []string{explicitVRLittle}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Contexts[1].Result; got != dicom.AbstractSyntaxNotSupported {
		t.Errorf("a context for objects is answered with %v", got)
	}
	for _, c := range []struct {
		name  string
		field uint16
		want  uint16
	}{
		{"the report", dicom.NEventRQ, endpoint.StatusSuccess},
		{"a request of the server's", dicom.NActionRQ, reason.Lookup(reason.DICOMCommand).Status},
	} {
		r, err := a.Operate(&endpoint.Operation{
			Field: c.field, Class: commitment, Instance: committed, TypeID: 1,
			Data: []byte(element(0x0008, 0x0054, "AE", "PACS2") + element(0x0008, 0x1195, "UI", "1.2.3.4")),
		})
		if err != nil || r.Status != c.want {
			t.Errorf("%s: %04X %v, want %04X", c.name, r.Status, err, c.want)
		}
	}
	a.Release()
	got := <-s.reports
	want := element(0x0008, 0x0054, "AE", "PACS") + element(0x0008, 0x1195, "UI", "1.2.3.4")
	if got.Field != dicom.NEventRQ || got.TypeID != 1 || string(got.Data) != want {
		t.Errorf("the workstation got %+v", got)
	}
	s.heard(`"flow":"archive.return"`, `"unit":"N-EVENT-REPORT-RQ"`, `"direction":"to-device"`)
}

// A server that reports is the SCP; one that does not say so could ask for anything.
func TestReportNeedsTheRoleOfSCP(t *testing.T) {
	s := newStation(t, "  archive: {to: pacs, allow: [store: [CT Image Storage], commit]}\n")
	_, err := s.come("pacs", endpoint.Request{Called: "CT1", Calling: "PACS2", Contexts: []endpoint.Context{{Abstract: commitment, Transfer: []string{explicitVRLittle}}}})
	var rj *endpoint.Rejected
	if !errors.As(err, &rj) {
		t.Errorf("without the role: %v", err)
	}
	s.heard(`"flow":"archive.return"`, `"verdict":"refuse"`, string(reason.DICOMRole), "Storage Commitment")
	s.nobodyMet()
}

// D20: servers exist that report without saying that they are the SCP. A flow may live with that;
// they may do no more for it.
func TestReportWithoutTheRoleIsTolerated(t *testing.T) {
	s := newStation(t, "  archive: {to: pacs, tolerate: {roles: true}, allow: [store: [CT Image Storage], commit]}\n")
	a, err := s.come("pacs", endpoint.Request{Called: "CT1", Calling: "PACS2", Contexts: []endpoint.Context{{Abstract: commitment, Transfer: []string{explicitVRLittle}}}})
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[uint16]uint16{
		dicom.NEventRQ:  endpoint.StatusSuccess,
		dicom.NActionRQ: reason.Lookup(reason.DICOMCommand).Status,
	} {
		r, err := a.Operate(&endpoint.Operation{Field: field, Class: commitment, Instance: committed, TypeID: 1, Data: []byte(element(0x0008, 0x1195, "UI", "1.2.3.4"))})
		if err != nil || r.Status != want {
			t.Errorf("%s: %04X %v, want %04X", dicom.CommandName(field), r.Status, err, want)
		}
	}
	a.Release()
	if got := <-s.reports; got.Field != dicom.NEventRQ {
		t.Errorf("the workstation got %+v", got)
	}
}

// D19: no byte reaches a device before the server has proven that it is the one whose flow it is.
func TestOnlyTheServerItselfComesBack(t *testing.T) {
	s := newStation(t, "  archive: {to: pacs, allow: [move: {to: self, returns: [CT Image Storage]}]}\n"+
		"  worklist: {to: ris, allow: [find: {model: Modality Worklist}]}\n")
	rq := endpoint.Request{Called: "CT1", Calling: "PACS2", Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}}
	for _, c := range []struct {
		name, certificate string
		code              reason.Code
		found             string
	}{
		{"a certificate of nobody's", "us-1", reason.SessionPeerIdentity, `certificate \"us-1.test\", \"us-1\" names none of the peers`},
		{"the certificate of a server that brings nothing back", "ris", reason.SessionUnknownPeer, `"certificate \"ris.test\", \"ris\""`},
	} {
		if a, err := s.come(c.certificate, rq); err == nil {
			a.Abort()
			t.Errorf("%s is let in", c.name)
		}
		s.heard(`"verdict":"refuse"`, string(c.code), c.found)
	}
	if _, err := endpoint.Associate(s.dial(s.servers), rq); err == nil {
		t.Error("who has no certificate is let in")
	}
	s.nobodyMet()
}

// A server that has a flow back itself does not speak as another.
func TestAServerDoesNotComeAsAnother(t *testing.T) {
	s := newStation(t, "  archive: {to: pacs, allow: [move: {to: self, returns: [CT Image Storage]}]}\n"+
		"  second: {to: ris, allow: [move: {to: self, returns: [CT Image Storage]}]}\n")
	rq := endpoint.Request{Called: "CT1", Calling: "PACS2", Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}}
	_, err := s.come("ris", rq)
	var rj *endpoint.Rejected
	if !errors.As(err, &rj) || rj.RJ != reason.Lookup(reason.DICOMCallingAE).RJ {
		t.Errorf("the RIS comes as the archive: %v", err)
	}
	s.heard(`"flow":"second.return"`, `"verdict":"refuse"`, string(reason.DICOMCallingAE))
	s.nobodyMet()
	for _, f := range s.gw.Status().Flows {
		if f.Flow == "second.return" && (f.From != "ris" || !strings.Contains(f.Do, "Have the server call itself by its AE title")) {
			t.Errorf("status says %+v", f)
		}
	}
	a, err := s.come("pacs", rq)
	if err != nil {
		t.Fatal(err)
	}
	if status := store(t, a, ctImage, "1.2.3.1", image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 1000)); status != 0 {
		t.Errorf("the archive itself gets %04X", status)
	}
	a.Release()
}

// A server that was renamed is the same to its devices: the archive reads its new titles, and the
// workstation the old ones, wherever a message names a server.
func TestRenamedServersInsideMessages(t *testing.T) {
	for _, transfer := range []string{explicitVRLittle, deflatedVRLittle} {
		t.Run(transfer, func(t *testing.T) { testRenamedServersInsideMessages(t, transfer) })
	}
}

func testRenamedServersInsideMessages(t *testing.T, transfer string) {
	s := newStation(t, "  archive: {to: pacs, transfer_syntaxes: ["+transfer+"], allow: [find: {model: Study Root}, move: {to: [self, ATTIC2]}, commit]}\n")
	a, err := s.associateIn(transfer, "PACS", "CT1", studyFind, studyMove, commitment)
	if err != nil {
		t.Fatal(err)
	}
	identifier := element(0x0008, 0x0052, "CS", "STUDY") + element(0x0020, 0x000D, "UI", "1.2.3")
	matches, err := a.Find(studyFind, written(transfer, identifier))
	if err != nil || len(matches) != 3 {
		t.Fatalf("%d responses, %v", len(matches), err)
	}
	for i, title := range []string{"PACS", "PACS\\RIS\\ATTIC"} {
		if got := read(transfer, matches[i].Data); got != retrievable(title) {
			t.Errorf("match %d is %q, want it at %s", i, got, title)
		}
	}
	r, err := a.Query(dicom.CMoveRQ, &endpoint.Query{Class: studyMove, Destination: "ATTIC", Identifier: written(transfer, identifier)})
	if err != nil || r.Status != endpoint.StatusNoDestination {
		t.Errorf("C-MOVE: %04X %v", r.Status, err)
	}
	if got := <-s.sought; got != "ATTIC2" {
		t.Errorf("the archive is to move to %s", got)
	}
	r, err = a.Operate(&endpoint.Operation{Field: dicom.NActionRQ, Class: commitment, Instance: committed, TypeID: 1, Data: written(transfer, retrievable("PACS"))})
	if err != nil || r.Status != endpoint.StatusSuccess {
		t.Errorf("N-ACTION: %04X %v", r.Status, err)
	}
	if got := read(transfer, (<-s.asked).Data); got != retrievable("PACS2") {
		t.Errorf("the archive is asked about %q", got)
	}
	if err := a.Release(); err != nil {
		t.Error(err)
	}
	for _, unit := range []string{"C-FIND-RSP", "C-MOVE-RQ", "N-ACTION-RQ"} {
		s.heard(`"unit":"`+unit+`"`, `"verdict":"rewrite"`, string(reason.PolicyRewrite))
	}
}

// written is a data set of Explicit VR Little Endian in that syntax or the deflated one, read the
// other way round.
func written(transfer, set string) []byte {
	if transfer != deflatedVRLittle {
		return []byte(set)
	}
	var b bytes.Buffer
	f, _ := flate.NewWriter(&b, flate.BestCompression)
	io.WriteString(f, set)
	f.Close()
	return append(b.Bytes(), make([]byte, b.Len()%2)...)
}

func read(transfer string, set []byte) string {
	if transfer == deflatedVRLittle {
		set, _ = io.ReadAll(flate.NewReader(bytes.NewReader(set)))
	}
	return string(set)
}

// retrievable is a data set that says where a study is kept.
func retrievable(title string) string {
	return element(0x0008, 0x0054, "AE", title) + element(0x0008, 0x1195, "UI", "1.2.3.4") + element(0x0020, 0x000D, "UI", "1.2.3")
}

// nobodyMet fails when a connection reached the workstation.
func (s *station) nobodyMet() {
	s.t.Helper()
	select {
	case <-s.met:
		s.t.Error("the workstation was connected")
	default:
	}
}
