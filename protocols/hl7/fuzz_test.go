package hl7

import (
	"bytes"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

var seeds = []string{
	head + "\r",
	msg("ORU^R01", "1", "AL|NE"),
	ack("AA", "1"),
	strings.ReplaceAll(msg("ADT^A01", "2", ""), "\r", "\r\n"),
	"MSH@~&#\\@A@B@C@D@@@ADT~A01@1@P@2.4\r",
	"BHS|^~\\&|A|B\r" + head + "\rBTS|1\r",
	head + "\rOBX|1|TX|||first\nsecond\r",
	"MSH|0000|||||||000|||2.8.1\rIN2|||||||||||||||||||||||||||||0",
}

// FuzzFinder: a stream gives the same blocks and the same error wherever it is cut, and the
// blocks are what AppendBlock makes of their content.
func FuzzFinder(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(block(s)+block(s)), 64)
	}
	f.Add([]byte("\va\x1c\x1c\r\vb\vc\x1c\r"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, max int) {
		max = max % (1 << 20)
		whole, wholeErr := find(stream, len(stream)+1, max)
		for _, step := range []int{1, 7} {
			got, err := find(stream, step, max)
			if !equal(got, whole) || (err == nil) != (wholeErr == nil) || err != nil && err.Error() != wholeErr.Error() {
				t.Fatalf("step %d: %v %v, whole: %v %v", step, got, err, whole, wholeErr)
			}
		}
		for _, n := range whole {
			if again := AppendBlock(nil, Content(stream[:n])); !bytes.Equal(again, stream[:n]) {
				t.Fatalf("block %q made again is %q", stream[:n], again)
			}
			stream = stream[n:]
		}
	})
}

// FuzzMessage: facts are spans of the message, and the header made again from its fields is the
// header that came.
func FuzzMessage(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var m Message
		err := m.Parse(b)
		if !bytes.Equal(b, before) {
			t.Fatal("parsing changed the message")
		}
		if err != nil {
			if protocols.ReasonOf(err) != reason.HL7Header {
				t.Fatal(err)
			}
			return
		}
		line := b[:lineEnd(b)]
		fields := bytes.Split(line, m.Delimiters[:1])
		if again := bytes.Join(fields, m.Delimiters[:1]); !bytes.Equal(again, line) {
			t.Fatalf("%q made again is %q", line, again)
		}
		for n, value := range map[int][]byte{2: m.SendingApplication, 3: m.SendingFacility, 4: m.ReceivingApplication,
			5: m.ReceivingFacility, 9: m.ControlID, 10: m.ProcessingID, 14: m.AcceptAck, 15: m.ApplicationAck, 17: m.CharacterSet} {
			if n < len(fields) && !(m.Batch && value == nil) && !bytes.Equal(fields[n], value) {
				t.Fatalf("MSH-%d is %q, read as %q", n+1, fields[n], value)
			}
		}
		if kind := bytes.Join([][]byte{m.Type, m.Trigger, m.Structure}, m.Delimiters[1:2]); len(fields) > 8 && m.Type != nil &&
			!bytes.HasPrefix(kind, fields[8]) && !bytes.HasPrefix(fields[8], kind) {
			t.Fatalf("MSH-9 is %q, read as %q", fields[8], kind)
		}
		made := Acknowledgment{Code: "AR", ControlID: []byte("1"), Reason: reason.HL7Trigger}
		if m.headless() {
			return
		}
		// The values of an acknowledgment come from the message, so it must be as readable.
		var a Message
		if err := a.Parse(made.Append(nil, &m)); err != nil {
			t.Fatalf("the acknowledgment of a readable message: %v", err)
		}
		if !bytes.Equal(a.AckedID, m.ControlID) || a.Batch || a.EndsWithLF || string(a.AckCode) != "AR" {
			t.Fatalf("the acknowledgment reads as %+v", a)
		}
	})
}

// FuzzConversation: what comes out does not depend on how bytes arrive, what is allowed arrives
// as it was sent, and nothing that was not sent arrives.
func FuzzConversation(f *testing.F) {
	one, two := msg("ORU^R01", "1", ""), msg("ADT^A01", "2", "")
	f.Add([]byte(blocks(one, two)), []byte(blocks(ack("AA", "1"), ack("AA", "2"))), byte(0))
	f.Add([]byte("\r\n"+blocks(one, two)), []byte(blocks(ack("AA", "1"))+ack("AA", "2")), byte(1))
	f.Add([]byte(block(one)), []byte("\v\x06\x1c\r"+block(ack("AA", "1"))), byte(2))
	for _, s := range seeds {
		f.Add([]byte(block(s)), []byte(block(ack("AA", "1"))), byte(3))
	}
	f.Fuzz(func(t *testing.T, fromNear, fromFar []byte, how byte) {
		rules := testRules{
			shadow:   how&1 != 0,
			refused:  map[string]reason.Code{"ADT^A01": reason.HL7Trigger},
			tolerate: Tolerance{Strays: how&2 != 0, SegmentEnds: how&4 != 0, MaxMessage: 4096},
		}
		chunks := []protocols.Chunk{protocols.From(near, fromNear), protocols.From(far, fromFar)}
		play := func(n int) protocols.Played {
			r := rules
			return protocols.Play(New(config(), &r), protocols.Cut(n, chunks...)...)
		}
		whole := play(1 << 20)
		for _, n := range []int{1, 5} {
			got := play(n)
			for side := range got.Toward {
				if !bytes.Equal(got.Toward[side], whole.Toward[side]) {
					t.Fatalf("cut %d: toward %v %q, whole %q", n, protocols.Side(side), got.Toward[side], whole.Toward[side])
				}
			}
			if (got.Err == nil) != (whole.Err == nil) || got.Err != nil && got.Err.Error() != whole.Err.Error() {
				t.Fatalf("cut %d: error %v, whole %v", n, got.Err, whole.Err)
			}
			if len(got.Verdicts) != len(whole.Verdicts) || got.Ending != whole.Ending {
				t.Fatalf("cut %d: %d verdicts, ending %v, whole %d, %v", n, len(got.Verdicts), got.Ending, len(whole.Verdicts), whole.Ending)
			}
		}
		if rest := without(fromNear, whole.Toward[far]); len(rest) > 0 && !bytes.HasPrefix(rest, []byte("\vMSH")) {
			t.Fatalf("far got bytes that near never sent: %q", rest)
		}
	})
}

// without walks over got as far as it is a subsequence of blocks of sent, and returns the rest.
func without(sent, got []byte) []byte {
	for len(got) > 0 {
		n, err := new(Finder).Next(got, 0)
		if n == 0 || err != nil || !bytes.Contains(sent, got[:n]) {
			return got
		}
		got = got[n:]
	}
	return nil
}
