package dicom

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// checked is the script of a flow that allows C-ECHO and C-STORE with safe UIDs.
func checked() *script { return &script{needs: TagStudyInstanceUID, dataSet: unsafeInstance} }

// failure is the response that refuses a C-STORE-RQ.
func failure(id uint16, code reason.Code) []byte {
	rq := storeRQ(id)
	rq.ContextID = ctxCT
	return appendFailure(nil, rq, code, 16384)
}

func TestRefusedObjectIsAnsweredAndTheNextPasses(t *testing.T) { // D24
	for name, c := range map[string]struct {
		rules func() *script
		code  reason.Code
	}{
		"for its data set": {checked, reason.DICOMUID},
		"for its command": {func() *script {
			refused := false
			return &script{command: func(_ *Command, v *protocols.Verdict) {
				if !refused {
					v.Refuse(reason.DICOMSOPClass, "rule")
					refused = true
				}
			}}
		}, reason.DICOMSOPClass},
	} {
		t.Run(name, func(t *testing.T) {
			bad, good := store(1, image(badInstance, 1500), 400), store(2, image(goodInstance, 1500), 400)
			answer := pdu(cmdPDV(ctxCT, storeRSP(2, 0)))
			p := playEveryWay(t, Config{}, c.rules, established(near(bad, good), far(answer))...)
			wantToward(t, p, protocols.Far, requestPDU(), good)
			wantToward(t, p, protocols.Near, acceptPDU(), failure(1, c.code), answer)
			wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse "+string(c.code), "C-STORE-RQ allow", "C-STORE-RSP allow")
			if p.Err != nil || p.Timer != protocols.Idle || p.Verdicts[1].Bytes != int64(len(bad)) || p.Verdicts[2].Bytes != int64(len(good)) ||
				p.Verdicts[2].Found.String() != "CT Image Storage" {
				t.Errorf("%v, %v, %+v", p.Err, p.Timer, p.Verdicts)
			}
		})
	}
}

func TestRefusedObjectIsDrainedBeyondTheWindow(t *testing.T) { // D24
	// One PDU of 16 KiB, decided by its first bytes.
	for _, instance := range []string{goodInstance, badInstance} {
		msg := store(1, image(instance, 40000), 16384)
		p := playEveryWay(t, Config{}, checked, established(near(msg), near(pdu(cmdPDV(ctxEcho, echoRQ(2)))))...)
		want := append(requestPDU(), msg...)
		if instance == badInstance {
			want = requestPDU()
		}
		wantToward(t, p, protocols.Far, want, pdu(cmdPDV(ctxEcho, echoRQ(2))))
	}
}

func TestNothingIsForwardedBeforeItIsDecided(t *testing.T) {
	msg := store(1, image(goodInstance, 3000), 1000)
	decided := len(pdu(cmdPDV(ctxCT, storeRQ(1)))) + bytes.Index(msg[len(pdu(cmdPDV(ctxCT, storeRQ(1)))):], []byte(testStudy)) + len(testStudy) + 1
	for n := 1; n < len(msg); n += 7 {
		p := protocols.Play(New(Config{}, checked()), established(near(msg[:n]))...)
		got := len(p.Toward[protocols.Far]) - len(requestPDU())
		if want := n; n < decided && got != 0 || n >= decided && got > want {
			t.Fatalf("%d bytes came, %d were forwarded; decided at %d", n, got, decided)
		}
		if p.Timer != protocols.Message {
			t.Fatalf("timer %v inside a message", p.Timer)
		}
	}
}

