package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

func mustAssociate(t *testing.T, w *world, classes ...string) *endpoint.Association {
	t.Helper()
	a, err := w.associate("PACS", "CT1", classes...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Invariant 5: what is allowed arrives byte for byte, over mutual TLS, and is recorded.
func TestStudyArrivesByteForByte(t *testing.T) {
	w := newWorld(t, nil)
	a := mustAssociate(t, w, verification, ctImage)
	if status, err := a.Echo(); err != nil || status != 0 {
		t.Fatalf("C-ECHO: %04X %v", status, err)
	}
	var sent []string
	for i := range 20 {
		instance := fmt.Sprintf("1.2.3.%d", i)
		ds := image(ctImage, instance, "1.2.3", "Doe^Jane", 300_000+i*2)
		sent = append(sent, ds)
		if status := store(t, a, ctImage, instance, ds); status != 0 {
			t.Fatalf("status %04X", status)
		}
	}
	if err := a.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-w.pacs.ends; err != nil { // D18: a release reaches the server as a release
		t.Errorf("the archive saw %v, want a release", err)
	}
	got := w.pacs.received()
	if len(got) != len(sent) {
		t.Fatalf("%d objects arrived, want %d", len(got), len(sent))
	}
	for i := range got {
		if string(got[i].data) != sent[i] {
			t.Errorf("object %d was altered", i)
		}
	}
	w.heard(`"unit":"C-STORE-RQ"`, `"verdict":"allow"`, `"device":"ct-1"`, `"flow":"archive"`)
}

// D14, D24, reason.DICOMUID, reason.DICOMUIDMismatch: a refused object is answered with a
// failure, nothing of it arrives, and the association goes on.
func TestRefusedObjectIsAnsweredAndTheNextPasses(t *testing.T) {
	w := newWorld(t, nil)
	a := mustAssociate(t, w, ctImage, mrImage)
	if a.Contexts[1].Result != dicom.AbstractSyntaxNotSupported {
		t.Errorf("MR context answered %v, want abstract syntax not supported", a.Contexts[1].Result)
	}
	for _, c := range []struct {
		name, command, instance, study string
		status                         uint16
		code                           reason.Code
	}{
		{"instance UID leaves its folder", "../../etc/x", "../../etc/x", "1.2.3", 0xC000, reason.DICOMUID},
		{"study UID leaves its folder", "1.2.3.1", "1.2.3.1", "..", 0xC000, reason.DICOMUID},
		{"command and data set disagree", "1.2.3.1", "1.2.3.2", "1.2.3", 0xA900, reason.DICOMUIDMismatch},
	} {
		ds := image(ctImage, c.instance, c.study, "Doe^Jane", 400_000)
		if status := store(t, a, ctImage, c.command, ds); status != c.status {
			t.Errorf("%s: status %04X, want %04X", c.name, status, c.status)
		}
		w.heard(`"unit":"C-STORE-RQ"`, `"verdict":"refuse"`, string(c.code))
	}
	if status := store(t, a, ctImage, "1.2.3.9", image(ctImage, "1.2.3.9", "1.2.3", "Doe^Jane", 1000)); status != 0 {
		t.Errorf("the next object got %04X", status)
	}
	a.Release()
	if got := w.pacs.received(); len(got) != 1 || got[0].instance != "1.2.3.9" {
		t.Errorf("%d objects arrived, want the allowed one alone", len(got))
	}
	// Each reason has its latest refusal, though the flow has refused for another since.
	for _, code := range []reason.Code{reason.DICOMUID, reason.DICOMUIDMismatch, reason.DICOMAbstractSyntax} {
		e, err := w.gw.Explain(string(code))
		if err != nil || len(e.Recent) != 1 || e.Recent[0].Reason != code || e.Recent[0].From != "device" || !strings.HasPrefix(e.Remedy[0], "ct-1/archive: ") {
			t.Errorf("%s: %+v, %v", code, e, err)
		}
	}
}

func TestAssociationsAreRejectedInTheirOwnWords(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		name, called, calling, class string
		rj                           reason.RJ
		code                         reason.Code
	}{
		{"called AE title", "ARCHIVE", "CT1", ctImage, reason.RJ{Result: 1, Source: 1, Reason: 7}, reason.DICOMCalledAE},
		{"calling AE title", "PACS", "OTHER", ctImage, reason.RJ{Result: 1, Source: 1, Reason: 3}, reason.DICOMCallingAE},
		{"no context left", "PACS", "CT1", mrImage, reason.RJ{Result: 1, Source: 1, Reason: 1}, reason.DICOMNoContext},
	} {
		_, err := w.associate(c.called, c.calling, c.class)
		var rj *endpoint.Rejected
		if !errors.As(err, &rj) || rj.RJ != c.rj {
			t.Errorf("%s: %v, want RJ %+v", c.name, err, c.rj)
		}
		w.heard(`"verdict":"refuse"`, string(c.code))
	}
	select {
	case <-w.pacs.ends:
		t.Error("the archive was dialled for a rejected association")
	default:
	}
}

// D10: what is not DICOM is refused at once.
func TestOtherProtocolsAreRefusedAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "hello\n", "\xde\xad\xbe\xef"} {
		c := w.dial(w.dicom)
		io.WriteString(c, s)
		got, _ := io.ReadAll(c)
		if want := dicom.AppendAbort(nil, reason.Abort{Source: 2, Reason: 1}); !bytes.Equal(got, want) {
			t.Errorf("%q was answered with % X, want an A-ABORT", s, got)
		}
	}
	w.heard(string(reason.DICOMNotDICOM))
}

