package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cordon/protocols/hl7"
)

// A short form of the long run: whatever its length, nothing may be lost, reset or left over, and
// each change must come into force.
func TestSoakLosesNothingAndLeavesNothing(t *testing.T) {
	program := cordonProgram(t)
	var progress strings.Builder
	r, err := Soak(t.Context(), SoakOptions{Self: program, Version: "test", Duration: 3 * time.Second, Every: 100 * time.Millisecond,
		Sample: 100 * time.Millisecond, Progress: &progress})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Error(p)
	}
	s := r.Soak
	for _, kind := range []string{Reload, Rotation, Reopening} {
		if s.count(kind) == 0 {
			t.Errorf("no %s", kind)
		}
	}
	if s.Messages.Sent == 0 || s.DICOM.Sent == 0 || len(s.Moments) == 0 || s.After.Units == 0 {
		t.Errorf("%d messages, %d of DICOM, %d looks", s.Messages.Sent, s.DICOM.Sent, len(s.Moments))
	}
	for _, k := range s.Strands {
		if k.Units == 0 {
			t.Errorf("no unit of %s", k.Name)
		}
	}
	dir := t.TempDir()
	if err := r.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"report.html": `class="rotation"`, "report.md": "| hl7-passing: ", "report.json": `"moments": [`,
	} {
		if text, err := os.ReadFile(dir + "/" + name); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s, %v", name, want, err)
		}
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "arrived and were answered once each") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestTroublesAreToldOnceWithTheirNumber(t *testing.T) {
	s := &soak{SoakOptions: SoakOptions{Progress: io.Discard}, began: time.Now(), process: &process{exited: make(chan struct{})}}
	for range 3 {
		s.problem("%s: EOF", "hl7-open")
	}
	for i := range mostTroubles + 1 {
		s.problem("port %d", i)
	}
	list := s.told()
	if list[0] != "after 0s: hl7-open: EOF (3 times)" || len(list) != mostTroubles+1 || list[mostTroubles] != "and 2 problems more" {
		t.Errorf("%q", list)
	}
	s.process.output.Write([]byte("panic"))
	close(s.process.exited)
	if list := s.told(); list[0] != "the gateway has ended: panic" {
		t.Errorf("%q", list)
	}
	if text := (&Soaked{}).Sentence(list); !strings.Contains(text, "EOF") {
		t.Error(text)
	}
}

func TestSoakNeedsAGateway(t *testing.T) {
	o := SoakOptions{Self: "true", Duration: time.Second, Every: time.Second, Sample: time.Second}
	if _, err := Soak(t.Context(), o); err == nil || !strings.Contains(err.Error(), "ended at once") {
		t.Errorf("a gateway that ends at once: %v", err)
	}
	o.Every = 0
	if _, err := Soak(t.Context(), o); err == nil {
		t.Error("no time between changes was taken")
	}
}

func TestLedgerFindsEachKindOfLoss(t *testing.T) {
	l := newLedger()
	first := firstID + lastID.Add(4) - 3
	for _, n := range []int64{0, 1, 1, 3} { // 2 is lost, 1 comes twice
		l.arrive(first + n)
	}
	for _, n := range []int64{0, 1, 0} { // 2 and 3 are not acknowledged, 0 is twice
		l.acknowledge(first+n, time.Duration(n)*time.Second)
	}
	l.arrive(first + 4) // not given out
	l.arrive(first - 1) // before the ledger
	if got := l.longestWait(); got != time.Second || l.longestWait() != 0 {
		t.Errorf("the longest wait was %s", got)
	}
	got := l.close()
	if want := (Messages{Sent: 4, Lost: 1, Doubled: 1, Unacknowledged: 2, AckDoubled: 1, Foreign: 2}); got != want {
		t.Errorf("%+v", got)
	}
	if got.problem() == nil {
		t.Error("this is no problem")
	}
	if (Messages{Sent: 4}).problem() != nil {
		t.Error("a message that arrived once and was acknowledged once is a problem")
	}
}

// answering answers one message on the other end of a connection, then ends it.
func answering(t *testing.T, answer func(id []byte) []byte) *accounted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer far.Close()
		buf := make([]byte, 4096)
		n, _ := far.Read(buf)
		id, _ := controlID(buf[:n])
		far.Write(answer(id))
		far.Read(buf) // the end
	}()
	return &accounted{messages: overMLLP(near, 300), ids: newLedger()}
}

