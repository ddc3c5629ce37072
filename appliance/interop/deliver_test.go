package interop

import (
	"fmt"
	"regexp"
	"testing"
)

// taking is an acknowledgment that says a message was taken (HL7 table 0008).
var taking = regexp.MustCompile(`\rMSA.(AA|CA)`)

// deliverFiles sends each file and returns what arrived of those that the SCP accepted, by name.
func deliverFiles(t *testing.T, from scu, to scp, port string, files []sample) (arrived map[string]object, refused map[string]error) {
	t.Helper()
	arrived, refused = map[string]object{}, map[string]error{}
	for _, f := range files {
		err := from.send(t, port, calledAE, f)
		o, came := to.take(t)
		switch {
		case err != nil:
			refused[f.name] = err
		case !came:
			t.Errorf("%s: the response says success, but nothing arrived", f.name)
		default:
			arrived[f.name] = o
		}
	}
	return arrived, refused
}

// deliverMessages sends each message and holds that both ends saw the same bytes. It returns the
// messages that the receiver took, and why it did not take the others.
func deliverMessages(t *testing.T, from sender, to receiver, port string, all []hl7Sample) (taken []hl7Sample, refused map[string]error) {
	t.Helper()
	refused = map[string]error{}
	for _, s := range all {
		near, err := from.send(t, port, s.message)
		if err != nil {
			refused[s.name] = err
			continue
		}
		if !taking.Match(near.ack) {
			refused[s.name] = fmt.Errorf("negative acknowledgment %q", near.ack)
			continue
		}
		far := to.next(t)
		if string(far.message) != string(near.message) {
			t.Errorf("%s arrived changed: %s", s.name, difference(far.message, near.message))
		}
		if string(near.ack) != string(far.ack) {
			t.Errorf("the acknowledgment of %s came back changed: %s", s.name, difference(near.ack, far.ack))
		}
		taken = append(taken, s)
	}
	return taken, refused
}
