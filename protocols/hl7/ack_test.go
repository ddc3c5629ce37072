package hl7

import (
	"strings"
	"testing"

	"cordon/protocols/reason"
)

// All reasons that are answered say so in the same way: each acknowledgment parses and is matched.
func TestRefusalsInTheMessagesOwnWords(t *testing.T) { // H10
	at := []byte("20260102030405")
	for _, test := range []struct {
		name, msg string
		code      string
		why       reason.Code
		want      string
	}{
		{
			"version 2.5.1", `MSH|^~\&|LAB^1.2^ISO|HOSP|HIS|CLINIC|2025||ORU^R01^ORU_R01|M 1\F\|P|2.5.1^DEU`, "AR", reason.HL7Trigger,
			`MSH|^~\&|HIS|CLINIC|LAB^1.2^ISO|HOSP|20260102030405||ACK^R01^ACK|C9|P|2.5.1` + "\r" +
				`MSA|AR|M 1\F\` + "\r" +
				`ERR||MSH^1^9^1^2|201^Unsupported event code^HL70357|E|hl7.trigger-event|||The flow allows the message type, but not with this trigger event. (hl7.trigger-event)` + "\r",
		},
		{
			"version 2.7 with five encoding characters", `MSH|^~\&#|A|B|C|D|2025||ADT^A01^ADT_A01|7|T|2.7`, "CR", reason.HL7Sender,
			`MSH|^~\&#|C|D|A|B|20260102030405||ACK^A01^ACK|C9|T|2.7` + "\r" +
				`MSA|CR|7` + "\r" +
				`ERR||MSH^1^3|103^Table value not found^HL70357|E|hl7.sender|||The sending application or facility (MSH-3, MSH-4) is not the device's. (hl7.sender)` + "\r",
		},
		{
			"version 2.3: ERR-1, text in MSA-3, no message structure", `MSH|^~\&|A|B|C|D|2025||ORM^O01|7|P|2.3`, "AR", reason.HL7MessageType,
			`MSH|^~\&|C|D|A|B|20260102030405||ACK^O01|C9|P|2.3` + "\r" +
				`MSA|AR|7|The flow does not allow this message type. (hl7.message-type)` + "\r" +
				`ERR|MSH^1^9^200&Unsupported message type&HL70357` + "\r",
		},
		{
			"version 2.4, no trigger event, nothing to point at", `MSH|^~\&|A|B|C|D|2025||ORM|7|P|2.4`, "AR", reason.HL7Batch,
			`MSH|^~\&|C|D|A|B|20260102030405||ACK|C9|P|2.4` + "\r" +
				`MSA|AR|7|The block holds a batch or several messages, which the flow does not allow. (hl7.batch)` + "\r" +
				`ERR|^^^207&Application internal error&HL70357` + "\r",
		},
		{
			"version 2.8, receiver", `MSH|^~\&|A|B|C|D|2025||ORM^O01^ORM_O01|7|P|2.8`, "AR", reason.HL7Receiver,
			`MSH|^~\&|C|D|A|B|20260102030405||ACK^O01^ACK|C9|P|2.8` + "\r" +
				`MSA|AR|7` + "\r" +
				`ERR||MSH^1^5|103^Table value not found^HL70357|E|hl7.receiver|||The receiving application or facility (MSH-5, MSH-6) is not the flow's. (hl7.receiver)` + "\r",
		},
		{
			"a patch's code, no version", `MSH|^~\&|A|B|C|D|2025||ORM^O01|7|P`, "AR", "patch.x",
			`MSH|^~\&|C|D|A|B|20260102030405||ACK^O01^ACK|C9|P|` + "\r" +
				`MSA|AR|7` + "\r" +
				`ERR|||207^Application internal error^HL70357|E|patch.x|||Refused (patch.x)` + "\r",
		},
		{
			"delimiters that stand in our text", `MSH.-,(). A. B. C. D.2025..ORM-O01.7.P.2-8`, "AR", "patch.x-y",
			`MSH.-,(). C. D. A. B.20260102030405..ACK-O01-ACK.C9.P.2` + "\r" +
				`MSA.AR.7` + "\r" +
				`ERR...207-Application internal error-HL70357.E.patch(F(x(S(y...Refused (E(patch(F(x(S(y(T(` + "\r",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m, back Message
			if err := m.Parse([]byte(test.msg)); err != nil {
				t.Fatal(err)
			}
			a := Acknowledgment{Code: test.code, ControlID: []byte("C9"), Time: at, Reason: test.why}
			got := a.Append(nil, &m)
			if string(got) != test.want {
				t.Errorf("\n got %q\nwant %q", got, test.want)
			}
			if err := back.Parse(got); err != nil {
				t.Fatalf("the acknowledgment does not parse: %v", err)
			}
			if string(back.AckedID) != string(m.ControlID) || string(back.AckCode) != test.code ||
				back.EndsWithLF || back.Batch || back.Delimiters != m.Delimiters {
				t.Errorf("facts of the acknowledgment: %+v", back)
			}
		})
	}
}

func TestPositiveAcknowledgmentHasNoERR(t *testing.T) {
	var m Message
	if err := m.Parse([]byte(head)); err != nil {
		t.Fatal(err)
	}
	a := Acknowledgment{Code: "AA", ControlID: []byte("X1")}
	if got, want := string(a.Append(nil, &m)), `MSH|^~\&|C|D|A|B|||ACK^R01^ACK|X1|P|2.5`+"\rMSA|AA|1\r"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEveryAnsweredReasonMakesAnAcknowledgment(t *testing.T) { // H10
	var m Message
	if err := m.Parse([]byte(head)); err != nil {
		t.Fatal(err)
	}
	for _, info := range reason.All() {
		if info.ERR == "" {
			continue
		}
		if table0357[info.ERR] == "" {
			t.Errorf("%s: ERR-3 is %q, which is not in table 0357", info.Code, info.ERR)
		}
		a := Acknowledgment{Code: "AR", ControlID: []byte("1"), Reason: info.Code}
		if got := string(a.Append(nil, &m)); strings.Count(got, "\r") != 3 || !strings.Contains(got, string(info.Code)) {
			t.Errorf("%s: %q", info.Code, got)
		}
	}
}

func TestVersions(t *testing.T) {
	for in, want := range map[string]int{"2.1": 210, "2.3": 230, "2.3.1": 231, "2.5": 250, "2.5.1": 251, "2.8.2": 282,
		"": latest, "1": latest, "3.0": latest, "2.": latest, "2.x": latest} {
		if got := versionOf([]byte(in)); got != want {
			t.Errorf("version %q is %d, want %d", in, got, want)
		}
	}
}

func TestWhatARefusalMayBe(t *testing.T) { // H9
	for _, test := range []struct{ accept, application, want string }{
		{"", "", "AR"},
		{"AL", "NE", "CR"}, {"ER", "NE", "CR"}, {"AL", "AL", "CR"}, {"ER", "AL", "CR"},
		{"NE", "AL", "AR"}, {"SU", "ER", "AR"}, {"", "AL", "AR"},
		{"NE", "NE", ""}, {"SU", "SU", ""}, {"", "NE", ""}, {"NE", "", ""},
		{"ACCEPT", "ACK", "CR"}, // not in table 0155, but they ask for something
	} {
		m := Message{AcceptAck: []byte(test.accept), ApplicationAck: []byte(test.application)}
		if got := m.rejection(); got != test.want {
			t.Errorf("MSH-15 %q, MSH-16 %q: %q, want %q", test.accept, test.application, got, test.want)
		}
	}
}