func TestMixedPDUs(t *testing.T) { // D4
	good, bad := image(goodInstance, 100), image(badInstance, 100)
	echo := cmdPDV(ctxEcho, echoRQ(9))
	first, rest := good[:40], good[40:]
	for name, c := range map[string]struct {
		in, out []byte
		answers [][]byte
		want    []string
	}{
		"command and data": {
			pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, good)),
			pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, good)), nil,
			[]string{"C-STORE-RQ allow"}},
		"command and data refused": {
			pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, bad)), nil,
			[][]byte{failure(1, reason.DICOMUID)},
			[]string{"C-STORE-RQ refuse dicom.uid"}},
		"refused, then allowed": {
			pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, bad), echo),
			pdu(echo),
			[][]byte{failure(1, reason.DICOMUID)},
			[]string{"C-STORE-RQ refuse dicom.uid", "C-ECHO-RQ allow"}},
		"allowed, then refused": {
			pdu(echo, cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, bad)),
			pdu(echo), nil, // the answer waits for the C-ECHO-RSP
			[]string{"C-ECHO-RQ allow", "C-STORE-RQ refuse dicom.uid"}},
		"allowed between refused": {
			pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, bad), echo, cmdPDV(ctxCT, storeRQ(2)), dataPDV(ctxCT, true, bad)),
			pdu(echo),
			[][]byte{failure(1, reason.DICOMUID)},
			[]string{"C-STORE-RQ refuse dicom.uid", "C-ECHO-RQ allow", "C-STORE-RQ refuse dicom.uid"}},
		"end of one and start of the next": {
			bytes.Join([][]byte{pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, false, first)),
				pdu(dataPDV(ctxCT, true, rest), cmdPDV(ctxCT, storeRQ(2))),
				pdu(dataPDV(ctxCT, false, bad[:50])), pdu(dataPDV(ctxCT, true, bad[50:]), echo)}, nil),
			bytes.Join([][]byte{pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, false, first)), pdu(dataPDV(ctxCT, true, rest)), pdu(echo)}, nil),
			nil,
			[]string{"C-STORE-RQ allow", "C-STORE-RQ refuse dicom.uid", "C-ECHO-RQ allow"}},
		"fragments of a command in several PDUs": {
			bytes.Join([][]byte{AppendFragments(nil, ctxCT, true, AppendCommand(nil, storeRQ(1)), 20), pdu(dataPDV(ctxCT, true, good))}, nil),
			bytes.Join([][]byte{AppendFragments(nil, ctxCT, true, AppendCommand(nil, storeRQ(1)), 20), pdu(dataPDV(ctxCT, true, good))}, nil), nil,
			[]string{"C-STORE-RQ allow"}},
		"several fragments of data in one PDU": {
			bytes.Join([][]byte{pdu(cmdPDV(ctxCT, storeRQ(1))), pdu(dataPDV(ctxCT, false, first), dataPDV(ctxCT, false, nil), dataPDV(ctxCT, true, rest))}, nil),
			bytes.Join([][]byte{pdu(cmdPDV(ctxCT, storeRQ(1))), pdu(dataPDV(ctxCT, false, first), dataPDV(ctxCT, false, nil), dataPDV(ctxCT, true, rest))}, nil), nil,
			[]string{"C-STORE-RQ allow"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, checked, established(near(c.in))...)
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			wantToward(t, p, protocols.Far, requestPDU(), c.out)
			wantToward(t, p, protocols.Near, append([][]byte{acceptPDU()}, c.answers...)...)
			wantVerdicts(t, p, append([]string{"A-ASSOCIATE-RQ allow"}, c.want...)...)
			total := int64(0)
			for _, v := range p.Verdicts[1:] {
				total += v.Bytes
			}
			if total != int64(len(c.in)) {
				t.Errorf("verdicts account for %d of %d bytes", total, len(c.in))
			}
		})
	}
}

