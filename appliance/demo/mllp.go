package demo

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"cordon/protocols/hl7"
)

const maxBlock = 16 << 20 // bytes of the largest MLLP block that is read

// mllp sends and receives HL7 messages over a connection.
type mllp struct {
	conn net.Conn
	find hl7.Finder
	buf  []byte // read and not returned yet
	used int    // of buf, by the block returned last
}

func (m *mllp) send(message []byte) error {
	_, err := m.conn.Write(hl7.AppendBlock(nil, message))
	return err
}

// receive returns the next message; it is overwritten by the next call. io.EOF means that the
// peer closed between blocks.
func (m *mllp) receive() ([]byte, error) {
	m.buf, m.used = m.buf[:copy(m.buf, m.buf[m.used:])], 0
	for {
		n, err := m.find.Next(m.buf, maxBlock)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			m.used = n
			return hl7.Content(m.buf[:n]), nil
		}
		more := make([]byte, 16<<10)
		k, err := m.conn.Read(more)
		m.buf = append(m.buf, more[:k]...)
		switch {
		case k > 0:
		case err == io.EOF && len(m.buf) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
}

// accept makes the acknowledgment (MSA-1 AA) with which the embedded receiver answers a message.
func accept(message []byte, number int) ([]byte, error) {
	var m hl7.Message
	if err := m.Parse(message); err != nil {
		return nil, err
	}
	ack := hl7.Acknowledgment{Code: "AA", ControlID: fmt.Appendf(nil, "HIS%06d", number), Time: time.Now()}
	return ack.Append(nil, &m), nil
}

// acknowledged says an acknowledgment in short: MSA-1 and, where there is one, the code of
// ERR-3. id is the control ID that it answers.
func acknowledged(message []byte) (short, id string, err error) {
	var m hl7.Message
	if err := m.Parse(message); err != nil {
		return "", "", err
	}
	short = string(m.AckCode)
	for _, segment := range bytes.Split(message, []byte{'\r'}) {
		if f := bytes.Split(segment, m.Delimiters[:1]); string(f[0]) == "ERR" && len(f) > 3 {
			code, _, _ := bytes.Cut(f[3], m.Delimiters[1:2])
			short += " " + string(code)
		}
	}
	return short, string(m.AckedID), nil
}
