package dicom

import (
	"bytes"
	"runtime"
	"slices"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

func plain() *script { return &script{} }

func TestRelease(t *testing.T) { // D18
	rq, rp := AppendReleaseRQ(nil), AppendReleaseRP(nil)
	store := pdu(cmdPDV(ctxCT, storeRSP(1, 0)))
	asked := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, image(goodInstance, 2)))
	for name, c := range map[string]struct {
		chunks            []protocols.Chunk
		towardNear        [][]byte
		towardFar         [][]byte
		nearEnds, farEnds protocols.Closing
	}{
		"by the device": {
			[]protocols.Chunk{near(rq), far(rp)},
			[][]byte{rp}, [][]byte{rq}, protocols.Await, protocols.FIN},
		"by the server": {
			[]protocols.Chunk{far(rq), near(rp)},
			[][]byte{rq}, [][]byte{rp}, protocols.FIN, protocols.Await},
		"data of the other side may still come": {
			[]protocols.Chunk{near(asked), near(rq), far(store), far(rp)},
			[][]byte{store, rp}, [][]byte{asked, rq}, protocols.Await, protocols.FIN},
		"collision, the device first": {
			[]protocols.Chunk{near(rq), far(rq), far(rp)},
			[][]byte{rp}, [][]byte{rq, rp}, protocols.Await, protocols.FIN},
		"collision, the server first": {
			[]protocols.Chunk{far(rq), near(rq), near(rp)},
			[][]byte{rq, rp}, [][]byte{rp}, protocols.Await, protocols.Await},
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, plain, established(c.chunks...)...)
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			wantToward(t, p, protocols.Near, append([][]byte{acceptPDU()}, c.towardNear...)...)
			wantToward(t, p, protocols.Far, append([][]byte{requestPDU()}, c.towardFar...)...)
			wantEnding(t, p, c.nearEnds, c.farEnds)
			if p.Timer != protocols.Release {
				t.Errorf("timer %v", p.Timer)
			}
			if half := protocols.Play(New(Config{}, plain()), established(c.chunks[:len(c.chunks)-1]...)...); half.Timer != protocols.Release || half.Ending != [2]protocols.Closing{} {
				t.Errorf("before the end: timer %v, ended %v", half.Timer, half.Ending)
			}
		})
	}
}

// G2: who asked for the release may shut down sending and still get the answer; the other side is not
// aborted for it.
func TestHalfCloseAfterTheReleaseRequest(t *testing.T) { // D18
	rq, rp := AppendReleaseRQ(nil), AppendReleaseRP(nil)
	asked := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, image(goodInstance, 2)))
	answer := pdu(cmdPDV(ctxCT, storeRSP(1, 0)))
	p := playEveryWay(t, Config{}, plain, established(near(asked, rq), told(protocols.Closed, protocols.Near, ""), far(answer, rp))...)
	wantToward(t, p, protocols.Near, acceptPDU(), answer, rp)
	wantToward(t, p, protocols.Far, requestPDU(), asked, rq)
	wantEnding(t, p, protocols.Await, protocols.FIN)
	p = playEveryWay(t, Config{}, plain, established(near(rq), told(protocols.Closed, protocols.Near, ""), protocols.Told(protocols.Event{Kind: protocols.Expired, Timer: protocols.Release}))...)
	wantEnding(t, p, protocols.RST, protocols.RST)
	p = playEveryWay(t, Config{}, plain, established(near(rq), told(protocols.Lost, protocols.Near, ""))...)
	wantToward(t, p, protocols.Far, requestPDU(), rq, abortPDU(2, 0))
}