// reason.SessionUnknownPeer: a stranger is closed unread and remembered.
func TestUnknownPeerIsClosedUnread(t *testing.T) {
	w := newWorld(t, nil)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
	c, err := d.Dial("tcp", w.dicom)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); len(b) != 0 {
		t.Errorf("a stranger was sent % X", b)
	}
	w.heard(string(reason.SessionUnknownPeer), "127.0.0.77")
	u := w.gw.Status().Unknown
	if len(u) != 1 || u[0].Address != "127.0.0.77" || u[0].Reason != reason.SessionUnknownPeer {
		t.Errorf("status remembers %+v", u)
	}
}

// A device that was retired and still connects is no stranger, unless another has its address now.
func TestRetiredDeviceThatConnectsIsNamed(t *testing.T) {
	w := newWorld(t, map[string]string{
		"devices/us-2.yaml": "device: us-2\nstate: retired\nidentify: {ip: [127.0.0.77, 127.0.0.1]}\n",
		"devices/us-3.yaml": "device: us-3\nstate: retired\nidentify: {ip: 127.0.0.1}\n",
	})
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
	c, err := d.Dial("tcp", w.dicom)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); len(b) != 0 {
		t.Errorf("it was sent % X", b)
	}
	w.heard(`"device":"us-2"`, string(reason.SessionUnknownPeer), "devices/us-2.yaml:1", "device us-2 is retired")
	u := w.gw.Status().Unknown
	if len(u) != 1 || !strings.HasPrefix(u[0].Do, "Device us-2 is retired (devices/us-2.yaml:1).") {
		t.Errorf("status remembers %+v", u)
	}
	p := w.gw.store.Current()
	if gone := p.Retired(netip.MustParseAddr("127.0.0.1"), nil); gone != nil {
		t.Errorf("the address of ct-1 is taken for that of %s", gone.Name)
	}
}

// reason.UpstreamUnreachable: the device sees a transient rejection, which it will try again.
func TestArchiveAwayIsATransientRejection(t *testing.T) {
	w := newWorld(t, nil)
	w.pacs.ln.Close()
	_, err := w.associate("PACS", "CT1", ctImage)
	var rj *endpoint.Rejected
	if !errors.As(err, &rj) || rj.Result != 2 {
		t.Errorf("got %v, want a transient rejection", err)
	}
	w.heard(string(reason.UpstreamUnreachable))
	for _, f := range w.gw.Status().Flows {
		if f.Device == "ct-1" && (f.State != FlowDown || f.Problem == "" || f.Do == "") {
			t.Errorf("status says %+v", f)
		}
	}
}

// reason.UpstreamIdentity: a server that cannot prove its name gets nothing.
func TestArchiveWithTheWrongNameGetsNothing(t *testing.T) {
	w := newWorld(t, nil)
	site := fmt.Sprintf(strings.ReplaceAll(worldSite, "pacs.test", "another.test"), w.pacs.address, w.his.address)
	writeSite(t, w.dir, map[string]string{"site.yaml": site})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	_, err := w.associate("PACS", "CT1", ctImage)
	var rj *endpoint.Rejected
	if !errors.As(err, &rj) || rj.Result != 2 {
		t.Errorf("got %v, want a transient rejection", err)
	}
	w.heard(string(reason.UpstreamIdentity))
}

