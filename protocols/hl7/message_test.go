package hl7

import (
	"errors"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

func TestMessageFacts(t *testing.T) {
	const msg = `MSH|^~\&#|LAB^1.2.3^ISO|HOSP|HIS|""|20260102030405||ORU^R01^ORU_R01|MSG-1|P^T|2.5.1^DEU|||AL|NE||UNICODE UTF-8~ISO IR87|x|y` + "\rPID|1\r"
	var m Message
	if err := m.Parse([]byte(msg)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ name, got, want string }{
		{"delimiters", string(m.Delimiters[:]), `|^~\&#`}, // H12
		{"MSH-3", string(m.SendingApplication), "LAB^1.2.3^ISO"},
		{"MSH-4", string(m.SendingFacility), "HOSP"},
		{"MSH-5", string(m.ReceivingApplication), "HIS"},
		{"MSH-6", string(m.ReceivingFacility), `""`}, // H20
		{"MSH-9.1", string(m.Type), "ORU"},
		{"MSH-9.2", string(m.Trigger), "R01"},
		{"MSH-9.3", string(m.Structure), "ORU_R01"},
		{"MSH-10", string(m.ControlID), "MSG-1"},
		{"MSH-11", string(m.ProcessingID), "P^T"},
		{"MSH-12.1", string(m.Version), "2.5.1"},
		{"MSH-15", string(m.AcceptAck), "AL"},
		{"MSH-16", string(m.ApplicationAck), "NE"},
		{"MSH-18", string(m.CharacterSet), "UNICODE UTF-8~ISO IR87"},
	} {
		if f.got != f.want {
			t.Errorf("%s is %q, want %q", f.name, f.got, f.want)
		}
	}
	if m.AckCode != nil || m.Batch || m.EndsWithLF {
		t.Errorf("AckCode %q, Batch %v, EndsWithLF %v", m.AckCode, m.Batch, m.EndsWithLF)
	}
}

func TestAbsentTrailingFieldsAreNil(t *testing.T) { // H20
	var m Message
	if err := m.Parse([]byte(`MSH|^~\&|A|B`)); err != nil {
		t.Fatal(err)
	}
	if string(m.SendingFacility) != "B" || m.ReceivingApplication != nil || m.Type != nil || m.ControlID != nil {
		t.Errorf("facts of a short MSH: %+v", m)
	}
}

func TestDelimiters(t *testing.T) { // H12
	for _, test := range []struct {
		name, msg string
		detail    string // "" when it parses
	}{
		{"the usual", `MSH|^~\&|A|B|C|D|||ADT^A01|1|P|2.3`, ""},
		{"five from 2.7", `MSH|^~\&#|A|B|C|D|||ADT^A01|1|P|2.7`, ""},
		{"five before 2.7, as US laboratory reporting has it", `MSH|^~\&#|A|B|C|D|||ADT^A01|1|P|2.5.1`, ""},
		{"others", `MSH@~&#\@A@B@C@D@@@ADT~A01@1@P@2.4`, ""},
		{"nothing follows", `MSH|^~\&`, ""},
		{"no MSH-1", `MSH`, "MSH-1 is missing"},
		{"MSH-2 empty", `MSH||A|B`, "MSH-2 has 0 bytes"},
		{"two", `MSH|^~|A|B`, "MSH-2 has 2 bytes"},
		{"three", `MSH|^~\|A|B`, "MSH-2 has 3 bytes"},
		{"six", `MSH|^~\&#!|A|B`, "MSH-2 has 6 bytes"},
		{"repeats", `MSH|^~\\&|A|B`, "a delimiter repeats"},
		{"digits", `MSH|0000|A|B`, "a delimiter is not a punctuation mark"},
		{"letter as separator", `MSHA^~\&A`, "a delimiter is not a punctuation mark"},
		{"blank", `MSH|^~\ |A|B`, "a delimiter is not a punctuation mark"},
		{"not ASCII", "MSH|^~\\\xa7|A|B", "a delimiter is not a punctuation mark"},
		{"control byte", "MSH\x00^~\\&\x00A", "a delimiter is not a punctuation mark"},
		{"batch header", `FHS|^^\&|A|B`, "a delimiter repeats"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m Message
			err := m.Parse([]byte(test.msg))
			if test.detail == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			checkHeaderError(t, err, test.detail)
		})
	}
}

