package endpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

const (
	// DefaultMaxLength is the P-DATA-TF length that is announced and sent when nothing else is
	// asked for, in bytes after the PDU header.
	DefaultMaxLength = 16384
	// Unlimited announces a maximum length of 0: no limit (PS3.8 §D.1).
	Unlimited = ^uint32(0)
	// largestPDU is the longest P-DATA-TF that is read all the same.
	largestPDU = 16 << 20
	// batch is how many bytes are gathered before they are written.
	batch = 64 << 10

	headers = dicom.PDUHeaderLen + 6 // of a P-DATA-TF with one PDV
)

// Rejected is an A-ASSOCIATE-RJ that the peer answered with.
type Rejected struct{ reason.RJ }

func (r *Rejected) Error() string { return "association rejected: " + dicom.DescribeRJ(r.RJ) }

// Aborted is an A-ABORT that the peer sent.
type Aborted struct{ reason.Abort }

func (a *Aborted) Error() string { return "association aborted: " + dicom.DescribeAbort(a.Abort) }

// errRelease says that the peer asked for the end of the association (A-RELEASE-RQ).
var errRelease = errors.New("peer releases the association")

// link reads and writes PDUs.
type link struct {
	conn    io.ReadWriteCloser
	in      *bufio.Reader
	out     *bufio.Writer
	maxRecv uint32 // longest P-DATA-TF that is accepted; 0: no limit but largestPDU
	maxSend uint32 // longest P-DATA-TF that is sent
	pdu     []byte // read last
	pdvs    dicom.PDVs
	frame   []byte // a P-DATA-TF PDU to be sent
	set     []byte // a command set

	heard chan struct{} // closed when the peer's next byte is there; nil while nobody listens
}

func newLink(conn io.ReadWriteCloser) *link {
	return &link{conn: conn, in: bufio.NewReaderSize(conn, batch), out: bufio.NewWriterSize(conn, batch)}
}

// announced is the value of a maximum length item for a limit that was asked for.
func announced(limit uint32) uint32 {
	switch limit {
	case 0:
		return DefaultMaxLength
	case Unlimited:
		return 0
	}
	return limit
}

// limitSend settles how long a P-DATA-TF may be that we send: what was asked for, or what the
// peer accepts if that is less (0: no limit).
func (l *link) limitSend(asked, accepted uint32) error {
	l.maxSend = min(largestPDU, asked)
	if asked == 0 {
		l.maxSend = DefaultMaxLength
	}
	if accepted != 0 {
		l.maxSend = min(l.maxSend, accepted)
	}
	if l.maxSend < 8 {
		return fmt.Errorf("maximum PDU length %d has no room for a PDV with data", l.maxSend)
	}
	return nil
}

// listen has the peer's next byte awaited while something is sent, so that a C-CANCEL-RQ is heard
// then. The next read takes over from it.
func (l *link) listen() {
	if l.heard != nil {
		return
	}
	heard := make(chan struct{})
	l.heard = heard
	go func() { // it ends with the peer's next byte, or with the connection
		_, _ = l.in.Peek(1)
		close(heard)
	}()
}

// interrupted tells whether the peer has said something since listen, and takes over from it then.
func (l *link) interrupted() bool {
	select {
	case <-l.heard:
		l.heard = nil
		return true
	default:
		return false
	}
}