// Some peers abort when they should close, and wait for us then: AA-2 in Sta13.
func TestAbortAfterTheReleaseCloses(t *testing.T) { // D17, D18
	rq, rp := AppendReleaseRQ(nil), AppendReleaseRP(nil)
	for name, late := range map[string][]byte{"alone": nil, "after data": pdu(cmdPDV(ctxEcho, echoRQ(1)))} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, plain, established(near(rq), far(rp), near(late), near(abortPDU(0, 0)))...)
			wantToward(t, p, protocols.Near, acceptPDU(), rp)
			wantToward(t, p, protocols.Far, requestPDU(), rq)
			wantEnding(t, p, protocols.FIN, protocols.FIN)
			wantVerdicts(t, p, "A-ASSOCIATE-RQ allow")
		})
	}
}

func TestWhatTheStateTableForbidsDuringRelease(t *testing.T) { // D9
	rq, rp := AppendReleaseRQ(nil), AppendReleaseRP(nil)
	echo := pdu(cmdPDV(ctxEcho, echoRQ(1)))
	for name, chunks := range map[string][]protocols.Chunk{
		"data after one's own request":        {near(rq), near(echo)},
		"a second request":                    {near(rq), near(rq)},
		"an answer to one's own request":      {near(rq), near(rp)},
		"data in a collision":                 {near(rq), far(rq), far(echo)},
		"a second request in a collision":     {far(rq), near(rq), near(rq)},
		"an answer before it, in a collision": {far(rq), near(rq), far(rp)},
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, plain, established(chunks...)...)
			if protocols.ReasonOf(p.Err) != reason.DICOMPDUState {
				t.Errorf("%v", p.Err)
			}
			for side := range p.Toward {
				if !bytes.HasSuffix(p.Toward[side], abortPDU(2, 2)) {
					t.Errorf("no abort toward side %d: %s", side, outline(p.Toward[side]))
				}
			}
		})
	}
}

func TestAbortIsRelayed(t *testing.T) { // D17
	held := store(1, image(goodInstance, 100), 40)[:200]
	for name, c := range map[string]struct {
		chunks     []protocols.Chunk
		towardNear [][]byte
		towardFar  [][]byte
	}{
		"from the device":                {established(near(abortPDU(0, 0))), [][]byte{acceptPDU()}, [][]byte{requestPDU(), abortPDU(0, 0)}},
		"from the server":                {established(far(abortPDU(2, 5))), [][]byte{acceptPDU(), abortPDU(2, 5)}, [][]byte{requestPDU()}},
		"with a reason nobody defined":   {established(far(abortPDU(1, 77))), [][]byte{acceptPDU(), abortPDU(1, 77)}, [][]byte{requestPDU()}},
		"from the device before the AC":  {[]protocols.Chunk{near(requestPDU()), near(abortPDU(0, 0))}, nil, [][]byte{requestPDU(), abortPDU(0, 0)}},
		"from the server instead of AC":  {[]protocols.Chunk{near(requestPDU()), far(abortPDU(2, 1))}, [][]byte{abortPDU(2, 1)}, [][]byte{requestPDU()}},
		"during release":                 {established(near(AppendReleaseRQ(nil)), far(abortPDU(0, 0))), [][]byte{acceptPDU(), abortPDU(0, 0)}, [][]byte{requestPDU(), AppendReleaseRQ(nil)}},
		"while the other's data is held": {established(near(held), far(abortPDU(0, 0))), [][]byte{acceptPDU(), abortPDU(0, 0)}, [][]byte{requestPDU()}},
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, checked, c.chunks...)
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			wantToward(t, p, protocols.Near, c.towardNear...)
			wantToward(t, p, protocols.Far, c.towardFar...)
			wantEnding(t, p, protocols.FIN, protocols.FIN)
		})
	}
}

func TestAbortLeavesWhatWasHeldBehind(t *testing.T) { // D17
	// A command and half of what decides it, then the abort.
	msg := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, false, image(goodInstance, 2)[:30]))
	p := playEveryWay(t, Config{}, checked, established(near(msg, abortPDU(0, 0)))...)
	wantToward(t, p, protocols.Far, requestPDU(), abortPDU(0, 0))
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow session.cut…", "A-ABORT allow session.cut")
}