func checkHeaderError(t *testing.T, err error, detail string) {
	t.Helper()
	var m *protocols.Malformed
	if !errors.As(err, &m) || m.Reason != reason.HL7Header || !strings.Contains(m.Detail, detail) {
		t.Fatalf("%v, want %s: %s", err, reason.HL7Header, detail)
	}
}

func TestNoMSH(t *testing.T) { // H11: character sets that do not extend ASCII are refused
	for msg, detail := range map[string]string{
		"":                        "an empty block",
		"PID|1":                   "another segment",
		"msh|^~\\&|":              "another segment",
		" MSH|^~\\&|":             "another segment",
		"\xEF\xBB\xBFMSH|^~\\&|A": "byte order mark",
		"\xFF\xFEM\x00S\x00":      "UTF-16",
		"\x00M\x00S\x00H":         "UTF-16",
		"M\x00S\x00H\x00":         "UTF-16",
		"<ADT_A01>":               "XML",
	} {
		checkHeaderError(t, new(Message).Parse([]byte(msg)), detail)
	}
}

func TestControlIDsAreShort(t *testing.T) {
	long := strings.Repeat("9", maxControlID+1)
	checkHeaderError(t, new(Message).Parse([]byte(`MSH|^~\&|||||||ADT|`+long)), "MSH-10 has 200 bytes")
	checkHeaderError(t, new(Message).Parse([]byte("MSH|^~\\&|||||||ACK|1\rMSA|AA|"+long)), "MSA-2 has 200 bytes")
}

const head = `MSH|^~\&|A|B|C|D|2026||ORU^R01^ORU_R01|1|P|2.5`

func TestSegmentEnds(t *testing.T) { // H5 H6
	for _, test := range []struct {
		name, msg string
		lf        bool
	}{
		{"CR", head + "\rPID|1\rOBX|1\r", false},
		{"no last CR", head + "\rPID|1\rOBX|1", false},
		{"MSH alone", head, false},
		{"LF", head + "\nPID|1\nOBX|1\n", true},
		{"CR LF", head + "\r\nPID|1\r\nOBX|1\r\n", true},
		{"LF behind MSH only", head + "\nPID|1\rOBX|1\r", true},
		{"LF in MSH", "MSH|^~\\&|A\nB|C\rPID|1\r", true},
		{"LF at the end of MSH", head + "\n\rPID|1\r", true},
		{"one LF before a segment", head + "\rPID|1\nOBX|1\r", true},
		{"LF and blanks before a segment", head + "\rPID|1\n \t OBX|1\r", true},
		{"last segment ends with LF", head + "\rPID|1\r\n", true},
		{"last segment ends with LF alone", head + "\rPID|1\n", true},
		{"LF inside a field is data", head + "\rOBX|1|TX|||first\nsecond|x\r", false},
		{"LF at the end of a field is data", head + "\rOBX|1|TX|||first\n\rPID|1\r", false},
		{"LF before what looks like text is data", head + "\rOBX|1|TX|||first\nPID is\nMSH was\r", false},
		{"LF before lower case is data", head + "\rOBX|1|TX|||first\npid|1\r", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m Message
			if err := m.Parse([]byte(test.msg)); err != nil {
				t.Fatal(err)
			}
			if m.EndsWithLF != test.lf || m.Batch {
				t.Errorf("EndsWithLF %v, want %v; Batch %v", m.EndsWithLF, test.lf, m.Batch)
			}
		})
	}
}