func TestMalformedMessages(t *testing.T) {
	start := pdu(cmdPDV(ctxCT, storeRQ(1)))
	good := image(goodInstance, 100)
	for name, c := range map[string]struct {
		in   []byte
		code reason.Code
	}{
		"another context in the middle (D6)":   {append(start, pdu(dataPDV(ctxFind, true, good))...), reason.DICOMPDV},
		"another command in the middle (D6)":   {append(start, pdu(cmdPDV(ctxCT, storeRQ(2)))...), reason.DICOMPDV},
		"an echo in the middle (D6)":           {append(start, pdu(dataPDV(ctxCT, false, good), cmdPDV(ctxEcho, echoRQ(2)))...), reason.DICOMPDV},
		"data without command":                 {pdu(dataPDV(ctxCT, true, good)), reason.DICOMPDV},
		"data in a command (D6)":               {pdu(AppendPDV(nil, ctxCT, true, false, make([]byte, 20)), dataPDV(ctxCT, true, good)), reason.DICOMPDV},
		"context not accepted (D13)":           {pdu(cmdPDV(7, storeRQ(1))), reason.DICOMPDV},
		"even context (D13)":                   {pdu(cmdPDV(2, storeRQ(1))), reason.DICOMPDV},
		"no PDV (D5)":                          {[]byte{4, 0, 0, 0, 0, 0}, reason.DICOMPDU},
		"PDV of length 1 (D5)":                 {[]byte{4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 3, 3}, reason.DICOMPDV},
		"PDV beyond its PDU (D7)":              {[]byte{4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 3, 3}, reason.DICOMPDV},
		"odd PDV (D3)":                         {append(start, 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 3, 2, 0), reason.DICOMPDV},
		"bytes behind the last PDV (D7)":       {append(start, 4, 0, 0, 0, 0, 8, 0, 0, 0, 2, 3, 0, 0, 0), reason.DICOMPDV},
		"group length (D22)":                   {pdu(AppendPDV(nil, ctxCT, true, true, AppendCommand(nil, storeRQ(1))[:60])), reason.DICOMCommandSet},
		"duplicate element (D21)":              {pdu(AppendPDV(nil, ctxCT, true, true, testCommand(append(storeElements(), storeElements()[5])...))), reason.DICOMCommandSet},
		"giant command (D7)":                   {bytes.Repeat(pdu(AppendPDV(nil, ctxCT, true, false, make([]byte, 8000))), 9), reason.DICOMCommandSet},
		"release in the middle":                {append(start, AppendReleaseRQ(nil)...), reason.DICOMPDUState},
		"a second A-ASSOCIATE-RQ (D9)":         {requestPDU(), reason.DICOMPDUState},
		"A-ASSOCIATE-AC from the device (D9)":  {acceptPDU(), reason.DICOMPDUState},
		"A-RELEASE-RP nobody asked for (D9)":   {AppendReleaseRP(nil), reason.DICOMPDUState},
		"a PDU type that does not exist (D9)":  {[]byte{9, 0, 0, 0, 0, 4, 0, 0, 0, 0}, reason.DICOMPDUType},
		"a message behind one that is good":    {append(store(1, good, 500), 9, 0, 0, 0, 0, 0), reason.DICOMPDUType},
		"a message behind one that is refused": {append(store(1, image(badInstance, 100), 500), 9, 0, 0, 0, 0, 0), reason.DICOMPDUType},
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, checked, established(near(c.in))...)
			if protocols.ReasonOf(p.Err) != c.code {
				t.Errorf("%v, want %s", p.Err, c.code)
			}
			abort := AppendAbort(nil, reason.Lookup(c.code).Abort)
			for side := range p.Toward {
				if !bytes.HasSuffix(p.Toward[side], abort) {
					t.Errorf("toward side %d there is no abort: %s", side, outline(p.Toward[side]))
				}
			}
			wantEnding(t, p, protocols.FIN, protocols.FIN)
		})
	}
}

