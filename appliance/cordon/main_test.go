package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cordon/protocols/dicom/endpoint"
	"cordon/tunnels/identity"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts call this program as "cordon".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cordon": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(execute(ctx, os.Args[1:]))
	}})
}

// TestScripts plays what an operator types. Ports that are free now are in $DICOM, $HL7 and $HTTP.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"DICOM", "HL7", "HTTP", "ARCHIVE"} {
				port, err := freePort()
				if err != nil {
					return err
				}
				e.Setenv(name, fmt.Sprint(port))
			}
			ca, err := identity.NewAuthority("the authority")
			e.Values[authorityKey{}] = ca
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": exitCode,
			"listens":  listens,
			"echoing":  echoing,
			"until":    until,
			"write":    writeFile,
			"issue":    issue,
			"says":     says,
		},
	})
}

func freePort() (int, error) {
	const first, count = 12500, 2500 // below the ports that the kernel gives to connections
	for range count {
		port := first + (os.Getpid()*97+int(ports.Add(1)))%count
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

var ports atomic.Int64 // that freePort has tried

// exitCode runs "cordon ARGS" and checks its exit code: exitcode 2 frobnicate.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("cordon", args[1:]...)
	got := 0
	if err != nil {
		got = -1
		if e, ok := err.(interface{ ExitCode() int }); ok {
			got = e.ExitCode()
		}
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("cordon %v: exit code %d, want %s", args[1:], got, args[0])
	}
}

// patience is how long a script waits for what another program does. Only what never comes takes it
// all, however busy the machine is.
const patience = time.Minute

// await looks until something is so, and tells whether it came in time.
func await(holds func() bool) bool {
	giveUp := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-giveUp:
			return false
		case <-again.C:
		}
	}
	return true
}

// until runs "cordon ARGS" until it prints a text: until TEXT status.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if !await(func() bool {
		return ts.Exec("cordon", args[1:]...) == nil && strings.Contains(ts.ReadFile("stdout"), args[0])
	}) {
		ts.Fatalf("cordon %v does not print %q", args[1:], args[0])
	}
}

// says waits until a file has a text: says FILE TEXT.
func says(ts *testscript.TestScript, neg bool, args []string) {
	if !await(func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(b), args[1])
	}) {
		ts.Fatalf("%s does not say %q", args[0], args[1])
	}
}

// writeFile writes a line into a file, with environment variables in it: write FILE LINE.
func writeFile(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], "\n")+"\n"), 0o644))
}

// authorityKey is where a script's environment has its authority.
type authorityKey struct{}

// issue writes a certificate, its key, and beside them the authority's own as ca.pem:
// issue BASE NAME FROM UNTIL, with the times as seen from now: issue pki/ct-3 ct-3 -48h -24h.
func issue(ts *testscript.TestScript, neg bool, args []string) {
	ca := ts.Value(authorityKey{}).(*identity.Authority)
	at := func(d string) time.Time {
		length, err := time.ParseDuration(d)
		ts.Check(err)
		return time.Now().Add(length)
	}
	pair, err := ca.Issue(identity.Request{Name: args[1], NotBefore: at(args[2]), NotAfter: at(args[3])})
	ts.Check(err)
	base := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(base), 0o755))
	ts.Check(os.WriteFile(base+".pem", pair.Cert, 0o644))
	ts.Check(os.WriteFile(base+".key", pair.Key, 0o600))
	ts.Check(os.WriteFile(filepath.Join(filepath.Dir(base), "ca.pem"), ca.CertPEM(), 0o644))
}

// listens waits until something listens on a port of this host.
func listens(ts *testscript.TestScript, neg bool, args []string) {
	if !await(func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+args[0])
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		ts.Fatalf("nothing listens on port %s", args[0])
	}
}

// echoing asks an application entity whether it is there, again and again until the script ends:
// echoing PORT CALLED CALLING. It proposes to store MR images too.
func echoing(ts *testscript.TestScript, neg bool, args []string) {
	done, over := make(chan struct{}), make(chan struct{})
	ts.Defer(func() { close(done); <-over })
	implicit := []string{"1.2.840.10008.1.2"}
	r := endpoint.Request{Called: args[1], Calling: args[2], Contexts: []endpoint.Context{
		{Abstract: "1.2.840.10008.1.1", Transfer: implicit}, {Abstract: "1.2.840.10008.5.1.4.1.1.4", Transfer: implicit},
	}}
	go func() {
		defer close(over)
		for {
			select {
			case <-done:
				return
			default:
			}
			c, err := net.Dial("tcp", "127.0.0.1:"+args[0])
			if err != nil {
				continue
			}
			if a, err := endpoint.Associate(c, r); err == nil {
				a.Echo()
				a.Release()
			}
			c.Close()
		}
	}()
}
