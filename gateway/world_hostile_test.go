package gateway

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

// The site of the hostile peers: the CT and PACS are honest; the ultrasound may do anything, and so
// may ROGUE, a server that the ultrasound queries.
const (
	hostileSite = `upstreams:
  pacs: {ae: PACS, address: %q, tunnel: mtls, server_name: pacs.test}
  rogue: {ae: ROGUE, address: %q, tunnel: mtls, server_name: pacs.test}
`
	hostileUS = `device: us-1
mode: enforce
identify: {ip: 127.0.0.3}
ae: {titles: [US1]}
timers: {%[2]s}
flows:
  archive: {to: pacs, transfer_syntaxes: [%[1]s], allow: [echo, store: all]}
  rogue: {to: rogue, transfer_syntaxes: [%[1]s], allow: [find: {model: Study Root, everything: true}, get: {model: Study Root}]}
`
	studyGet         = "1.2.840.10008.5.1.4.1.2.2.3"
	implicitVRLittle = "1.2.840.10008.1.2"
	deflatedVRLittle = "1.2.840.10008.1.2.1.99"
)

// Timers of the ultrasound: those that a busy machine never meets, and are shorter than patience all
// the same, and those that are to be met.
const (
	ample = "dial: 15s, setup: 20s, idle: 20s, message: 20s, release: 5s"
	short = "dial: 15s, setup: 3s, idle: 2s, message: 2s, release: 1s"
)

// hostileSyntaxes are the transfer syntaxes of the corpus, deflated ones included.
var hostileSyntaxes = []string{
	implicitVRLittle, explicitVRLittle, deflatedVRLittle, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5",
	"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
	"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
}

// How many bytes the process may hold more after hostile peers than before: pools mostly. And how
// much more may be in use meanwhile, with garbage and what the peers themselves hold.
const (
	hostileKept = 4 << 20
	hostilePeak = 96 << 20
)

// hostileWorld is a world with both servers, and the honest association beside all that happens.
type hostileWorld struct {
	*world
	acts chan struct{}
	done chan int // objects that the honest association stored
	held int64
	most int64 // bytes in use, as the honest association saw it
}

func newHostileWorld(t *testing.T, timers string, rogue func(net.Conn)) *hostileWorld {
	goroutines := runtime.NumGoroutine()
	w := newWorld(t, nil)
	honest := image(ctImage, "1.2.3.1", "1.2.3", "X", 40_000)
	archive := &endpoint.Server{AE: "PACS", Store: func(s *endpoint.Stored, data io.Reader) uint16 {
		b, err := io.ReadAll(data)
		if err != nil || s.Calling == "CT1" && string(b) != honest {
			return endpoint.StatusCannotUnderstand
		}
		return endpoint.StatusSuccess
	}}
	pacs, other := w.listen("pacs"), w.listen("pacs")
	var serving sync.WaitGroup
	serve(&serving, pacs, func(c net.Conn) { archive.Serve(c) })
	serve(&serving, other, rogue)
	writeSite(t, w.dir, map[string]string{"site.yaml": fmt.Sprintf(hostileSite, pacs.Addr(), other.Addr()),
		"devices/us-1.yaml": fmt.Sprintf(hostileUS, strings.Join(hostileSyntaxes, ", "), timers), "devices/analyzer-1.yaml": "device: analyzer-1\nstate: retired\n"})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	h := &hostileWorld{world: w, acts: make(chan struct{}, 1<<14), done: make(chan int, 1)}
	a := mustAssociate(t, w, ctImage)
	h.held = memory()
	go h.honest(a, honest)
	t.Cleanup(func() {
		h.finish()
		pacs.Close()
		other.Close()
		serving.Wait()
		w.pacs.ln.Close()
		w.his.ln.Close()
		w.stop()
		eventually(t, "back to the goroutines before", func() bool { return runtime.NumGoroutine() <= goroutines })
	})
	return h
}

// serve has each connection of a listener served until it is closed.
func serve(serving *sync.WaitGroup, ln net.Listener, each func(net.Conn)) {
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				each(patient{c})
			})
		}
	})
}

