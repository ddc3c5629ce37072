package hl7

import (
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// Only what the server acknowledges as accepted was taken; of a message that promises no
// acknowledgment nothing more is known than that it passed.
func TestTakenIsWhatTheServerAccepts(t *testing.T) {
	oru := from(near, block(msg("ORU^R01", "1", "")))
	for name, c := range map[string]struct {
		rules  testRules
		chunks []protocols.Chunk
		want   bool
	}{
		"sent, and not answered":       {testRules{}, []protocols.Chunk{oru}, false},
		"accepted":                     {testRules{}, []protocols.Chunk{oru, from(far, block(ack("AA", "1")))}, true},
		"committed":                    {testRules{}, []protocols.Chunk{from(near, block(msg("ORU^R01", "1", "AL|AL"))), from(far, block(ack("CA", "1")))}, true},
		"answered with an error":       {testRules{}, []protocols.Chunk{oru, from(far, block(ack("AE", "1")))}, false},
		"rejected":                     {testRules{}, []protocols.Chunk{oru, from(far, block(ack("AR", "1")))}, false},
		"an order the device accepted": {testRules{}, []protocols.Chunk{from(far, block(msg("ADT^A01", "2", ""))), from(near, block(ack("AA", "2")))}, false},
		"nothing is promised":          {testRules{}, []protocols.Chunk{from(near, block(msg("ORU^R01", "1", "NE|NE")))}, true},
		"enforce would have refused it": {testRules{refused: map[string]reason.Code{"ORU^R01": reason.HL7MessageType}, shadow: true},
			[]protocols.Chunk{oru, from(far, block(ack("AA", "1")))}, false},
	} {
		if p := protocols.Play(New(config(), &c.rules), c.chunks...); p.Err != nil || p.Taken != c.want {
			t.Errorf("%s: taken %v, %v", name, p.Taken, p.Err)
		}
	}
}

// A link that a FIN ends between messages ended in order; all else interrupts it.
func TestWhatInterruptsALink(t *testing.T) {
	oru := from(near, block(msg("ORU^R01", "1", "")))
	closed := func(s protocols.Side) protocols.Event { return protocols.Event{Kind: protocols.Closed, Side: s} }
	for name, c := range map[string]struct {
		chunks     []protocols.Chunk
		event      protocols.Event
		unanswered int
		yes        bool
	}{
		"the device closes between messages":            {[]protocols.Chunk{oru, from(far, block(ack("AA", "1")))}, closed(near), 0, false},
		"the device closes and its message is answered": {[]protocols.Chunk{oru}, closed(near), 1, false},
		"the server closes before it acknowledges":      {[]protocols.Chunk{oru}, closed(far), 1, true},
		"the device closes inside a block":              {[]protocols.Chunk{from(near, "\x0bMSH|")}, closed(near), 0, true},
		"the device is lost between messages":           {[]protocols.Chunk{oru, from(far, block(ack("AA", "1")))}, protocols.Event{Kind: protocols.Lost}, 0, true},
		"the server is lost before it acknowledges":     {[]protocols.Chunk{oru}, protocols.Event{Kind: protocols.Lost, Side: far}, 1, true},
	} {
		conv := New(config(), &testRules{})
		protocols.Play(conv, c.chunks...)
		if n, yes := conv.Interrupts(c.event); n != c.unanswered || yes != c.yes {
			t.Errorf("%s: %d unanswered, %v", name, n, yes)
		}
	}
}
