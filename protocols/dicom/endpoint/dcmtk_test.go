package endpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"cordon/protocols/dicom"
)

// peer returns the path of a dcmtk program.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CORDON_REQUIRE_PEERS") != "" {
		t.Fatalf("%s of dcmtk is not installed and CORDON_REQUIRE_PEERS is set", name)
	}
	t.Skipf("LEFT OUT: %s of dcmtk is not installed; our DICOM endpoints were not tested against it", name)
	return ""
}

// object is a small data set in either little endian encoding, and padded to be sent in pieces.
func object(transfer, instance string) []byte {
	var b []byte
	for _, e := range []struct {
		tag   uint32
		vr    string
		value []byte
	}{
		{0x00080016, "UI", []byte(ctImage + "\x00")},
		{0x00080018, "UI", []byte(instance)},
		{0x0020000D, "UI", []byte("1.2.34")},
		{0x7FE00010, "OW", bytes.Repeat([]byte{0x12, 0x34}, 50_000)},
	} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e.tag>>16))
		b = binary.LittleEndian.AppendUint16(b, uint16(e.tag))
		switch {
		case transfer == implicitLE:
			b = binary.LittleEndian.AppendUint32(b, uint32(len(e.value)))
		case e.vr == "OW":
			b = binary.LittleEndian.AppendUint32(append(b, "OW\x00\x00"...), uint32(len(e.value)))
		default:
			b = binary.LittleEndian.AppendUint16(append(b, e.vr...), uint16(len(e.value)))
		}
		b = append(b, e.value...)
	}
	return b
}

// serveTCP runs a server on a free port until the test ends.
func serveTCP(t *testing.T, s *Server) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(30 * time.Second))
			go s.Serve(c)
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

var ports atomic.Int64 // that freePort has tried

// freePort returns a port of the loopback address where nobody listens, for a program to listen at
// a little later. Systems hand out ports above 32767 by themselves: one of those might be taken
// meanwhile, by any connection.
func freePort(t *testing.T) string {
	t.Helper()
	const first, count = 12000, 8000
	for range count {
		port := strconv.Itoa(first + (os.Getpid()*97+int(ports.Add(1)))%count)
		if l, err := net.Listen("tcp", net.JoinHostPort("", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	panic("not reached")
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

func TestServerWithEchoscu(t *testing.T) {
	echoscu := peer(t, "echoscu")
	run(t, echoscu, "-aec", "PACS", "--repeat", "3", "127.0.0.1", serveTCP(t, &Server{AE: "PACS"}))
}

func TestServerWithStorescu(t *testing.T) {
	storescu := peer(t, "storescu")
	for name, c := range map[string]struct{ transfer, propose, pdu string }{
		"implicit":   {implicitLE, "-xi", "16384"},
		"explicit":   {explicitLE, "-xe", "16384"},
		"small PDUs": {explicitLE, "-xe", "4096"},
		"large PDUs": {explicitLE, "-xe", "131072"},
	} {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			data := object(c.transfer, "1.2.36")
			if err := WriteFileMeta(&file, FileMeta{ctImage, "1.2.36", c.transfer}); err != nil {
				t.Fatal(err)
			}
			file.Write(data)
			path := filepath.Join(t.TempDir(), "ct.dcm")
			if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			k := &keeper{}
			port := serveTCP(t, &Server{Store: k.store, MaxLength: 65536})
			run(t, storescu, c.propose, "--max-pdu", c.pdu, "--max-send-pdu", c.pdu, "127.0.0.1", port, path)
			if len(k.data) != 1 || !bytes.Equal(k.data[0], data) {
				t.Errorf("storescu's object arrived changed")
			}
		})
	}
}

func TestServerWithFindscu(t *testing.T) {
	findscu := peer(t, "findscu")
	asked := make(chan []byte, 1)
	port := serveTCP(t, &Server{
		Contexts: []Context{{Abstract: studyFind}},
		Find: func(q *Stored, identifier []byte) ([][]byte, uint16) {
			asked <- bytes.Clone(identifier)
			return [][]byte{identifier}, StatusSuccess
		},
	})
	run(t, findscu, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.34", "127.0.0.1", port)
	if !bytes.Contains(<-asked, []byte("1.2.34")) {
		t.Error("the identifier did not arrive")
	}
}

func TestSCUWithStorescp(t *testing.T) {
	storescp := peer(t, "storescp")
	for _, pdu := range []string{"4096", "16384", "131072"} {
		t.Run("PDUs of "+pdu, func(t *testing.T) {
			dir := t.TempDir()
			address := startStorescp(t, storescp, "+B", "-od", dir, "-pdu", pdu)
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(30 * time.Second))
			a := must[*Association](t)(Associate(c, Request{Called: "STORESCP", Calling: "CT3", SendLength: Unlimited,
				Contexts: []Context{
					{verification, []string{implicitLE}}, {ctImage, []string{explicitLE}}, {ctImage, []string{implicitLE}},
					{studyFind, []string{implicitLE}},
				}}))
			if a.Contexts[3].Result != dicom.AbstractSyntaxNotSupported {
				t.Errorf("Study Root FIND is answered with %v", a.Contexts[3].Result)
			}
			if status := must[uint16](t)(a.Echo()); status != StatusSuccess {
				t.Errorf("C-ECHO: status %04XH", status)
			}
			for instance, transfer := range map[string]string{"1.2.36": explicitLE, "1.2.37": implicitLE} {
				data := object(transfer, instance)
				if status := must[uint16](t)(a.Store(ctImage, instance, transfer, bytes.NewReader(data), int64(len(data)))); status != StatusSuccess {
					t.Errorf("C-STORE: status %04XH", status)
				}
				got, err := os.ReadFile(filepath.Join(dir, "CT."+instance))
				if err != nil || !bytes.HasSuffix(got, data) {
					t.Errorf("storescp stored another data set, or none: %v", err)
				}
			}
			if err := a.Release(); err != nil {
				t.Error(err)
			}
		})
	}
}

// startStorescp runs storescp until the test ends and returns its address when it accepts.
func startStorescp(t *testing.T, storescp string, args ...string) string {
	t.Helper()
	port := freePort(t)
	address := net.JoinHostPort("127.0.0.1", port)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, storescp, append(args, port)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() { cancel(); <-exited })
	for try := 0; ; try++ {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
			return address
		}
		select {
		case <-exited:
			t.Fatal("storescp ended at once")
		case <-time.After(20 * time.Millisecond): // between two attempts to connect
		}
		if try == 500 {
			t.Fatalf("storescp does not accept connections: %v", err)
		}
	}
}