func TestMessagesThatWereCutAreRecorded(t *testing.T) {
	msg := store(1, image(goodInstance, 1000), 400)
	whole := len(pdu(cmdPDV(ctxCT, storeRQ(1)))) + PDUHeaderLen + 400 // and the first of the data set
	p := playEveryWay(t, Config{}, checked, established(near(msg[:whole]), told(protocols.Closed, protocols.Near, ""))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow session.cut…")
	if !bytes.HasSuffix(p.Toward[protocols.Far], abortPDU(2, 0)) {
		t.Error("the server was not aborted")
	}
	bad := store(1, image(badInstance, 1000), 400)
	p = playEveryWay(t, Config{}, checked, established(near(bad[:whole]), told(protocols.Lost, protocols.Far, ""))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse dicom.uid…")
	wantToward(t, p, protocols.Near, acceptPDU(), abortPDU(2, 0))
	p = playEveryWay(t, Config{}, checked, established(near(pdu(AppendPDV(nil, ctxCT, true, false, nil))), protocols.Told(protocols.Event{Kind: protocols.Expired, Timer: protocols.Message}))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "P-DATA-TF allow timer.message…")
	p = playEveryWay(t, Config{}, checked, established(near(msg[:whole]), told(protocols.Overflow, protocols.Near, reason.CapBudget))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse cap.budget…")
	p = playEveryWay(t, Config{}, checked, near(requestPDU()), protocols.Told(protocols.Event{Kind: protocols.Expired, Timer: protocols.Setup}))
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "A-ASSOCIATE-RQ refuse timer.setup")
}

// The last PDU of a message passes in parts; an A-ABORT in its middle could complete it.
func TestAnAbortNeverCompletesAMessage(t *testing.T) {
	msg := store(1, image(goodInstance, 1000), 16384)
	for _, missing := range []int{1, 9, 10, 11, 500} {
		p := protocols.Play(New(Config{}, checked()), established(near(msg[:len(msg)-missing]), told(protocols.Closed, protocols.Near, ""))...)
		wantToward(t, p, protocols.Far, requestPDU(), msg[:len(msg)-missing])
		wantEnding(t, p, protocols.FIN, protocols.RST)
		wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow session.cut…")
	}
}

func TestResponsesAreMatched(t *testing.T) { // D26
	find := append(pdu(cmdPDV(ctxFind, findRQ(5))), pdu(dataPDV(ctxFind, true, make([]byte, 20)))...)
	pending := pdu(cmdPDV(ctxFind, findRSP(5, StatusPending, true)), dataPDV(ctxFind, true, make([]byte, 20)))
	warning := pdu(cmdPDV(ctxFind, findRSP(5, StatusPendingWarning, true)), dataPDV(ctxFind, true, make([]byte, 20)))
	final := pdu(cmdPDV(ctxFind, findRSP(5, 0, false)))
	cancel := pdu(cmdPDV(ctxFind, &Command{Field: CancelRQ, MessageID: 5}))
	rules := func() *script { return &script{} }

	p := playEveryWay(t, Config{}, rules, established(near(find), far(pending, pending, warning), near(cancel), far(final))...)
	wantToward(t, p, protocols.Far, requestPDU(), find, cancel)
	wantToward(t, p, protocols.Near, acceptPDU(), pending, pending, warning, final)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-FIND-RQ allow", "C-FIND-RSP allow", "C-FIND-RSP allow", "C-FIND-RSP allow",
		"C-CANCEL-RQ allow", "C-FIND-RSP allow")

	for name, chunks := range map[string][]protocols.Chunk{
		"before a request":      {far(final)},
		"after the final one":   {near(find), far(final, final)},
		"of another Message ID": {near(find), far(pdu(cmdPDV(ctxFind, findRSP(6, 0, false))))},
		"of another operation":  {near(find), far(pdu(cmdPDV(ctxFind, storeRSP(5, 0))))},
		"of another context":    {near(find), far(pdu(cmdPDV(ctxCT, findRSP(5, 0, false))))},
		"to one's own request":  {near(find, final)},
		"refused":               {near(find), far(pdu(cmdPDV(ctxFind, findRSP(5, 0xA700, false))))},
	} {
		t.Run(name, func(t *testing.T) {
			rules := func() *script {
				return &script{command: func(c *Command, v *protocols.Verdict) {
					if c.Status == 0xA700 {
						v.Refuse(reason.DICOMUnaskedResponse, "rule")
					}
				}}
			}
			p := playEveryWay(t, Config{}, rules, established(chunks...)...)
			if last := p.Verdicts[len(p.Verdicts)-1]; last.Reason != reason.DICOMUnaskedResponse || !last.Refused() {
				t.Errorf("%v", verdicts(p))
			}
			for side := range p.Toward {
				if !bytes.HasSuffix(p.Toward[side], abortPDU(2, 0)) {
					t.Errorf("no abort toward side %d", side)
				}
			}
			wantEnding(t, p, protocols.FIN, protocols.FIN)
		})
	}
}

func TestMessageIDInUseIsABreach(t *testing.T) {
	p := playEveryWay(t, Config{}, func() *script { return &script{} },
		established(near(pdu(cmdPDV(ctxEcho, echoRQ(1))), pdu(cmdPDV(ctxEcho, echoRQ(1)))))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-ECHO-RQ allow", "C-ECHO-RQ refuse dicom.command-set")
	wantToward(t, p, protocols.Far, requestPDU(), pdu(cmdPDV(ctxEcho, echoRQ(1))), abortPDU(2, 6))
}

func TestUnansweredRequestsAreCapped(t *testing.T) { // D11
	var all []byte
	for i := range uint16(11) {
		all = append(all, pdu(cmdPDV(ctxEcho, echoRQ(i)))...)
	}
	p := protocols.Play(New(Config{MaxOutstanding: 10}, &script{}), established(near(all))...)
	if protocols.ReasonOf(p.Err) != reason.DICOMCommandSet || len(p.Verdicts) != 1+10+1 {
		t.Errorf("%v after %d verdicts", p.Err, len(p.Verdicts))
	}
}

func TestRefusalWaitsForItsTurn(t *testing.T) { // D24
	find := append(pdu(cmdPDV(ctxFind, findRQ(5))), pdu(dataPDV(ctxFind, true, make([]byte, 20)))...)
	part := pdu(cmdPDV(ctxFind, findRSP(5, StatusPending, true)), dataPDV(ctxFind, false, make([]byte, 20)))
	rest := pdu(dataPDV(ctxFind, true, make([]byte, 20)))
	final := pdu(cmdPDV(ctxFind, findRSP(5, 0, false)))
	bad := store(6, image(badInstance, 100), 16384)
	p := playEveryWay(t, Config{}, checked, established(near(find), far(part), near(bad), far(rest), far(final))...)
	wantToward(t, p, protocols.Near, acceptPDU(), part, rest, final, failure(6, reason.DICOMUID))

	// What the server sends by itself is no answer to wait for, but the message is.
	ask := pdu(cmdPDV(ctxCT, storeRQ(9)), dataPDV(ctxCT, false, image(goodInstance, 400)[:300]))
	end := pdu(dataPDV(ctxCT, true, image(goodInstance, 400)[300:]))
	p = playEveryWay(t, Config{}, checked, established(far(ask), near(bad), far(end))...)
	wantToward(t, p, protocols.Near, acceptPDU(), ask, end, failure(6, reason.DICOMUID))

	// The last PDU of that message is on its way.
	p = playEveryWay(t, Config{}, checked, established(far(ask), far(end[:20]), near(bad), far(end[20:]))...)
	wantToward(t, p, protocols.Near, acceptPDU(), ask, end, failure(6, reason.DICOMUID))

	// A release ends the waiting.
	p = playEveryWay(t, Config{}, checked, established(near(find, bad, AppendReleaseRQ(nil)), far(AppendReleaseRP(nil)))...)
	wantToward(t, p, protocols.Near, acceptPDU(), failure(6, reason.DICOMUID), AppendReleaseRP(nil))
}

func TestRefusalsThatNobodyReadsEndTheAssociation(t *testing.T) {
	in := pdu(cmdPDV(ctxEcho, echoRQ(1)))
	for i := range uint16(700) {
		in = append(in, pdu(cmdPDV(ctxCT, storeRQ(i+2)), dataPDV(ctxCT, true, image(badInstance, 2)))...)
	}
	p := protocols.Play(New(Config{}, checked()), established(near(in))...)
	if protocols.ReasonOf(p.Err) != reason.CapReplies {
		t.Errorf("%v", p.Err)
	}
}

func TestServersRequestThatIsRefusedIsAnsweredToTheServer(t *testing.T) { // D24: a C-GET sub-operation
	bad, good := store(1, image(badInstance, 300), 100), store(2, image(goodInstance, 300), 100)
	answer := pdu(cmdPDV(ctxCT, storeRSP(2, 0)))
	p := playEveryWay(t, Config{}, checked, established(far(bad, good), near(answer))...)
	wantToward(t, p, protocols.Near, acceptPDU(), good)
	wantToward(t, p, protocols.Far, requestPDU(), failure(1, reason.DICOMUID), answer)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse dicom.uid", "C-STORE-RQ allow", "C-STORE-RSP allow")
	if p.Verdicts[1].From != protocols.Far {
		t.Error("the verdict is not about the server")
	}
}

func TestCancelThatIsRefusedHasNoAnswer(t *testing.T) {
	cancel := pdu(cmdPDV(ctxFind, &Command{Field: CancelRQ, MessageID: 5}))
	echo := pdu(cmdPDV(ctxEcho, echoRQ(1)))
	p := playEveryWay(t, Config{}, func() *script { return &script{command: refuse(CancelRQ, reason.DICOMCommand)} }, established(near(cancel, echo))...)
	wantToward(t, p, protocols.Far, requestPDU(), echo)
	wantToward(t, p, protocols.Near, acceptPDU())
}

func TestHoldingIsCapped(t *testing.T) { // D25
	d := new(dataSet)
	d.put(0x00080005, "CS", "")
	d.put(0x00091001, "OB", string(make([]byte, 6000))).put(TagStudyInstanceUID, "UI", testStudy+"\x00").put(tagPixelData, "OB", "")
	cfg := Config{HoldCap: 4096}
	echo := pdu(cmdPDV(ctxEcho, echoRQ(2)))
	for name, msg := range map[string][]byte{
		"in one PDU":   store(1, d.b, 16384),
		"in small":     store(1, d.b, 500),
		"in PDVs":      append(pdu(cmdPDV(ctxCT, storeRQ(1))), pdu(dataPDV(ctxCT, false, d.b[:3000]), dataPDV(ctxCT, true, d.b[3000:]))...),
		"with command": pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, d.b[:3800])),
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, cfg, checked, established(near(msg, echo))...)
			if name == "with command" { // small enough to be held whole; it is the scan that fails
				wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse dicom.data-set", "C-ECHO-RQ allow")
				return
			}
			wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse cap.hold", "C-ECHO-RQ allow")
			wantToward(t, p, protocols.Far, requestPDU(), echo)
			wantToward(t, p, protocols.Near, acceptPDU(), failure(1, reason.CapHold))
		})
	}
}

