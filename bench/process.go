package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a gateway that runs.
type process struct {
	cmd    *exec.Cmd
	output tail
	took   time.Duration // from its start until it accepted connections
	exited chan struct{}
	pids   []int // its own and its children's
}

// tail keeps the last bytes that a program printed, for when it fails.
type tail struct {
	mu     sync.Mutex
	b      []byte
	wanted string        // that somebody waits for, and
	said   chan struct{} // is closed when it was printed
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-most):]
	if t.said != nil && bytes.Contains(b, []byte(t.wanted)) {
		close(t.said)
		t.said = nil
	}
	return len(b), nil
}

// await returns what is closed when a text is printed from now on. A program writes a line of its
// log at once.
func (t *tail) await(text string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted, t.said = text, make(chan struct{})
	return t.said
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}

// startTime is how long a gateway may take until it accepts connections.
const startTime = 15 * time.Second

// start runs a gateway in its form and returns when it accepts connections.
func start(ctx context.Context, h Hop, f Form, env []string) (*process, error) {
	for name, text := range f.Files {
		path := filepath.Join(h.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	p := &process{cmd: exec.Command(h.Program, f.Args...), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = h.Dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	// Should this process die, what it started dies too.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.cmd.Wait(); close(p.exited) }()
	if err := p.accepts(ctx, h.Listen); err != nil {
		p.stop()
		return nil, err
	}
	p.took = time.Since(began)
	p.pids = family(p.cmd.Process.Pid)
	return p, nil
}

// accepts waits until somebody listens on the address. It looks without connecting, since a
// connection would be passed on.
func (p *process) accepts(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if listening(address) {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it ended at once: %s", p.output.String())
		case <-ctx.Done():
			return fmt.Errorf("it does not listen on %s: %w; %s", address, ctx.Err(), p.output.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// listening tells whether a socket of this host listens on the port of an address.
func listening(address string) bool {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false
	}
	for name, zeros := range map[string]int{"/proc/net/tcp": 8, "/proc/net/tcp6": 32} {
		if listens(name, fmt.Sprintf(":%04X %s:0000 0A ", a.Port, strings.Repeat("0", zeros))) {
			return true
		}
	}
	return false
}

// listens looks for a socket in a table of the kernel's. Those that listen stand first in it; after
// them may come many thousands that closed a moment ago, which are not read.
func listens(table, want string) bool {
	f, err := os.Open(table)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan(); lines.Scan() && strings.Contains(lines.Text(), ":0000 0A "); { // after its head
		if strings.Contains(lines.Text(), want) {
			return true
		}
	}
	return false
}

// Ports that gateways are given: below those that the kernel gives to connections, so that none of
// these takes one away between the look and the gateway's own listen.
const (
	firstPort = 15000
	ports     = 16000
)

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// freeAddress is a loopback address that nobody hears on just now.
func freeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%ports)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
}

// stop ends the gateway.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(3 * time.Second):
	}
	// The group is the gateway's own: its children end with it.
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
	return err
}