// An abort is a record of its own, which says who aborted and what was never answered.
func TestAbortIsRecordedWithWhatItLeavesUnanswered(t *testing.T) {
	whole := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, image(goodInstance, 2)))
	for found, chunks := range map[string][]protocols.Chunk{
		"service-user": established(near(abortPDU(0, 0))),
		"1 request unanswered; service-provider, reason-not-specified": established(near(whole), far(abortPDU(2, 0))),
	} {
		p := playEveryWay(t, Config{}, plain, chunks...)
		last := p.Verdicts[len(p.Verdicts)-1]
		if last.Unit.String() != "A-ABORT" || last.Reason != reason.SessionCut || last.Found.String() != found || last.From != chunks[len(chunks)-1].From {
			t.Errorf("recorded %s %s by %v, found %q, want %q", last.Unit, last.Reason, last.From, last.Found, found)
		}
	}
}

// What ends an association otherwise than by a release, a rejection or an abort interrupts it.
func TestWhatInterruptsAnAssociation(t *testing.T) {
	whole := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, image(goodInstance, 2)))
	rq, rp := AppendReleaseRQ(nil), AppendReleaseRP(nil)
	lost := protocols.Event{Kind: protocols.Lost, Side: protocols.Far}
	for name, c := range map[string]struct {
		chunks     []protocols.Chunk
		event      protocols.Event
		unanswered int
		yes        bool
	}{
		"server lost while idle":             {established(), lost, 0, true},
		"server lost with a request waiting": {established(near(whole)), lost, 1, true},
		"device closes without a release":    {established(), protocols.Event{Kind: protocols.Closed}, 0, true},
		"revoked":                            {established(near(whole)), protocols.Event{Kind: protocols.Revoked}, 1, true},
		"closed after the release":           {established(near(rq), far(rp)), lost, 0, false},
		"closed after an abort":              {established(far(abortPDU(0, 0))), lost, 0, false},
		"shutdown":                           {established(near(whole)), protocols.Event{Kind: protocols.Shutdown}, 1, false},
	} {
		conv := New(Config{}, plain())
		protocols.Play(conv, c.chunks...)
		if n, yes := conv.Interrupts(c.event); n != c.unanswered || yes != c.yes {
			t.Errorf("%s: %d unanswered, %v", name, n, yes)
		}
	}
}

// Only what the server accepts was taken: no request by itself, no rejection, no failure.
func TestTakenIsWhatTheServerAccepts(t *testing.T) {
	whole := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, image(goodInstance, 2)))
	answered := func(status uint16) []protocols.Chunk {
		return established(near(whole), far(pdu(cmdPDV(ctxCT, storeRSP(1, status)))))
	}
	would := func() *script { // enforce would refuse all of it
		return &script{command: func(_ *Command, v *protocols.Verdict) { v.Would, v.Reason = protocols.Refuse, reason.DICOMCommand }}
	}
	for name, c := range map[string]struct {
		rules  func() *script
		chunks []protocols.Chunk
		steps  int // of the chunks, those before what is judged
		want   bool
	}{
		"a request for an association":            {plain, []protocols.Chunk{near(requestPDU())}, 0, false},
		"an association accepted":                 {plain, established(), 1, true},
		"an association rejected":                 {plain, []protocols.Chunk{near(requestPDU()), far(AppendRJ(nil, reason.RJ{Result: 2, Source: 3, Reason: 1}))}, 1, false},
		"an object sent":                          {plain, established(near(whole)), 2, false},
		"an object stored":                        {plain, answered(0), 3, true},
		"an object stored with a warning":         {plain, answered(0xB000), 3, true},
		"an object that was not stored":           {plain, answered(0xA700), 3, false},
		"an object that enforce would not let go": {would, answered(0), 3, false},
	} {
		conv := New(Config{}, c.rules())
		protocols.Play(conv, c.chunks[:c.steps]...)
		if p := protocols.Play(conv, c.chunks[c.steps:]...); p.Err != nil || p.Taken != c.want {
			t.Errorf("%s: taken %v, %v", name, p.Taken, p.Err)
		}
	}
}