// tiny cuts a set to PDV items of that many bytes after n empty ones.
func tiny(ctx uint8, command bool, n, size int, set []byte) (pdvs [][]byte) {
	for range n {
		pdvs = append(pdvs, AppendPDV(nil, ctx, command, false, nil))
	}
	for ; len(set) > size; set = set[size:] {
		pdvs = append(pdvs, AppendPDV(nil, ctx, command, false, set[:size]))
	}
	return append(pdvs, AppendPDV(nil, ctx, command, true, set))
}

// each puts PDV items into a PDU each.
func each(pdvs [][]byte) (b []byte) {
	for _, v := range pdvs {
		b = append(b, pdu(v)...)
	}
	return b
}

// What is held is capped by PDVs, too: each costs memory besides its bytes.
func TestHeldPDVsAreCapped(t *testing.T) {
	cfg := Config{HoldCap: 4096}
	set, most := image(goodInstance, 100), leastPieces
	echo := pdu(cmdPDV(ctxEcho, echoRQ(2)))
	command := cmdPDV(ctxCT, storeRQ(1))
	// What the rules look for is in the last of these.
	header := func(n int) [][]byte { return tiny(ctxCT, false, n, 1000, set) }
	for _, c := range []struct {
		name, want string
		msg        []byte
	}{
		{"as many as may be, each in a PDU", "C-STORE-RQ allow", append(pdu(command), each(header(most-2))...)},
		{"as many as may be, in one PDU", "C-STORE-RQ allow", append(pdu(command), pdu(header(most-2)...)...)},
		{"one more, each in a PDU", "C-STORE-RQ refuse cap.hold", append(pdu(command), each(header(most-1))...)},
		{"one more, in one PDU", "C-STORE-RQ refuse cap.hold", append(pdu(command), pdu(header(most-1)...)...)},
		{"one more, with the command", "C-STORE-RQ refuse cap.hold", pdu(append([][]byte{command}, header(most-1)...)...)},
		{"many", "C-STORE-RQ refuse cap.hold", append(pdu(command), pdu(header(most+200)...)...)},
		{"some in a PDU each, more in one", "C-STORE-RQ refuse cap.hold", slices.Concat(pdu(command), each(header(99)[:99]), pdu(header(most)...))},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := playEveryWay(t, cfg, checked, established(near(c.msg, echo))...)
			wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", c.want, "C-ECHO-RQ allow")
			if c.want == "C-STORE-RQ allow" {
				wantToward(t, p, protocols.Far, requestPDU(), c.msg, echo)
				return
			}
			wantToward(t, p, protocols.Far, requestPDU(), echo)
			wantToward(t, p, protocols.Near, acceptPDU(), failure(1, reason.CapHold))
			// Rules that let it pass have it pass as it came.
			p = playEveryWay(t, cfg, func() *script { return &script{needs: TagStudyInstanceUID} }, established(near(c.msg, echo))...)
			wantToward(t, p, protocols.Far, requestPDU(), c.msg, echo)
		})
	}
	t.Run("but of a decided message", func(t *testing.T) {
		rest := pdu(append(tiny(ctxCT, false, 9*most, 2, set[len(set)-50:]), cmdPDV(ctxEcho, echoRQ(2)))...)
		msg := append(pdu(command, dataPDV(ctxCT, false, set[:len(set)-50])), rest...)
		p := playEveryWay(t, cfg, checked, established(near(msg))...)
		wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow", "C-ECHO-RQ allow")
		wantToward(t, p, protocols.Far, requestPDU(), msg)
	})
	for name, msg := range map[string][]byte{
		"of a command set, each in a PDU": each(tiny(ctxEcho, true, most, 1000, AppendCommand(nil, echoRQ(1)))),
		"of a command set, in one PDU":    pdu(tiny(ctxEcho, true, most, 1000, AppendCommand(nil, echoRQ(1)))...),
		"of messages in one PDU":          pdu(append(slices.Repeat([][]byte{cmdPDV(ctxFind, &Command{Field: CancelRQ, MessageID: 5})}, most/endedPieces), cmdPDV(ctxEcho, echoRQ(1)))...),
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, cfg, checked, established(near(msg))...)
			if m := new(protocols.Malformed); !errors.As(p.Err, &m) || m.Reason != reason.CapHold {
				t.Errorf("%v", p.Err)
			}
			wantToward(t, p, protocols.Far, requestPDU(), AppendAbort(nil, reason.Lookup(reason.CapHold).Abort))
		})
	}
}

