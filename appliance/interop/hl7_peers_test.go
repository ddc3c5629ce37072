package interop

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// exchange is a message and its acknowledgment, as one end saw them.
type exchange struct{ message, ack []byte }

// sender sends one message to a port of this machine and waits for its acknowledgment. The
// exchange says what it really sent, which need not be what it was given.
type sender interface {
	send(t *testing.T, port string, message []byte) (exchange, error)
}

// receiver takes messages at a port of this machine.
type receiver interface {
	port() string
	// next waits for the exchange that a sender has just completed. It is to be called for each
	// message that was taken, and for no other.
	next(t *testing.T) exchange
}

// lineSender is a sender that is a program.
type lineSender struct {
	make    func(port string) asked
	running map[string]asked // by port
}

func newPythonSender(t *testing.T, patience time.Duration) sender {
	peersDir(t, "python")
	return lineSender{func(port string) asked {
		return ask(t, "python-hl7 sender", python(t, "mllp_send.py", "127.0.0.1", port, seconds(patience)))
	}, map[string]asked{}}
}

func newHAPISender(t *testing.T, patience time.Duration) sender {
	peersDir(t, "hapi")
	return lineSender{func(port string) asked {
		return ask(t, "HAPI sender", java(t, "Send", "127.0.0.1", port, seconds(patience)))
	}, map[string]asked{}}
}

func (s lineSender) send(t *testing.T, port string, message []byte) (exchange, error) {
	t.Helper()
	if _, ok := s.running[port]; !ok {
		s.running[port] = s.make(port)
	}
	answer := s.running[port].ask(t, base64.StdEncoding.EncodeToString(message))
	if why, failed := strings.CutPrefix(answer, "- "); failed {
		return exchange{}, errors.New(why)
	}
	return parseExchange(t, answer), nil
}

// lineReceiver is a receiver that is a program.
type lineReceiver struct {
	lines
	at string
}

func newPythonReceiver(t *testing.T, tls *tlsFiles) receiver {
	t.Helper()
	port := freePort(t)
	args := []string{port}
	if tls != nil {
		args = append(args, tls.key, tls.certificate, tls.ca)
	}
	c, l := readLines(t, "python-hl7 receiver", python(t, "mllp_receive.py", args...))
	c.ready(t, port)
	return lineReceiver{l, port}
}

func newHAPIReceiver(t *testing.T, tls *tlsFiles) receiver {
	t.Helper()
	if tls != nil {
		t.Fatal("the HAPI receiver here speaks no TLS; it stands behind a far end")
	}
	port := freePort(t)
	c, l := readLines(t, "HAPI receiver", java(t, "Receive", port))
	c.ready(t, port)
	return lineReceiver{l, port}
}

func (r lineReceiver) port() string { return r.at }

func (r lineReceiver) next(t *testing.T) exchange {
	t.Helper()
	return parseExchange(t, r.read(t))
}

func parseExchange(t *testing.T, line string) exchange {
	t.Helper()
	m, a, ok := strings.Cut(line, " ")
	message, err1 := base64.StdEncoding.DecodeString(m)
	ack, err2 := base64.StdEncoding.DecodeString(a)
	if !ok || err1 != nil || err2 != nil {
		t.Fatalf("a peer said %.60q instead of an exchange", line)
	}
	return exchange{message, ack}
}

// hl7Sample is a message of the corpus as it stands in a block.
type hl7Sample struct {
	name    string // of its file below the corpus, with a number where the file holds several
	message []byte
}

// hl7Samples returns the messages of the corpus. Files have line ends of all kinds and may hold
// several messages, in a batch or not; on the wire a segment ends with CR and a block holds one.
func hl7Samples(t *testing.T) []hl7Sample {
	t.Helper()
	dir := corpus(t, "hl7v2")
	var all []hl7Sample
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		messages := splitMessages(text)
		for n, m := range messages {
			s := hl7Sample{name, m}
			if len(messages) > 1 {
				s.name = fmt.Sprintf("%s#%d", name, n+1)
			}
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no HL7 messages below %s", dir)
	}
	return all
}

// splitMessages returns the messages in the text of a file: each MSH segment with what follows it
// up to the next, without the segments that wrap a batch or a file (HL7 v2 §2.10.3).
func splitMessages(text []byte) [][]byte {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\r"))
	text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r"))
	var messages [][]byte
	for _, segment := range bytes.Split(text, []byte("\r")) {
		segment = bytes.Trim(segment, "\x0b\x1c") // some files keep the framing
		switch {
		case len(segment) < 4 || bytes.HasPrefix(segment, []byte("FHS")) || bytes.HasPrefix(segment, []byte("BHS")) ||
			bytes.HasPrefix(segment, []byte("BTS")) || bytes.HasPrefix(segment, []byte("FTS")):
			continue
		case bytes.HasPrefix(segment, []byte("MSH")):
			messages = append(messages, nil)
		case messages == nil:
			continue // not a message
		}
		last := &messages[len(messages)-1]
		*last = append(append(*last, segment...), '\r')
	}
	return messages
}