func TestEvents(t *testing.T) {
	expired := func(tm protocols.Timer) protocols.Chunk {
		return protocols.Told(protocols.Event{Kind: protocols.Expired, Timer: tm})
	}
	only := func(c ...protocols.Chunk) []protocols.Chunk { return c }
	rq, abort, busy := requestPDU(), abortPDU(2, 0), AppendRJ(nil, reason.RJ{Result: 2, Source: 3, Reason: 1})
	for name, c := range map[string]struct {
		chunks            []protocols.Chunk
		near, far         []byte // what comes last toward each side
		nearEnds, farEnds protocols.Closing
	}{
		"device closes before it asks":             {only(told(protocols.Closed, protocols.Near, "")), nil, nil, protocols.FIN, protocols.FIN},
		"device closes before the AC":              {only(near(rq), told(protocols.Closed, protocols.Near, "")), nil, abort, protocols.FIN, protocols.FIN},
		"server closes before the AC":              {only(near(rq), told(protocols.Closed, protocols.Far, "")), busy, rq, protocols.FIN, protocols.FIN},
		"device closes without release":            {established(told(protocols.Closed, protocols.Near, "")), acceptPDU(), abort, protocols.FIN, protocols.FIN},
		"server is lost before the AC":             {only(near(rq), told(protocols.Lost, protocols.Far, "")), busy, rq, protocols.FIN, protocols.FIN},
		"server is lost":                           {established(told(protocols.Lost, protocols.Far, "")), abort, rq, protocols.FIN, protocols.FIN},
		"setup expires before the request (D8)":    {only(expired(protocols.Setup)), nil, nil, protocols.FIN, protocols.FIN},
		"setup expires within the request (D8)":    {only(near(rq[:30]), expired(protocols.Setup)), nil, nil, protocols.FIN, protocols.FIN},
		"setup expires before the AC (D8)":         {only(near(rq), expired(protocols.Setup)), busy, abort, protocols.FIN, protocols.FIN},
		"idle expires (D8)":                        {established(expired(protocols.Idle)), abort, abort, protocols.FIN, protocols.FIN},
		"message expires (D6, D8)":                 {established(near(pdu(cmdPDV(ctxCT, storeRQ(1)))), expired(protocols.Message)), abort, abort, protocols.FIN, protocols.FIN},
		"release expires (D8)":                     {established(near(AppendReleaseRQ(nil)), expired(protocols.Release)), acceptPDU(), AppendReleaseRQ(nil), protocols.RST, protocols.RST},
		"release expires after the end (D8)":       {established(near(AppendReleaseRQ(nil)), far(AppendReleaseRP(nil)), expired(protocols.Release)), AppendReleaseRP(nil), AppendReleaseRQ(nil), protocols.RST, protocols.RST},
		"revoked":                                  {established(told(protocols.Revoked, 0, reason.SessionRevoked)), abort, abort, protocols.FIN, protocols.FIN},
		"overflow":                                 {established(near(pdu(cmdPDV(ctxCT, storeRQ(1)))), told(protocols.Overflow, protocols.Near, reason.CapBudget)), abort, abort, protocols.FIN, protocols.FIN},
		"overflow of the hold cap":                 {established(told(protocols.Overflow, protocols.Near, reason.CapHold)), abortPDU(2, 6), abortPDU(2, 6), protocols.FIN, protocols.FIN},
		"our own failure":                          {established(told(protocols.Failed, protocols.Near, reason.EngineFailure)), abort, abort, protocols.FIN, protocols.FIN},
		"what comes after the end is not answered": {established(near(abortPDU(0, 0)), told(protocols.Closed, protocols.Near, "")), acceptPDU(), abortPDU(0, 0), protocols.FIN, protocols.FIN},
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, checked, c.chunks...)
			for side, want := range [][]byte{c.near, c.far} {
				if got := p.Toward[side]; want == nil && len(got) > 0 || !bytes.HasSuffix(got, want) {
					t.Errorf("toward side %d: %s", side, outline(got))
				}
			}
			wantEnding(t, p, c.nearEnds, c.farEnds)
			if p.Timer != protocols.Release {
				t.Errorf("timer %v", p.Timer)
			}
		})
	}
}

