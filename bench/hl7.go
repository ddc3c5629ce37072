package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"cordon/protocols/hl7"
)

// idDigits is how long the control IDs (MSH-10) of generated messages are, so that one can be
// written into a message that was encoded before.
const idDigits = 12

// firstID is counted up from for control IDs, which are unique over a run.
const firstID = 100_000_000_000

var lastID atomic.Int64

// result generates an observation report of size bytes, framed as a block, and where its control
// ID stands. Up to 64 kB it grows by observations; beyond that it carries a document in one field,
// as reports do.
func result(size int) (block []byte, id int) {
	var b strings.Builder
	fmt.Fprintf(&b, "MSH|^~\\&|LOAD|BENCH|SINK|BENCH|20260101120000||ORU^R01^ORU_R01|%d|P|2.5.1\r", firstID)
	b.WriteString("PID|1||BENCH^^^BENCH^MR||LOAD^GENERATED||19700101|U\rOBR|1|||GLU^Glucose^L\rOBX|1|NM|GLU^Glucose^L||5.4|mmol/L|3.9-5.6|N|||F\r")
	const framing = 3
	for n := 2; size <= 64<<10 && b.Len()+60+framing < size; n++ {
		fmt.Fprintf(&b, "OBX|%d|NM|718-7^Hemoglobin^LN||13.2|g/dL|12-16|N|||F\r", n)
	}
	head, tail := "NTE|1||", "\r"
	if size > 64<<10 {
		head, tail = "OBX|2|ED|PDF^Report^L||^application^pdf^Base64^", "||||||F\r"
	}
	if pad := size - framing - b.Len() - len(head) - len(tail); pad > 0 {
		b.WriteString(head + strings.Repeat("Q", pad) + tail)
	}
	block = hl7.AppendBlock(nil, []byte(b.String()))
	return block, bytes.Index(block, strconv.AppendInt(nil, firstID, 10))
}

// messages is an MLLP connection on which messages and acknowledgments alternate.
type messages struct {
	conn  net.Conn
	block []byte // the next message
	at    int    // where its control ID stands
	want  []byte // control ID that the next acknowledgment is for
	buf   []byte
}

func newMessages(size int) func(context.Context, *Load) (exchanger, error) {
	return func(ctx context.Context, l *Load) (exchanger, error) {
		conn, err := l.Target.Dial(ctx)
		if err != nil {
			return nil, err
		}
		return overMLLP(conn, size), nil
	}
}

func overMLLP(conn net.Conn, size int) *messages {
	block, at := result(size)
	return &messages{conn: conn, block: block, at: at, buf: make([]byte, 512)}
}

func (m *messages) send() (int, error) {
	m.want = strconv.AppendInt(m.block[m.at:m.at], firstID+lastID.Add(1), 10)
	return m.conn.Write(m.block)
}

// await reads an acknowledgment and wants it to accept the message that was sent.
func (m *messages) await() error {
	n := 0
	for {
		k, err := m.conn.Read(m.buf[n:])
		n += k
		if n >= 2 && m.buf[n-2] == 0x1C {
			break
		}
		if err != nil {
			return fmt.Errorf("acknowledgment: %w", err)
		}
		if n == len(m.buf) {
			return errors.New("an acknowledgment that does not end")
		}
	}
	if bytes.IndexByte(m.buf[:n], 0x1C) != n-2 {
		return errors.New("more than one acknowledgment of one message")
	}
	at := bytes.Index(m.buf[:n], []byte("MSA|AA|"))
	if at < 0 || !bytes.HasPrefix(m.buf[at+7:n], m.want) {
		return errors.New("an acknowledgment that does not accept the message that was sent")
	}
	return nil
}

func (m *messages) close() error { return m.conn.Close() }

// serveHL7 acknowledges messages of result on one connection, in an answer of about 150 bytes that
// was encoded before.
func serveHL7(conn net.Conn, t *Tally) error {
	ack, at := acknowledgment()
	buf, n, seen := make([]byte, 2048), 0, 0
	for {
		k, err := conn.Read(buf[n:])
		n, t.Bytes = n+k, t.Bytes+int64(k)
		for {
			end := bytes.IndexByte(buf[seen:n], 0x1C)
			if end < 0 || seen+end+1 == n {
				seen = max(n-1, 0)
				if end < 0 {
					seen = n
				}
				break
			}
			id, bad := controlID(buf[:n])
			if bad != nil {
				return bad
			}
			t.message(id)
			for _, place := range at {
				copy(ack[place:], id)
			}
			if _, err := conn.Write(ack); err != nil {
				return err
			}
			n, seen = copy(buf, buf[seen+end+2:n]), 0
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
		if n == len(buf) {
			buf = append(buf, make([]byte, 3*len(buf))...)
		}
	}
}

// controlID finds MSH-10 of a block.
func controlID(block []byte) ([]byte, error) {
	at, bars := 0, 0
	for ; at < len(block) && bars < 9; at++ {
		if block[at] == '|' {
			bars++
		}
	}
	if at+idDigits >= len(block) || block[at+idDigits] != '|' {
		return nil, fmt.Errorf("a message whose control ID has not the %d digits of the load's", idDigits)
	}
	return block[at : at+idDigits], nil
}

// acknowledgment encodes an AA for any message of result, framed, and says where the control ID
// goes: its own (MSH-10), and the acknowledged one (MSA-2).
func acknowledgment() (block []byte, at [2]int) {
	var m hl7.Message
	message, _ := result(300)
	if err := m.Parse(hl7.Content(message)); err != nil {
		panic(err)
	}
	id := strconv.AppendInt(nil, firstID, 10)
	a := hl7.Acknowledgment{Code: "AA", Time: []byte("20260101120000"), ControlID: id}
	text := strings.TrimSuffix(string(a.Append(nil, &m)), "\r")
	const size, framing = 150, 3
	text += "|" + strings.Repeat("K", max(size-framing-len(text)-2, 0)) + "\r" // MSA-3, Text Message
	block = hl7.AppendBlock(nil, []byte(text))
	return block, [2]int{bytes.Index(block, id), bytes.LastIndex(block, id)}
}
