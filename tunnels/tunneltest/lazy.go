package tunneltest

import (
	"fmt"
	"io"
	"testing"
)

// Lazily is c with a Read that goes by ReadLazy and checks that memory is kept for bytes alone.
func Lazily(c Conn) Conn { return lazily{c} }

type lazily struct{ Conn }

func (c lazily) Read(b []byte) (int, error) {
	m := lent{buf: b}
	n, err := c.ReadLazy(&m)
	if m.out != (n > 0) {
		return n, fmt.Errorf("%d bytes read, %v; memory is out: %v", n, err, m.out)
	}
	return n, err
}

// lent is a memory that knows whether it is out.
type lent struct {
	buf []byte
	out bool
}

func (l *lent) Get() []byte { l.out = true; return l.buf }
func (l *lent) Put()        { l.out = false }

// AllocsPerExchange counts what is allocated when a sends n bytes and b answers with one when it
// has them all. Both read lazily, and both wait for what they read.
func AllocsPerExchange(t *testing.T, a, b Conn, n int) float64 {
	t.Helper()
	answered := make(chan error, 1)
	go func() {
		defer b.Close() // so that nobody waits for an answer
		answered <- answer(b, n)
	}()
	sent, m := make([]byte, n), &lent{buf: make([]byte, 1)}
	allocs := testing.AllocsPerRun(500, func() {
		if _, err := a.Write(sent); err != nil {
			t.Fatal(err)
		}
		if _, err := a.ReadLazy(m); err != nil {
			t.Fatal(err)
		}
	})
	a.CloseWrite()
	if err := <-answered; err != io.EOF {
		t.Fatalf("answering ends with %v", err)
	}
	return allocs
}

// answer reads n bytes at a time and writes one.
func answer(c Conn, n int) error {
	m := &lent{buf: make([]byte, n)}
	for {
		for got := 0; got < n; {
			k, err := c.ReadLazy(m)
			if err != nil {
				return err
			}
			got += k
		}
		if _, err := c.Write(m.buf[:1]); err != nil {
			return err
		}
	}
}