// reason.UpstreamRefusesUs: a server that does not believe the device's certificate is told apart from
// one that cannot prove its own name. In TLS 1.3 it says so when the association was requested already.
func TestArchiveThatRefusesOurCertificate(t *testing.T) {
	w := newWorld(t, map[string]string{"devices/ct-1.yaml": strings.Replace(worldCT, "device: ct-1", "device: his", 1)})
	var rj *endpoint.Rejected
	if _, err := w.associate("PACS", "CT1", ctImage); !errors.As(err, &rj) || rj.Result != dicom.RejectedTransient {
		t.Errorf("got %v, want a transient rejection", err)
	}
	w.heard(`"unit":"A-ASSOCIATE-RQ"`, `"verdict":"refuse"`, string(reason.UpstreamRefusesUs))
	for _, f := range w.gw.Status().Flows {
		if f.Device == "his" && (f.State != FlowDown || f.Do != reason.Lookup(reason.UpstreamRefusesUs).Do ||
			!strings.Contains(f.Problem, `refused our certificate "his" with the TLS alert "bad certificate"`)) {
			t.Errorf("status says %+v", f)
		}
	}
}

// D17: an abort by either side reaches the other with its source and reason.
func TestAbortIsRelayed(t *testing.T) {
	w := newWorld(t, nil)
	a := mustAssociate(t, w, ctImage)
	store(t, a, ctImage, "1.2.3.1", image(ctImage, "1.2.3.1", "1.2.3", "X", 100))
	a.Abort()
	var ab *endpoint.Aborted
	if err := <-w.pacs.ends; !errors.As(err, &ab) || ab.Source != 0 {
		t.Errorf("the archive saw %v, want the device's abort", err)
	}
}

// G3: a reset by the device frees the server's leg at once, with an abort.
func TestResetByTheDeviceReachesTheArchive(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial(w.dicom)
	a, err := endpoint.Associate(c, endpoint.Request{Called: "PACS", Calling: "CT1",
		Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}})
	if err != nil {
		t.Fatal(err)
	}
	store(t, a, ctImage, "1.2.3.1", image(ctImage, "1.2.3.1", "1.2.3", "X", 100))
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	if err := <-w.pacs.ends; err == nil {
		t.Error("the archive saw a release, want an abort or a lost connection")
	}
}

// D23: a multi-frame object of 4 GiB passes with memory that grows by less than 16 MiB, the two
// ends of the association included, which are in the same process.
func TestFourGigabytesPassInBoundedMemory(t *testing.T) {
	const (
		frame = 1024 * 1024 * 2 // bytes
		most  = 16 << 20
	)
	frames := 2047 // the most that a length of 32 bits can say
	if raceEnabled {
		frames = 256 // ten times slower
	}
	pixels := int64(frames) * frame
	var got int64
	w := newWorld(t, nil)
	srv := &endpoint.Server{MaxLength: 128 << 10, Store: func(s *endpoint.Stored, data io.Reader) uint16 {
		got, _ = io.Copy(io.Discard, data)
		return endpoint.StatusSuccess
	}}
	ln := w.listen("pacs")
	go func() {
		if c, err := ln.Accept(); err == nil {
			srv.Serve(c)
		}
	}()
	writeSite(t, w.dir, map[string]string{"site.yaml": fmt.Sprintf(worldSite, ln.Addr(), w.his.address)})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	head := multiFrame(frames, uint32(pixels))
	size := int64(len(head)) + pixels
	c := w.dial(w.dicom)
	a, err := endpoint.Associate(c, endpoint.Request{Called: "PACS", Calling: "CT1", SendLength: 128 << 10,
		Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}})
	if err != nil {
		t.Fatal(err)
	}
	if status := store(t, a, ctImage, "1.2.3.2", image(ctImage, "1.2.3.2", "1.2.3", "X", 1<<20)); status != 0 {
		t.Fatalf("status %04X", status)
	}
	before := memory()
	body := &watched{}
	status, err := a.Store(ctImage, "1.2.3.1", explicitVRLittle, io.MultiReader(strings.NewReader(head), io.LimitReader(body, pixels)), size)
	if err != nil || status != 0 {
		t.Fatalf("status %04X, %v", status, err)
	}
	if got != size {
		t.Errorf("%d bytes arrived, want %d", got, size)
	}
	grown := body.most - before
	if grown > most {
		t.Errorf("memory grew by %d KiB, want at most %d", grown>>10, most>>10)
	}
	t.Logf("memory grew by %d KiB while %d MiB passed", grown>>10, size>>20)
	a.Release()
}

// watched is zeros that look at memory, garbage included, every 64 MiB.
type watched struct {
	read, most int64 // bytes
}

func (w *watched) Read(b []byte) (int, error) {
	if w.read += int64(len(b)); w.read>>26 != (w.read-int64(len(b)))>>26 {
		w.most = max(w.most, inUse())
	}
	clear(b)
	return len(b), nil
}