// honest stores one object for each hostile act, on one association.
func (h *hostileWorld) honest(a *endpoint.Association, dataSet string) {
	stored := 0
	defer func() { h.done <- stored }()
	for range h.acts {
		status, err := a.Store(ctImage, "1.2.3.1", explicitVRLittle, strings.NewReader(dataSet), int64(len(dataSet)))
		if err != nil || status != 0 {
			h.t.Errorf("the honest association is disturbed: status %04X, %v", status, err)
			return
		}
		if stored++; stored%8 == 0 {
			h.most = max(h.most, inUse())
		}
	}
	if err := a.Release(); err != nil {
		h.t.Errorf("the honest association does not release: %v", err)
	}
}

// finish ends the honest association and checks that nothing stays.
func (h *hostileWorld) finish() {
	t := h.t
	h.settle()
	close(h.acts)
	stored := <-h.done
	if stored == 0 {
		t.Error("the honest association stored nothing")
	}
	eventually(t, "free of sessions", func() bool { return h.gw.sessionCount() == 0 })
	if n := h.gw.budget.used.Load(); n != 0 {
		t.Errorf("%d bytes of the windows' budget are still taken", n)
	}
	eventually(t, "written to the audit", func() bool { return h.gw.audit.Waiting() == 0 })
	for what, s := range map[string]*sink{"audit": h.sink, "log": h.log} {
		text := s.empty()
		if i := max(strings.Index(text, string(reason.EngineFailure)), strings.Index(text, "recovered a panic")); i >= 0 {
			t.Errorf("the %s tells of a panic: %.2000s", what, text[i:])
		}
	}
	if grown := memory() - h.held; grown > hostileKept {
		t.Errorf("%d KiB more are held than before, want at most %d", grown>>10, hostileKept>>10)
	}
	if grown := h.most - h.held; grown > hostilePeak {
		t.Errorf("%d MiB more were in use meanwhile, want at most %d", grown>>20, hostilePeak>>20)
	}
	t.Logf("%d honest objects beside; %d KiB more held, at most %d KiB more in use", stored, (memory()-h.held)>>10, (h.most-h.held)>>10)
}

// inUse is the memory in use, garbage included.
func inUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// judged checks that at least so many units of a kind came from or went to the ultrasound.
func (h *hostileWorld) judged(unit string, least int) {
	h.t.Helper()
	h.settle()
	n := 0
	for line := range strings.Lines(h.sink.String()) {
		if containsAll(line, []string{`"device":"us-1"`, `"unit":"` + unit + `"`}) {
			n++
		}
	}
	if n < least {
		h.t.Errorf("%d times %s was judged, want at least %d", n, unit, least)
	}
}

// settle waits until the hostile sessions are over and all is recorded.
func (h *hostileWorld) settle() {
	h.t.Helper()
	eventually(h.t, "free of hostile sessions", func() bool { return h.gw.sessionCount() <= 1 })
	eventually(h.t, "written to the audit", func() bool { return h.gw.audit.Waiting() == 0 })
}

// each runs a hostile act for each of n, so many at once, with the honest association beside.
func (h *hostileWorld) each(n, atOnce int, act func(i int) error) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range next {
				h.acts <- struct{}{}
				if err := act(i); err != nil {
					h.t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// dialUS connects as the ultrasound.
func (h *hostileWorld) dialUS() (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addressUS)}}
	c, err := d.Dial("tcp", h.dicom)
	if err != nil {
		return nil, err
	}
	return patient{c}, nil
}

// ask associates as the ultrasound.
func (h *hostileWorld) ask(called string, serves []string, contexts ...endpoint.Context) (*endpoint.Association, error) {
	c, err := h.dialUS()
	if err != nil {
		return nil, err
	}
	return endpoint.Associate(c, endpoint.Request{Called: called, Calling: "US1", Contexts: contexts, Serves: serves})
}

// hung returns err when it says that nobody answered or ended in time: all else is an end.
func hung(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("neither answered nor ended: %w", err)
	}
	return nil
}

