package dicom

import (
	"bytes"
	"fmt"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// allowing is Rules that let all pass and look as far as rules of storage do.
type allowing struct{}

func (allowing) Associate(*Association, *protocols.Verdict)                             {}
func (allowing) Context(*Association, *PresentationContext, []bool, *protocols.Verdict) {}
func (allowing) Command(*Command, *protocols.Verdict)                                   {}
func (allowing) Renames() bool                                                          { return false }
func (allowing) Title(protocols.Side, []byte) string                                    { return "" }
func (allowing) Needs(*Command) Tag                                                     { return TagStudyInstanceUID }
func (allowing) DataSet(*Command, *DataSet, *protocols.Verdict)                         {}
func (allowing) Breach(code reason.Code, v *protocols.Verdict)                          { v.Refuse(code, "") }

// BenchmarkObject judges a C-STORE of 1 MB and its answer, as a window after a read of 128 KiB
// shows it.
func BenchmarkObject(b *testing.B) {
	const window = 128 << 10
	for _, size := range []uint32{16 << 10, 128 << 10} {
		b.Run(fmt.Sprintf("pdu=%dk", size>>10), func(b *testing.B) {
			conv := New(Config{}, allowing{})
			accept := bytes.Replace(acceptPDU(), testMaxLength(16384), testMaxLength(128<<10), 1)
			if p := protocols.Play(conv, near(requestPDU()), far(accept)); p.Err != nil {
				b.Fatal(p.Err)
			}
			steps := append(protocols.Cut(window, near(store(1, image(goodInstance, 1<<20), size))), far(pdu(cmdPDV(ctxCT, storeRSP(1, 0)))))
			d := driver{b: b, conv: conv}
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range steps {
					d.feed(s)
				}
			}
		})
	}
}

// BenchmarkAssociation sets up an association of a modality that proposes 40 contexts of two transfer
// syntaxes each.
func BenchmarkAssociation(b *testing.B) {
	rq, ac := [][]byte{testApplication()}, [][]byte{testApplication()}
	for i := range 40 {
		id, class := byte(2*i+1), fmt.Sprintf("%s.%d", uidCT, i)
		rq = append(rq, testContextRQ(id, class, uidExplicit, uidImplicit))
		ac = append(ac, testContextAC(id, 0, uidExplicit))
	}
	request, accept := near(testRQ(append(rq, testUser(testMaxLength(16384)))...)), far(testAC(append(ac, testUser(testMaxLength(16384)))...))
	d := driver{b: b}
	b.ReportAllocs()
	for b.Loop() {
		d.conv = New(Config{}, allowing{})
		d.feed(request)
		d.feed(accept)
	}
}

// BenchmarkQuery judges a C-FIND with 100 matches in PDUs of their own.
func BenchmarkQuery(b *testing.B) {
	conv := New(Config{}, allowing{})
	if p := protocols.Play(conv, workstation(nil)...); p.Err != nil {
		b.Fatal(p.Err)
	}
	one := withData(ctxFind, findRSP(5, StatusPending, true), match("CT3 "))
	answers := far(append(bytes.Repeat(one, 100), pdu(cmdPDV(ctxFind, findRSP(5, 0, false)))...))
	find := near(withData(ctxFind, findRQ(5), match("")))
	d := driver{b: b, conv: conv}
	b.SetBytes(int64(len(answers.Bytes)))
	b.ReportAllocs()
	for b.Loop() {
		d.feed(find)
		d.feed(answers)
	}
}

// BenchmarkScan reads the facts of headers: as far as rules of storage look, as far as those of
// images do, and an identifier.
func BenchmarkScan(b *testing.B) {
	for _, c := range []struct {
		name, transfer string
		until          Tag
		set            []byte
	}{
		{"study", uidExplicit, TagStudyInstanceUID, picture(encoding{}, "IS").native()},
		{"image", uidExplicit, tagPixelData, picture(encoding{}, "IS").native()},
		{"image,implicit", uidImplicit, tagPixelData, picture(encoding{implicit: true}, "IS").native()},
		{"image,RLE", uidRLE, tagPixelData, picture(encoding{}, "IS").fragments("", rleFragment(1, 64))},
		{"identifier", uidImplicit, Whole, worklistQuery()},
	} {
		b.Run(c.name, func(b *testing.B) {
			var s Scanner
			b.ReportAllocs()
			elements := 0
			for b.Loop() {
				s.Reset(c.transfer, c.until)
				if c.name == "identifier" {
					s.Identifier()
				}
				s.Feed(c.set)
				s.End()
				elements = s.DataSet().Elements
			}
			b.ReportMetric(float64(elements), "elements")
		})
	}
}

// driver feeds a conversation as the pump does.
type driver struct {
	b      *testing.B
	conv   *Conversation
	plan   protocols.Plan
	win    [2][]byte
	beyond [2]int // bytes that were settled before they came
}

func (d *driver) feed(s protocols.Chunk) {
	k := min(d.beyond[s.From], len(s.Bytes))
	d.beyond[s.From] -= k
	d.win[s.From] = append(d.win[s.From], s.Bytes[k:]...)
	win := d.win[s.From]
	for len(win) > 0 {
		d.plan.Reset()
		if err := d.conv.Step(s.From, win, &d.plan); err != nil {
			d.b.Fatal(err)
		}
		n := int(d.plan.Settled())
		if n == 0 {
			break
		}
		d.beyond[s.From] += max(0, n-len(win))
		win = win[min(n, len(win)):]
	}
	d.win[s.From] = d.win[s.From][:copy(d.win[s.From], win)]
}

// BenchmarkNarrowedAssociation sets up an association of 128 contexts, as storescu proposes them, and
// releases it. One is refused, so that request and answer are encoded anew.
func BenchmarkNarrowedAssociation(b *testing.B) {
	var proposed, accepted []byte
	for i := range 128 {
		id, class := uint8(2*i+1), fmt.Sprintf("%s.%d", uidCT, i)
		proposed = append(proposed, testContextRQ(id, class, uidExplicit, uidImplicit)...)
		if i > 0 {
			accepted = append(accepted, testContextAC(id, 0, uidExplicit)...)
		}
	}
	user := testUser(testMaxLength(16384))
	steps := []protocols.Chunk{
		near(testRQ(testApplication(), proposed, user)), far(testAC(testApplication(), accepted, user)),
		near(AppendReleaseRQ(nil)), far(AppendReleaseRP(nil)),
	}
	d := driver{b: b}
	b.ReportAllocs()
	for b.Loop() {
		d.conv = New(Config{}, refusingFirst{})
		for _, s := range steps {
			d.feed(s)
		}
	}
}

// refusingFirst is allowing but for the first presentation context.
type refusingFirst struct{ allowing }

func (refusingFirst) Context(_ *Association, pc *PresentationContext, _ []bool, v *protocols.Verdict) {
	if pc.ID == 1 {
		v.Refuse(reason.DICOMAbstractSyntax, "")
	}
}
