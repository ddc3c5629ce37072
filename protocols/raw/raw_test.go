package raw

import (
	"testing"

	"cordon/protocols"
)

func TestEverythingPassesBothWays(t *testing.T) { // G1
	chunks := []protocols.Chunk{
		protocols.From(protocols.Near, []byte("anything\x00\xff")),
		protocols.From(protocols.Far, []byte("and its answer")),
		protocols.From(protocols.Near, []byte(" at all")),
	}
	for _, n := range []int{1, 3, 1 << 20} {
		got := protocols.Play(New(), protocols.Cut(n, chunks...)...)
		if s := string(got.Toward[protocols.Far]); s != "anything\x00\xff at all" {
			t.Errorf("cut at %d: toward far %q", n, s)
		}
		if s := string(got.Toward[protocols.Near]); s != "and its answer" {
			t.Errorf("cut at %d: toward near %q", n, s)
		}
		if got.Timer != protocols.Idle || got.Err != nil || len(got.Verdicts) != 0 {
			t.Errorf("cut at %d: timer %v, error %v, verdicts %v", n, got.Timer, got.Err, got.Verdicts)
		}
	}
}

func TestEachEndIsPassedOnAlone(t *testing.T) { // G2
	for _, first := range []protocols.Side{protocols.Near, protocols.Far} {
		other := first.Other()
		closed := func(s protocols.Side) protocols.Chunk {
			return protocols.Told(protocols.Event{Kind: protocols.Closed, Side: s})
		}
		chunks := []protocols.Chunk{
			protocols.From(other, []byte("hello, ")), protocols.From(first, []byte("the end")), closed(first),
			protocols.From(other, []byte("still coming")), closed(other),
		}
		half := protocols.Play(New(), chunks[:4]...)
		if half.Ending[first] != protocols.Open || half.Ending[other] != protocols.FIN {
			t.Errorf("%v closed: endings %v", first, half.Ending)
		}
		if s := string(half.Toward[first]); s != "hello, still coming" {
			t.Errorf("%v closed: return traffic %q", first, s)
		}
		whole := protocols.Play(New(), chunks...)
		if whole.Ending != [2]protocols.Closing{protocols.FIN, protocols.FIN} {
			t.Errorf("both closed: endings %v", whole.Ending)
		}
	}
}

func TestEventsEndBothLegs(t *testing.T) { // G3
	for kind, want := range map[protocols.EventKind]protocols.Closing{
		protocols.Lost: protocols.RST, protocols.Revoked: protocols.RST,
		protocols.DialFailed: protocols.FIN, protocols.Expired: protocols.FIN,
		protocols.Overflow: protocols.FIN, protocols.Failed: protocols.FIN,
		protocols.Shutdown: protocols.Open,
	} {
		p := new(protocols.Plan)
		New().Tell(protocols.Event{Kind: kind}, p)
		if got := ending(p); got != [2]protocols.Closing{want, want} {
			t.Errorf("event %d: endings %v, want %v", kind, got, want)
		}
	}
}

func ending(p *protocols.Plan) (e [2]protocols.Closing) {
	e[protocols.Near], e[protocols.Far] = p.Ending()
	return e
}