func TestAcknowledgedTwiceIsAnError(t *testing.T) {
	ack := func(id []byte) []byte {
		block, at := acknowledgment()
		for _, place := range at {
			copy(block[place:], id)
		}
		return block
	}
	twice := func(id []byte) []byte { return append(ack(id), ack(id)...) }
	more := func(id []byte) []byte { return append(hl7.AppendBlock(nil, nil), ack(id)...) }
	for _, c := range []struct {
		name   string
		answer func([]byte) []byte
		wrong  bool
	}{{"once", ack, false}, {"twice", twice, true}, {"something else first", more, true}} {
		m := answering(t, c.answer)
		var s Sample
		s.Latency = newHistogram()
		err := s.exchange(m)
		if err = errors.Join(err, m.close()); (err != nil) != c.wrong {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := m.ids.close(); !c.wrong && (got.Sent != 1 || got.Unacknowledged != 0) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestSightingsFindACertificateThatWasReplaced(t *testing.T) {
	s := newSightings("a")
	ctx, cancel := context.WithCancel(t.Context())
	for i, serial := range []string{"b", "c"} {
		n, err := s.renew(func() (string, error) { return serial, nil })
		if err != nil || n != i+1 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	s.saw("a")
	s.saw("b")
	s.saw("a") // was under way when b was first seen
	if s.old() != 0 {
		t.Error("a handshake that was under way counts as old")
	}
	seen := make(chan error)
	go func() { seen <- s.await(ctx, 2) }()
	s.saw("c")
	if err := <-seen; err != nil {
		t.Error(err)
	}
	s.saw("a")
	s.saw("unknown")
	if s.old() != 2 {
		t.Errorf("%d old ones", s.old())
	}
	cancel()
	if err := s.await(ctx, 3); err == nil {
		t.Error("what was never shown counts as seen")
	}
}

func TestMomentsAreReadFromMetrics(t *testing.T) {
	var m Moment
	err := m.parse(strings.NewReader(`# HELP go_goroutines Number of goroutines.
# TYPE go_goroutines gauge
go_goroutines 41
process_resident_memory_bytes 3.3554432e+07
cordon_units_total{device="a",flow="b c",verdict="allow"} 7
cordon_units_total{device="a",flow="d",verdict="refuse"} 2
cordon_reloads_total{result="done"} 3
cordon_reloads_total{result="refused"} 4
other_total 9
`))
	if want := (Moment{Goroutines: 41, Resident: 32, Units: 9, Reloads: 3}); err != nil || m != want {
		t.Errorf("%+v, %v", m, err)
	}
	if err := m.parse(strings.NewReader("go_goroutines many\n")); err == nil {
		t.Error("a number that is none was taken")
	}
}

// What warms up, comes and goes, or jumps for a moment does not grow; what leaks does.
func TestGrowthIsToldFromNoise(t *testing.T) {
	const n = 1800
	noise := func(i int) float64 { return float64(i * 7919 % 13) }
	for name, c := range map[string]struct {
		of   func(i int) float64
		flat bool
	}{
		"flat":        {func(i int) float64 { return 40 + noise(i)/2 }, true},
		"warming up":  {func(i int) float64 { return 40 - 30/(1+float64(i)/20) }, true},
		"a peak":      {func(i int) float64 { return 40 + map[bool]float64{true: 200}[i/20 == 60] }, true},
		"a leak":      {func(i int) float64 { return 40 + noise(i)/2 + float64(i)/90 }, false},
		"a slow leak": {func(i int) float64 { return 40 + noise(i)/2 + float64(i)/300 }, false},
		"a step":      {func(i int) float64 { return 40 + map[bool]float64{true: 30}[i > 1000] }, false},
	} {
		moments := make([]Moment, n)
		for i := range moments {
			moments[i] = Moment{At: float64(i), Resident: c.of(i)}
		}
		for _, g := range growth(moments) {
			if want := c.flat || g.Name != "resident memory"; g.Flat != want {
				t.Errorf("%s: %+v", name, g)
			}
		}
	}
	at, values := make([]float64, n), make([]float64, n)
	for i := range at {
		at[i], values[i] = float64(i), 5+float64(i)/60
	}
	if v, lo, hi := slope(at, values); v < 1/60.1 || v > 1/59.9 || lo > v || hi < v {
		t.Errorf("slope %v [%v, %v]", v, lo, hi)
	}
}

func TestTimelineDrawsEachLineAndChange(t *testing.T) {
	var at, values []float64
	for i := range 2000 {
		at, values = append(at, float64(i)), append(values, float64(i%7))
	}
	svg := string(timeline("Memory", at, []trace{{"a", "cordon", values}, {"b", "blind", values}}, []Change{{10, Reload, 1}, {20, Rotation, 1}, {30, Reload, 1}}))
	for want, n := range map[string]int{" trace\"": 2, " band\"": 2, `class="reload"`: 2, `class="rotation"`: 1, ">5m<": 1} {
		if got := strings.Count(svg, want); got != n {
			t.Errorf("%d times %s", got, strconv.Quote(want))
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(string(timeline("empty", nil, []trace{{"a", "cordon", nil}}, nil)), "NaN") {
		t.Error("a place that is no number")
	}
}
