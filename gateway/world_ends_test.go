package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
	"cordon/tunnels"
	"cordon/tunnels/mtls"
)

// dialAs connects to a TLS listener as a named peer.
func (w *world) dialAs(name, address, server string) (tunnels.Conn, error) {
	w.t.Helper()
	tun, err := mtls.New(mtls.Config{
		Name: name, CAFiles: []string{w.path("pki/ca.pem")}, CertFile: w.path("pki/" + name + ".pem"),
		KeyFile: w.path("pki/" + name + ".key"), ServerName: server,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return tun.Dial(context.Background(), address)
}

// A far end in front of a server without TLS, told apart by the certificates of the devices, and
// a near end before it: the study arrives byte for byte.
func TestFarEndInFrontOfAPlainServer(t *testing.T) {
	archive, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	got := make(chan string, 1)
	srv := &endpoint.Server{AE: "PACS", Store: func(s *endpoint.Stored, data io.Reader) uint16 {
		b, _ := io.ReadAll(data)
		got <- string(b)
		return endpoint.StatusSuccess
	}}
	go func() {
		if c, err := archive.Accept(); err == nil {
			srv.Serve(c)
		}
	}()
	address := freeAddress(t)
	far := newWorld(t, map[string]string{
		"site.yaml":               fmt.Sprintf("upstreams:\n  pacs: {ae: PACS, address: %q, tunnel: plain}\n", archive.Addr().String()),
		"devices/analyzer-1.yaml": "device: analyzer-1\nstate: retired\n",
		"devices/ct-1.yaml":       strings.Replace(worldCT, "ip: 127.0.0.1", "certificate: ct-1", 1),
		"cordon.yaml": fmt.Sprintf("box: {name: pacs}\nlisteners:\n  from-cordon: {address: %q, protocol: dicom, tunnel: mtls, peers: [ct-1]}\n"+
			"tunnels:\n  mtls: {ca: [\"file:pki/ca.pem\"], certificate: \"file:pki/{device}.pem\", key: \"file:pki/{device}.key\"}\n", address),
	})
	near := newWorldWith(t, far, map[string]string{"site.yaml": fmt.Sprintf(worldSite, address, far.his.address)})

	a := mustAssociate(t, near, ctImage)
	ds := image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 200_000)
	if status := store(t, a, ctImage, "1.2.3.1", ds); status != 0 {
		t.Errorf("status %04X", status)
	}
	a.Release()
	if <-got != ds {
		t.Error("the object was altered")
	}
	far.heard(`"device":"ct-1"`, `"unit":"C-STORE-RQ"`, `"verdict":"allow"`)

	// reason.SessionPeerIdentity: a certificate of the right authority with another name.
	if c, err := far.dialAs("us-1", address, "pacs.test"); err == nil {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("an unnamed peer was let in")
		}
		c.Close()
	}
	far.heard(string(reason.SessionPeerIdentity), `"found":"certificate \"us-1.test\", \"us-1\" names none of the peers allowed here: \"ct-1\""`)
	if u := far.gw.Status().Unknown[0]; !strings.Contains(u.Found, `"us-1" names none of the peers allowed here: "ct-1"`) || !strings.Contains(u.Do, "list of peers. (cordon.yaml:3)") {
		t.Errorf("status says %+v", u)
	}

	// reason.SessionRefusesUs: a peer that dials by a name that the far end's certificate has not.
	if c, err := far.dialAs("ct-1", address, "another.test"); err == nil {
		c.Close()
		t.Error("a far end of another name was believed")
	}
	far.heard(string(reason.SessionRefusesUs))

	// Invariant 7: who is taken off the list is out after the reload, also with a session that
	// could be resumed.
	cordon, err := os.ReadFile(far.path("cordon.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	writeSite(t, far.dir, map[string]string{"cordon.yaml": strings.Replace(string(cordon), "[ct-1]", "[us-1]", 1)})
	if err := far.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	if a, err := near.associate("PACS", "CT1", ctImage); err == nil {
		a.Release()
		t.Error("the near end got through although its certificate is no longer named")
	}
}

// A server reaches a device: it connects with its certificate, Cordon dials the device.
func TestServerReachesDevice(t *testing.T) {
	device, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	got := make(chan string, 1)
	srv := &endpoint.Server{AE: "CT1", Store: func(s *endpoint.Stored, data io.Reader) uint16 {
		b, _ := io.ReadAll(data)
		got <- string(b)
		return endpoint.StatusSuccess
	}}
	go func() {
		if c, err := device.Accept(); err == nil {
			srv.Serve(c)
		}
	}()
	port := device.Addr().(*net.TCPAddr).Port
	address := freeAddress(t)
	w := newWorld(t, map[string]string{
		"devices/analyzer-1.yaml": "device: analyzer-1\nstate: retired\n",
		"cordon.yaml": fmt.Sprintf("box: {name: ct-1}\nlisteners:\n  from-pacs: {address: %q, protocol: dicom, tunnel: mtls, peers: [pacs.test]}\n"+
			"tunnels:\n  mtls: {ca: [\"file:pki/ca.pem\"], certificate: \"file:pki/{device}.pem\", key: \"file:pki/{device}.key\"}\n", address),
		"devices/ct-1.yaml": fmt.Sprintf("device: ct-1\nmode: enforce\nidentify: {ip: 127.0.0.1}\nae: {titles: [CT1], port: %d}\n"+
			"flows:\n  returns: {from: pacs, listen: from-pacs, allow: [store: [CT Image Storage]]}\n", port),
	})
	c, err := w.dialAs("pacs", address, "ct-1.test")
	if err != nil {
		t.Fatal(err)
	}
	a, err := endpoint.Associate(c, endpoint.Request{Called: "CT1", Calling: "PACS",
		Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}})
	if err != nil {
		t.Fatal(err)
	}
	ds := image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 1000)
	if status := store(t, a, ctImage, "1.2.3.1", ds); status != 0 {
		t.Errorf("status %04X", status)
	}
	a.Release()
	if <-got != ds {
		t.Error("the object was altered")
	}
	w.heard(`"direction":"to-device"`, `"unit":"C-STORE-RQ"`, `"verdict":"allow"`)
}