// What an odd message took of memory is not kept for the life of the association, and the index of
// what is held stays small beside it.
func TestMemoryOfAnOddMessageIsNotKept(t *testing.T) {
	chunks := workstation([][]byte{testItem(0x53, 0, 0)})
	empties := func(n int) [][]byte { return slices.Repeat([][]byte{dataPDV(ctxCT, false, nil)}, n) }
	cancel := cmdPDV(ctxFind, &Command{Field: CancelRQ, MessageID: 5})
	action := Command{Field: NActionRQ, MessageID: 1, TypeID: 1, HasDataSet: true, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}
	long := *echoRQ(1)
	long.SOPInstance = bytes.Repeat([]byte("1.2."), 15000)
	bad := slices.Repeat(store(1, image(badInstance, 100), 16384), 200)
	for name, b := range map[string][]byte{
		"empty PDVs, each in a PDU":    append(pdu(cmdPDV(ctxCT, storeRQ(1))), each(append(empties(80000), dataPDV(ctxCT, true, nil)))...),
		"empty PDVs in large PDUs":     append(pdu(cmdPDV(ctxCT, storeRQ(1))), slices.Repeat(pdu(empties(2700)...), 60)...),
		"of a decided message":         slices.Concat(pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, false, image(goodInstance, 100))), slices.Repeat(pdu(empties(2700)...), 10)),
		"many messages in a PDU":       pdu(slices.Repeat([][]byte{cancel}, 200)...),
		"a large one that is retitled": append(pdu(cmdPDV(ctxCommit, &action)), AppendFragments(nil, ctxCommit, false, references("PACS", 4000), 16384)...),
		"a large command set":          AppendFragments(nil, ctxEcho, true, AppendCommand(nil, &long), 16384),
		"many that are refused":        append(echoAsked(), bad...),
	} {
		t.Run(name, func(t *testing.T) {
			rules := checked()
			rules.titles = renamed
			c := New(Config{}, rules)
			s := &c.sent[protocols.Near]
			most := 0
			var plan protocols.Plan
			feed := func(from protocols.Side, b []byte) { // PDU by PDU
				t.Helper()
				for at, end := 0, 0; end < len(b); {
					_, n, _ := ParsePDUHeader(b[end:])
					end += PDUHeaderLen + int(n)
					plan.Reset()
					if err := c.Step(from, b[at:end], &plan); err != nil {
						t.Fatal(err)
					}
					at += int(plan.Settled())
					most = max(most, cap(s.pieces))
				}
			}
			feed(protocols.Near, chunks[0].Bytes)
			feed(protocols.Far, chunks[1].Bytes)
			feed(protocols.Near, b)
			if name == "many that are refused" {
				feed(protocols.Far, pdu(cmdPDV(ctxEcho, echoRSP(99))))
			}
			if limit := c.cfg.maxPieces() * 4 / 3; most > limit {
				t.Errorf("room for %d pieces was taken, at most %d should be", most, limit)
			}
			for what, kept := range map[string][2]int{
				"pieces": {cap(s.pieces), keptPieces}, "ended": {cap(s.ended), keptEnded}, "made": {cap(s.made), keptMade}, "the command set": {cap(s.msg.set), keptMade},
				"anew": {cap(s.anew), keptRewrite}, "work": {cap(c.work), keptRewrite}, "the retitler": {cap(c.retitler.out), keptRewrite},
			} {
				if kept[0] > kept[1] {
					t.Errorf("%s: room for %d is kept, at most %d should be", what, kept[0], kept[1])
				}
			}
		})
	}
}

