package interop

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before a test gives up on it.
const patience = 2 * time.Minute

// child is a program that runs until its test ends.
type child struct {
	name string
	cmd  *exec.Cmd
	said transcript
	done chan struct{} // closed when it has ended
	err  error         // how; after done
}

// start runs a program. When the test ends it gets SIGTERM; a failed test shows what it said.
func start(t *testing.T, name string, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &c.said
	}
	cmd.Stderr = &c.said
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	t.Cleanup(func() {
		c.stop(t)
		if t.Failed() {
			t.Logf("%s said:\n%s", name, c.said.tail(16<<10))
		}
	})
	return c
}

// stop ends the program and returns how it ended.
func (c *child) stop(t *testing.T) error {
	t.Helper()
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Errorf("%s is still running %v after SIGTERM", c.name, patience)
		c.cmd.Process.Kill()
		<-c.done
	}
	return c.err
}

// ready waits until the program accepts connections at each of these ports.
func (c *child) ready(t *testing.T, ports ...string) {
	t.Helper()
	giveUp := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for _, port := range ports {
		for {
			conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, patience)
			if err == nil {
				conn.Close()
				break
			}
			select {
			case <-again.C:
			case <-c.done:
				t.Fatalf("%s ended instead of listening: %v\n%s", c.name, c.err, c.said.tail(16<<10))
			case <-giveUp:
				t.Fatalf("%s does not listen: %v\n%s", c.name, err, c.said.tail(16<<10))
			}
		}
	}
}

// transcript keeps what a program writes.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func (s *transcript) tail(n int) string {
	text := s.String()
	return text[max(0, len(text)-n):]
}

// lines hands out the lines that a program writes to its standard output, as they come.
type lines struct {
	name string
	next chan string
}

// readLines starts a program whose standard output is read line by line.
func readLines(t *testing.T, name string, cmd *exec.Cmd) (*child, lines) {
	t.Helper()
	r, w := io.Pipe()
	cmd.Stdout = w
	l := lines{name, make(chan string, 1024)}
	go func() {
		defer close(l.next)
		in := bufio.NewReaderSize(r, 1<<20)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			l.next <- line[:len(line)-1]
		}
	}()
	c := start(t, name, cmd)
	go func() {
		<-c.done
		w.Close()
	}()
	return c, l
}

// read waits for the next line.
func (l lines) read(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-l.next:
		if !ok {
			t.Fatalf("%s has ended", l.name)
		}
		return line
	case <-time.After(patience):
		t.Fatalf("%s says nothing", l.name)
	}
	panic("not reached")
}

// asked is a program that answers each line of its standard input with one line.
type asked struct {
	lines
	*child
	in io.Writer
}

func ask(t *testing.T, name string, cmd *exec.Cmd) asked {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c, l := readLines(t, name, cmd)
	return asked{l, c, in}
}

func (a asked) ask(t *testing.T, line string) string {
	t.Helper()
	if _, err := io.WriteString(a.in, line+"\n"); err != nil {
		t.Fatalf("%s: %v", a.lines.name, err)
	}
	return a.read(t)
}
