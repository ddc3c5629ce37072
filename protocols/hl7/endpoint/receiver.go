package endpoint

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"cordon/protocols/hl7"
)

// Serve reads messages from rw until its peer closes, and sends what handler returns for each;
// nothing for nil. The message lives until handler returns. Serve closes rw.
func Serve(rw io.ReadWriteCloser, handler func(msg []byte) (ack []byte)) error {
	defer rw.Close()
	in := blocks{r: rw}
	var out []byte
	for {
		msg, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive message: %w", err)
		}
		ack := handler(msg)
		if ack == nil {
			continue
		}
		out = hl7.AppendBlock(out[:0], ack)
		if _, err := rw.Write(out); err != nil {
			return fmt.Errorf("send acknowledgment: %w", err)
		}
	}
}

// Receiver acknowledges messages as HL7 v2 §2.9 says, each after its owner has taken it. The
// zero value takes all and keeps none. It may serve many connections at once.
type Receiver struct {
	// Take is handed each message, which lives until it returns. Where it returns an error the
	// message is acknowledged as an error (AE, CE).
	Take func(msg []byte, facts *hl7.Message) error
	// Now gives MSH-7 of the acknowledgments; without it they have none.
	Now func() time.Time

	acknowledged atomic.Int64
}

// Handle takes a message and returns its acknowledgment, nil where the message asks for none or
// cannot be read. It is a handler for Serve.
func (r *Receiver) Handle(msg []byte) []byte {
	var m hl7.Message
	if m.Parse(msg) != nil || m.AckCode != nil {
		return nil
	}
	a := hl7.Acknowledgment{}
	failed := r.Take != nil && r.Take(msg, &m) != nil
	if a.Code = code(&m, failed); a.Code == "" {
		return nil
	}
	if r.Now != nil {
		a.Time = r.Now().AppendFormat(nil, "20060102150405")
	}
	a.ControlID = strconv.AppendInt([]byte("ACK"), r.acknowledged.Add(1), 10)
	return a.Append(nil, &m)
}

// code returns MSA-1: in original mode an application acknowledgment, in enhanced mode the
// strongest acknowledgment that the message asks for in this case (HL7 table 0155), "" for none.
func code(m *hl7.Message, failed bool) string {
	application, accept := "AA", "CA"
	if failed {
		application, accept = "AE", "CE"
	}
	switch {
	case len(m.AcceptAck) == 0 && len(m.ApplicationAck) == 0, asksFor(m.ApplicationAck, failed):
		return application
	case asksFor(m.AcceptAck, failed):
		return accept
	}
	return ""
}

// asksFor tells whether a condition of MSH-15 or MSH-16 asks for an acknowledgment.
func asksFor(condition []byte, failed bool) bool {
	switch string(condition) {
	case "", "NE":
		return false
	case "ER":
		return failed
	case "SU":
		return !failed
	}
	return true
}
