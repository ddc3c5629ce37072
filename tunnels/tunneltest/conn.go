// Package tunneltest checks that the connections of a tunnel are what package tunnels promises.
package tunneltest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"cordon/tunnels"
)

// Conn is what is tested.
type Conn interface {
	tunnels.Conn
	tunnels.Lazy
}

// Pair makes two connected ends, after their handshake, and closes them when the test ends.
type Pair func(t *testing.T) (a, b Conn)

// TestConn runs all checks, each in both directions, reading by Read and reading by ReadLazy.
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
		{"small reads leave the rest to be read", testSmallReads},
		{"closing does not wait for a peer that reads nothing", testCloseUnread},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Run("one way", func(t *testing.T) { a, b := pair(t); c.check(t, a, b) })
			t.Run("the other", func(t *testing.T) { a, b := pair(t); c.check(t, b, a) })
			t.Run("one way, lazily", func(t *testing.T) { a, b := pair(t); c.check(t, Lazily(a), Lazily(b)) })
			t.Run("the other, lazily", func(t *testing.T) { a, b := pair(t); c.check(t, Lazily(b), Lazily(a)) })
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
	for !b.Broken() { // it must not take the news from the read that follows
		runtime.Gosched()
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("reading gives %d, %v", n, err)
	}
	if _, err := a.Write([]byte("late")); err == nil {
		t.Error("wrote after a reset")
	}
}

func testEndOfWaiting(t *testing.T, a, b Conn) {
	waits := make(chan error, 2)
	go func() {
		_, err := a.Read(make([]byte, 1))
		waits <- err
	}()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waits; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read ends with %v", err)
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

func testReadLimit(t *testing.T, a, b Conn) {
	for _, want := range []string{"first", "second"} {
		a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		for range 2 { // while it waits, and when it is over
			var late net.Error
			n, err := a.Read(make([]byte, 1))
			if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &late) || !late.Timeout() {
				t.Errorf("Read ends with %d, %v", n, err)
			}
		}
		a.SetReadDeadline(time.Time{})
		if _, err := b.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(a, got); err != nil || string(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
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

func testSmallReads(t *testing.T, a, b Conn) {
	want := noise(200_000)
	sent := make(chan error, 1)
	go func() { _, err := b.Write(want); sent <- err }()
	var got []byte
	readers := [2]Conn{a, Lazily(a)} // a pump reads now so, now so
	for i, k := 0, 1; len(got) < len(want); i, k = i+1, k*2%1999+1 {
		piece := make([]byte, min(k, len(want)-len(got)))
		n, err := readers[i%2].Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, piece[:n]...)
	}
	if err := <-sent; err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes arrived; %v", err)
	}
	if err := b.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
	}
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
