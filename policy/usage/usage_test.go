package usage

import (
	"fmt"
	"testing"
	"time"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// clock is a clock that stands until it is moved.
type clock struct{ t time.Time }

func (c *clock) now() time.Time         { return c.t }
func (c *clock) move(by time.Duration)  { c.t = c.t.Add(by) }
func newClock() *clock                  { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)} }
func limits(set map[Kind]int64) *Limits { l := new(Limits); l.set(set); return l }
func (l *Limits) set(of map[Kind]int64) {
	for k, n := range of {
		l[k] = Limit{Kind: k, Most: n, Rule: k.Key()}
	}
}

// site is a device with a flow on a book of its own.
type site struct {
	t     *testing.T
	clock *clock
	book  *Book
	pair  Pair
}

func newSite(t *testing.T, device, flow *Limits) *site {
	c := newClock()
	return &site{t, c, NewBook(c.now), Pair{device, flow}}
}

// begin begins an association on a flow of the device; it returns why that is refused, or "".
func (s *site) begin(flow string) (*Association, reason.Code) {
	a := new(Association)
	return a, code(a.Begin(s.book, "ct", "ct/"+flow, s.pair))
}

// must is begin that is not refused.
func (s *site) must(flow string) *Association {
	s.t.Helper()
	a, why := s.begin(flow)
	if why != "" {
		s.t.Fatalf("an association was refused: %s", why)
	}
	return a
}

// store passes an object of a study; it returns why that is refused, or "".
func (s *site) store(a *Association, study string, bytes int64) reason.Code {
	charge, over := a.Store(s.pair)
	if over != nil {
		return over.Reason()
	}
	if charge, over = a.Study(charge, []byte(study), s.pair); over != nil {
		return over.Reason()
	}
	a.Settle(charge, bytes, true, s.pair)
	return ""
}

func code(l *Limit) reason.Code {
	if l == nil {
		return ""
	}
	return l.Reason()
}

func (s *site) expect(what string, got, want reason.Code) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestSessionsAtOnce(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{Sessions: 2}), nil)
	first, _ := s.must("a"), s.must("b") // the flows share what the device has
	_, why := s.begin("a")
	s.expect("the third", why, reason.SessionLimit)
	first.End()
	first.End() // ends once
	s.must("b")
	_, why = s.begin("b")
	s.expect("the third again", why, reason.SessionLimit)
	if n := s.book.Used("ct", Sessions); n != 2 {
		t.Errorf("%d sessions counted", n)
	}
	if n := s.book.Used("ct/b", Sessions); n != 0 {
		t.Errorf("%d sessions of a flow without limits counted", n)
	}
}

func TestFlowsOwnLimitIsItsOwn(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{Sessions: 9}), limits(map[Kind]int64{Sessions: 1}))
	s.must("a")
	s.must("b")
	_, why := s.begin("a")
	s.expect("the second of a flow", why, reason.SessionLimit)
	if n := s.book.Used("ct", Sessions); n != 2 {
		t.Errorf("a refused association is counted on the device: %d", n)
	}
}

func TestAssociationsPerMinute(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{AssociationsPerMinute: 3}), nil)
	for _, step := range []struct {
		wait time.Duration
		want reason.Code
	}{
		{0, ""}, {30 * time.Second, ""}, {0, ""},
		{0, reason.CapRate},
		{29 * time.Second, reason.CapRate},
		{time.Second, ""}, // the first is a minute ago
		{0, reason.CapRate},
		{30 * time.Second, ""}, {0, ""}, {0, reason.CapRate},
		{24 * time.Hour, ""},
	} {
		s.clock.move(step.wait)
		a, why := s.begin("a")
		s.expect(fmt.Sprintf("after %s more", step.wait), why, step.want)
		a.End()
	}
}

func TestObjectsOnAnAssociation(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{InstancesPerAssociation: 2}), nil)
	for range 2 { // the next association begins anew
		a := s.must("a")
		s.expect("first", s.store(a, "1", 10), "")
		s.expect("second", s.store(a, "1", 10), "")
		s.expect("third", s.store(a, "1", 10), reason.CapInstances)
		a.End()
	}
}

