package interop

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// H5, H11: every message that a receiver takes directly arrives through Cordon byte for byte, and
// its acknowledgment returns byte for byte.
func TestHL7MessagesArriveUnchanged(t *testing.T) {
	for _, c := range []struct {
		name     string
		sender   func(*testing.T, time.Duration) sender
		receiver func(*testing.T, *tlsFiles) receiver
		route    route
		answers  func([]byte) bool // leaves out what the receiver never answers
		least    int               // messages that the two exchange directly, so that a broken harness shows
	}{
		{"Go to Go", newGoSender, newGoReceiver, toTLS, answered, 800},
		{"python-hl7 to python-hl7", newPythonSender, newPythonReceiver, toTLS, all, 950},
		{"python-hl7 to HAPI", newPythonSender, newHAPIReceiver, toFarEnd, asksHAPI, 650},
		{"HAPI to python-hl7", newHAPISender, newPythonReceiver, toFarEnd, all, 700},
		{"HAPI to HAPI", newHAPISender, newHAPIReceiver, toFarEnd, asksHAPI, 650},
	} {
		t.Run(c.name+", "+string(c.route), func(t *testing.T) {
			t.Parallel()
			messages := hl7Samples(t)
			messages = slices.DeleteFunc(messages, func(s hl7Sample) bool { return !c.answers(s.message) })
			plain := c.receiver(t, nil)
			taken, refused := deliverMessages(t, c.sender(t, directly), plain, plain.port(), messages)
			if len(taken) < c.least {
				t.Fatalf("only %d of %d messages are taken directly: %v", len(taken), len(messages), refused)
			}

			server, port := guard(t, c.route, sendEverything(messages), c.receiver, plain)
			_, refused = deliverMessages(t, c.sender(t, through), server, port, taken)
			for name, why := range refused {
				t.Errorf("%s is taken directly, but not through Cordon: %v", name, why)
			}
			t.Logf("%d messages arrived unchanged", len(taken)-len(refused))
		})
	}
}

func all([]byte) bool { return true }

// asksHAPI tells whether HAPI answers a message. One with an MSA segment it takes for the answer
// to a message of its own.
func asksHAPI(message []byte) bool { return !bytes.Contains(message, []byte("\rMSA|")) }

// sendEverything is a flow that takes all types of these messages.
func sendEverything(messages []hl7Sample) flow {
	var types []string
	for _, m := range messages {
		fields := strings.Split(string(m.message), string(m.message[3:4]))
		if len(fields) > 8 && len(fields[1]) > 0 {
			code, _, _ := strings.Cut(fields[8], fields[1][:1])
			if len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" {
				types = append(types, code+"^*")
			}
		}
	}
	return flow{"hl7", "[message: [" + list(types) + "]]"}
}