// hostileFile is a file of the corpus as an object to send.
type hostileFile struct {
	name                      string
	class, instance, transfer string
	data                      []byte // of even length
}

// hostileFiles reads all files that mean harm, whatever they were made for, and those of DICOM, of
// which several are broken: Part 10 files without what precedes the data set, others as they are.
func hostileFiles(t *testing.T) (all []hostileFile) {
	t.Helper()
	root := os.Getenv("CORDON_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "testdata")
	}
	read := func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := hostileFile{name: path, class: ctImage, instance: "1.2.3.4", transfer: explicitVRLittle, data: b}
		f.readMeta()
		if len(f.data)%2 == 1 {
			f.data = append(f.data, 0)
		}
		all = append(all, f)
		return nil
	}
	for _, folder := range []string{"hostile", "dicom"} {
		filepath.WalkDir(filepath.Join(root, folder), read)
	}
	for _, n := range []int{1 << 20, 64 << 20} {
		all = append(all, hostileFile{fmt.Sprintf("%d bytes deflated", n), ctImage, "1.2.3.4", deflatedVRLittle, bomb(n)})
	}
	t.Cleanup(func() { runtime.KeepAlive(all) }) // memory is compared with them in it
	switch {
	case len(all) > 2:
	case os.Getenv("CORDON_REQUIRE_CORPUS") != "":
		t.Fatalf("the corpus is required: nothing under %s", root)
	default:
		t.Skip("LEFT OUT: no corpus: hostile files as data sets")
	}
	return all
}

// bomb is a data set that inflates to an element of so many bytes.
func bomb(n int) []byte {
	var b bytes.Buffer
	f, _ := flate.NewWriter(&b, flate.BestCompression)
	f.Write(binary.LittleEndian.AppendUint32([]byte{0x08, 0, 0x01, 0, 'U', 'T', 0, 0}, uint32(n)))
	for range n >> 16 {
		f.Write(make([]byte, 1<<16))
	}
	f.Close()
	return append(b.Bytes(), make([]byte, b.Len()%2)...)
}

// readMeta takes off preamble and group 0002 as far as they can be read, and notes what they name
// where an association could be asked for with it.
func (f *hostileFile) readMeta() {
	b := f.data
	if len(b) < 132 || string(b[128:132]) != "DICM" {
		return
	}
	for b = b[132:]; len(b) >= 12 && b[0] == 2 && b[1] == 0; {
		header, n := 8, int(binary.LittleEndian.Uint16(b[6:]))
		if vr := string(b[4:6]); vr == "OB" || vr == "UN" {
			header, n = 12, int(binary.LittleEndian.Uint32(b[8:]))
		}
		if n > len(b)-header {
			break
		}
		value := string(dicom.TrimUID(b[header : header+n]))
		switch binary.LittleEndian.Uint16(b[2:]) {
		case 0x0002:
			if strings.HasPrefix(value, endpoint.StandardStorage) && dicom.ValidUID([]byte(value)) {
				f.class = value
			}
		case 0x0003:
			f.instance = value // however it is
		case 0x0010:
			if slices.Contains(hostileSyntaxes, value) {
				f.transfer = value
			}
		}
		b = b[header+n:]
	}
	f.data = b
}

// D25, D24: each hostile file as the data set of a C-STORE-RQ by a device.
func TestHostileDataSetsFromTheDevice(t *testing.T) {
	files := hostileFiles(t)
	h := newHostileWorld(t, ample, func(net.Conn) {})
	h.each(len(files), 4, func(i int) error {
		f := &files[i]
		a, err := h.ask("PACS", nil, endpoint.Context{Abstract: f.class, Transfer: []string{f.transfer}})
		if err != nil {
			return fmt.Errorf("%s as %s: %w", f.name, f.transfer, err)
		}
		defer a.Abort()
		_, err = a.Store(f.class, f.instance, f.transfer, bytes.NewReader(f.data), int64(len(f.data)))
		if err == nil {
			_, err = a.Store(f.class, "1.2.3.4", f.transfer, bytes.NewReader(f.data), int64(len(f.data)))
		}
		return hung(err)
	})
	h.judged("C-STORE-RQ", len(files)*9/10) // a few name what no command set can hold
}

