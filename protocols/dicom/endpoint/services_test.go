package endpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"cordon/protocols/dicom"
)

const (
	studyMove  = "1.2.840.10008.5.1.4.1.2.2.2"
	studyGet   = "1.2.840.10008.5.1.4.1.2.2.3"
	commitment = "1.2.840.10008.1.20.1"
	mpps       = "1.2.840.10008.3.1.2.3.3"
)

// element appends a data element in Implicit VR Little Endian.
func element(b []byte, tag uint32, value string) []byte {
	if len(value)%2 == 1 {
		value += " "
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(value))), value...)
}

// oneStudy is an identifier that asks for one study.
func oneStudy() []byte {
	return element(element(nil, 0x00080052, "STUDY"), 0x0020000D, "1.2.34")
}

// archive is a server that holds n CT images.
func archive(n int) *Server {
	return &Server{
		Contexts: []Context{{Abstract: studyFind}, {Abstract: studyMove}, {Abstract: studyGet}, {Abstract: StandardStorage}},
		Retrieve: func(q *Stored, identifier []byte) (objects []Object, status uint16) {
			for i := range n {
				instance := fmt.Sprintf("1.2.36.%d", i)
				objects = append(objects, Object{ctImage, instance, implicitLE, object(implicitLE, instance)})
			}
			return objects, StatusSuccess
		},
	}
}

// getting is a request for an association on which a C-GET works.
func getting(serves ...string) Request {
	return Request{Called: "PACS", Calling: "WS1", Serves: serves, Contexts: []Context{
		{studyGet, []string{implicitLE}}, {ctImage, []string{implicitLE}},
	}}
}

