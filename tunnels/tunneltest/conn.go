// Package tunneltest checks that the connections of a tunnel are what package tunnels promises.
package tunneltest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"cordon/tunnels"
)

// Conn is what is tested.
type Conn interface {
	tunnels.Conn
	tunnels.Lazy
	// Await and TryRead are what lazy reading is made of.
	Await() error
	TryRead(b []byte) (int, error)
}

// Pair makes two connected ends, after their handshake, and closes them when the test ends.
type Pair func(t *testing.T) (a, b Conn)

// TestConn runs all checks, each in both directions.
func TestConn(t *testing.T, pair Pair) {
	for _, c := range []struct {
		name  string
		check func(t *testing.T, a, b Conn)
	}{
		{"bytes arrive as they were sent, both ways at once", testBytes},
		{"half close leaves the other way open", testHalfClose}, // G2
		{"nothing is written after half close", testWriteAfterHalfClose},
		{"reset reaches the peer", testReset},                             // G3
		{"reset and close end who waits", testEndOfWaiting},               // G3
		{"read deadline ends waiting and reading goes on", testReadLimit}, // D8
		{"write deadline ends a write in its middle", testWriteLimit},
		{"reading without waiting", testTryRead},
		{"reading without memory", testReadLazy},
		{"small reads leave the rest to be read", testSmallReads},
		{"closing does not wait for a peer that reads nothing", testCloseUnread},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Run("one way", func(t *testing.T) { a, b := pair(t); c.check(t, a, b) })
			t.Run("the other", func(t *testing.T) { a, b := pair(t); c.check(t, b, a) })
		})
	}
}

// noise is n bytes that do not repeat.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// both runs f for each end at once.
func both(a, b Conn, f func(Conn) error) error {
	errs := make(chan error, 2)
	for _, c := range []Conn{a, b} {
		go func() { errs <- f(c) }()
	}
	return errors.Join(<-errs, <-errs)
}

func testBytes(t *testing.T, a, b Conn) {
	want := noise(3 << 20)
	sent := make(chan error, 1)
	go func() {
		sent <- both(a, b, func(c Conn) error {
			sizes := rand.New(rand.NewPCG(1, 2))
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 1+sizes.IntN(300_000))
				if k, err := c.Write(rest[:n]); err != nil || k != n {
					return errors.Join(err, io.ErrShortWrite)
				}
				rest = rest[n:]
			}
			return nil
		})
	}()
	err := both(a, b, func(c Conn) error {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return errors.New("other bytes arrived")
		}
		return nil
	})
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
}

func testHalfClose(t *testing.T, a, b Conn) {
	want := noise(100_000)
	if _, err := a.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); err != nil || string(got) != "request" {
		t.Fatalf("got %q, %v", got, err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := b.Write(want)
		sent <- errors.Join(err, b.CloseWrite())
	}()
	got, err := io.ReadAll(a)
	if err := errors.Join(err, <-sent); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of the answer, %v", len(got), err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("a second read at the end: %d, %v", n, err)
	}
}

func testWriteAfterHalfClose(t *testing.T, a, b Conn) {
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Write([]byte("late")); n != 0 || err == nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if got, err := io.ReadAll(b); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
}

func testReset(t *testing.T, a, b Conn) {
	if err := a.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := b.Await(); err != nil { // it must not take the news from the read that follows
		t.Errorf("waiting ends with %v", err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("reading gives %d, %v", n, err)
	}
	if _, err := a.Write([]byte("late")); err == nil {
		t.Error("wrote after a reset")
	}
}

func testEndOfWaiting(t *testing.T, a, b Conn) {
	idle(t, a)
	idle(t, b)
	waits := make(chan error, 2)
	go func() { waits <- awaitAll(a) }()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waits; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Await ends with %v", err)
	}
	if _, err := io.ReadAll(b); err != nil {
		t.Errorf("a plain close reads as %v", err)
	}
	go func() {
		_, err := b.Write(make([]byte, 64<<20))
		waits <- err
	}()
	b.Reset()
	if err := <-waits; err == nil {
		t.Error("Write ends well after a reset")
	}
}

// idle reads until nothing is there, so that Await waits.
func idle(t *testing.T, c Conn) {
	t.Helper()
	if n, err := c.TryRead(make([]byte, 1024)); n != 0 || err != tunnels.ErrNothing {
		t.Fatalf("TryRead of an idle connection gives %d, %v", n, err)
	}
}

// awaitAll waits until something other than nothing is there, since Await may return early.
func awaitAll(c Conn) error {
	for {
		if err := c.Await(); err != nil {
			return err
		}
		if _, err := c.TryRead(make([]byte, 1)); err != tunnels.ErrNothing {
			return err
		}
	}
}