// One that begins while there are bytes left passes whole.
func TestBytesOnAnAssociation(t *testing.T) {
	s := newSite(t, nil, limits(map[Kind]int64{BytesPerAssociation: 100}))
	a := s.must("a")
	s.expect("first", s.store(a, "1", 99), "")
	s.expect("second", s.store(a, "1", 5000), "")
	s.expect("third", s.store(a, "1", 1), reason.CapBytes)
}

func TestObjectsOfADayEndAtMidnight(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		most int64
		want reason.Code
	}{{InstancesPerDay, 2, reason.CapInstances}, {BytesPerDay, 20, reason.CapBytes}} {
		s := newSite(t, limits(map[Kind]int64{c.kind: c.most}), nil)
		a, b := s.must("a"), s.must("b")
		s.expect("first", s.store(a, "1", 10), "")
		s.expect("second, on another flow", s.store(b, "2", 10), "")
		s.expect("third", s.store(a, "3", 10), c.want)
		if n := s.book.Used("ct", c.kind); n != c.most {
			t.Errorf("%s: %d counted", c.kind.Key(), n)
		}
		s.clock.move(11*time.Hour + 59*time.Minute)
		s.expect("before midnight", s.store(a, "3", 10), c.want)
		s.clock.move(time.Minute)
		if n := s.book.Used("ct", c.kind); n != 0 {
			t.Errorf("%s: %d counted after midnight", c.kind.Key(), n)
		}
		s.expect("after midnight", s.store(a, "3", 10), "")
	}
}

func TestObjectsOfAStudy(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{InstancesPerStudy: 2, BytesPerStudy: 1000}), nil)
	a, b := s.must("a"), s.must("b")
	s.expect("first", s.store(a, "1.2", 10), "")
	s.expect("second, on another association", s.store(b, "1.2", 10), "")
	s.expect("third", s.store(a, "1.2", 10), reason.CapInstances)
	s.expect("another study", s.store(a, "1.3", 1000), "")
	s.expect("as many bytes as it may have", s.store(b, "1.3", 1), reason.CapBytes)

	other := new(Association)
	other.Begin(s.book, "mr", "mr/a", s.pair)
	s.expect("the same study from another device", s.store(other, "1.2", 10), "")
}

// What a study's limit refuses is taken back from the day and the association.
func TestWhatAStudyRefusesIsNotCounted(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{InstancesPerDay: 3, InstancesPerAssociation: 3}), limits(map[Kind]int64{InstancesPerStudy: 1}))
	a := s.must("a")
	s.expect("first", s.store(a, "1", 10), "")
	for range 5 {
		s.expect("another of the study", s.store(a, "1", 10), reason.CapInstances)
	}
	s.expect("another study", s.store(a, "2", 10), "")
	if n := s.book.Used("ct", InstancesPerDay); n != 2 {
		t.Errorf("%d counted today", n)
	}
}

// The bytes of an object that was cut short have passed; the object comes again.
func TestCutObjectIsCountedByItsBytesAlone(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{InstancesPerDay: 1, BytesPerDay: 1000, InstancesPerStudy: 1, BytesPerStudy: 1000, InstancesPerAssociation: 1}), nil)
	a := s.must("a")
	charge, _ := a.Store(s.pair)
	charge, _ = a.Study(charge, []byte("1"), s.pair)
	a.Settle(charge, 300, false, s.pair)
	if i, b := s.book.Used("ct", InstancesPerDay), s.book.Used("ct", BytesPerDay); i != 0 || b != 300 {
		t.Errorf("%d instances, %d bytes", i, b)
	}
	s.expect("again", s.store(a, "1", 10), "")
	s.expect("one more", s.store(a, "1", 10), reason.CapInstances)
}

func TestOutstandingOperations(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{Outstanding: 4}), limits(map[Kind]int64{Outstanding: 2}))
	if n := s.pair.Most(Outstanding); n != 2 {
		t.Errorf("the stricter limit is %d", n)
	}
	a := s.must("a")
	for _, step := range []struct {
		from     protocols.Side
		answered bool
		want     reason.Code
	}{
		{protocols.Near, false, ""}, {protocols.Near, false, ""}, {protocols.Near, false, reason.CapOutstanding},
		{protocols.Far, false, ""}, // each side has its own
		{protocols.Near, true, ""}, {protocols.Near, false, ""}, {protocols.Near, false, reason.CapOutstanding},
	} {
		if step.answered {
			a.Answered(step.from)
			continue
		}
		s.expect(step.from.String(), code(a.Request(step.from, s.pair)), step.want)
	}
}

