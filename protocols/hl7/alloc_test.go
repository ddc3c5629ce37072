//go:build !race

package hl7

import (
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

func TestSmallMessagesAllocateNothing(t *testing.T) {
	for _, test := range []struct {
		name          string
		message, sent string
	}{
		{"original mode", block(msg("ORU^R01", "MSG00001", "")), block(ack("AA", "MSG00001"))},
		{"enhanced mode", block(msg("ORU^R01", "MSG00001", "AL|AL")), block(ack("CA", "MSG00001")) + block(ack("AA", "MSG00001"))},
	} {
		c, p := New(config(), &testRules{refused: map[string]reason.Code{"ADT^A01": reason.HL7Trigger}}), new(protocols.Plan)
		message, answer := []byte(test.message), []byte(test.sent)
		step := func(from protocols.Side, win []byte) {
			p.Reset()
			if err := c.Step(from, win, p); err != nil || p.Settled() != int64(len(win)) {
				t.Fatalf("%s: settled %d of %d, %v", test.name, p.Settled(), len(win), err)
			}
		}
		exchange := func() {
			p.Reset()
			if err := c.Step(near, message[:20], p); err != nil || p.Settled() != 0 {
				t.Fatal(err)
			}
			step(near, message)
			step(far, answer)
		}
		exchange()
		if n := testing.AllocsPerRun(200, exchange); n != 0 {
			t.Errorf("%s: %v allocations for a message and its acknowledgment", test.name, n)
		}
	}
}

func TestPipelinedMessagesAllocateNothing(t *testing.T) {
	c, p := New(config(), &testRules{}), new(protocols.Plan)
	messages := []byte(block(msg("ORU^R01", "1", "")) + block(msg("ORU^R01", "2", "")) + block(msg("ORU^R01", "3", "")))
	answers := []byte(block(ack("AA", "2")) + block(ack("AA", "1")) + block(ack("AA", "3")))
	exchange := func() {
		for from, win := range [][]byte{messages, answers} {
			p.Reset()
			if err := c.Step(protocols.Side(from), win, p); err != nil || p.Settled() != int64(len(win)) {
				t.Fatal(err)
			}
		}
	}
	exchange()
	if n := testing.AllocsPerRun(200, exchange); n != 0 {
		t.Errorf("%v allocations for three messages", n)
	}
}