// echoAsked is a request whose answer all later ones wait for.
func echoAsked() []byte { return pdu(cmdPDV(ctxEcho, echoRQ(99))) }

func TestDataSetIsJudgedWithItsCommand(t *testing.T) {
	var got []string
	rules := func() *script {
		got = nil
		return &script{needs: TagStudyInstanceUID, dataSet: func(c *Command, d *DataSet, _ *protocols.Verdict) {
			got = append(got, fmt.Sprintf("%s %d %s %s %s %s", c.Name(), c.MessageID, c.SOPInstance, c.Transfer, d.SOPInstance, d.StudyInstance))
		}}
	}
	playEveryWay(t, Config{}, rules, established(near(store(7, image(goodInstance, 100), 30)))...)
	want := fmt.Sprintf("C-STORE-RQ 7 %s %s %s %s", testInstance, uidExplicit, testInstance, testStudy)
	if !slices.Equal(got, []string{want}) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What is settled is not held: messages that share their PDUs may go on for ever.
func TestMessagesThatAlwaysShareAPDU(t *testing.T) { // D4
	set := image(goodInstance, 64)
	for name, first := range map[string][]byte{"begun with its command": pdu(cmdPDV(ctxCT, storeRQ(1))), "begun with data": pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, false, set[:10]))} {
		chunks := established(near(first))
		for id := range uint16(2000) {
			id++
			next := [][]byte{dataPDV(ctxCT, true, set), cmdPDV(ctxCT, storeRQ(id+1))}
			if name == "begun with data" {
				next = [][]byte{dataPDV(ctxCT, true, set[10:]), cmdPDV(ctxCT, storeRQ(id+1)), dataPDV(ctxCT, false, set[:10])}
			}
			chunks = append(chunks, near(pdu(next...)), far(pdu(cmdPDV(ctxCT, storeRSP(id, 0)))))
		}
		p := protocols.Play(New(Config{HoldCap: 64 << 10}, checked()), chunks...)
		if p.Err != nil || p.Ending != [2]protocols.Closing{} || len(p.Verdicts) != 4000 { // the last object shares its PDU with one that is undecided
			t.Errorf("%s: %d verdicts, %v, ended %v", name, len(p.Verdicts), p.Err, p.Ending)
		}
	}
}