// Nothing is judged on an association that was refused and passed all the same.
func TestRefusedAssociationIsNotCounted(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{Sessions: 1, InstancesPerDay: 1, InstancesPerStudy: 1}), nil)
	s.must("a")
	a, _ := s.begin("a")
	for range 3 {
		s.expect("an object", s.store(a, "1", 1), "")
	}
	a.End()
	if n := s.book.Used("ct", Sessions); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A limit that a reload brings counts from then on.
func TestLimitThatComesLater(t *testing.T) {
	s := newSite(t, nil, nil)
	a := s.must("a")
	s.expect("before", s.store(a, "1", 1), "")
	s.pair[0] = limits(map[Kind]int64{Sessions: 1, InstancesPerDay: 1, InstancesPerStudy: 1})
	s.expect("first", s.store(a, "1", 1), "")
	s.expect("second", s.store(a, "1", 1), reason.CapInstances)
	b := s.must("a")
	a.End()
	if n := s.book.Used("ct", Sessions); n != 1 {
		t.Errorf("%d sessions", n)
	}
	b.End()
}

func TestUseInWords(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		used int64
		want string
	}{
		{InstancesPerDay, 1200, "1200 of most"},
		{BytesPerDay, 1000, "1000 bytes of most"},
		{BytesPerStudy, 1 << 10, "1.0KiB of most"},
		{BytesPerDay, 1288490189, "1.2GiB of most"},
		{BytesPerDay, 5 << 50, "5120.0TiB of most"},
	} {
		l := Limit{Kind: c.kind, Text: "most"}
		if got := l.Say(c.used); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// The studies take no more memory than they have: the one not seen for longest is forgotten.
func TestStudiesAreBounded(t *testing.T) {
	s := newSite(t, limits(map[Kind]int64{InstancesPerStudy: 1}), nil)
	a := s.must("a")
	s.expect("first", s.store(a, "1.2.3", 1), "")
	s.expect("again", s.store(a, "1.2.3", 1), reason.CapInstances)
	for i := range 8 * Studies {
		s.expect("another", s.store(a, fmt.Sprint("9.", i), 1), "")
	}
	s.expect("the newest is known", s.store(a, fmt.Sprint("9.", 8*Studies-1), 1), reason.CapInstances)
	s.expect("the first is forgotten", s.store(a, "1.2.3", 1), "")
}

// Many sessions of a device never have more than the limit together.
func TestAccountsAreShared(t *testing.T) {
	const most, sessions = 1000, 8
	s := newSite(t, limits(map[Kind]int64{InstancesPerDay: most}), limits(map[Kind]int64{InstancesPerStudy: 10 * most}))
	passed := make(chan int)
	for range sessions {
		a := s.must("a")
		go func() {
			n := 0
			for range most {
				if s.store(a, "1", 1) == "" {
					n++
				}
			}
			passed <- n
		}()
	}
	total := 0
	for range sessions {
		total += <-passed
	}
	if total != most {
		t.Errorf("%d objects passed, want %d", total, most)
	}
}

func BenchmarkStore(b *testing.B) {
	for name, l := range map[string]*Limits{
		"unlimited": nil,
		"limited":   limits(map[Kind]int64{InstancesPerDay: 1 << 60, BytesPerDay: 1 << 60, InstancesPerStudy: 1 << 60, InstancesPerAssociation: 1 << 60}),
	} {
		b.Run(name, func(b *testing.B) {
			p := Pair{l, nil}
			a, uid := new(Association), []byte("1.2.840.113619.2.55.3.604688119.971.1268657845.1")
			a.Begin(NewBook(time.Now), "ct", "ct/a", p)
			b.ReportAllocs()
			for b.Loop() {
				charge, _ := a.Store(p)
				charge, _ = a.Study(charge, uid, p)
				a.Settle(charge, 1000, true, p)
			}
		})
	}
}
