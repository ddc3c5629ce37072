//go:build !race

package dicom

import (
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// quiet is Rules that allocate nothing.
type quiet struct{}

func (quiet) Associate(*Association, *protocols.Verdict)                             {}
func (quiet) Context(*Association, *PresentationContext, []bool, *protocols.Verdict) {}
func (quiet) Command(*Command, *protocols.Verdict)                                   {}
func (quiet) Needs(c *Command) Tag                                                   { return TagStudyInstanceUID }
func (quiet) Renames() bool                                                          { return true }
func (quiet) Title(protocols.Side, []byte) string                                    { return "" }
func (quiet) Breach(code reason.Code, v *protocols.Verdict)                          { v.Refuse(code, "") }
func (quiet) DataSet(_ *Command, d *DataSet, v *protocols.Verdict) {
	if !d.InstanceSafe {
		v.Refuse(reason.DICOMUID, "")
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	bulk := pdu(dataPDV(ctxCT, false, make([]byte, 16000)))
	msg := store(1, image(goodInstance, 40000), 16384)
	answer := pdu(cmdPDV(ctxCT, storeRSP(1, 0)))
	bad := store(1, image(badInstance, 4000), 16384)
	mixed := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, image(goodInstance, 200)))
	find := withData(ctxFind, findRQ(5), make([]byte, 20))
	pending := withData(ctxFind, findRSP(5, StatusPending, true), references("CT3 ", 2)) // a match, as far as titles go
	native := pdu(cmdPDV(ctxCT, storeRQ(9)), dataPDV(ctxCT, false, identified().head(tagPixelData, "OW", 1<<31).b))
	packed := pdu(cmdPDV(ctxCT, storeRQ(9)), dataPDV(ctxCT, false, identified().open(tagPixelData, "OB").b))
	fragments := new(dataSet)
	for range 10 {
		fragments.head(tagItem, "", 1590).b = append(fragments.b, make([]byte, 1590)...)
	}
	for name, c := range map[string]struct {
		before []byte
		steps  []protocols.Chunk
	}{
		"bulk data of an allowed object":  {native, []protocols.Chunk{near(bulk)}},
		"fragments of an allowed object":  {packed, []protocols.Chunk{near(pdu(dataPDV(ctxCT, false, fragments.b)))}},
		"an object and its answer":        {nil, []protocols.Chunk{near(msg), far(answer)}},
		"an object in one PDU":            {nil, []protocols.Chunk{near(mixed), far(answer)}},
		"a refused object and our answer": {nil, []protocols.Chunk{near(bad)}},
		"an object that comes in pieces":  {nil, append(protocols.Cut(1000, near(msg)), far(answer))},
		"a match":                         {find, []protocols.Chunk{far(pending)}},
		"a match in pieces":               {find, protocols.Cut(10, far(pending))},
	} {
		t.Run(name, func(t *testing.T) {
			conv := New(Config{}, quiet{})
			if p := protocols.Play(conv, established(near(c.before))...); p.Err != nil {
				t.Fatal(p.Err)
			}
			var plan protocols.Plan
			var win [2][]byte
			var beyond [2]int // bytes that were settled before they came
			run := func() {
				for i := range c.steps {
					from, b := c.steps[i].From, c.steps[i].Bytes
					k := min(beyond[from], len(b))
					beyond[from] -= k
					if win[from] = append(win[from], b[k:]...); len(win[from]) == 0 {
						continue
					}
					plan.Reset()
					if err := conv.Step(from, win[from], &plan); err != nil {
						t.Fatal(err)
					}
					n := int(plan.Settled())
					beyond[from] += max(0, n-len(win[from]))
					win[from] = win[from][:copy(win[from], win[from][min(n, len(win[from])):])]
				}
			}
			run()
			if n := testing.AllocsPerRun(100, run); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if conv.over {
				t.Error("the association has ended")
			}
			if len(win[0]) != 0 || len(win[1]) != 0 {
				t.Errorf("%d and %d bytes are left", len(win[0]), len(win[1]))
			}
		})
	}
}

func TestLookingForTitlesAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		in  *places
		set []byte
	}{
		"references":   {&inReferences, references("PACS", 20)},
		"availability": {&inAvailable, inside(encoding{}, true, "PACS", tagSeriesSequence, tagReferencedSequence)},
		"a step":       {&inUnified, inside(encoding{}, false, "PACS", tagPerformedSequence, tagOutputSequence, tagRetrievalSequence)},
	} {
		var r retitler
		run := func() {
			r.reset(quiet{}, protocols.Near)
			if !r.dataSet(c.set, encoding{implicit: name == "references"}, c.in) || r.found {
				t.Errorf("%s: read or found wrong", name)
			}
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
