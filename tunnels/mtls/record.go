package mtls

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"cordon/tunnels/buffer"
	"cordon/tunnels/tcp"
)

const (
	recordHeader = 5                      // bytes of a TLS record's header (RFC 8446 §5.1)
	maxPlaintext = 16 << 10               // bytes of one TLS record's content
	maxRecord    = maxPlaintext + 5 + 256 // bytes on the wire, header included (RFC 8446 §5.2)
	writeSize    = 16 * maxRecord         // bytes gathered for one write to the socket: 256 KiB of content
	maxHandshake = 64 << 10               // bytes that a peer may send to prove who it is; crypto/tls would hold 256 KiB of a certificate
)

// Buffers are taken while bytes are in them and given back when they are empty, so that an idle
// connection holds none.
var writePool = sync.Pool{New: func() any { return new([writeSize]byte) }}

// record is the connection beneath crypto/tls. It reads many records from the socket in one
// system call, and writes the records of one Conn.Write in one.
//
// crypto/tls reads under a lock of its own, so reading needs none here. It also writes under
// one, but begin and end come from outside of it.
type record struct {
	*tcp.Conn

	in     *[]byte // nil when empty
	unread []byte  // of in
	hunger buffer.Appetite
	cut    bool  // the peer sent a FIN; crypto/tls asked for more
	late   error // what await found instead of bytes

	handshaking bool // a record a read, see one
	rest        int  // bytes of the record at hand that are still to come
	proven      bool // the handshake is over; from now on Conn waits, and Read does not
	unproven    int  // bytes that crypto/tls was given before

	mu      sync.Mutex
	left    int              // records of the current Conn.Write that are still to come
	out     *[writeSize]byte // nil when empty
	filled  int              // bytes of out
	sent    int64            // bytes on the wire since begin
	largest int              // bytes of the largest record since begin
	shut    bool             // sending has ended
	failed  error            // of a write: what follows would not be understood

	closing  atomic.Bool
	deadline atomic.Int64 // for writing, as set by the connection's user; ns, 0 for none
}

// nothing is what crypto/tls is told instead of being made to wait. It is temporary, so
// crypto/tls keeps what it has of a record and can be asked again.
type nothing struct{}

func (nothing) Error() string   { return "nothing to read now" }
func (nothing) Timeout() bool   { return false }
func (nothing) Temporary() bool { return true }

var errNothing net.Error = nothing{}

var errLong = fmt.Errorf("its part of the handshake is longer than %d KiB; a shorter chain of certificates would be accepted", maxHandshake>>10)

func (r *record) Read(p []byte) (int, error) {
	for r.in == nil {
		if err := r.late; err != nil {
			r.late = nil
			r.cut = r.cut || err == io.EOF
			return 0, err
		}
		if r.proven {
			return 0, errNothing
		}
		r.await()
	}
	if r.handshaking {
		p = r.one(p)
	}
	n := copy(p, r.unread)
	if !r.proven {
		if r.unproven += n; r.unproven > maxHandshake {
			return 0, errLong
		}
	}
	if r.unread = r.unread[n:]; len(r.unread) == 0 {
		r.Put()
		r.unread = nil
	}
	return n, nil
}

// one cuts p to what remains of one record. crypto/tls keeps the buffer that it reads into for as
// long as the connection lives, and grows it to what it is given: the whole flight of a handshake
// would stay in the memory of an idle connection.
func (r *record) one(p []byte) []byte {
	if r.rest == 0 {
		if len(r.unread) < recordHeader {
			r.handshaking = false // in pieces it costs only memory
			return p
		}
		r.rest = recordHeader + int(binary.BigEndian.Uint16(r.unread[3:]))
	}
	p = p[:min(len(p), r.rest, len(r.unread))]
	r.rest -= len(p)
	return p
}

// await waits until something is in the socket and takes it. The buffer is taken only then.
func (r *record) await() {
	if r.in != nil || r.late != nil {
		return
	}
	n, err := r.ReadLazy(r)
	if err != nil {
		r.late = err
		return
	}
	r.unread = (*r.in)[:n]
	r.hunger.Fed(n, len(*r.in))
}

// Get gives the buffer to read into.
func (r *record) Get() []byte {
	r.in = buffer.Take(r.hunger.Size())
	return *r.in
}

// Put takes it back.
func (r *record) Put() {
	buffer.Give(r.in)
	r.in = nil
}

// begin announces a Conn.Write of n bytes: so many records follow, and may be gathered.
// DynamicRecordSizingDisabled makes the number certain. An alert or a key update that comes in
// between counts as one of them, in its order; the last record then goes out by itself.
func (r *record) begin(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.sent, r.largest = (n+maxPlaintext-1)/maxPlaintext, 0, 0
}

// end writes what is still gathered, which is only ever an alert that made crypto/tls refuse the
// Conn.Write. It returns how many whole records' content went out since begin.
func (r *record) end() (content int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = 0
	r.flush()
	if r.largest == 0 {
		return 0
	}
	return r.sent / int64(r.largest) * maxPlaintext
}

// Write takes one record, or the few of a handshake's flight.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failed != nil:
		return 0, r.failed
	case r.shut:
		// After close_notify nothing may follow. crypto/tls still answers a key update, and
		// could not read on if it failed to.
		return len(p), nil
	}
	r.largest = max(r.largest, len(p))
	if r.left > 0 {
		r.left--
	}
	if r.filled == 0 && (r.left == 0 || len(p) > maxRecord) {
		return r.put(p)
	}
	if r.out == nil {
		r.out = writePool.Get().(*[writeSize]byte)
	}
	if r.filled+len(p) > writeSize {
		if err := r.flush(); err != nil {
			return 0, err
		}
		return r.put(p)
	}
	r.filled += copy(r.out[r.filled:], p)
	if r.left == 0 || r.filled+maxRecord > writeSize {
		if err := r.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (r *record) flush() (err error) {
	if r.filled > 0 && r.failed == nil {
		_, err = r.put(r.out[:r.filled])
	}
	if r.out != nil {
		writePool.Put(r.out)
		r.out, r.filled = nil, 0
	}
	return err
}

// put writes to the socket. A connection that is being closed does not wait for room.
func (r *record) put(p []byte) (n int, err error) {
	if r.closing.Load() {
		n, err = r.TryWrite(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
	} else {
		n, err = r.Conn.Write(p)
	}
	r.sent += int64(n)
	r.failed = err
	return n, err
}

// end of sending: no byte follows.
func (r *record) shutWrite() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
}

// SetWriteDeadline is called by crypto/tls alone, around its close_notify: five seconds from now
// before it, now after it. Its user's deadline, when sooner, stays; and the one of now is not
// needed, because shutWrite follows.
func (r *record) SetWriteDeadline(t time.Time) error {
	user := r.deadline.Load()
	switch {
	case r.closing.Load():
		return r.Conn.SetWriteDeadline(time.Time{}) // put does not wait
	case !t.After(time.Now()), user != 0 && user < t.UnixNano():
		return nil
	}
	return r.Conn.SetWriteDeadline(t)
}

// limitWrites is SetWriteDeadline for the connection's user.
func (r *record) limitWrites(t time.Time) error {
	var ns int64
	if !t.IsZero() {
		ns = t.UnixNano()
	}
	r.deadline.Store(ns)
	return r.Conn.SetWriteDeadline(t)
}

// abandon makes whoever writes give up, and later writes not wait.
func (r *record) abandon() {
	r.closing.Store(true)
	r.Conn.SetWriteDeadline(time.Unix(1, 0))
}