// D19: a C-CANCEL-RQ ends a C-FIND whose responses are still coming.
func TestFindIsCancelled(t *testing.T) {
	s := &Server{
		Contexts: []Context{{Abstract: studyFind}},
		Find: func(q *Stored, identifier []byte) ([][]byte, uint16) {
			return slices.Repeat([][]byte{identifier}, 100_000), StatusSuccess
		},
	}
	conn, served := pair(t, s)
	a := must[*Association](t)(Associate(conn, Request{Contexts: []Context{{studyFind, []string{implicitLE}}}}))
	told := 0
	final := must[Response](t)(a.Query(dicom.CFindRQ, &Query{Class: studyFind, Identifier: oneStudy(),
		Pending: func(*Response) bool { told++; return told < 3 }}))
	if final.Status != StatusCancelled || told < 3 || told == 100_000 {
		t.Errorf("status %04XH after %d matches", final.Status, told)
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

// D12: the objects of a C-GET come on its association, whose requestor is the SCP of their class.
func TestGetReturnsObjectsOnItsAssociation(t *testing.T) {
	conn, served := pair(t, archive(3))
	a := must[*Association](t)(Associate(conn, getting(ctImage)))
	k, pending := &keeper{}, 0
	final := must[Response](t)(a.Query(dicom.CGetRQ, &Query{Class: studyGet, Identifier: oneStudy(), Store: k.store,
		Pending: func(r *Response) bool { pending++; return r.Counts.Remaining+r.Counts.Completed == 3 }}))
	if final.Status != StatusSuccess || final.Counts != (Counts{Completed: 3}) || pending != 2 {
		t.Errorf("%+v after %d pending responses", final, pending)
	}
	if len(k.data) != 3 || !bytes.Equal(k.data[2], object(implicitLE, "1.2.36.2")) {
		t.Errorf("%d objects came", len(k.data))
	}
	if want := (Stored{"PACS", "WS1", ctImage, "1.2.36.0", implicitLE, 1}); len(k.facts) == 0 || k.facts[0] != want {
		t.Errorf("facts %+v", k.facts)
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

func TestGetCountsWhatFailed(t *testing.T) {
	for name, c := range map[string]struct {
		serves []string
		status uint16 // of each C-STORE
		want   Counts
		final  uint16
	}{
		"without the role no object can come": {nil, StatusSuccess, Counts{Failed: 3}, StatusIncomplete},
		"objects are refused":                 {[]string{ctImage}, StatusOutOfResources, Counts{Failed: 3}, StatusIncomplete},
		"objects are taken with warnings":     {[]string{ctImage}, 0xB000, Counts{Warning: 3}, StatusSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			conn, served := pair(t, archive(3))
			a := must[*Association](t)(Associate(conn, getting(c.serves...)))
			k := &keeper{status: c.status}
			final := must[Response](t)(a.Query(dicom.CGetRQ, &Query{Class: studyGet, Identifier: oneStudy(), Store: k.store}))
			if final.Status != c.final || final.Counts != c.want {
				t.Errorf("%+v", final)
			}
			if err := errors.Join(a.Release(), <-served); err != nil {
				t.Error(err)
			}
		})
	}
}

// D19: a C-CANCEL-RQ ends a C-GET between two objects.
func TestGetIsCancelled(t *testing.T) {
	conn, served := pair(t, archive(50))
	a := must[*Association](t)(Associate(conn, getting(ctImage)))
	k := &keeper{}
	final := must[Response](t)(a.Query(dicom.CGetRQ, &Query{Class: studyGet, Identifier: oneStudy(), Store: k.store,
		Pending: func(*Response) bool { return false }}))
	if final.Status != StatusCancelled || int(final.Counts.Completed) != len(k.data) || final.Counts.Remaining == 0 {
		t.Errorf("%+v, %d objects came", final, len(k.data))
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

// D19: a C-MOVE makes the server open an association to the destination, which learns who asked.
func TestMoveSendsToTheDestination(t *testing.T) {
	k := &keeper{}
	back, taken := pair(t, &Server{AE: "WS1", Store: k.store})
	s := archive(3)
	s.Dial = func(destination string) (io.ReadWriteCloser, error) {
		if destination != "WS1" {
			return nil, errors.New("no such title")
		}
		return back, nil
	}
	conn, served := pair(t, s)
	a := must[*Association](t)(Associate(conn, Request{Called: "PACS", Calling: "WS1", Contexts: []Context{{studyMove, []string{implicitLE}}}}))
	unknown := must[Response](t)(a.Query(dicom.CMoveRQ, &Query{Class: studyMove, Destination: "ELSEWHERE", Identifier: oneStudy()}))
	if unknown.Status != StatusNoDestination {
		t.Errorf("status %04XH for an unknown destination", unknown.Status)
	}
	final := must[Response](t)(a.Query(dicom.CMoveRQ, &Query{Class: studyMove, Destination: "WS1", Identifier: oneStudy()}))
	if final.Status != StatusSuccess || final.Counts != (Counts{Completed: 3}) {
		t.Errorf("%+v", final)
	}
	if err := errors.Join(a.Release(), <-served, <-taken); err != nil {
		t.Error(err)
	}
	if len(k.data) != 3 || k.facts[0].Called != "WS1" || k.facts[0].Calling != "PACS" {
		t.Errorf("the destination took %+v", k.facts)
	}
}

// The destination's C-STORE-RQs name the C-MOVE-RQ that they are sub-operations of (PS3.7 §9.3.1.1).
func TestMoveNamesItsOriginator(t *testing.T) {
	back, destination := net.Pipe()
	s := archive(1)
	s.Dial = func(string) (io.ReadWriteCloser, error) { return back, nil }
	watched := &watch{Conn: destination}
	taken := make(chan error, 1)
	go func() { taken <- (&Server{Store: (&keeper{}).store}).Serve(watched) }()
	conn, _ := pair(t, s)
	a := must[*Association](t)(Associate(conn, Request{Called: "PACS", Calling: "WS1", Contexts: []Context{{studyMove, []string{implicitLE}}}}))
	must[Response](t)(a.Query(dicom.CMoveRQ, &Query{Class: studyMove, Destination: "WS2", Identifier: oneStudy()}))
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	originator := []byte("\x00\x00\x30\x10\x04\x00\x00\x00WS1 \x00\x00\x31\x10\x02\x00\x00\x00\x01\x00")
	if !bytes.Contains(watched.read, originator) {
		t.Error("Move Originator is missing")
	}
}

func TestNormalizedServices(t *testing.T) {
	var asked []Operation
	conn, served := pair(t, &Server{
		Contexts: []Context{{Abstract: mpps}},
		Operate: func(o *Operation) ([]byte, uint16) {
			asked = append(asked, *o)
			if o.Field == dicom.NCreateRQ {
				o.Instance = "1.2.99"
			}
			return o.Data, StatusSuccess
		},
	})
	a := must[*Association](t)(Associate(conn, Request{Contexts: []Context{{mpps, []string{implicitLE}}}}))
	attributes := element(nil, 0x00400252, "IN PROGRESS")
	for _, o := range []Operation{
		{Field: dicom.NCreateRQ, Data: attributes},
		{Field: dicom.NSetRQ, Instance: "1.2.99", Data: attributes},
		{Field: dicom.NGetRQ, Instance: "1.2.99"},
		{Field: dicom.NActionRQ, Instance: "1.2.99", TypeID: 7, Data: attributes},
		{Field: dicom.NEventRQ, Instance: "1.2.99", TypeID: 9},
		{Field: dicom.NDeleteRQ, Instance: "1.2.99"},
	} {
		o.Class = mpps
		rsp := must[Response](t)(a.Operate(&o))
		if rsp.Status != StatusSuccess || rsp.Instance != "1.2.99" || !bytes.Equal(rsp.Data, o.Data) {
			t.Errorf("%s: %+v", dicom.CommandName(o.Field), rsp)
		}
		o.Context = mpps
		if got := asked[len(asked)-1]; fmt.Sprint(got) != fmt.Sprint(o) {
			t.Errorf("the SCP is asked %+v, not %+v", got, o)
		}
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

// commitmentServer commits everything, and reports on the same association when that is asked for.
func commitmentServer(same bool) *Server {
	s := &Server{
		Contexts: []Context{{Abstract: commitment}},
		Operate:  func(*Operation) ([]byte, uint16) { return nil, StatusSuccess },
	}
	if same {
		s.Report = func(o *Operation) *Operation {
			if o.Field != dicom.NActionRQ {
				return nil
			}
			return &Operation{Class: o.Class, Instance: o.Instance, TypeID: 1, Data: o.Data}
		}
	}
	return s
}

const commitmentInstance = "1.2.840.10008.1.20.1.1" // well-known (PS3.4 §J.3.5)

// transaction is what an N-ACTION-RQ of storage commitment says.
func transaction() []byte { return element(nil, 0x00081195, "1.2.77\x00\x00") }

// D20: the report comes on the association of the request …
func TestCommitmentIsReportedOnTheSameAssociation(t *testing.T) {
	conn, served := pair(t, commitmentServer(true))
	a := must[*Association](t)(Associate(conn, Request{Contexts: []Context{{commitment, []string{implicitLE}}}}))
	rsp := must[Response](t)(a.Operate(&Operation{Field: dicom.NActionRQ, Class: commitment, Instance: commitmentInstance, TypeID: 1, Data: transaction()}))
	if rsp.Status != StatusSuccess {
		t.Errorf("status %04XH", rsp.Status)
	}
	report := must[Operation](t)(a.AwaitReport(StatusSuccess))
	if report.Class != commitment || report.Instance != commitmentInstance || report.TypeID != 1 || !bytes.Equal(report.Data, transaction()) {
		t.Errorf("%+v", report)
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

// … or on a new one, whose requestor is the SCP of the class.
func TestCommitmentIsReportedOnAnotherAssociation(t *testing.T) {
	conn, served := pair(t, commitmentServer(false))
	a := must[*Association](t)(Associate(conn, Request{Serves: []string{commitment}, Contexts: []Context{{commitment, []string{implicitLE}}}}))
	rsp := must[Response](t)(a.Operate(&Operation{Field: dicom.NEventRQ, Class: commitment, Instance: commitmentInstance, TypeID: 2, Data: transaction()}))
	if rsp.Status != StatusSuccess {
		t.Errorf("status %04XH", rsp.Status)
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

// D12: roles travel as they are proposed, and only with contexts that are accepted.
func TestRolesAreAnswered(t *testing.T) {
	r := getting(ctImage, mpps)
	var rq dicom.AssociateRQ
	if err := rq.Parse(appendRequest(nil, r)); err != nil {
		t.Fatal(err)
	}
	var ac dicom.AssociateAC
	if err := ac.Parse(archive(0).AppendAccept(nil, &rq)); err != nil {
		t.Fatal(err)
	}
	if len(ac.User.Roles) != 1 || string(ac.User.Roles[0].SOPClass) != ctImage || ac.User.Roles[0].SCU || !ac.User.Roles[0].SCP {
		t.Errorf("roles %+v", ac.User.Roles)
	}
}