func testReadLimit(t *testing.T, a, b Conn) {
	idle(t, a)
	for name, wait := range map[string]func() error{
		"Await": func() error { return awaitAll(a) },
		"Read":  func() error { _, err := a.Read(make([]byte, 1)); return err },
	} {
		a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		var late net.Error
		if err := wait(); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &late) || !late.Timeout() {
			t.Errorf("%s ends with %v", name, err)
		}
	}
	if _, err := a.TryRead(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("TryRead after its deadline gives %v", err)
	}
	a.SetReadDeadline(time.Time{})
	if _, err := b.Write([]byte("on")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2)
	if _, err := io.ReadFull(a, got); err != nil || string(got) != "on" {
		t.Errorf("got %q, %v", got, err)
	}
}

func testWriteLimit(t *testing.T, a, b Conn) {
	sent := noise(64 << 20) // more than any socket takes
	a.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := a.Write(sent)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n >= len(sent) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	a.Reset()
	got := make([]byte, 0, len(sent))
	for {
		k, err := b.Read(got[len(got):cap(got)])
		got = got[:len(got)+k]
		if err != nil {
			break
		}
	}
	if !bytes.HasPrefix(sent, got) {
		t.Error("other bytes arrived")
	}
}

func testTryRead(t *testing.T, a, b Conn) {
	idle(t, a)
	woken := make(chan error, 1)
	go func() { woken <- a.Await() }()
	if _, err := b.Write([]byte("now")); err != nil {
		t.Fatal(err)
	}
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
	if got := tryAll(t, a, 3); string(got) != "now" {
		t.Errorf("got %q", got)
	}
	idle(t, a)
	if err := b.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := tryAll(t, a, 1); len(got) != 0 {
		t.Errorf("got %q at the end", got)
	}
	if err := a.Await(); err != nil {
		t.Errorf("Await at the end gives %v", err)
	}
}

// lent is a memory that knows whether it is out.
type lent struct {
	buf [64]byte
	out atomic.Bool
}

func (l *lent) Get() []byte { l.out.Store(true); return l.buf[:] }
func (l *lent) Put()        { l.out.Store(false) }

func testReadLazy(t *testing.T, a, b Conn) {
	var m lent
	for _, want := range []string{"first", "second", "third"} {
		if _, err := b.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if n, err := a.ReadLazy(&m); err != nil || string(m.buf[:n]) != want {
			t.Fatalf("got %q, %v", m.buf[:n], err)
		}
		m.Put()
		read := make(chan error, 1)
		go func() {
			_, err := a.ReadLazy(&m)
			read <- err
		}()
		a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) || m.out.Load() {
			t.Errorf("waiting ends with %v; memory is out: %v", err, m.out.Load())
		}
		a.SetReadDeadline(time.Time{})
	}
	if err := b.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := a.ReadLazy(&m); n != 0 || err != io.EOF || m.out.Load() {
			t.Errorf("at the end: %d, %v; memory is out: %v", n, err, m.out.Load())
		}
	}
}

// tryAll reads n bytes, or to the end, by waiting and trying in turn.
func tryAll(t *testing.T, c Conn, n int) (got []byte) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for len(got) < n {
		if err := c.Await(); err != nil {
			t.Fatal(err)
		}
		k, err := c.TryRead(buf[:min(len(buf), n-len(got))])
		got = append(got, buf[:k]...)
		switch err {
		case nil, tunnels.ErrNothing:
		case io.EOF:
			return got
		default:
			t.Fatal(err)
		}
	}
	return got
}

func testSmallReads(t *testing.T, a, b Conn) {
	want := noise(200_000)
	sent := make(chan error, 1)
	go func() { _, err := b.Write(want); sent <- err }()
	var got []byte
	for k := 1; len(got) < len(want); k = k*2%1999 + 1 {
		got = append(got, tryAll(t, a, min(k, len(want)-len(got)))...)
	}
	if err := <-sent; err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes arrived; %v", err)
	}
	idle(t, a)
}

func testCloseUnread(t *testing.T, a, b Conn) {
	wrote := make(chan error, 1)
	go func() { _, err := a.Write(make([]byte, 64<<20)); wrote <- err }()
	if _, err := io.ReadFull(b, make([]byte, 1)); err != nil { // it is under way
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := <-wrote; err == nil {
		t.Error("Write ends well")
	}
	if err := a.Close(); err == nil {
		t.Error("closing twice is not told")
	}
}
