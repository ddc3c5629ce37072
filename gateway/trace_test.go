package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cordon/protocols/dicom/endpoint"
	hl7end "cordon/protocols/hl7/endpoint"
)

// traced begins a trace through the control socket, which it opens.
func (w *world) traced(q TraceQuery) *TraceStream {
	w.t.Helper()
	path := w.path("run/cordon.sock")
	stop, err := w.gw.ServeControl(context.Background(), path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(stop)
	s, err := Client{Socket: path}.Trace(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

// until reads lines up to the first about a unit. What ends a message is left out, since it is a
// line of its own only where the message took long.
func until(t *testing.T, s *TraceStream, unit string) (lines []Trace) {
	t.Helper()
	for {
		line, err := s.Next()
		if err != nil {
			t.Fatalf("%v after %s", err, brief(lines))
		}
		if !line.Ends {
			lines = append(lines, line)
		}
		if line.Unit == unit {
			return lines
		}
	}
}

// brief writes lines in short, without sessions and times.
func brief(lines []Trace) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s/%s %s>%s %s %s %s %s\n", l.Device, l.Flow, l.From, l.To, l.Unit, l.Verdict, l.Reason, l.Text)
		for _, d := range l.Lines {
			fmt.Fprintf(&b, "  %s\n", d)
		}
	}
	return b.String()
}

func TestAnAssociationIsTracedAsItHappens(t *testing.T) {
	w := newWorld(t, nil)
	s := w.traced(TraceQuery{Devices: []string{"ct-1"}})
	a := mustAssociate(t, w, verification, ctImage, mrImage)
	a.Echo()
	store(t, a, ctImage, "1.2.3.1", image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 400_000))
	store(t, a, ctImage, "../../x", image(ctImage, "../../x", "1.2.3", "Doe^Jane", 100))
	if err := a.Release(); err != nil {
		t.Fatal(err)
	}
	lines := until(t, s, "A-RELEASE-RP")
	own := ""
	for i := range lines { // the implementation and maximum length are the test peers' own affair
		if strings.HasPrefix(lines[i].Unit, "A-ASSOCIATE") {
			lines[i].Lines = lines[i].Lines[1:]
		}
		if lines[i].From == "cordon" {
			own = lines[i].Meaning
		}
	}
	if got := brief(lines); got != wantTrace {
		t.Errorf("got\n%swant\n%s", got, wantTrace)
	}
	if own == "" {
		t.Error("our own answer does not say what its reason means")
	}
	if rq := lines[4]; rq.Bytes < 400_000 && !rq.More || rq.PDVs < 2 && !rq.More {
		t.Errorf("the object is %d bytes in %d PDVs", rq.Bytes, rq.PDVs)
	}
	if rsp := lines[5]; rsp.Message != 2 || rsp.Status != "0000" || rsp.After <= 0 {
		t.Errorf("the response is %+v", rsp)
	}
	w.heard(`"unit":"trace"`, `"device":"ct-1"`, `"peer":"uid `)
}

const wantTrace = `ct-1/archive device>server A-ASSOCIATE-RQ rewrite dicom.abstract-syntax CT1 calls PACS
  context   1  Verification SOP Class: Explicit VR Little Endian
  context   3  CT Image Storage: Explicit VR Little Endian
  context   5  MR Image Storage: Explicit VR Little Endian; stripped (abstract-syntax-not-supported)
ct-1/archive server>device A-ASSOCIATE-AC   2 of 3 presentation contexts accepted
  context   1  Verification SOP Class: accepted, Explicit VR Little Endian
  context   3  CT Image Storage: accepted, Explicit VR Little Endian
  1 stripped, and so rejected
ct-1/archive device>server C-ECHO-RQ   message 1: Verification SOP Class, context 1, Explicit VR Little Endian
ct-1/archive server>device C-ECHO-RSP   message 1: 0000H Success
ct-1/archive device>server C-STORE-RQ   message 2: CT Image Storage, context 3, Explicit VR Little Endian, priority medium
ct-1/archive server>device C-STORE-RSP   message 2: 0000H Success
ct-1/archive device>server C-STORE-RQ refuse dicom.uid message 3: CT Image Storage, context 3, Explicit VR Little Endian, priority medium
ct-1/archive cordon>device C-STORE-RSP  dicom.uid message 3: C000H failure: Cannot understand
ct-1/archive device>server A-RELEASE-RQ   
ct-1/archive server>device A-RELEASE-RP   
`

func TestATraceThatBeginsInTheMiddleShowsWhatWasAgreedOn(t *testing.T) {
	w := newWorld(t, nil)
	a := mustAssociate(t, w, verification, ctImage)
	a.Echo()
	s := w.traced(TraceQuery{})
	lines := until(t, s, "association")
	if l := lines[0]; len(l.Lines) != 2 || l.Device != "ct-1" || !strings.Contains(l.Text, "connected from 127.0.0.1") {
		t.Errorf("under way: %s", brief(lines))
	}
	a.Echo()
	until(t, s, "C-ECHO-RSP")
	s.Close()
	for range 2 { // nobody watches any longer, and nobody is told
		a.Echo()
	}
	a.Release()
}

