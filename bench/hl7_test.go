package bench

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"testing"

	"cordon/protocols/hl7"
)

func TestResultsAreMessagesOfTheirSize(t *testing.T) {
	for _, size := range []int{300, 5000, 1_000_000} {
		block, at := result(size)
		if len(block) != size {
			t.Errorf("a message of %d bytes has %d", size, len(block))
		}
		var f hl7.Finder
		if n, err := f.Next(block, 16<<20); err != nil || n != len(block) {
			t.Errorf("%d bytes: a block of %d, %v", size, n, err)
		}
		var m hl7.Message
		if err := m.Parse(hl7.Content(block)); err != nil {
			t.Fatal(err)
		}
		id := strconv.AppendInt(nil, firstID, 10)
		if string(m.Type) != "ORU" || string(m.Trigger) != "R01" || !bytes.Equal(m.ControlID, id) || len(id) != idDigits {
			t.Errorf("%d bytes: %s^%s, control ID %s", size, m.Type, m.Trigger, m.ControlID)
		}
		if !bytes.Equal(block[at:at+idDigits], id) {
			t.Errorf("%d bytes: the control ID is not at %d", size, at)
		}
		if got, err := controlID(block); err != nil || !bytes.Equal(got, id) {
			t.Errorf("%d bytes: the sink finds %q, %v", size, got, err)
		}
	}
}

func TestAcknowledgmentAcknowledges(t *testing.T) {
	block, at := acknowledgment()
	if len(block) != 150 {
		t.Errorf("%d bytes", len(block))
	}
	copy(block[at[0]:], "111111111111")
	copy(block[at[1]:], "222222222222")
	var m hl7.Message
	if err := m.Parse(hl7.Content(block)); err != nil {
		t.Fatal(err)
	}
	if string(m.AckCode) != "AA" || string(m.ControlID) != "111111111111" || string(m.AckedID) != "222222222222" {
		t.Errorf("%s, %s, %s", m.AckCode, m.ControlID, m.AckedID)
	}
}

// Every message is accounted for at the sink, however the stream is cut.
func TestSinkAccountsForEveryMessage(t *testing.T) {
	for _, size := range []int{300, 5000, 200_000} {
		near, far := net.Pipe()
		var tally Tally
		served := make(chan error, 1)
		go func() { served <- serveHL7(far, &tally) }()
		before := lastID.Load()
		m := overMLLP(pieces{near, 977}, size)
		for range 5 {
			if _, err := m.send(); err != nil {
				t.Fatal(err)
			}
			if err := m.await(); err != nil {
				t.Fatal(err)
			}
		}
		near.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		s := &stage{workload: Find("hl7-300")}
		if err := s.account(Sample{Units: 5}, tally, before); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		tally.Sum++
		if s.account(Sample{Units: 5}, tally, before) == nil || s.account(Sample{Units: 4}, tally, before) == nil {
			t.Error("another message in the place of one goes unnoticed")
		}
	}
}

func TestAcknowledgmentOfAnotherMessageIsAnError(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		buf := make([]byte, 4096)
		far.Read(buf)
		ack, _ := acknowledgment()
		far.Write(ack)
	}()
	m := overMLLP(near, 300)
	if _, err := m.send(); err != nil {
		t.Fatal(err)
	}
	if m.await() == nil {
		t.Error("it was taken")
	}
}

// pieces writes a few bytes at a time.
type pieces struct {
	net.Conn
	n int
}

func (p pieces) Write(b []byte) (total int, err error) {
	for len(b) > 0 {
		n, err := p.Conn.Write(b[:min(p.n, len(b))])
		total += n
		if err != nil {
			return total, errors.Join(err)
		}
		b = b[n:]
	}
	return total, nil
}
