package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/policy"
	"cordon/protocols/dicom/endpoint"
	hl7end "cordon/protocols/hl7/endpoint"
	"cordon/tunnels/identity"
	"cordon/tunnels/mtls"
)

// Names and UIDs that the tests use.
const (
	ctImage          = "1.2.840.10008.5.1.4.1.1.2"
	mrImage          = "1.2.840.10008.5.1.4.1.1.4"
	verification     = "1.2.840.10008.1.1"
	explicitVRLittle = "1.2.840.10008.1.2.1"
)

// world is a gateway on loopback with servers behind mutual TLS and the ports of its listeners.
type world struct {
	t     *testing.T
	dir   string
	gw    *Gateway
	dicom string // address where devices speak DICOM
	hl7   string
	sink  *sink
	log   *sink
	stop  func()
	watch []string // directories that lead to a reload
	now   func() time.Time

	pacs *pacs
	his  *his
	pki  *identity.Authority
}

// worldFiles is the ordinary site of the tests: a CT that stores to the archive and an analyzer
// that sends results, both in enforce.
const (
	worldCordon = `box: {name: test}
listeners:
  imaging: {address: "%[1]s", protocol: dicom}
  results: {address: "%[2]s", protocol: hl7}
tunnels:
  mtls: {ca: ["file:pki/ca.pem"], certificate: "file:pki/{device}.pem", key: "file:pki/{device}.key"}
control: {socket: run/cordon.sock}
timers: {grace: 30s, dial: 30s}
`
	worldSite = `upstreams:
  pacs: {ae: PACS, address: "%[1]s", tunnel: mtls, server_name: pacs.test}
  his: {address: "%[2]s", tunnel: mtls, server_name: his.test}
`
	worldCT = `device: ct-1
mode: enforce
identify: {ip: 127.0.0.1}
ae: {titles: [CT1]}
flows:
  archive: {to: pacs, allow: [echo, store: [CT Image Storage]]}
`
	worldAnalyzer = `device: analyzer-1
mode: enforce
identify: {ip: 127.0.0.1}
flows:
  results: {to: his, allow: [message: ORU^R01]}
`
)

// newWorld starts everything. Files may replace or add to the ordinary site; a "%[1]s" in them is
// not expanded.
func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	return newWorldWith(t, nil, files)
}

// newWorldWith is newWorld with the PKI of another.
func newWorldWith(t *testing.T, other *world, files map[string]string) *world {
	t.Helper()
	return newWorldAt(t, nil, other, files)
}

// newWorldAt is newWorldWith with a clock for limits.
func newWorldAt(t *testing.T, now func() time.Time, other *world, files map[string]string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), sink: &sink{}, log: &sink{}, now: now}
	if other == nil {
		w.makePKI("pacs", "his", "ct-1", "analyzer-1", "us-1")
	} else if err := os.CopyFS(w.path("pki"), os.DirFS(other.path("pki"))); err != nil {
		t.Fatal(err)
	}
	w.pacs = newPACS(t, w)
	w.his = newHIS(t, w)
	w.dicom, w.hl7 = freeAddress(t), freeAddress(t)
	site := map[string]string{
		"cordon.yaml":             fmt.Sprintf(worldCordon, w.dicom, w.hl7),
		"site.yaml":               fmt.Sprintf(worldSite, w.pacs.address, w.his.address),
		"devices/ct-1.yaml":       worldCT,
		"devices/analyzer-1.yaml": worldAnalyzer,
	}
	for name, text := range files {
		site[name] = text
	}
	writeSite(t, w.dir, site)
	w.start()
	return w
}

func (w *world) load() (*policy.Policy, error) {
	p, diags := policy.Load(filepath.Join(w.dir, "cordon.yaml"))
	if p == nil {
		return nil, fmt.Errorf("%s", diags.String())
	}
	return p, nil
}

func (w *world) start() {
	w.t.Helper()
	p, err := w.load()
	if err != nil {
		w.t.Fatal(err)
	}
	records := w.sink.log(w.t)
	w.gw, err = New(Options{
		Policy: p, Audit: records, Load: w.load, Version: "test", Watch: w.watch, Now: w.now,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.gw.Run(ctx) }()
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			<-done
			closeAudit(records)
		})
	}
	w.t.Cleanup(w.stop)
}