func TestBatches(t *testing.T) { // H13
	for _, test := range []struct {
		name, msg string
		batch     bool
	}{
		{"file", "FHS|^~\\&|A|B\rBHS|^~\\&|A|B\r" + head + "\rBTS|1\rFTS|1\r", true},
		{"batch", "BHS|^~\\&|A|B\r" + head + "\rBTS|1\r", true},
		{"two MSH", head + "\rPID|1\r" + head + "\rPID|2\r", true},
		{"two MSH with LF", head + "\nPID|1\n" + head + "\nPID|2\n", true},
		{"second MSH behind LF alone", head + "\rPID|1\n" + head + "\r", true},
		{"second MSH behind blanks", head + "\rPID|1\r \t" + head + "\r", true},
		{"second MSH behind empty lines", head + "\rPID|1\r\r\r" + head, true},
		{"second MSH with another separator", head + "\rMSH^~|\\&^\r", true},
		{"second MSH with a blank for separator", head + "\rMSH ~|\\& \r", true},
		{"bare MSH", head + "\rMSH", true},
		{"trailer alone", head + "\rFTS|1\r", true},
		{"MSH in a field", head + "\rOBX|1|TX|||MSH|2\r", false},
		{"a hormone in a text", head + "\rOBX|1|TX|||elevated\nMSH level\r", false},
		{"segment with a like name", head + "\rMSHX|1\r", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m Message
			if err := m.Parse([]byte(test.msg)); err != nil {
				t.Fatal(err)
			}
			if m.Batch != test.batch {
				t.Errorf("Batch %v, want %v", m.Batch, test.batch)
			}
		})
	}
}

func TestAcknowledgmentSegment(t *testing.T) {
	for _, test := range []struct{ name, msg, code, id string }{
		{"second", head + "\rMSA|AA|42|text\r", "AA", "42"},
		{"last, without CR", head + "\rMSA|AE|42", "AE", "42"},
		{"behind SFT", head + "\rSFT|x\rMSA|CA|42\r", "CA", "42"},
		{"behind blanks", head + "\r MSA|AR|42\r", "AR", "42"},
		{"behind LF", head + "\nMSA|AR|42\n", "AR", "42"},
		{"no ID", head + "\rMSA|AA\r", "AA", ""},
		{"empty", head + "\rMSA|\r", "", ""},
	} {
		var m Message
		if err := m.Parse([]byte(test.msg)); err != nil {
			t.Fatal(test.name, err)
		}
		if m.AckCode == nil || string(m.AckCode) != test.code || string(m.AckedID) != test.id {
			t.Errorf("%s: %q %q", test.name, m.AckCode, m.AckedID)
		}
	}
	var m Message
	if err := m.Parse([]byte(head + "\rMSAX|AA|42\rZZZ|MSA|AA|42")); err != nil || m.AckCode != nil {
		t.Errorf("no MSA segment: %q, %v", m.AckCode, err)
	}
	checkHeaderError(t, m.Parse([]byte(head+"\rMSA|AA|1\rMSA|AA|2\r")), "second MSA")
	if err := m.Parse([]byte(head + "\rMSA|AA|42\nfoo\r")); err != nil || string(m.AckedID) != "42" || !m.EndsWithLF {
		t.Errorf("LF in MSA: %q, EndsWithLF %v, %v", m.AckedID, m.EndsWithLF, err)
	}
}

// H11: the bytes of ISO-2022-JP and Shift-JIS may be those of delimiters, behind MSH.
func TestCharacterSetsAreBytes(t *testing.T) {
	for _, text := range []string{"\x1b$B|^~\\&\x1b(B", "\x83\x7c\x95\x5c", "J\xfcrgen", "\xe5\xb1\xb1"} {
		var m Message
		if err := m.Parse([]byte(head + "||||||~ISO IR87\rPID|1||" + text + "\r")); err != nil {
			t.Fatal(err)
		}
		if string(m.CharacterSet) != "~ISO IR87" || m.Batch || m.EndsWithLF || m.AckCode != nil {
			t.Errorf("%x: %+v", text, m)
		}
	}
}

func TestErrorsShowNoValues(t *testing.T) {
	for _, msg := range []string{"Doe^Jane", "MSHDoe^Jane", "MSH|DoeJ|", "MSH|^~\\&|||||||A|" + strings.Repeat("Doe", 99)} {
		if err := new(Message).Parse([]byte(msg)); err == nil || strings.Contains(err.Error(), "Doe") {
			t.Errorf("%.20q: %v", msg, err)
		}
	}
}