// pump is a pump reduced to what costs memory: it shows a conversation PDUs of one message and
// counts what passes.
type pump struct {
	t      testing.TB
	c      *Conversation
	plan   protocols.Plan
	passed int64
	ended  []protocols.Verdict
}

// show steps with a window of which more bytes follow, and wants all of it settled.
func (p *pump) show(win []byte, follow int) {
	p.plan.Reset()
	if err := p.c.Step(protocols.Near, win, &p.plan); err != nil {
		p.t.Fatal(err)
	}
	n := int64(0)
	for _, o := range p.plan.Ops() {
		if o.Kind == protocols.OpPass {
			n += o.N
		}
	}
	if n < int64(len(win)) || n > int64(len(win)+follow) {
		p.t.Fatalf("%d bytes pass of %d and %d", n, len(win), follow)
	}
	p.passed += n
	p.ended = append(p.ended, p.plan.Records()...)
}

func TestObjectOfFourGigabytesPassesInConstantMemory(t *testing.T) { // D23
	const size, count = 16384, 1<<32/(16384+PDUHeaderLen) + 1
	set := new(dataSet).put(TagSOPClassUID, "UI", uidCT+"\x00").put(TagSOPInstanceUID, "UI", goodInstance).put(TagStudyInstanceUID, "UI", testStudy+"\x00")
	set.head(tagPixelData, "OW", count*(size-6)+100)
	c := New(Config{}, checked())
	if p := protocols.Play(c, established()...); p.Err != nil {
		t.Fatal(p.Err)
	}
	p := &pump{t: t, c: c}
	p.show(slices.Concat(pdu(cmdPDV(ctxCT, storeRQ(1))), pdu(dataPDV(ctxCT, false, set.b))), 0)

	body := pdu(dataPDV(ctxCT, false, make([]byte, size-6)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range count {
		if i%2 == 0 {
			p.show(body, 0)
		} else {
			p.show(body[:12], size-6) // its header alone: the rest streams
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated for 4 GiB", grown)
	}
	p.ended = nil
	end := pdu(dataPDV(ctxCT, true, make([]byte, 100)))
	p.show(end[:40], 0) // the last one passes as it comes
	if len(p.ended) != 0 {
		t.Error("the message counts as complete before its last byte")
	}
	p.show(end[40:], 0)
	if len(p.ended) != 1 || p.ended[0].Bytes != p.passed || !p.ended[0].Settled || p.passed < 1<<32 {
		t.Errorf("%d bytes passed; %+v", p.passed, p.ended)
	}
}

// A response of ours that was due before the fault is sent, however much was read at once (G1).
func TestAFaultTakesNoAnswerBack(t *testing.T) { // D24
	rules := func() *script { s := checked(); s.command = refuse(CEchoRQ, reason.DICOMCommand); return s }
	held := pdu(cmdPDV(ctxEcho, echoRQ(1)), cmdPDV(ctxCT, storeRQ(2)), dataPDV(ctxCT, false, image(goodInstance, 100)[:30]))
	p := playEveryWay(t, Config{}, rules, established(near(held, []byte{9, 0, 0, 0, 0, 0}))...)
	rq := echoRQ(1)
	rq.ContextID = ctxEcho
	wantToward(t, p, protocols.Near, acceptPDU(), appendFailure(nil, rq, reason.DICOMCommand, 16384), abortPDU(2, 1))
	wantToward(t, p, protocols.Far, requestPDU(), abortPDU(2, 1))
}
