package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cordon/gateway"
	"cordon/gateway/audit"
	"cordon/policy"
)

// startGateway is Options.Start with a real gateway, without control socket and HTTP.
func startGateway(t *testing.T) func(context.Context, string, func(audit.Record)) (func(), error) {
	return func(ctx context.Context, dir string, observe func(audit.Record)) (func(), error) {
		p, problems := policy.Load(dir)
		if p == nil {
			return nil, fmt.Errorf("%v", problems)
		}
		records, err := audit.New(func() (io.WriteCloser, error) { return os.Create(filepath.Join(dir, "audit.jsonl")) }, audit.Options{Observe: observe})
		if err != nil {
			return nil, err
		}
		gw, err := gateway.New(gateway.Options{Policy: p, Audit: records, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); _ = gw.Run(ctx) }()
		return func() {
			cancel()
			<-done
			if err := records.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}, nil
	}
}

// freePort returns a port of the loopback address where nobody listens, below those that the kernel
// gives to connections: one of these might be taken meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	const first, count = 10000, 2000
	for range count {
		port := first + (os.Getpid()*97+int(ports.Add(1)))%count
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	panic("not reached")
}

var ports atomic.Int64 // that freePort has tried

func TestEveryExpectationHoldsThroughTheGateway(t *testing.T) {
	if err := checkAddresses(); err != nil {
		t.Skip("LEFT OUT: " + err.Error())
	}
	var out strings.Builder
	err := Run(t.Context(), Options{DICOMPort: freePort(t), HL7Port: freePort(t), HTTPPort: freePort(t), Dir: t.TempDir(),
		Once: true, Out: &out, Start: startGateway(t)})
	t.Log("\n" + out.String())
	if err != nil {
		t.Error(err)
	}
}

func TestJSONIsARecordALine(t *testing.T) {
	if err := checkAddresses(); err != nil {
		t.Skip("LEFT OUT: " + err.Error())
	}
	var out strings.Builder
	err := Run(t.Context(), Options{DICOMPort: freePort(t), HL7Port: freePort(t), HTTPPort: freePort(t),
		Once: true, JSON: true, Out: &out, Start: startGateway(t)})
	if err != nil {
		t.Error(err)
	}
	verdicts := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var r struct{ Device, Verdict, Reason string }
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Device == "" || r.Verdict == "" {
			t.Errorf("no record: %s", line)
		}
		verdicts[r.Verdict]++
	}
	if verdicts["allow"] < images || verdicts["refuse"] < 10 {
		t.Errorf("records %v", verdicts)
	}
}

// The demo stays up after the play, what it says to type works, and it ends without complaint
// when it is told to.
func TestStaysUpAndCanBePlayedWith(t *testing.T) {
	if err := checkAddresses(); err != nil {
		t.Skip("LEFT OUT: " + err.Error())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string, 1024)
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{DICOMPort: freePort(t), HL7Port: freePort(t), HTTPPort: freePort(t), Dir: t.TempDir(),
			Out: writerFunc(func(b []byte) { seen <- string(b) }), Start: startGateway(t)})
	}()
	var said string
	for said = range seen {
		if strings.Contains(said, "Ctrl-C ends the demo.") {
			break
		}
	}
	typed := 0
	for line := range strings.Lines(said) {
		for _, verdict := range []string{"passes", "refused"} {
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), verdict+" "); ok {
				typed++
				t.Run(fmt.Sprint(verdict, " ", typed), func(t *testing.T) { typeIn(t, strings.TrimSpace(command), verdict == "passes") })
			}
		}
	}
	if typed != 5 {
		t.Errorf("%d lines to type, not 5", typed)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// typeIn runs a line that the demo says to type.
func typeIn(t *testing.T, line string, passes bool) {
	program, _, _ := strings.Cut(line, " ")
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CORDON_REQUIRE_PEERS") != "" {
			t.Fatal(err)
		}
		t.Skipf("LEFT OUT: %s is not installed; what the demo says to type was not tried", program)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", line).CombinedOutput()
	if program == "bash" { // it ends well in any case; the acknowledgment tells
		if want := map[bool]string{true: "\nMSA|AA|", false: "\nMSA|AR|"}[passes]; err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s\n%v\n%q", line, err, out)
		}
		return
	}
	if (err == nil) != passes {
		t.Errorf("%s\n%v\n%s", line, err, out)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }
