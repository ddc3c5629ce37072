// Package interop tests the cordon binary against the programs that hospitals run: dcmtk,
// Orthanc, pynetdicom, dicom-rs, python-hl7 and HAPI HL7v2, each as a device in front of Cordon and
// as a server behind it.
//
//	 device          cordon              cordon, far end      server
//	storescu ──plain──▶ near ──mTLS──────────────────────────▶ storescp +tls
//	storescu ──plain──▶ near ──mTLS──▶ far ──plain, loopback─▶ storescp
//
// Each test first lets the peers talk directly. What they manage without Cordon they must manage
// through it, with the same bytes. `make peers` installs them; a test whose peer is missing is
// left out, unless CORDON_REQUIRE_PEERS is set. The corpus is found through CORDON_TESTDATA.
package interop

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// root is the top of the repository.
const root = "../.."

func TestMain(m *testing.M) {
	// Peers wait for each other more than they compute: more tests at once than there are processors.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	code := m.Run()
	removeBinary()
	os.Exit(code)
}

// leaveOut skips a test that lacks something, or fails it where nothing may be left out.
func leaveOut(t *testing.T, require, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv(require) != "" {
		t.Fatalf("%s is set, but %s", require, why)
	}
	t.Skip("LEFT OUT: " + why)
}

// program finds a peer's program.
func program(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		leaveOut(t, "CORDON_REQUIRE_PEERS", "%s is not installed (make peers)", name)
	}
	return p
}

// peersDir finds a part of what `make peers` leaves in build/peers.
func peersDir(t *testing.T, part string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, "build/peers", part))
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "installed"))
	}
	if err != nil {
		leaveOut(t, "CORDON_REQUIRE_PEERS", "the %s peers are not installed (make peers)", part)
	}
	return dir
}

// python makes the command of one of the Python peers.
func python(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	interpreter := filepath.Join(peersDir(t, "python"), "bin/python")
	return exec.Command(interpreter, append([]string{filepath.Join(root, "appliance/peers", script)}, args...)...)
}

// java makes the command of one of the peers on HAPI.
func java(t *testing.T, class string, args ...string) *exec.Cmd {
	t.Helper()
	dir := peersDir(t, "hapi")
	path := filepath.Join(dir, "classes") + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*")
	cmd := exec.Command(program(t, "java"), append([]string{"-cp", path, class}, args...)...)
	cmd.Dir = t.TempDir() // HAPI leaves a file with its last control ID where it runs
	return cmd
}

// corpus returns the folder of test data of one kind.
func corpus(t *testing.T, kind string) string {
	t.Helper()
	top := os.Getenv("CORDON_TESTDATA")
	if top == "" {
		top = filepath.Join(root, "../shared/testdata")
	}
	dir, err := filepath.Abs(filepath.Join(top, kind))
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		leaveOut(t, "CORDON_REQUIRE_CORPUS", "there is no test data at %s (set CORDON_TESTDATA)", filepath.Join(top, kind))
	}
	return dir
}

// freePort returns a port of the loopback address where nobody listens, for a program to listen
// at a little later. Ports that systems hand out by themselves lie above 32767: one of those might
// be taken meanwhile, by any connection. Each test process begins at a place of its own.
func freePort(t *testing.T) string {
	t.Helper()
	const first, count = 20000, 12000
	for range count {
		port := first + (os.Getpid()*97+int(ports.Add(1)))%count
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no port is free")
	panic("not reached")
}

var ports atomic.Int64 // that freePort has tried

func number(port string) int {
	n, _ := strconv.Atoi(port)
	return n
}

var built struct {
	once sync.Once
	dir  string // to remove
	path string
	err  error
}

// cordon returns the binary under test: CORDON_BIN, or one built from this tree. Under the race
// detector the binary has it too, so that real peers exercise it.
func cordon(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.path = os.Getenv("CORDON_BIN"); built.path != "" {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "cordon-interop-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "cordon")
		args := []string{"build", "-buildvcs=false", "-o", built.path}
		if raceEnabled {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, "./appliance/cordon")...)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("building cordon: %v", built.err)
	}
	return built.path
}

func removeBinary() {
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
}

// difference says where two byte strings begin to differ.
func difference(got, want []byte) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	around := func(b []byte) string {
		b = b[max(0, n-8):min(len(b), n+8)]
		return strings.TrimSpace(fmt.Sprintf("% x", b))
	}
	return fmt.Sprintf("%d bytes, want %d; they differ from byte %d: [%s], want [%s]",
		len(got), len(want), n, around(got[:min(len(got), n+8)]), around(want))
}