// rogueArchive answers a query for study 1.2.9.N with file N, as a match and as an object.
func rogueArchive(files []hostileFile) *endpoint.Server {
	study := regexp.MustCompile(`1\.2\.9\.(\d+)`)
	asked := func(identifier []byte) *hostileFile {
		i, err := strconv.Atoi(string(study.FindSubmatch(identifier)[1]))
		if err != nil {
			panic(err)
		}
		return &files[i]
	}
	return &endpoint.Server{
		Contexts: []endpoint.Context{{Abstract: studyFind}, {Abstract: studyGet}, {Abstract: endpoint.StandardStorage}},
		Find: func(q *endpoint.Stored, identifier []byte) ([][]byte, uint16) {
			return [][]byte{asked(identifier).data}, endpoint.StatusSuccess
		},
		Retrieve: func(q *endpoint.Stored, identifier []byte) ([]endpoint.Object, uint16) {
			f := asked(identifier)
			return []endpoint.Object{{Class: f.class, Instance: f.instance, Transfer: f.transfer, Data: f.data}}, endpoint.StatusSuccess
		},
	}
}

// studyIdentifier asks for study 1.2.9.N.
func studyIdentifier(transfer string, n int) []byte {
	uid := fmt.Sprintf("1.2.9.%d", n)
	if transfer != implicitVRLittle {
		return []byte(element(0x0008, 0x0052, "CS", "STUDY") + element(0x0020, 0x000D, "UI", uid))
	}
	if len(uid)%2 == 1 {
		uid += "\x00"
	}
	b := append([]byte{8, 0, 0x52, 0, 6, 0, 0, 0}, "STUDY "...)
	b = append(b, 0x20, 0, 0x0D, 0, byte(len(uid)), 0, 0, 0)
	return append(b, uid...)
}

// D26: each hostile file as the identifier of a C-FIND response.
func TestHostileDataSetsAsMatches(t *testing.T) {
	files := hostileFiles(t)
	rogue := rogueArchive(files)
	h := newHostileWorld(t, ample, func(c net.Conn) { rogue.Serve(c) })
	h.each(len(files), 4, func(i int) error {
		transfer := explicitVRLittle
		if files[i].transfer == implicitVRLittle {
			transfer = implicitVRLittle
		}
		a, err := h.ask("ROGUE", nil, endpoint.Context{Abstract: studyFind, Transfer: []string{transfer}})
		if err != nil {
			return fmt.Errorf("%s as %s: %w", files[i].name, transfer, err)
		}
		defer a.Abort()
		_, err = a.Find(studyFind, studyIdentifier(transfer, i))
		return hung(err)
	})
	h.judged("C-FIND-RSP", len(files))
}

// D12, D19: each hostile file as the object of a C-GET.
func TestHostileDataSetsAsRetrievedObjects(t *testing.T) {
	files := hostileFiles(t)
	rogue := rogueArchive(files)
	h := newHostileWorld(t, ample, func(c net.Conn) { rogue.Serve(c) })
	h.each(len(files), 4, func(i int) error {
		f := &files[i]
		a, err := h.ask("ROGUE", []string{f.class}, endpoint.Context{Abstract: studyGet, Transfer: []string{explicitVRLittle}},
			endpoint.Context{Abstract: f.class, Transfer: []string{f.transfer}})
		if err != nil {
			return fmt.Errorf("%s as %s: %w", f.name, f.transfer, err)
		}
		defer a.Abort()
		_, err = a.Query(dicom.CGetRQ, &endpoint.Query{Class: studyGet, Identifier: studyIdentifier(explicitVRLittle, i),
			Store: func(*endpoint.Stored, io.Reader) uint16 { return endpoint.StatusSuccess }})
		return hung(err)
	})
	h.judged("C-STORE-RQ", len(files)*9/10)
}
