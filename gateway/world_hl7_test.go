package gateway

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"cordon/protocols/hl7"
	hl7end "cordon/protocols/hl7/endpoint"
	"cordon/protocols/reason"
)

func send(t *testing.T, c *hl7end.Client, msg string) string {
	t.Helper()
	ack, err := c.Send([]byte(msg))
	if err != nil {
		t.Fatalf("no acknowledgment: %v", err)
	}
	return string(ack)
}

func TestResultsArriveByteForByte(t *testing.T) {
	w := newWorld(t, nil)
	c := hl7end.NewClient(w.dial(w.hl7))
	var sent []string
	for i := range 50 {
		msg := message("ORU^R01", fmt.Sprintf("C%d", i), strings.Repeat("Größe", i*20))
		sent = append(sent, msg)
		if ack := send(t, c, msg); !strings.Contains(ack, fmt.Sprintf("MSA|AA|C%d", i)) {
			t.Fatalf("acknowledgment %q", ack)
		}
	}
	for i, got := range w.his.received() {
		if string(got) != sent[i] {
			t.Errorf("message %d was altered", i)
		}
	}
	w.heard(`"unit":"ORU^R01"`, `"verdict":"allow"`)
}

// H10, reason.HL7MessageType, reason.HL7Trigger: a refusal speaks HL7 and the connection goes on.
func TestRefusedMessageIsAnswered(t *testing.T) {
	w := newWorld(t, nil)
	c := hl7end.NewClient(w.dial(w.hl7))
	for kind, want := range map[string]string{"ADT^A04": "200", "ORU^R30": "201"} {
		ack := send(t, c, message(kind, "C7", "Doe"))
		if !strings.Contains(ack, "MSA|AR|C7") || !strings.Contains(ack, want+"^") {
			t.Errorf("%s was answered %q", kind, ack)
		}
	}
	if ack := send(t, c, message("ORU^R01", "C8", "Doe")); !strings.Contains(ack, "MSA|AA|C8") {
		t.Errorf("after refusals: %q", ack)
	}
	if n := len(w.his.received()); n != 1 {
		t.Errorf("%d messages arrived, want the allowed one alone", n)
	}
	w.heard(`"verdict":"refuse"`, string(reason.HL7MessageType))
	w.heard(`"verdict":"refuse"`, string(reason.HL7Trigger))
}

// H18: when the upstream is away the connection closes without an acknowledgment.
func TestReceiverAwayClosesWithoutAcknowledgment(t *testing.T) {
	w := newWorld(t, nil)
	w.his.ln.Close()
	c := w.dial(w.hl7)
	c.Write(hl7.AppendBlock(nil, []byte(message("ORU^R01", "C1", "Doe"))))
	if b, _ := io.ReadAll(c); len(b) != 0 {
		t.Errorf("the device was told %q", b)
	}
	w.heard(string(reason.UpstreamUnreachable))
}

// H8: an acknowledgment of another message is never credited to the one that waits.
func TestWrongAcknowledgmentIsNotPassed(t *testing.T) {
	w := newWorld(t, nil)
	w.his.answer = func(msg []byte) []byte {
		return []byte("MSH|^~\\&|HIS|HOSP|LAB|WARD|20260101||ACK^R01^ACK|A1|P|2.5.1\rMSA|AA|ANOTHER\r")
	}
	c := w.dial(w.hl7)
	c.Write(hl7.AppendBlock(nil, []byte(message("ORU^R01", "C1", "Doe"))))
	if b, _ := io.ReadAll(c); len(b) != 0 {
		t.Errorf("the device was given %q", b)
	}
	w.heard(string(reason.HL7AckMismatch))
}

// G2: the device sends, shuts down its side, and still gets its acknowledgment.
func TestHalfClosingDeviceGetsItsAcknowledgment(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial(w.hl7)
	c.Write(hl7.AppendBlock(nil, []byte(message("ORU^R01", "C1", "Doe"))))
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil || !bytes.Contains(b, []byte("MSA|AA|C1")) {
		t.Errorf("got %q, %v", b, err)
	}
}

// reason.HL7Framing: what is no MLLP block is closed, and recorded without its text.
func TestWhatIsNoBlockIsClosed(t *testing.T) {
	w := newWorld(t, nil)
	c := w.dial(w.hl7)
	io.WriteString(c, "GET /secret-patient HTTP/1.1\r\n\r\n")
	if b, _ := io.ReadAll(c); len(b) != 0 {
		t.Errorf("answered %q", b)
	}
	line := w.heard(string(reason.HL7Framing))
	if strings.Contains(line, "secret") {
		t.Errorf("the record quotes the wire: %s", line)
	}
}
