package mtls

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"cordon/tunnels/tcp"
)

// sockets makes a record and the other end of its socket.
func sockets(t *testing.T) (*record, *net.TCPConn) {
	t.Helper()
	l, err := tcp.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := tcp.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); peer.Close() })
	return &record{Conn: c}, peer
}

// write writes and says how much reached the socket.
func write(t *testing.T, r *record, b []byte) (reached int64) {
	t.Helper()
	before := r.sent
	if n, err := r.Write(b); n != len(b) || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	return r.sent - before
}

func TestRecordsOfOneWriteAreGathered(t *testing.T) {
	r, peer := sockets(t)
	full := make([]byte, maxPlaintext+22)
	last := make([]byte, 100)
	r.begin(2*maxPlaintext + 78)
	if n := write(t, r, full) + write(t, r, full); n != 0 {
		t.Errorf("%d bytes went before the last record", n)
	}
	if n, want := write(t, r, last), int64(2*len(full)+len(last)); n != want {
		t.Errorf("%d bytes went with the last record, not %d", n, want)
	}
	r.end()
	if r.out != nil {
		t.Error("a buffer is held")
	}
	if _, err := io.ReadFull(peer, make([]byte, 2*len(full)+len(last))); err != nil {
		t.Error(err)
	}
}

func TestGatheringIsCapped(t *testing.T) {
	r, peer := sockets(t)
	go io.Copy(io.Discard, peer)
	full := make([]byte, maxPlaintext+22)
	r.begin(40 * maxPlaintext)
	var most int64
	for range 40 {
		most = max(most, write(t, r, full))
	}
	if want := int64(16 * len(full)); most != want {
		t.Errorf("%d bytes at once, not %d", most, want)
	}
	if content := r.end(); content != 40*maxPlaintext {
		t.Errorf("content of %d bytes is said to be written", content)
	}
}

// An alert is never kept: alone it goes at once; between the records of a Write it keeps its
// place; and when it makes crypto/tls refuse the Write, it goes all the same.
func TestAlertsAreNotKept(t *testing.T) {
	alert, full := []byte("alert of twenty-four B.."), make([]byte, maxPlaintext+22)
	r, peer := sockets(t)
	if n := write(t, r, alert); n != int64(len(alert)) {
		t.Errorf("alone: %d bytes went", n)
	}
	r.begin(2 * maxPlaintext)
	if n := write(t, r, alert); n != 0 {
		t.Errorf("it went before its turn, %d bytes", n)
	}
	write(t, r, full)
	if n := write(t, r, full); n != int64(len(full)) {
		t.Errorf("the last record: %d bytes went", n)
	}
	r.end()
	r.begin(2 * maxPlaintext)
	write(t, r, alert)
	r.end()
	want := bytes.Join([][]byte{alert, alert, full, full, alert}, nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes arrived; %v", err)
	}
}

// A key update that the peer asks for after our close_notify is answered to nobody; crypto/tls
// must not take that for a failure, or it could not read on.
func TestNothingFollowsCloseNotify(t *testing.T) {
	r, peer := sockets(t)
	r.shutWrite()
	if n := write(t, r, []byte("key update")); n != 0 {
		t.Errorf("%d bytes went", n)
	}
	r.Conn.CloseWrite()
	if got, err := io.ReadAll(peer); len(got) != 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPartialWriteEndsWriting(t *testing.T) {
	r, peer := sockets(t)
	full := make([]byte, maxPlaintext+22)
	r.limitWrites(time.Now().Add(50 * time.Millisecond))
	r.begin(1 << 30)
	var err error
	for err == nil {
		_, err = r.Write(full)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	content, sent := r.end(), r.sent
	if content > sent || content%maxPlaintext != 0 {
		t.Errorf("%d bytes of content in %d", content, sent)
	}
	r.limitWrites(time.Time{})
	if n, again := r.Write([]byte("more")); n != 0 || again != err {
		t.Errorf("after a part of a record: wrote %d, %v", n, again)
	}
	r.Close()
	if n, err := io.Copy(io.Discard, peer); n != sent || err != nil {
		t.Errorf("%d bytes arrived of %d, %v", n, sent, err)
	}
}

// crypto/tls sets a deadline of its own around close_notify.
func TestCloseNotifyKeepsASoonerDeadline(t *testing.T) {
	r, _ := sockets(t)
	soon := time.Now().Add(50 * time.Millisecond)
	r.limitWrites(soon)
	r.SetWriteDeadline(time.Now().Add(5 * time.Second))
	var err error
	for err == nil {
		_, err = r.Write(make([]byte, maxPlaintext))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().Before(soon) {
		t.Error(err)
	}
}

func TestClosingDoesNotWaitForRoom(t *testing.T) {
	r, _ := sockets(t)
	fill := make([]byte, 1<<20)
	for {
		if n, err := r.TryWrite(fill); err != nil || n == 0 {
			break
		}
	}
	r.abandon()
	r.SetWriteDeadline(time.Now().Add(5 * time.Second)) // as crypto/tls does
	if _, err := r.Write([]byte("close_notify")); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
