package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"cordon/protocols/hl7"
)

func message(id, asks string) []byte {
	return []byte(`MSH|^~\&|LAB|HOSP|HIS|CLINIC|20260102||ORU^R01^ORU_R01|` + id + `|P|2.5.1|||` + asks + "\rPID|1\r")
}

// serve runs a receiver at one end of a pipe and returns the other; what Serve returns comes
// through the channel.
func serve(handler func([]byte) []byte) (net.Conn, chan error) {
	client, server := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(server, handler) }()
	return client, ended
}

func TestClientAndReceiver(t *testing.T) {
	var taken []string
	r := Receiver{
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		Take: func(msg []byte, facts *hl7.Message) error {
			taken = append(taken, string(facts.ControlID))
			if string(facts.ControlID) == "3" {
				return errors.New("disk full")
			}
			return nil
		},
	}
	conn, ended := serve(r.Handle)
	c := NewClient(conn)
	for i, want := range []string{"MSA|AA|1\r", "MSA|AA|2\r", "MSA|AE|3\r"} {
		ack, err := c.Send(message(fmt.Sprint(i+1), ""))
		if err != nil {
			t.Fatal(err)
		}
		head := `MSH|^~\&|HIS|CLINIC|LAB|HOSP|20260102030405||ACK^R01^ACK|ACK` + fmt.Sprint(i+1) + `|P|2.5.1` + "\r"
		if string(ack) != head+want { // H10
			t.Errorf("acknowledgment %q, want %q", ack, head+want)
		}
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if strings.Join(taken, " ") != "1 2 3" {
		t.Errorf("taken %v", taken)
	}
}

func TestReceiverHonoursConditions(t *testing.T) { // H9
	for _, test := range []struct {
		asks   string
		failed bool
		want   string // MSA-1
	}{
		{"", false, "AA"}, {"", true, "AE"},
		{"AL|NE", false, "CA"}, {"AL|NE", true, "CE"}, {"AL|AL", false, "AA"}, {"NE|AL", true, "AE"},
		{"ER|NE", false, ""}, {"ER|NE", true, "CE"}, {"SU|NE", false, "CA"}, {"SU|NE", true, ""},
		{"NE|NE", false, ""}, {"NE|NE", true, ""},
	} {
		r := Receiver{Take: func([]byte, *hl7.Message) error {
			if test.failed {
				return io.ErrShortWrite
			}
			return nil
		}}
		ack := r.Handle(message("1", test.asks))
		var m hl7.Message
		if ack != nil {
			if err := m.Parse(ack); err != nil {
				t.Fatal(err)
			}
		}
		if string(m.AckCode) != test.want {
			t.Errorf("%q, failed %v: MSA-1 %q, want %q", test.asks, test.failed, m.AckCode, test.want)
		}
	}
	for _, msg := range []string{"PID|1", "MSH|^~\\&|A\rMSA|AA|1\r"} {
		if ack := new(Receiver).Handle([]byte(msg)); ack != nil {
			t.Errorf("%q was acknowledged", msg)
		}
	}
}

func TestClientTellsWhatWentWrong(t *testing.T) {
	answer := func(b []byte) io.ReadWriteCloser {
		return stream{Reader: iotest.OneByteReader(bytes.NewReader(b)), Writer: io.Discard}
	}
	acked := func(id string) []byte { return hl7.AppendBlock(nil, []byte("MSH|^~\\&|B\rMSA|AA|"+id+"\r")) }
	for _, test := range []struct {
		name   string
		answer []byte
		want   string // in the error; "" for none
	}{
		{"acknowledged", acked("1"), ""},
		{"strays before the block", append([]byte("\r\n "), acked("1")...), ""},
		{"closed", nil, "without an acknowledgment"},
		{"closed half-way", acked("1")[:9], "without an acknowledgment"},
		{"of another message", acked("2"), "another message"},
		{"unframed", acked("1")[1:], "VT (0B) must start a block"},
		{"unreadable", hl7.AppendBlock(nil, []byte("OK")), "must start with MSH"},
	} {
		_, err := Send(answer(test.answer), message("1", ""))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Send(answer(nil), message("1", "")); !errors.Is(err, ErrNoAcknowledgment) {
		t.Errorf("closed: %v", err)
	}
}

func TestServeReadsWhateverTheReadsAre(t *testing.T) { // G1 H1 H2
	var in []byte
	for i := range 50 {
		in = hl7.AppendBlock(in, append(message(fmt.Sprint(i), ""), bytes.Repeat([]byte("x"), i*100)...))
		in = append(in, "\r\n"[:i%3%2]...)
	}
	for _, r := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in)), iotest.DataErrReader(bytes.NewReader(in))} {
		var out bytes.Buffer
		n := 0
		err := Serve(stream{Reader: r, Writer: &out}, func(msg []byte) []byte { n++; return []byte(fmt.Sprint(len(msg))) })
		if err != nil || n != 50 || bytes.Count(out.Bytes(), []byte{0x0B}) != 50 {
			t.Errorf("%T: %d messages, %v", r, n, err)
		}
	}
	err := Serve(stream{Reader: bytes.NewReader(in[:len(in)/2]), Writer: io.Discard}, func([]byte) []byte { return nil })
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a stream that ends inside a block: %v", err)
	}
}

type stream struct {
	io.Reader
	io.Writer
}

func (stream) Close() error { return nil }
