package gateway

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"cordon/protocols/dicom/endpoint"
	hl7end "cordon/protocols/hl7/endpoint"
	"cordon/protocols/reason"
)

// The site of the flood: a CT and an ultrasound on the imaging segment, an analyzer, and a TLS
// listener where the ultrasound is heard too.
const (
	floodCordon = `box: {name: test}
listeners:
  imaging: {address: %q, protocol: dicom}
  results: {address: %q, protocol: hl7}
  remote: {address: %q, protocol: dicom, tunnel: mtls, peers: [us-1]}
tunnels:
  mtls: {ca: ["file:pki/ca.pem"], certificate: "file:pki/{device}.pem", key: "file:pki/{device}.key"}
limits: {handshakes: 200, sessions: 16}
timers: {grace: 30s, dial: 30s}
`
	floodUS = `device: us-1
mode: enforce
identify: {ip: 127.0.0.3, certificate: us-1}
ae: {titles: [US1]}
flows:
  archive: {to: pacs, listen: imaging, allow: [store: [CT Image Storage]]}
  remote: {to: pacs, listen: remote, allow: [store: [CT Image Storage]]}
`
)

// Loopback addresses that connections come from.
const (
	addressCT       = "127.0.0.1"
	addressUS       = "127.0.0.3"
	addressStranger = "127.0.0.9"
)

func newFloodWorld(t *testing.T) (w *world, remote string) {
	imaging, results, remote := freeAddress(t), freeAddress(t), freeAddress(t)
	w = &world{t: t, dir: t.TempDir(), sink: &sink{}, log: &sink{}}
	w.makePKI("pacs", "his", "ct-1", "analyzer-1", "us-1", "test")
	w.pacs, w.his = newPACS(t, w), newHIS(t, w)
	w.dicom, w.hl7 = imaging, results
	writeSite(t, w.dir, map[string]string{
		"cordon.yaml":             fmt.Sprintf(floodCordon, imaging, results, remote),
		"site.yaml":               fmt.Sprintf(worldSite, w.pacs.address, w.his.address),
		"devices/ct-1.yaml":       strings.Replace(worldCT, "to: pacs", "to: pacs, listen: imaging", 1),
		"devices/us-1.yaml":       floodUS,
		"devices/analyzer-1.yaml": worldAnalyzer,
	})
	w.start()
	return w, remote
}

// flood is many connections from one address that say little or nothing and stay.
type flood struct {
	conns  []net.Conn
	closed chan struct{} // one for each that the gateway closed
}

func (w *world) flood(n int, from, to string, first []byte) *flood {
	w.t.Helper()
	f := &flood{closed: make(chan struct{}, n)}
	w.t.Cleanup(f.stop)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	for range n {
		c, err := d.Dial("tcp", to)
		if err != nil {
			w.t.Fatal(err)
		}
		c.Write(first) // it may be closed already
		f.conns = append(f.conns, c)
		go func() {
			io.Copy(io.Discard, c)
			f.closed <- struct{}{}
		}()
	}
	return f
}

// await waits until the gateway has closed so many.
func (f *flood) await(t *testing.T, n int) {
	t.Helper()
	late := time.After(patience)
	for k := range n {
		select {
		case <-f.closed:
		case <-late:
			t.Fatalf("%d connections were closed, want %d", k, n)
		}
	}
}

func (f *flood) stop() {
	for _, c := range f.conns {
		c.Close()
	}
}

// memory is what the process holds once garbage is gone: pools are empty after two collections, and
// each halves the stacks that have grown.
func memory() int64 {
	var m runtime.MemStats
	for range 3 {
		debug.FreeOSMemory()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// eventually waits for what no event announces.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); runtime.Gosched() {
		if time.Since(began) > patience {
			t.Fatalf("not %s", what)
		}
	}
}

// G4, reason.SessionHalfOpen: a flood of half-open handshakes and idle connections, from a device
// and from a stranger, is held to its cap; sessions go on, and honest connections are accepted.
func TestFloodIsHeldToItsCap(t *testing.T) {
	const (
		halfOpen = 1000     // from each of two addresses; 100 of each have a place
		idle     = 500      // from each of two addresses; the CT's have 16 places, and 10 to be refused in
		most     = 32 << 20 // of memory, the flood's own ends included; all that come would take 90 MiB
	)
	goroutines := runtime.NumGoroutine()
	w, remote := newFloodWorld(t)
	hl7 := hl7end.NewClient(w.dial(w.hl7))
	ct := mustAssociate(t, w, ctImage)
	objects := 0
	goOn := func(when string) {
		t.Helper()
		objects++
		uid := fmt.Sprintf("1.2.3.%d", objects)
		if status := store(t, ct, ctImage, uid, image(ctImage, uid, "1.2.3", "X", 300_000)); status != 0 {
			t.Errorf("%s: C-STORE status %04X", when, status)
		}
		if ack := send(t, hl7, message("ORU^R01", uid, "X")); !strings.Contains(ack, "MSA|AA|"+uid) {
			t.Errorf("%s: acknowledgment %q", when, ack)
		}
	}
	goOn("before the flood")
	before := memory()

	// A header that declares the longest record, and not all of it.
	hello := append([]byte{0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc}, make([]byte, 300)...)
	var all []*flood
	for _, from := range []string{addressCT, addressStranger} {
		f := w.flood(halfOpen, from, remote, hello)
		f.await(t, halfOpen-100)
		goOn("with half-open handshakes from " + from)
		all = append(all, f)
	}
	if n := w.gw.handshakes.count(); n > 200 { // on a busy machine the first are late already
		t.Errorf("%d handshakes have a place, want at most 200", n)
	}
	w.heard(string(reason.SessionHalfOpen), addressStranger)
	f := w.flood(idle, addressCT, w.dicom, nil)
	f.await(t, idle-25) // the CT's association has a place too
	goOn("with idle connections from the CT")
	g := w.flood(idle, addressStranger, w.dicom, nil)
	g.await(t, idle)
	goOn("with connections from a stranger")
	all = append(all, f, g)

	if grown := memory() - before; grown > most {
		t.Errorf("the flood holds %d KiB, want at most %d", grown>>10, most>>10)
	}
	w.honest(remote)
	goOn("beside honest connections")
	for _, u := range w.gw.Status().Unknown {
		if u.Do == "" {
			t.Errorf("status does not say what to do about %s", u.Reason)
		}
	}

	for _, f := range all {
		f.stop()
	}
	ct.Release()
	w.stopSessions()
	eventually(t, "free of handshakes", func() bool { return w.gw.handshakes.count() == 0 })
	w.stop()
	w.pacs.ln.Close()
	w.his.ln.Close()
	eventually(t, "back to the goroutines before", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// honest connects as the ultrasound: in plaintext from its own address, and over TLS from the
// address that the flood comes from.
func (w *world) honest(remote string) {
	w.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addressUS)}}
	near, err := d.Dial("tcp", w.dicom)
	if err != nil {
		w.t.Fatal(err)
	}
	far, err := w.dialAs("us-1", remote, "test.test")
	if err != nil {
		w.t.Fatal(err)
	}
	for i, c := range []net.Conn{near, far} {
		defer c.Close()
		a, err := endpoint.Associate(c, endpoint.Request{Called: "PACS", Calling: "US1",
			Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}})
		if err != nil {
			w.t.Fatal(err)
		}
		uid := fmt.Sprintf("1.2.4.%d", i)
		if status := store(w.t, a, ctImage, uid, image(ctImage, uid, "1.2.4", "X", 1000)); status != 0 {
			w.t.Errorf("status %04X", status)
		}
		a.Release()
	}
}
