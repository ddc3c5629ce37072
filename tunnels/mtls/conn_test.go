package mtls_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"cordon/tunnels"
	"cordon/tunnels/mtls"
	"cordon/tunnels/tunneltest"
)

func TestConn(t *testing.T) {
	for _, version := range []string{"1.3", "1.2"} {
		t.Run("TLS "+version, func(t *testing.T) {
			s := newSite(t)
			server, client := s.end("server", nil), s.end("client", nil)
			if version == "1.2" {
				server, client = s.oldEnd("server"), s.oldEnd("client")
			}
			f := s.listen(server)
			tunneltest.TestConn(t, func(t *testing.T) (a, b tunneltest.Conn) {
				inner := &site{t: t, dir: s.dir, ca: s.ca}
				near, far := inner.connect(client, f)
				return near, far
			})
		})
	}
}

// oldEnd allows TLS 1.2.
func (s *site) oldEnd(file string) *mtls.Tunnel {
	return s.end(file, func(c *mtls.Config) { c.MinVersion = "1.2" })
}

// A FIN can come from anybody on the path; only a close_notify is an end that the peer meant.
func TestCutIsNoEnd(t *testing.T) {
	near, far := pair(t)
	exchange(t, far, near)
	if err := far.Socket().CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d, %v", n, err)
	}
}

// waiter is a memory that tells, whenever nothing is there to read, how many buffers the
// connection holds.
type waiter struct {
	conn *mtls.Conn
	buf  [100]byte
	held chan int
}

func (w *waiter) Get() []byte { return w.buf[:] }
func (w *waiter) Put()        { w.held <- w.conn.Buffers() }

// G1: a record that arrives byte by byte is read when it is whole, and holds no buffer until then.
func TestRecordInPieces(t *testing.T) {
	near, far := pair(t)
	exchange(t, far, near) // what is left of the handshake comes before it
	want := []byte("a unit that arrives slowly")
	sealed := far.Seal(want)
	w := &waiter{conn: near, held: make(chan int)}
	type result struct {
		n   int
		err error
	}
	read := make(chan result, 1)
	go func() {
		n, err := near.ReadLazy(w)
		read <- result{n, err}
	}()
	for i := range sealed {
		select {
		case held := <-w.held:
			if held != 0 {
				t.Errorf("after %d bytes %d buffers are held", i, held)
			}
		case r := <-read:
			t.Fatalf("after %d bytes: %d, %v", i, r.n, r.err)
		}
		if _, err := far.Socket().Write(sealed[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if r := <-read; r.err != nil || string(w.buf[:r.n]) != string(want) {
		t.Fatalf("got %q, %v", w.buf[:r.n], r.err)
	}
	if near.Buffers() != 0 {
		t.Error("a buffer is held")
	}
	if _, err := far.Socket().Write(far.Seal(want)[:10]); err != nil {
		t.Fatal(err)
	}
	far.Socket().CloseWrite()
	if n, err := near.Read(w.buf[:]); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a record that was cut reads as %d, %v", n, err)
	}
}

// D8: a deadline may strike in the middle of a record.
func TestDeadlineWithinARecord(t *testing.T) {
	near, far := pair(t)
	for _, c := range []tunneltest.Conn{near, tunneltest.Lazily(near)} {
		want := []byte("a unit that arrives late")
		sealed := far.Seal(want)
		if _, err := far.Socket().Write(sealed[:10]); err != nil {
			t.Fatal(err)
		}
		near.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		buf := make([]byte, 100)
		if n, err := c.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %d, %v", n, err)
		}
		near.SetReadDeadline(time.Time{})
		if _, err := far.Socket().Write(sealed[10:]); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != string(want) {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
		if near.Buffers() != 0 {
			t.Error("a buffer is held")
		}
	}
}

func TestOneReadTakesManyRecords(t *testing.T) {
	near, far := pair(t)
	sent := make([]byte, 20_000) // two records, within any socket's window and the first read's room
	if _, err := far.Write(sent); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	if n, err := near.Read(buf); n != len(sent) || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if near.Buffers() != 0 || far.Buffers() != 0 {
		t.Error("idle connections hold buffers")
	}
}

// What arrived before the end is read first, then the end, and it stays.
func TestEndStays(t *testing.T) {
	near, far := pair(t)
	if _, err := far.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := io.ReadFull(near, buf[:4]); n != 4 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	for _, c := range []tunneltest.Conn{near, tunneltest.Lazily(near), near} {
		if n, err := c.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
	}
}

func TestHandshakeGivenUpByContext(t *testing.T) {
	s := newSite(t)
	server := s.end("server", nil)
	l, err := server.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.(*mtls.Conn).Handshake(ctx); !errors.Is(err, tunnels.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if b, err := io.ReadAll(silent); len(b) != 0 {
		t.Errorf("the client was told %x, %v", b, err)
	}
}