func (w *world) makePKI(names ...string) {
	w.t.Helper()
	var err error
	if err = os.MkdirAll(w.path("pki"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if w.pki, err = identity.NewAuthority("test authority"); err != nil {
		w.t.Fatal(err)
	}
	if err := w.pki.WriteCA(w.path("pki/ca.pem")); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range names {
		w.issue(n)
	}
}

// issue writes a certificate for NAME and NAME.test.
func (w *world) issue(name string) {
	w.t.Helper()
	pair, err := w.pki.Issue(identity.Request{Name: name, DNSNames: []string{name + ".test"}})
	if err == nil {
		err = pair.Write(w.path("pki/"+name+".pem"), w.path("pki/"+name+".key"))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// listen hears as a server with mutual TLS.
func (w *world) listen(name string) net.Listener {
	w.t.Helper()
	tun, err := mtls.New(mtls.Config{
		Name: name, CAFiles: []string{w.path("pki/ca.pem")}, CertFile: w.path("pki/" + name + ".pem"),
		KeyFile: w.path("pki/" + name + ".key"), Peers: []string{"ct-1", "analyzer-1", "us-1"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := tun.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	return l
}

// freeAddress returns an address with a port of the loopback interface that nobody hears on, and
// gives none twice soon. Ports that the kernel gives out by itself lie above 32767: one of those might
// be taken before the gateway listens. Each test process begins at a place of its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	const first, count = 20000, 12000
	for range count {
		address := fmt.Sprintf("127.0.0.1:%d", first+(os.Getpid()*97+int(ports.Add(1)))%count)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	panic("not reached")
}

var ports atomic.Int64 // that freeAddress has tried

// object is one that the archive received.
type object struct {
	class, instance, transfer string
	data                      []byte
}

// pacs is an archive that keeps what it gets.
type pacs struct {
	address string
	ln      net.Listener
	mu      sync.Mutex
	objects []object
	conns   map[net.Conn]bool
	ends    chan error // how each association ended
}

func newPACS(t *testing.T, w *world) *pacs {
	a := &pacs{ln: w.listen("pacs"), ends: make(chan error, 1000), conns: map[net.Conn]bool{}}
	a.address = a.ln.Addr().String()
	srv := &endpoint.Server{AE: "PACS", Store: func(s *endpoint.Stored, data io.Reader) uint16 {
		b, err := io.ReadAll(data)
		if err != nil {
			return endpoint.StatusCannotUnderstand
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.objects = append(a.objects, object{s.SOPClass, s.SOPInstance, s.Transfer, b})
		return endpoint.StatusSuccess
	}}
	go func() {
		for {
			c, err := a.ln.Accept()
			if err != nil {
				return
			}
			go func() { a.ends <- srv.Serve(c) }()
		}
	}()
	return a
}

func (a *pacs) received() []object {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]object(nil), a.objects...)
}

// his is a receiver of HL7 messages that answers AA, or what answer says.
type his struct {
	address  string
	ln       net.Listener
	mu       sync.Mutex
	messages [][]byte
	answer   func(msg []byte) []byte
}

func newHIS(t *testing.T, w *world) *his {
	h := &his{ln: w.listen("his")}
	h.address = h.ln.Addr().String()
	r := &hl7end.Receiver{}
	go func() {
		for {
			c, err := h.ln.Accept()
			if err != nil {
				return
			}
			go hl7end.Serve(c, func(msg []byte) []byte {
				h.mu.Lock()
				h.messages = append(h.messages, bytes.Clone(msg))
				answer := h.answer
				h.mu.Unlock()
				if answer != nil {
					return answer(msg)
				}
				return r.Handle(msg)
			})
		}
	}()
	return h
}

func (h *his) received() [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([][]byte(nil), h.messages...)
}

// patience is how long a test waits for what must come before it counts as hung. Only what never
// comes takes it all, however busy the machine is.
const patience = time.Minute

// patient is a connection whose user gives up when a read or a write takes longer than patience. How
// long the connection lives does not matter: some tests keep one for all that they do.
type patient struct{ net.Conn }

func (c patient) Read(b []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	return c.Conn.Read(b)
}

func (c patient) Write(b []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(patience))
	return c.Conn.Write(b)
}

func (c patient) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// dial connects as a device.
func (w *world) dial(address string) patient {
	w.t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return patient{c}
}

// associate asks for an association as the CT.
func (w *world) associate(called, calling string, classes ...string) (*endpoint.Association, error) {
	w.t.Helper()
	return w.associateIn(explicitVRLittle, called, calling, classes...)
}

// associateIn is associate with a transfer syntax.
func (w *world) associateIn(transfer, called, calling string, classes ...string) (*endpoint.Association, error) {
	w.t.Helper()
	r := endpoint.Request{Called: called, Calling: calling}
	for _, c := range classes {
		r.Contexts = append(r.Contexts, endpoint.Context{Abstract: c, Transfer: []string{transfer}})
	}
	return endpoint.Associate(w.dial(w.dicom), r)
}

// element encodes one data element in Explicit VR Little Endian.
func element(group, elem uint16, vr, value string) string {
	if len(value)%2 == 1 {
		value += " "
		if vr == "UI" {
			value = value[:len(value)-1] + "\x00"
		}
	}
	head := []byte{byte(group), byte(group >> 8), byte(elem), byte(elem >> 8)}
	head = append(head, vr...)
	if vr == "OW" {
		n := len(value)
		return string(append(head, 0, 0, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))) + value
	}
	return string(append(head, byte(len(value)), byte(len(value)>>8))) + value
}

// image makes a data set with so many bytes of pixel data.
func image(class, instance, study, patient string, pixels int) string {
	return element(0x0008, 0x0016, "UI", class) + element(0x0008, 0x0018, "UI", instance) +
		element(0x0010, 0x0010, "PN", patient) + element(0x0010, 0x0020, "LO", patient) +
		element(0x0020, 0x000D, "UI", study) + element(0x7FE0, 0x0010, "OW", strings.Repeat("\x5a\x01", pixels/2))
}

func store(t *testing.T, a *endpoint.Association, class, instance, dataSet string) uint16 {
	t.Helper()
	status, err := a.Store(class, instance, explicitVRLittle, strings.NewReader(dataSet), int64(len(dataSet)))
	if err != nil {
		t.Fatalf("C-STORE: %v", err)
	}
	return status
}

// message makes an HL7 message.
func message(kind, control, text string) string {
	return "MSH|^~\\&|LAB|WARD|HIS|HOSP|20260101120000||" + kind + "|" + control + "|P|2.5.1\r" +
		"PID|1||" + text + "^^^H\rOBX|1|TX|1^" + text + "||" + text + "\r"
}

// heard waits until the audit has a record that holds all of texts.
func (w *world) heard(texts ...string) string {
	w.t.Helper()
	line := w.sink.await(texts...)
	if line == "" {
		w.t.Errorf("no audit record has %q:\n%s", texts, w.sink.String())
	}
	return line
}

// logged waits until the log has a line with that text.
func (w *world) logged(text string) {
	w.t.Helper()
	if w.log.await(text) == "" {
		w.t.Fatalf("the log does not say %q", text)
	}
}