// readPDU reads the next PDU; l.pdu holds it until the next call.
func (l *link) readPDU() (dicom.PDUType, error) {
	if l.heard != nil {
		<-l.heard
		l.heard = nil
	}
	head, err := l.in.Peek(dicom.PDUHeaderLen)
	if err != nil {
		if errors.Is(err, io.EOF) && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	t, length, _ := dicom.ParsePDUHeader(head)
	limit := l.maxRecv
	if limit == 0 {
		limit = largestPDU
	}
	if err := dicom.CheckPDUHeader(t, length, limit); err != nil {
		return t, err
	}
	if need := dicom.PDUHeaderLen + int(length); cap(l.pdu) < need {
		l.pdu = make([]byte, need)
	} else {
		l.pdu = l.pdu[:need]
	}
	_, err = io.ReadFull(l.in, l.pdu)
	return t, err
}

// next reads the next PDV, over as many PDUs as it takes. What ends the association instead is
// an error: *Aborted, errRelease, or a PDU out of state.
func (l *link) next(v *dicom.PDV) error {
	for !l.pdvs.Next(v) {
		t, err := l.readPDU()
		if err != nil {
			return err
		}
		if t != dicom.TypePDataTF {
			return l.unexpected(t)
		}
		if l.pdvs, err = dicom.ParsePDataTF(l.pdu); err != nil {
			return err
		}
	}
	return nil
}

// unexpected turns the PDU just read into the error that it means where it was not expected.
func (l *link) unexpected(t dicom.PDUType) error {
	switch t {
	case dicom.TypeAbort:
		a, err := dicom.ParseAbort(l.pdu)
		if err != nil {
			return err
		}
		return &Aborted{a}
	case dicom.TypeAssociateRJ:
		rj, err := dicom.ParseRJ(l.pdu)
		if err != nil {
			return err
		}
		return &Rejected{rj}
	case dicom.TypeReleaseRQ:
		return errRelease
	}
	return &outOfState{t}
}

// outOfState is a PDU that the state table of PS3.8 §9.2 does not expect.
type outOfState struct{ got dicom.PDUType }

func (e *outOfState) Error() string { return fmt.Sprintf("unexpected %s (PS3.8 §9.2)", e.got) }

// command reads the next command set. c aliases l until the next one is read.
func (l *link) command(c *dicom.Command) error {
	l.set = l.set[:0]
	for {
		var v dicom.PDV
		if err := l.next(&v); err != nil {
			return err
		}
		if !v.Command || len(l.set) > 0 && v.ContextID != c.ContextID {
			return errors.New("data set fragment where a command set was expected (PS3.8 Annex E)")
		}
		if len(l.set)+len(v.Data) > dicom.MaxCommandSet {
			return fmt.Errorf("command set of more than %d bytes", dicom.MaxCommandSet)
		}
		c.ContextID = v.ContextID
		l.set = append(l.set, v.Data...)
		if v.Last {
			return c.Parse(l.set)
		}
	}
}

// dataReader reads a data set fragment by fragment.
type dataReader struct {
	l       *link
	context uint8
	rest    []byte
	err     error // io.EOF after the last fragment
}

func (d *dataReader) Read(b []byte) (int, error) {
	for len(d.rest) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		var v dicom.PDV
		if err := d.l.next(&v); err != nil {
			d.err = cut(err)
			continue
		}
		if v.Command || v.ContextID != d.context {
			d.err = errors.New("fragments of two messages are interleaved (PS3.8 Annex E)")
			continue
		}
		if d.rest = v.Data; v.Last {
			d.err = io.EOF
		}
	}
	n := copy(b, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// dataSet reads the data set of a command that was just read; without one it is at its end.
func (l *link) dataSet(c *dicom.Command) *dataReader {
	d := &dataReader{l: l, context: c.ContextID}
	if !c.HasDataSet {
		d.err = io.EOF
	}
	return d
}

// drain reads what its user left. It returns nil when the data set came whole.
func (d *dataReader) drain() error {
	_, err := io.Copy(io.Discard, d)
	return err
}

// cut makes an end of the connection inside a message an unexpected one.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// write writes bytes as they are, at once.
func (l *link) write(b []byte) error {
	if _, err := l.out.Write(b); err != nil {
		return l.blame(err)
	}
	return l.flush()
}

func (l *link) flush() error {
	if err := l.out.Flush(); err != nil {
		return l.blame(err)
	}
	return nil
}

// blame looks whether the peer said why it does not read any longer.
func (l *link) blame(err error) error {
	if t, readErr := l.readPDU(); readErr == nil && t == dicom.TypeAbort {
		return l.unexpected(t)
	}
	return err
}

// send sends a message: a command and, when it has one, a data set of size bytes.
func (l *link) send(c *dicom.Command, data io.Reader, size int64) error {
	return l.sendSet(c, dicom.AppendCommand(nil, c), data, size)
}

// sendSet is send with the command set of c as it is to be sent.
func (l *link) sendSet(c *dicom.Command, set []byte, data io.Reader, size int64) error {
	if size%2 != 0 {
		return fmt.Errorf("data set of %d bytes; it has an even number (PS3.5 §7.1.1)", size)
	}
	room := int(l.maxSend-6) &^ 1 // bytes of data in a P-DATA-TF with one PDV
	for len(set) > 0 {
		n := min(len(set), room)
		l.frame = dicom.AppendPDataHeader(l.frame[:0], uint32(n+6))
		l.frame = dicom.AppendPDV(l.frame, c.ContextID, true, n == len(set), set[:n])
		if _, err := l.out.Write(l.frame); err != nil {
			return l.blame(err)
		}
		set = set[n:]
	}
	if c.HasDataSet {
		if err := l.sendData(c.ContextID, data, size, room); err != nil {
			return err
		}
	}
	return l.flush()
}

func (l *link) sendData(context uint8, data io.Reader, size int64, room int) error {
	if cap(l.frame) < headers+room {
		l.frame = make([]byte, 0, headers+room)
	}
	for first := true; first || size > 0; first = false {
		n := int(min(size, int64(room)))
		size -= int64(n)
		fragment := l.frame[headers : headers+n]
		if _, err := io.ReadFull(data, fragment); err != nil {
			return fmt.Errorf("data set ends %d bytes early: %w", size+int64(n), cut(err))
		}
		// The fragment lies where AppendPDV copies it to.
		l.frame = dicom.AppendPDataHeader(l.frame[:0], uint32(n+6))
		l.frame = dicom.AppendPDV(l.frame, context, false, size == 0, fragment)
		if _, err := l.out.Write(l.frame); err != nil {
			return l.blame(err)
		}
	}
	return nil
}

// abort sends an A-ABORT and closes the connection.
func (l *link) abort(a reason.Abort) error {
	_, err := l.out.Write(dicom.AppendAbort(nil, a))
	return errors.Join(err, l.out.Flush(), l.conn.Close())
}
