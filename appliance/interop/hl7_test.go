package interop

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/protocols/hl7"
)

// refusedByDesign names samples that a lenient receiver takes and Cordon refuses, and why.
var refusedByDesign = map[string]string{
	"cosyte-hl7/malformed/invalid-encoding-characters.hl7":                                             "H12: MSH-2 has two characters",
	"hl7v2-fhir-converter/sample_unix.hl7":                                                             "H12: MSH-2 has the escape character twice",
	"hl7v2-fhir-converter/sample_win.hl7":                                                              "H12: MSH-2 has the escape character twice",
	"trusted-intermediary/Test/Message/msh_present_but_missing_msh-2.hl7":                              "H12: MSH-2 is empty",
	"trusted-intermediary/Test/Message/msh_present_but_missing_msh-10.hl7":                             "H8: without a control ID no acknowledgment can be matched",
	"data-exchange-hl7/fns-hl7-pipeline/fn-hl7-json-lake/Hepatitis_V1_0_1_TM_TC02_HEP_B_ACUTE_MOD.hl7": "default deny: MSH-9 names no message type",
}

// H5, H11: every message that a receiver takes directly arrives through Cordon byte for byte, and
// its acknowledgment returns byte for byte.
func TestHL7MessagesArriveUnchanged(t *testing.T) {
	for _, c := range []struct {
		name     string
		sender   func(*testing.T, time.Duration) sender
		receiver func(*testing.T, *tlsFiles) receiver
		route    route
		silent   func([]byte) bool // what the receiver never answers, as far as it is known beforehand
		least    int               // messages that the two exchange directly, so that a broken harness shows
	}{
		{"Go to Go", newGoSender, newGoReceiver, toTLS, unanswered, 800},
		{"python-hl7 to python-hl7", newPythonSender, newPythonReceiver, toTLS, never, 930},
		{"python-hl7 to HAPI", newPythonSender, newHAPIReceiver, toFarEnd, never, 650},
		{"HAPI to python-hl7", newHAPISender, newPythonReceiver, toFarEnd, never, 700},
		{"HAPI to HAPI", newHAPISender, newHAPIReceiver, toFarEnd, never, 650},
	} {
		t.Run(c.name+", "+string(c.route), func(t *testing.T) {
			t.Parallel()
			messages, _ := unsolicited(hl7Samples(t))
			messages = slices.DeleteFunc(messages, func(s hl7Sample) bool { return c.silent(s.message) })
			plain := c.receiver(t, nil)
			taken, refused := deliverMessages(t, c.sender(t, directly), plain, plain.port(), messages)
			if len(taken) < c.least {
				t.Fatalf("only %d of %d messages are taken directly: %v", len(taken), len(messages), refused)
			}

			server, port := guard(t, c.route, sendEverything(messages), c.receiver, plain)
			_, refused = deliverMessages(t, c.sender(t, through), server, port, taken)
			for _, s := range taken {
				why, refused := refused[s.name]
				if _, expected := refusedByDesign[s.name]; refused != expected {
					t.Errorf("%s is taken directly; through Cordon refused: %t, want %t: %v", s.name, refused, expected, why)
				}
			}
			t.Logf("%d messages arrived unchanged", len(taken)-len(refused))
		})
	}
}

func never([]byte) bool { return false }

// unsolicited divides messages in those that begin an exchange and those that answer one, which
// have an MSA segment. A device that sends an answer nobody waits for is refused (H8).
func unsolicited(all []hl7Sample) (first, answers []hl7Sample) {
	for _, s := range all {
		if bytes.Contains(s.message, []byte("\rMSA"+string(s.message[3:4]))) {
			answers = append(answers, s)
		} else {
			first = append(first, s)
		}
	}
	return first, answers
}

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
	return flow{protocol: "hl7", allow: "[message: [" + list(types) + "]]"}
}

// H5, H8: the answers of the corpus return byte for byte to the message that they answer.
func TestHL7AnswersReturnUnchanged(t *testing.T) {
	t.Parallel()
	_, answers := unsolicited(hl7Samples(t))
	if len(answers) < 15 {
		t.Fatalf("the corpus has only %d answers", len(answers))
	}
	give := make(chan []byte, 1)
	start := func(t *testing.T, files *tlsFiles) receiver {
		return listenHL7(t, files, func([]byte) []byte { return <-give })
	}
	server, port := guard(t, toTLS, flow{protocol: "hl7", allow: "[message: QBP^Q22]"}, start, start(t, nil))
	from := newGoSender(t, through)
	for _, a := range answers {
		var m hl7.Message
		if err := m.Parse(a.message); err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		question := fmt.Appendf(nil, "MSH|^~\\&|CT3|RAD|HIS|HOSP|20260102030405||QBP^Q22|%s|P|2.5\rQPD|IHE PDQ Query\r", m.AckedID)
		give <- a.message
		got, err := from.send(t, port, question)
		if err != nil {
			t.Errorf("%s does not return: %v", a.name, err)
			continue
		}
		if !bytes.Equal(got.ack, a.message) {
			t.Errorf("%s returned changed: %s", a.name, difference(got.ack, a.message))
		}
		server.next(t)
	}
}