// multiFrame is a data set with frames of 1024 by 1024 pixels of 16 bits, up to the header of its
// Pixel Data.
func multiFrame(frames int, pixels uint32) string {
	short := func(elem, v uint16) string {
		return element(0x0028, elem, "US", string([]byte{byte(v), byte(v >> 8)}))
	}
	return element(0x0008, 0x0016, "UI", ctImage) + element(0x0008, 0x0018, "UI", "1.2.3.1") +
		element(0x0020, 0x000D, "UI", "1.2.3") + short(0x0002, 1) + element(0x0028, 0x0004, "CS", "MONOCHROME2") +
		element(0x0028, 0x0008, "IS", fmt.Sprint(frames)) + short(0x0010, 1024) + short(0x0011, 1024) +
		short(0x0100, 16) + short(0x0101, 16) + short(0x0102, 15) + short(0x0103, 0) +
		string(binary.LittleEndian.AppendUint32([]byte{0xE0, 0x7F, 0x10, 0x00, 'O', 'W', 0, 0}, pixels))
}

// In shadow the same misdeeds pass, and the records say what enforce would have done.
func TestShadowPassesAndSaysSo(t *testing.T) {
	w := newWorld(t, map[string]string{"devices/ct-1.yaml": strings.Replace(worldCT, "enforce", "shadow", 1)})
	a, err := w.associate("PACS", "OTHER", mrImage)
	if err != nil {
		t.Fatal(err)
	}
	if status := store(t, a, mrImage, "1.2.3.1", image(mrImage, "1.2.3.1", "..", "X", 100)); status != 0 {
		t.Errorf("status %04X", status)
	}
	a.Release()
	if n := len(w.pacs.received()); n != 1 {
		t.Errorf("%d objects arrived", n)
	}
	w.heard(`"verdict":"allow"`, `"would":"refuse"`, string(reason.DICOMCallingAE))
	w.heard(`"verdict":"allow"`, `"would":"refuse"`, string(reason.DICOMUID), "C-STORE-RQ")
	for _, f := range w.gw.Status().Flows {
		if f.Device == "ct-1" && f.State != FlowWouldRefuse {
			t.Errorf("status says %s", f.State)
		}
	}
}

// One record stands for all contexts that an association lost; status shows it, since a device
// that has nothing else to send releases without a word.
func TestNarrowedAssociationIsOneRecord(t *testing.T) {
	w := newWorld(t, nil)
	a := mustAssociate(t, w, ctImage, mrImage, "1.2.840.10008.5.1.4.1.1.7")
	a.Release()
	w.heard(`"unit":"A-ASSOCIATE-RQ"`, `"verdict":"rewrite"`, string(reason.DICOMAbstractSyntax), `"found":"MR Image Storage (+1 more class)"`)
	for _, f := range w.gw.Status().Flows {
		if f.Device != "ct-1" {
			continue
		}
		if f.State != FlowOK || f.Refused != 0 || f.Narrowed == nil {
			t.Errorf("status says %+v", f)
			continue
		}
		if do := f.Narrowed.Do; !strings.Contains(do, "store: [MR Image Storage]") || !strings.Contains(do, "devices/ct-1.yaml") {
			t.Errorf("remedy %q", do)
		}
	}
}

// UIDs with letters pass where the flow tolerates them, and still cannot leave a folder.
func TestLetteredUIDsPassWhereTolerated(t *testing.T) {
	w := newWorld(t, map[string]string{"devices/ct-1.yaml": strings.Replace(worldCT, "{to: pacs,", "{to: pacs, tolerate: {lettered_uids: true},", 1)})
	a := mustAssociate(t, w, ctImage)
	for uid, want := range map[string]uint16{"1.2.ab.3": 0, "1.2.3": 0, "1.2..ab": 0xC000, "ab/cd": 0xC000} {
		if got := store(t, a, ctImage, uid, image(ctImage, uid, uid, "X", 100)); got != want {
			t.Errorf("%s: status %04X, want %04X", uid, got, want)
		}
	}
	a.Release()
}

// Invariant 1: a session that turned opaque in shadow does not stay unread when a reload makes its
// flow enforce.
func TestOpaqueSessionEndsWhenItsFlowIsEnforced(t *testing.T) {
	shadow := strings.Replace(worldCT, "enforce", "shadow", 1)
	w := newWorld(t, map[string]string{"devices/ct-1.yaml": shadow, "devices/analyzer-1.yaml": "device: analyzer-1\nstate: retired\n"})
	c := w.dial(w.dicom)
	io.WriteString(c, "garbage that passes in shadow")
	w.heard(`"unit":"session"`, string(reason.SessionOpaque), `"verdict":"allow"`)
	writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": worldCT})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "and does not in enforce")
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Logf("the connection ended with %v", err)
	}
	w.heard(string(reason.SessionOpaque), `"verdict":"refuse"`)
}