// What enforce would have refused is no sign that all is well, nor is what is said on it.
func TestNothingIsTakenOnAnAssociationThatEnforceWouldRefuse(t *testing.T) {
	rules := plain()
	rules.associate = func(_ *Association, v *protocols.Verdict) {
		v.Would, v.Reason = protocols.Refuse, reason.DICOMCallingAE
	}
	p := protocols.Play(New(Config{}, rules), established(near(echoAsked()), far(pdu(cmdPDV(ctxEcho, echoRSP(99)))))...)
	if p.Taken {
		t.Error("an echo counts as taken by the server")
	}
}

// A failure that the server answers with passes, and its record says so; what was stored before it, or
// an answer of the device, is not concerned.
func TestFailuresOfTheServerAreRecorded(t *testing.T) {
	set := image(goodInstance, 2)
	p := playEveryWay(t, Config{}, checked, established(
		near(store(1, set, 0)), far(pdu(cmdPDV(ctxCT, storeRSP(1, 0xA700)))),
		near(store(2, set, 0)), far(pdu(cmdPDV(ctxCT, storeRSP(2, 0xB000)))),
		far(store(3, set, 0)), near(pdu(cmdPDV(ctxCT, storeRSP(3, 0xA700)))))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow", "C-STORE-RSP allow "+string(reason.DICOMPeerFailed),
		"C-STORE-RQ allow", "C-STORE-RSP allow", "C-STORE-RQ allow", "C-STORE-RSP allow")
	if got, want := p.Verdicts[2].Found.String(), "A700H failure: Out of resources"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}

// A Cordon before the server says why it refused a request; what others comment is not repeated.
func TestRefusalsOfAnotherCordonAreRecorded(t *testing.T) {
	set := image(goodInstance, 2)
	for comment, want := range map[string]string{
		"refused by Cordon: dicom.command": "0124H failure: Not authorized; refused by Cordon: dicom.command",
		"refused by Cordon: Doe^Jane.":     "0124H failure: Not authorized",
		"DOE^JANE":                         "0124H failure: Not authorized",
	} {
		answer := testCommand(testElement(0, 0x0100, testShort(CStoreRSP)), testElement(0, 0x0120, testShort(1)),
			testElement(0, 0x0800, testShort(noDataSet)), testElement(0, 0x0900, testShort(0x0124)), testElement(0, 0x0902, comment))
		p := playEveryWay(t, Config{}, checked, established(near(store(1, set, 0)), far(pdu(AppendPDV(nil, ctxCT, true, true, answer))))...)
		if v := p.Verdicts[2]; v.Reason != reason.DICOMPeerFailed || v.Found.String() != want {
			t.Errorf("%s: found %q (%s), want %q", comment, v.Found, v.Reason, want)
		}
	}
}

func TestAnAnswerWithoutAContextIsNothingTaken(t *testing.T) {
	none := testAC(testApplication(), testContextAC(ctxEcho, 3, uidImplicit), testContextAC(ctxCT, 4, uidExplicit), testContextAC(ctxFind, 1, uidImplicit), testUser(testMaxLength(16384)))
	p := playEveryWay(t, Config{}, plain, near(requestPDU()), far(none))
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "A-ASSOCIATE-AC allow "+string(reason.DICOMPeerFailed))
	wantToward(t, p, protocols.Near, none)
	if got := p.Verdicts[1].Found.String(); got != "none of 3 presentation contexts accepted" || p.Taken {
		t.Errorf("found %q, taken: %v", got, p.Taken)
	}
}