// reason.DICOMPeerRejected: the server's own rejection passes as it came.
func TestServersOwnRejectionPasses(t *testing.T) {
	w := newWorld(t, map[string]string{"devices/ct-1.yaml": worldCT})
	site := strings.Replace(worldSite, "ae: PACS,", "ae: PACS9,", 1) // the archive answers to PACS alone
	writeSite(t, w.dir, map[string]string{"site.yaml": fmt.Sprintf(site, w.pacs.address, w.his.address)})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	_, err := w.associate("PACS9", "CT1", ctImage)
	var rj *endpoint.Rejected
	if !errors.As(err, &rj) || rj.Reason != 7 || rj.Source != 1 {
		t.Errorf("got %v, want the server's own rejection", err)
	}
	w.heard("A-ASSOCIATE-RJ", string(reason.DICOMPeerRejected), `"verdict":"allow"`)
}

// D17, D18: a device that aborts after the release instead of closing, as getscu does, is closed.
func TestAbortAfterTheReleaseIsClosed(t *testing.T) {
	w := newWorld(t, nil)
	conn := w.dial(w.dicom)
	if _, err := endpoint.Associate(conn, endpoint.Request{Called: "PACS", Calling: "CT1", Contexts: []endpoint.Context{{Abstract: verification, Transfer: []string{explicitVRLittle}}}}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(dicom.AppendReleaseRP(nil)))
	for _, say := range [][]byte{dicom.AppendReleaseRQ(nil), dicom.AppendAbort(nil, reason.Abort{})} {
		if _, err := conn.Write(say); err != nil {
			t.Fatal(err)
		}
		if dicom.PDUType(say[0]) == dicom.TypeReleaseRQ {
			if _, err := io.ReadFull(conn, answer); err != nil || dicom.PDUType(answer[0]) != dicom.TypeReleaseRP {
				t.Fatalf("% x, %v", answer, err)
			}
		}
	}
	if n, err := conn.Read(answer); n != 0 || err != io.EOF { // waits for it
		t.Errorf("%d bytes, %v", n, err)
	}
}
