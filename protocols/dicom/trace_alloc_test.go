//go:build !race

package dicom

import (
	"testing"

	"cordon/protocols"
)

// Whoever does not watch, or no longer, costs nothing: neither bytes nor texts are made.
func TestATraceThatNobodyWatchesAllocatesNothing(t *testing.T) {
	c := New(Config{}, quiet{})
	c.Watch(&notebook{})
	if p := protocols.Play(c, established()...); p.Err != nil {
		t.Fatal(p.Err)
	}
	c.Watch(nil)
	request, response := pdu(cmdPDV(ctxEcho, echoRQ(1))), pdu(cmdPDV(ctxEcho, echoRSP(1)))
	refused := store(2, image(badInstance, 400), 16384)
	var plan protocols.Plan
	n := testing.AllocsPerRun(100, func() {
		for _, step := range []struct {
			from protocols.Side
			b    []byte
		}{{protocols.Near, request}, {protocols.Far, response}, {protocols.Near, refused}} {
			plan.Reset()
			if err := c.Step(step.from, step.b, &plan); err != nil || int(plan.Settled()) != len(step.b) {
				t.Fatal(err, plan.Settled(), len(step.b))
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