// Who accepts connections for a server that is down closes them. To the device that is as if nobody
// had accepted, and status says that the server is down until it says something.
func TestServerThatClosesWithoutAWordIsDown(t *testing.T) {
	w := newWorld(t, nil)
	balancer := w.listen("pacs")
	go func() {
		for {
			c, err := balancer.Accept()
			if err != nil {
				return
			}
			io.ReadFull(c, make([]byte, 100)) // completes the handshake
			c.Close()
		}
	}()
	w.reloadSite(balancer.Addr())
	var since time.Time
	for range 2 {
		var rj *endpoint.Rejected
		if _, err := w.associate("PACS", "CT1", ctImage); !errors.As(err, &rj) || rj.Result != dicom.RejectedTransient {
			t.Errorf("got %v, want a transient rejection", err)
		}
		w.stopSessions()
		f := w.flowStatus("ct-1", "archive")
		if f.State != FlowDown || !strings.Contains(f.Problem, "without an answer") || f.DownSince == nil {
			t.Fatalf("status says %+v", f)
		}
		if since.IsZero() {
			since = *f.DownSince
		}
		if !f.DownSince.Equal(since) {
			t.Error("it is down since the last attempt")
		}
	}
	w.heard(`"unit":"A-ASSOCIATE-RQ"`, `"verdict":"refuse"`, string(reason.UpstreamUnreachable))
	w.reloadSite(w.pacs.ln.Addr())
	mustAssociate(t, w, ctImage).Release()
	if f := w.flowStatus("ct-1", "archive"); f.State == FlowDown || f.Problem != "" {
		t.Errorf("status says %+v", f)
	}
}

// A request that cannot be read still says who sent it to whom: with several flows on a listener its
// mode decides too, and shadow refuses nothing.
func TestUnreadableRequestsBelongToTheirFlow(t *testing.T) {
	w := newWorld(t, nil)
	ris := w.listen("his")
	got := make(chan string, 1)
	go func() {
		c, err := ris.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 300)
		n, _ := io.ReadAtLeast(c, b, 100)
		got <- string(b[:n])
	}()
	device := func(mode string) {
		writeSite(t, w.dir, map[string]string{
			"site.yaml": fmt.Sprintf(worldSite, w.pacs.address, w.his.address) +
				fmt.Sprintf("  ris: {ae: RIS, address: %q, tunnel: mtls, server_name: his.test}\n", ris.Addr()),
			"devices/ct-1.yaml": strings.Replace(worldCT, "enforce", mode, 1) + "  worklist: {to: ris, allow: [find: {model: Modality Worklist, everything: true}]}\n",
		})
		if err := w.gw.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	// An even presentation context ID.
	item := func(typ byte, value string) string { return string([]byte{typ, 0, 0, byte(len(value))}) + value }
	rq := "\x00\x01\x00\x00" + fmt.Sprintf("%-16s%-16s", "RIS", "CT1") + strings.Repeat("\x00", 32) + item(0x10, dicom.ApplicationContextName) +
		item(0x20, "\x02\x00\x00\x00"+item(0x30, "1.2.840.10008.5.1.4.31")+item(0x40, "1.2.840.10008.1.2")) + item(0x50, item(0x51, "\x00\x00\x40\x00"))
	rq = string(dicom.AppendPDUHeader(nil, dicom.TypeAssociateRQ, uint32(len(rq)))) + rq

	device("enforce")
	c := w.dial(w.dicom)
	io.WriteString(c, rq)
	if answer, err := io.ReadAll(c); err != nil || len(answer) != 10 || dicom.PDUType(answer[0]) != dicom.TypeAbort {
		t.Errorf("in enforce the device got %x, %v; want an A-ABORT", answer, err)
	}
	w.heard(`"flow":"worklist"`, `"verdict":"refuse"`, string(reason.DICOMItem))

	device("shadow")
	c = w.dial(w.dicom)
	io.WriteString(c, rq)
	if b := <-got; b != rq {
		t.Errorf("in shadow the server got %q", b)
	}
	io.Copy(io.Discard, c)
	w.heard(`"flow":"worklist"`, `"mode":"shadow"`, string(reason.SessionOpaque), `"verdict":"allow"`)
}
