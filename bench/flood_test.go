package bench

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/policy"
)

// A swarm holds as many connections as it is told, from its addresses in turn; a new one takes the
// place of the oldest, which is reset.
func TestSwarmRenewsItsOldest(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	from := loopback("127.0.2.254", 3)
	s := newSwarm(netip.MustParseAddrPort(ln.Addr().String()), from, []byte("half"), 2)
	defer s.close()
	if err := s.fill(); err != nil {
		t.Fatal(err)
	}
	accept := func() net.Conn {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		first := make([]byte, 4)
		if _, err := io.ReadFull(c, first); err != nil || string(first) != "half" {
			t.Fatalf("got %q, %v", first, err)
		}
		return c
	}
	oldest := accept()
	accept()
	if err := s.renew(); err != nil {
		t.Fatal(err)
	}
	if _, err := oldest.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the oldest ended with %v, want a reset", err)
	}
	third := accept().RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	if want := netip.MustParseAddr("127.0.3.0"); third != want || s.opened != 3 {
		t.Errorf("the third of %d came from %s, want %s", s.opened, third, want)
	}
}

func TestHalfOfAHelloIsHalf(t *testing.T) {
	b := halfHello()
	if declared := 5 + int(b[3])<<8 + int(b[4]); b[0] != 22 || b[5] != 1 || declared <= len(b) {
		t.Errorf("% x…, %d of %d bytes", b[:9], len(b), declared)
	}
}

// The site of the flood is a policy without a problem, with the limits that Cordon has by itself.
func TestSiteOfTheFloodCompiles(t *testing.T) {
	dir := t.TempDir()
	pki, err := newPKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := Hop{Role: Client, Listen: freeAddress(), Target: freeAddress(), CA: pki.ca(), Cert: pki.cert(clientName), Key: pki.key(clientName)}
	for file, text := range floodForm(h, freeAddress()).Files {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755)
		os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644)
	}
	p, diags := policy.Load(filepath.Join(dir, "cordon.yaml"))
	if p == nil {
		t.Fatal(diags.String())
	}
	load := p.Listeners[slices.IndexFunc(p.Listeners, func(l *policy.Listener) bool { return l.Name == "load" })]
	for _, a := range loopback(firstStranger, strangers) {
		if len(load.Candidates(a, nil)) != 0 {
			t.Errorf("%s is a device's address", a)
		}
	}
	for _, a := range loopback(firstIdler, idlers) {
		if c := load.Candidates(a, nil); len(c) != 1 || c[0].Device.Name != "idler" || c[0].Limits.Sessions != 64 {
			t.Errorf("%s is not the idling device's address", a)
		}
	}
}

// The smallest flood there is, with fewer places needed than there are.
func TestTransferBesideAFlood(t *testing.T) {
	program := cordonProgram(t)
	var progress, text bytes.Buffer
	r, err := RunFlood(t.Context(), FloodOptions{Self: program, HalfOpen: 20, Idle: 10, Rate: 100, Rounds: 2, Bytes: 4 << 20, Progress: &progress})
	if err != nil {
		t.Fatal(err)
	}
	if r.Handshakes == 0 || r.Sessions == 0 || r.Opened < 30 || r.Peak == 0 || len(r.Throughput.With) != 2 || len(r.CPU.Without) != 2 {
		t.Errorf("%+v", r)
	}
	if r.Throughput.Ratio.Value <= 0 || r.CPU.Ratio.Lo > r.CPU.Ratio.Hi {
		t.Errorf("ratios %+v, %+v", r.Throughput.Ratio, r.CPU.Ratio)
	}
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "20 half-open handshakes") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("the run left %d files behind, %v", len(left), err)
	}
	if _, err := RunFlood(t.Context(), FloodOptions{Self: program}); err == nil {
		t.Error("a run without rounds was taken")
	}
}
