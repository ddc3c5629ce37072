package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

const (
	implicitLE   = "1.2.840.10008.1.2"
	explicitLE   = "1.2.840.10008.1.2.1"
	verification = "1.2.840.10008.1.1"
	ctImage      = "1.2.840.10008.5.1.4.1.1.2"
	studyFind    = "1.2.840.10008.5.1.4.1.2.2.1"
)

// pair connects a server with what is at the other end of the returned connection.
func pair(t *testing.T, s *Server) (conn net.Conn, served <-chan error) {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- s.Serve(far) }()
	t.Cleanup(func() { near.Close() })
	return near, done
}

func ct(transfer ...string) Request {
	return Request{Called: "PACS", Calling: "CT3", Contexts: []Context{
		{Abstract: verification, Transfer: []string{implicitLE}},
		{Abstract: ctImage, Transfer: transfer},
	}}
}

// keeper remembers what a server stores.
type keeper struct {
	mu     sync.Mutex
	facts  []Stored
	data   [][]byte
	status uint16
}

func (k *keeper) store(s *Stored, data io.Reader) uint16 {
	b, err := io.ReadAll(data)
	if err != nil {
		return StatusCannotUnderstand
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.facts, k.data = append(k.facts, *s), append(k.data, b)
	return k.status
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestEchoAndRelease(t *testing.T) {
	conn, served := pair(t, &Server{AE: "PACS"})
	a := must[*Association](t)(Associate(conn, ct(explicitLE)))
	for range 3 {
		if status := must[uint16](t)(a.Echo()); status != StatusSuccess {
			t.Errorf("status %04XH", status)
		}
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

func TestStoreArrivesAsSent(t *testing.T) {
	for _, size := range []int{0, 2, 100, 16378, 16380, 100_000} {
		for _, max := range []struct{ send, accept uint32 }{{0, 0}, {8, 0}, {16384, 128}, {Unlimited, Unlimited}, {65536, 32768}} {
			t.Run(fmt.Sprintf("%d bytes, PDUs of %d and %d", size, max.send, max.accept), func(t *testing.T) {
				k := &keeper{}
				conn, served := pair(t, &Server{Store: k.store, MaxLength: max.accept})
				r := ct(explicitLE)
				r.SendLength = max.send
				a := must[*Association](t)(Associate(conn, r))
				data := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, size/10+1)[:size]
				for range 2 {
					status := must[uint16](t)(a.Store(ctImage, "1.2.3", explicitLE, bytes.NewReader(data), int64(size)))
					if status != StatusSuccess {
						t.Errorf("status %04XH", status)
					}
				}
				if err := errors.Join(a.Release(), <-served); err != nil {
					t.Fatal(err)
				}
				if len(k.data) != 2 || !bytes.Equal(k.data[0], data) || !bytes.Equal(k.data[1], data) {
					t.Error("the data set arrived changed")
				}
				want := Stored{Called: "PACS", Calling: "CT3", SOPClass: ctImage, SOPInstance: "1.2.3", Transfer: explicitLE, MessageID: 2}
				if k.facts[1] != want {
					t.Errorf("facts %+v, not %+v", k.facts[1], want)
				}
			})
		}
	}
}

// D1: each sender obeys the receiver's maximum length, which counts the bytes after the header.
func TestPDUsObeyTheReceiver(t *testing.T) {
	for _, accept := range []uint32{8, 9, 64, 4096} {
		near, far := net.Pipe()
		longest := make(chan uint32, 1)
		watched := &watch{Conn: far}
		go func() {
			_ = (&Server{Store: (&keeper{}).store, MaxLength: accept}).Serve(watched)
			longest <- watched.longest()
		}()
		a := must[*Association](t)(Associate(near, ct(explicitLE)))
		must[uint16](t)(a.Store(ctImage, "1.2.3", explicitLE, bytes.NewReader(make([]byte, 10_000)), 10_000))
		if err := a.Release(); err != nil {
			t.Error(err)
		}
		if got := <-longest; got > accept {
			t.Errorf("a P-DATA-TF of %d bytes, where %d are accepted", got, accept)
		}
	}
}

// watch keeps what was read.
type watch struct {
	net.Conn
	read []byte
}

func (w *watch) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.read = append(w.read, b[:n]...)
	return n, err
}

// longest returns the length of the longest P-DATA-TF.
func (w *watch) longest() (longest uint32) {
	for b := w.read; len(b) > 0; {
		t, n, _ := dicom.ParsePDUHeader(b)
		if t == dicom.TypePDataTF {
			longest = max(longest, n)
		}
		b = b[dicom.PDUHeaderLen+int(n):]
	}
	return longest
}

func TestNegotiation(t *testing.T) {
	s := &Server{Contexts: []Context{
		{Abstract: verification, Transfer: []string{implicitLE}},
		{Abstract: ctImage, Transfer: []string{explicitLE, implicitLE}},
	}}
	r := Request{Contexts: []Context{
		{verification, []string{explicitLE}},
		{ctImage, []string{"1.2.3.4", implicitLE, explicitLE}},
		{studyFind, []string{implicitLE}},
	}}
	conn, _ := pair(t, s)
	a := must[*Association](t)(Associate(conn, r))
	want := []Negotiated{
		{1, verification, dicom.TransferSyntaxesNotSupported, ""},
		{3, ctImage, dicom.Acceptance, implicitLE},
		{5, studyFind, dicom.AbstractSyntaxNotSupported, ""},
	}
	if !slices.Equal(a.Contexts, want) {
		t.Errorf("negotiated %+v, not %+v", a.Contexts, want)
	}
	if _, err := a.Store(ctImage, "1.2.3", explicitLE, nil, 0); !errors.Is(err, ErrNoContext) {
		t.Errorf("storing in a transfer syntax that was not accepted: %v", err)
	}
	if _, err := a.Echo(); !errors.Is(err, ErrNoContext) {
		t.Errorf("C-ECHO without a context: %v", err)
	}
}

func TestRejectionIsTyped(t *testing.T) {
	conn, served := pair(t, &Server{AE: "PACS2"})
	_, err := Associate(conn, ct(explicitLE))
	var rj *Rejected
	if !errors.As(err, &rj) || rj.RJ != (reason.RJ{Result: 1, Source: 1, Reason: 7}) {
		t.Errorf("got %v, not the rejection of a called AE title", err)
	}
	if err := <-served; !errors.Is(err, errRejected) {
		t.Errorf("Serve returns %v", err)
	}
}

func TestAbortIsTyped(t *testing.T) {
	conn, served := pair(t, &Server{})
	a := must[*Association](t)(Associate(conn, ct(explicitLE)))
	if err := a.Abort(); err != nil {
		t.Error(err)
	}
	var abort *Aborted
	if err := <-served; !errors.As(err, &abort) || abort.Source != dicom.AbortSourceUser {
		t.Errorf("Serve returns %v", err)
	}
}

func TestServerAbortsWhatBreaksTheStandard(t *testing.T) {
	echoOn := func(id uint8) []byte {
		c := dicom.Command{Field: dicom.CEchoRQ, MessageID: 1, SOPClass: []byte(verification)}
		pdv := dicom.AppendPDV(nil, id, true, true, dicom.AppendCommand(nil, &c))
		return append(dicom.AppendPDataHeader(nil, uint32(len(pdv))), pdv...)
	}
	for name, c := range map[string]struct {
		send []byte
		want reason.Abort
	}{
		"a second A-ASSOCIATE-RQ": {appendRequest(nil, ct(explicitLE)), reason.Abort{Source: 2, Reason: 2}},
		"an unknown PDU type":     {[]byte{0x09, 0, 0, 0, 0, 4, 0, 0, 0, 0}, reason.Abort{Source: 2, Reason: 1}},
		"a PDU too long":          {[]byte{0x04, 0, 0xff, 0xff, 0xff, 0xff}, reason.Abort{Source: 2, Reason: 6}},
		"a PDV too long":          {[]byte{0x04, 0, 0, 0, 0, 6, 0, 0, 1, 0, 1, 3}, reason.Abort{Source: 2, Reason: 6}},
		"a context not accepted":  {echoOn(99), reason.Abort{Source: 2, Reason: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, served := pair(t, &Server{})
			a := must[*Association](t)(Associate(conn, ct(explicitLE)))
			go a.Write(c.send)
			typ, _, err := a.Read()
			var abort *Aborted
			if err != nil || !errors.As(a.unexpected(typ), &abort) || abort.Abort != c.want {
				t.Errorf("answered with %v, %v; want %v", typ, abort, c.want)
			}
			if <-served == nil {
				t.Error("Serve returns nil")
			}
		})
	}
}

func TestFind(t *testing.T) {
	s := &Server{
		Contexts: []Context{{Abstract: studyFind}},
		Find: func(q *Stored, identifier []byte) ([][]byte, uint16) {
			return [][]byte{identifier, []byte("second")}, StatusSuccess
		},
	}
	conn, served := pair(t, s)
	a := must[*Association](t)(Associate(conn, Request{Contexts: []Context{{studyFind, []string{implicitLE}}}}))
	got := must[[]Response](t)(a.Find(studyFind, []byte("asked for.")))
	want := []Response{{Status: 0xFF00, Data: []byte("asked for.")}, {Status: 0xFF00, Data: []byte("second")}, {}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("responses %v, not %v", got, want)
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

func TestOperationWithoutHandlerIsAnswered(t *testing.T) {
	conn, served := pair(t, &Server{})
	a := must[*Association](t)(Associate(conn, ct(explicitLE)))
	status := must[uint16](t)(a.Store(ctImage, "1.2.3", explicitLE, bytes.NewReader(make([]byte, 50_000)), 50_000))
	if status != StatusUnrecognized {
		t.Errorf("status %04XH", status)
	}
	if err := errors.Join(a.Release(), <-served); err != nil {
		t.Error(err)
	}
}

func TestDataSetThatEndsEarlyNeverCompletes(t *testing.T) {
	var got error
	s := &Server{Store: func(_ *Stored, data io.Reader) uint16 {
		_, got = io.ReadAll(data)
		return StatusSuccess
	}}
	conn, served := pair(t, s)
	a := must[*Association](t)(Associate(conn, ct(explicitLE)))
	if _, err := a.Store(ctImage, "1.2.3", explicitLE, bytes.NewReader(make([]byte, 100)), 50_000); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Store returns %v", err)
	}
	a.Abort()
	<-served
	if got == nil {
		t.Error("the server's handler was not told that the object is incomplete")
	}
}

// D18: when both ends ask for the release at once, both answers are given.
func TestReleaseCollision(t *testing.T) {
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		p := &provider{Server: &Server{}, link: newLink(far)}
		done <- func() error {
			if err := p.associate(); err != nil {
				return err
			}
			if t, err := p.readPDU(); t != dicom.TypeReleaseRQ {
				return fmt.Errorf("%v, %v", t, err)
			}
			if err := p.write(dicom.AppendReleaseRQ(nil)); err != nil {
				return err
			}
			if t, err := p.readPDU(); t != dicom.TypeReleaseRP {
				return fmt.Errorf("%v, %v", t, err)
			}
			return p.write(dicom.AppendReleaseRP(nil))
		}()
	}()
	a := must[*Association](t)(Associate(near, ct(explicitLE)))
	if err := errors.Join(a.Release(), <-done); err != nil {
		t.Error(err)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	conn, _ := pair(t, &Server{})
	if _, err := Associate(conn, Request{}); err == nil {
		t.Error("an association without presentation contexts was asked for")
	}
	conn, _ = pair(t, &Server{Store: (&keeper{}).store})
	a := must[*Association](t)(Associate(conn, ct(explicitLE)))
	if _, err := a.Store(ctImage, "1.2.3", explicitLE, bytes.NewReader([]byte{1}), 1); err == nil {
		t.Error("a data set of odd length was sent")
	}
}
