package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"

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
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": exitCode,
			"listens":  listens,
		},
	})
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

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

// listens waits until something listens on a port of this host.
func listens(ts *testscript.TestScript, neg bool, args []string) {
	var d net.Dialer
	for range 10_000 {
		c, err := d.Dial("tcp", "127.0.0.1:"+args[0])
		if err == nil {
			c.Close()
			return
		}
	}
	ts.Fatalf("nothing listens on port %s", args[0])
}
