package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"cordon/gateway"
	"cordon/gateway/audit"
	"cordon/policy"
	dicomend "cordon/protocols/dicom/endpoint"
	hl7end "cordon/protocols/hl7/endpoint"
)

// The benchmarks run a gateway in enforce over loopback, plaintext on both sides: what is measured
// is the pump, the parsers, the rules, the audit and the sockets. Encryption has benchmarks of its
// own in tunnels/mtls, and "cordon bench" measures the whole beside other gateways.

const (
	benchCT       = "1.2.840.10008.5.1.4.1.1.2"
	benchExplicit = "1.2.840.10008.1.2.1"
)

// benchGateway starts a gateway in front of an address and returns where it hears.
func benchGateway(b *testing.B, protocol, allow, upstream string) string {
	b.Helper()
	dir := b.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // free for the gateway
	for name, text := range map[string]string{
		"cordon.yaml": fmt.Sprintf("box: {name: bench}\nlisteners:\n  load: {address: %q, protocol: %s}\n", address, protocol),
		"site.yaml":   fmt.Sprintf("upstreams:\n  far: {ae: SINK, address: %q, tunnel: plain}\n", upstream),
		"device.yaml": fmt.Sprintf("device: load\nmode: enforce\nidentify: {ip: 127.0.0.1}\nae: {titles: [LOAD]}\nflows:\n  f: {to: far, protocol: %s, allow: %s}\n", protocol, allow),
	} {
		if name == "device.yaml" {
			os.Mkdir(filepath.Join(dir, "devices"), 0o755)
			name = "devices/" + name
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	p, diags := policy.Load(filepath.Join(dir, "cordon.yaml"))
	if p == nil {
		b.Fatal(diags.String())
	}
	records, err := audit.New(audit.File(filepath.Join(dir, "audit.jsonl")), audit.Options{})
	if err != nil {
		b.Fatal(err)
	}
	gw, err := gateway.New(gateway.Options{Policy: p, Audit: records, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); gw.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done; records.Close(context.Background()) })
	return address
}

// benchServer serves connections until the benchmark ends.
func benchServer(b *testing.B, serve func(net.Conn)) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

func benchDial(b *testing.B, address string) net.Conn {
	b.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

// BenchmarkPumpDICOM stores an object of 8 MB in each round.
func BenchmarkPumpDICOM(b *testing.B) {
	for _, pdu := range []uint32{16 << 10, 128 << 10} {
		b.Run(fmt.Sprintf("pdu=%dk", pdu>>10), func(b *testing.B) {
			s := &dicomend.Server{MaxLength: dicomend.Unlimited, Store: func(_ *dicomend.Stored, data io.Reader) uint16 {
				io.Copy(io.Discard, data)
				return dicomend.StatusSuccess
			}}
			server := benchServer(b, func(c net.Conn) { s.Serve(c) })
			conn := benchDial(b, benchGateway(b, "dicom", "[store: [CT Image Storage]]", server))
			a, err := dicomend.Associate(conn, dicomend.Request{Called: "SINK", Calling: "LOAD", SendLength: pdu, MaxLength: pdu,
				Contexts: []dicomend.Context{{Abstract: benchCT, Transfer: []string{benchExplicit}}}})
			if err != nil {
				b.Fatal(err)
			}
			object := benchObject(8 << 20)
			b.SetBytes(int64(len(object)))
			b.ReportAllocs()
			for b.Loop() {
				status, err := a.Store(benchCT, "2.25.1", benchExplicit, bytes.NewReader(object), int64(len(object)))
				if err != nil || status != dicomend.StatusSuccess {
					b.Fatalf("C-STORE: %04XH, %v", status, err)
				}
			}
		})
	}
}

// benchObject is a data set in Explicit VR Little Endian with so many bytes of pixel data.
func benchObject(pixels int) []byte {
	b := []byte("\x08\x00\x16\x00UI\x1a\x00" + benchCT + "\x00\x08\x00\x18\x00UI\x06\x002.25.1\x20\x00\x0d\x00UI\x06\x002.25.2")
	b = append(b, 0xE0, 0x7F, 0x10, 0x00, 'O', 'W', 0, 0, byte(pixels), byte(pixels>>8), byte(pixels>>16), byte(pixels>>24))
	return append(b, make([]byte, pixels)...)
}

// BenchmarkPumpHL7 sends one message and takes its acknowledgment in each round.
func BenchmarkPumpHL7(b *testing.B) {
	for _, size := range []int{300, 5000, 1_000_000} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			r := &hl7end.Receiver{}
			server := benchServer(b, func(c net.Conn) { hl7end.Serve(c, r.Handle) })
			client := hl7end.NewClient(benchDial(b, benchGateway(b, "hl7", "[message: ORU^R01]", server)))
			message := []byte("MSH|^~\\&|LAB|BENCH|HIS|BENCH|20260101120000||ORU^R01^ORU_R01|1|P|2.5.1\rOBX|1|TX|1||")
			message = append(append(message, bytes.Repeat([]byte("x"), size-len(message))...), '\r')
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Send(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConnect connects, sends one message, takes its acknowledgment and ends in each round.
func BenchmarkConnect(b *testing.B) {
	r := &hl7end.Receiver{}
	server := benchServer(b, func(c net.Conn) { defer c.Close(); hl7end.Serve(c, r.Handle) })
	address := benchGateway(b, "hl7", "[message: ORU^R01]", server)
	message := []byte("MSH|^~\\&|LAB|BENCH|HIS|BENCH|20260101120000||ORU^R01^ORU_R01|1|P|2.5.1\rOBX|1|TX|1||x\r")
	b.ReportAllocs()
	for b.Loop() {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_, err = hl7end.NewClient(c).Send(message)
		}
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