func TestAnotherDeviceIsNotTraced(t *testing.T) {
	w := newWorld(t, nil)
	s := w.traced(TraceQuery{Devices: []string{"analyzer-1"}, Flow: "results"})
	a := mustAssociate(t, w, verification)
	a.Echo()
	a.Release()
	h := hl7end.NewClient(w.dial(w.hl7))
	h.Send([]byte(message("ORU^R01", "CONTROL1", "Doe")))
	h.Send([]byte(message("ADT^A04", "CONTROL2", "Doe")))
	lines := append(until(t, s, "ACK AA"), until(t, s, "ADT^A04")...)
	want := `analyzer-1/results device>server ORU^R01   
analyzer-1/results server>device ACK AA   Application Accept
analyzer-1/results device>server ADT^A04 refuse hl7.message-type answered by Cordon with ERR-3 200
`
	if got := brief(lines); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if ack := lines[1]; ack.After <= 0 || ack.Bytes == 0 {
		t.Errorf("the acknowledgment is %+v", ack)
	}
}

func TestGarbageIsTracedBeforeItsAnswer(t *testing.T) {
	w := newWorld(t, nil)
	s := w.traced(TraceQuery{Devices: []string{"ct-1"}})
	w.dial(w.dicom).Write([]byte("hello\n"))
	lines := until(t, s, "A-ABORT")
	if len(lines) != 2 || lines[0].Unit != "unreadable" || lines[1].From != "cordon" {
		t.Errorf("traced %s", brief(lines))
	}
}

// Invariant 10: a watcher that does not read loses lines, and nobody waits for it.
func TestAWatcherThatDoesNotReadHoldsNothingUp(t *testing.T) {
	w := newWorld(t, nil)
	slow, stop, err := w.gw.watchTraffic(TraceQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for slow.queued < maxQueue-10_000 {
		slow.put(Trace{Unit: "filler"})
	}
	fillers := len(slow.queue)
	a := mustAssociate(t, w, verification)
	for range 50 {
		if status, err := a.Echo(); status != 0 || err != nil {
			t.Fatalf("C-ECHO: %04X %v", status, err)
		}
	}
	a.Release()
	lines := slow.take()
	first, last := lines[fillers], lines[len(lines)-1]
	if shown := len(lines) - fillers - 1; first.Unit != "A-ASSOCIATE-RQ" || shown > 30 || last.Lost < 70 {
		t.Errorf("%d lines, then %+v", shown, last)
	}
	if again := slow.take(); len(again) != 0 {
		t.Errorf("taken again: %v", again)
	}
}

func TestATraceSaysWhatItCannotShow(t *testing.T) {
	w := newWorld(t, nil)
	s := w.traced(TraceQuery{Devices: []string{"ct-1", "analyzer-1"}})
	c := Client{Socket: w.path("run/cordon.sock")}
	for want, q := range map[string]TraceQuery{
		`no device "ct-9" in the policy; did you mean "ct-1"?`:       {Devices: []string{"ct-1", "ct-9"}},
		`no device "mr" in the policy; known here: analyzer-1, ct-1`: {Devices: []string{"mr"}},
		`no flow "printing"; archive can be traced there`:            {Devices: []string{"ct-1"}, Flow: "printing"},
	} {
		if _, err := c.Trace(context.Background(), q); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", q, err, want)
		}
	}
	for range maxWatchers - 1 {
		more, err := c.Trace(context.Background(), TraceQuery{})
		if err != nil {
			t.Fatal(err)
		}
		defer more.Close()
	}
	if _, err := c.Trace(context.Background(), TraceQuery{}); err == nil || !strings.Contains(err.Error(), "8 traces are under way") {
		t.Errorf("one more: %v", err)
	}
	w.stop() // the gateway ends the trace when it stops
	if _, err := s.Next(); err != ErrTraceOver {
		t.Errorf("after the end: %v", err)
	}
}

func TestAMessageThatTakesLongIsTracedWhileItLasts(t *testing.T) {
	w := newWorld(t, nil)
	s := w.traced(TraceQuery{})
	r := endpoint.Request{Called: "PACS", Calling: "CT1", Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}}
	a, err := endpoint.Associate(w.dial(w.dicom), r)
	if err != nil {
		t.Fatal(err)
	}
	rest := image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 400_000)
	slow := &paused{head: rest[:300_000], rest: rest[300_000:], resume: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		_, err := a.Store(ctImage, "1.2.3.1", explicitVRLittle, slow, int64(len(rest)))
		done <- err
	}()
	lines := until(t, s, "C-STORE-RQ")
	if l := lines[len(lines)-1]; !l.More || l.Bytes == 0 {
		t.Errorf("while it lasts: %+v", l)
	}
	close(slow.resume)
	for {
		line, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if line.Ends {
			if line.Unit != "C-STORE-RQ" || line.Bytes < 400_000 || line.Elapsed <= 0 {
				t.Errorf("its end: %+v", line)
			}
			break
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a.Release()
}

// paused is a data set whose rest comes when it is told to resume.
type paused struct {
	head, rest string
	resume     chan struct{}
}

func (p *paused) Read(b []byte) (n int, err error) {
	if p.head == "" {
		<-p.resume
		p.head, p.rest = p.rest, ""
	}
	n = copy(b, p.head)
	p.head = p.head[n:]
	return n, nil
}

func TestALineSaysOnlyWhatThereIs(t *testing.T) {
	b, err := json.Marshal(Trace{Unit: "A-RELEASE-RQ"})
	if want := `{"time":"0001-01-01T00:00:00Z","unit":"A-RELEASE-RQ"}`; err != nil || string(b) != want {
		t.Errorf("%s %v, want %s", b, err, want)
	}
}
