package endpoint

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cordon/protocols/dicom"
)

// listenTCP returns a listener on a free port.
func listenTCP(t *testing.T) (l net.Listener, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l, port
}

// arrived wants a folder to hold n files that end with the data sets of an archive.
func arrived(t *testing.T, dir string, n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != n {
		t.Fatalf("%d files, not %d: %v", len(files), n, err)
	}
	for i := range n {
		want := object(implicitLE, fmt.Sprintf("1.2.36.%d", i))
		whole := false
		for _, f := range files {
			got, _ := os.ReadFile(f)
			whole = whole || bytes.HasSuffix(got, want)
		}
		if !whole {
			t.Errorf("object %d did not arrive as it was sent", i)
		}
	}
}

// implicitArchive is an archive that takes no other transfer syntax than that of its objects.
func implicitArchive(n int) *Server {
	s := archive(n)
	for i := range s.Contexts {
		s.Contexts[i].Transfer = []string{implicitLE}
	}
	return s
}

func TestServerWithGetscu(t *testing.T) {
	getscu := peer(t, "getscu")
	dir := t.TempDir()
	run(t, getscu, "-S", "+B", "-od", dir, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.34",
		"127.0.0.1", serveTCP(t, implicitArchive(3)))
	arrived(t, dir, 3)
}

func TestServerWithMovescu(t *testing.T) {
	movescu := peer(t, "movescu")
	port := freePort(t)
	s := implicitArchive(3)
	s.Dial = func(destination string) (io.ReadWriteCloser, error) { return net.Dial("tcp", "127.0.0.1:"+port) }
	dir := t.TempDir()
	run(t, movescu, "-S", "-od", dir, "-aet", "WS1", "-aem", "WS1", "+P", port, "-k", "QueryRetrieveLevel=STUDY",
		"-k", "StudyInstanceUID=1.2.34", "127.0.0.1", serveTCP(t, s))
	arrived(t, dir, 3)
}

// image is a CT image that an archive can index.
func image(instance string) (b []byte) {
	for _, e := range []struct {
		tag   uint32
		value string
	}{
		{0x00080016, ctImage + "\x00"}, {0x00080018, instance}, {0x00080020, "20260102"}, {0x00080030, "101112"},
		{0x00080050, "A1"}, {0x00080060, "CT"}, {0x00100010, "Phantom"}, {0x00100020, "P1"}, {0x0020000D, "1.2.34"},
		{0x0020000E, "1.2.35"}, {0x00200010, "S1"}, {0x00200011, "1"}, {0x00200013, "1"},
	} {
		b = element(b, e.tag, e.value)
	}
	return b
}

// startArchive runs dcmqrscp until the test ends. A destination of C-MOVE is WS1 at that port.
func startArchive(t *testing.T, destination string) (address string) {
	t.Helper()
	dcmqrscp := peer(t, "dcmqrscp")
	dir := t.TempDir()
	config := filepath.Join(dir, "dcmqrscp.cfg")
	if err := os.WriteFile(config, fmt.Appendf(nil, `MaxPDUSize = 16384
MaxAssociations = 8
HostTable BEGIN
ws1 = (WS1, 127.0.0.1, %s)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
PACS %s RW (9, 64mb) ANY
AETable END
`, destination, t.TempDir()), 0o600); err != nil {
		t.Fatal(err)
	}
	return startStorescp(t, dcmqrscp, "-c", config)
}

// associateTCP asks for an association with what listens at an address.
func associateTCP(t *testing.T, address string, r Request) *Association {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return must[*Association](t)(Associate(c, r))
}

// D12, D19: what dcmtk's archive answers to each kind of query.
func TestSCUWithDcmqrscp(t *testing.T) {
	l, port := listenTCP(t)
	address := startArchive(t, port)
	a := associateTCP(t, address, Request{Called: "PACS", Calling: "WS1", Contexts: []Context{
		{studyFind, []string{implicitLE}}, {studyMove, []string{implicitLE}}, {studyGet, []string{implicitLE}},
	}})
	storing := associateTCP(t, address, Request{Called: "PACS", Calling: "WS1", Contexts: []Context{{ctImage, []string{implicitLE}}}})
	for i := range 2 {
		instance := fmt.Sprintf("1.2.36.%d", i)
		data := image(instance)
		if status := must[uint16](t)(storing.Store(ctImage, instance, implicitLE, bytes.NewReader(data), int64(len(data)))); status != StatusSuccess {
			t.Fatalf("C-STORE: status %04XH", status)
		}
	}
	if err := storing.Release(); err != nil {
		t.Error(err)
	}

	matches := must[[]Response](t)(a.Find(studyFind, oneStudy()))
	if len(matches) != 2 || !bytes.Contains(matches[0].Data, []byte("1.2.34")) || matches[1].Status != StatusSuccess {
		t.Errorf("C-FIND: %+v", matches)
	}

	k := &keeper{}
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.SetDeadline(time.Now().Add(30 * time.Second))
			err = (&Server{AE: "WS1", Store: k.store}).Serve(c)
		}
		done <- err
	}()
	moved := must[Response](t)(a.Query(dicom.CMoveRQ, &Query{Class: studyMove, Destination: "WS1", Identifier: oneStudy()}))
	if err := <-done; err != nil || moved.Status != StatusSuccess || moved.Counts.Completed != 2 || len(k.data) != 2 {
		t.Errorf("C-MOVE: %+v, %d objects, %v", moved, len(k.data), err)
	}
	unknown := must[Response](t)(a.Query(dicom.CMoveRQ, &Query{Class: studyMove, Destination: "NOBODY", Identifier: oneStudy()}))
	if unknown.Status != StatusNoDestination {
		t.Errorf("C-MOVE to nobody: status %04XH", unknown.Status)
	}
	if err := a.Release(); err != nil {
		t.Error(err)
	}

	got := &keeper{}
	a = associateTCP(t, address, getting(ctImage))
	final := must[Response](t)(a.Query(dicom.CGetRQ, &Query{Class: studyGet, Identifier: oneStudy(), Store: got.store}))
	if final.Status != StatusSuccess || final.Counts.Completed != 2 || len(got.data) != 2 || !bytes.Equal(got.data[0], image(got.facts[0].SOPInstance)) {
		t.Errorf("C-GET: %+v, %d objects", final, len(got.data))
	}
	if err := a.Release(); err != nil {
		t.Error(err)
	}
}
