package dicom

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// The contexts of a workstation that queries, retrieves and commits.
const (
	ctxGet    = 7
	ctxMove   = 9
	ctxCommit = 11
	ctxPacked = 13 // storage commitment, deflated
	uidGet    = "1.2.840.10008.5.1.4.1.2.2.3"
	uidMove   = "1.2.840.10008.5.1.4.1.2.2.2"
)

// workstation negotiates them with user information of its own, then plays the rest. Roles and
// windows are what both sides agree on.
func workstation(user [][]byte, rest ...protocols.Chunk) []protocols.Chunk {
	classes := []struct {
		id            byte
		class, syntax string
	}{{ctxEcho, uidVerification, uidImplicit}, {ctxCT, uidCT, uidExplicit}, {ctxFind, uidFind, uidExplicit}, {ctxGet, uidGet, uidImplicit}, {ctxMove, uidMove, uidImplicit}, {ctxCommit, uidStorageCommitment, uidImplicit}, {ctxPacked, uidStorageCommitment, uidDeflated}}
	rq, ac := [][]byte{testApplication()}, [][]byte{testApplication()}
	for _, c := range classes {
		rq, ac = append(rq, testContextRQ(c.id, c.class, c.syntax)), append(ac, testContextAC(c.id, 0, c.syntax))
	}
	both := testUser(append([][]byte{testMaxLength(16384)}, user...)...)
	return append([]protocols.Chunk{near(testRQ(append(rq, both)...)), far(testAC(append(ac, both)...))}, rest...)
}

func info(sub ...[]byte) [][]byte { return sub }

// withData is a message with a data set.
func withData(ctx uint8, c *Command, set []byte) []byte {
	c.HasDataSet = true
	return append(pdu(cmdPDV(ctx, c)), pdu(dataPDV(ctx, true, set))...)
}

func getRQ(id uint16) []byte {
	return withData(ctxGet, &Command{Field: CGetRQ, MessageID: id, SOPClass: []byte(uidGet)}, make([]byte, 40))
}

func getRSP(id, status uint16, s SubOperations) []byte {
	s.Told = true
	return pdu(cmdPDV(ctxGet, &Command{Field: CGetRSP, MessageID: id, Status: status, SOPClass: []byte(uidGet), SubOperations: s}))
}

func eventRQ(id uint16) *Command {
	return &Command{Field: NEventRQ, MessageID: id, TypeID: 1, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte("1.2.840.10008.1.20.1.1")}
}

// D12, D24: the objects come as C-STORE sub-operations of their C-GET. One that is refused is
// answered to the server, which goes on with the next.
func TestGetReturnsItsObjectsOnTheSameAssociation(t *testing.T) {
	good, bad := store(1, image(goodInstance, 300), 100), store(2, image(badInstance, 300), 100)
	taken := pdu(cmdPDV(ctxCT, storeRSP(1, 0)))
	pending := getRSP(9, StatusPending, SubOperations{Remaining: 1, Completed: 1})
	final := getRSP(9, 0xB000, SubOperations{Completed: 1, Failed: 1})
	var facts []string
	rules := func() *script {
		facts = nil
		r := checked()
		r.command = func(c *Command, _ *protocols.Verdict) {
			facts = append(facts, fmt.Sprintf("%s within %X of %d: %v", c.Name(), c.Within, c.WithinID, c.SubOperations))
		}
		return r
	}
	chunks := workstation(info(testRole(uidCT, 0, 1)),
		near(getRQ(9)), far(good), near(taken), far(pending, bad), far(final))
	p := playEveryWay(t, Config{}, rules, chunks...)
	wantToward(t, p, protocols.Near, chunks[1].Bytes, good, pending, final)
	wantToward(t, p, protocols.Far, chunks[0].Bytes, getRQ(9), taken, failure(2, reason.DICOMUID))
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-GET-RQ allow", "C-STORE-RQ allow", "C-STORE-RSP allow", "C-GET-RSP allow",
		"C-STORE-RQ refuse dicom.uid", "C-GET-RSP allow")
	if want := []string{
		"C-GET-RQ within 0 of 0: {false 0 0 0 0}", "C-STORE-RQ within 10 of 9: {false 0 0 0 0}", "C-STORE-RSP within 0 of 0: {false 0 0 0 0}",
		"C-GET-RSP within 0 of 0: {true 1 1 0 0}", "C-STORE-RQ within 10 of 9: {false 0 0 0 0}", "C-GET-RSP within 0 of 0: {true 0 1 1 0}",
	}; !slices.Equal(facts, want) {
		t.Errorf("facts\n%q\nwant\n%q", facts, want)
	}
	if p.Err != nil || p.Timer != protocols.Idle {
		t.Errorf("%v, %v", p.Err, p.Timer)
	}
}

// D12: an object that the server sends after the C-GET is done is no sub-operation of it, which is
// a fact for the rules; where the device did not propose to be an SCP it is a breach.
func TestObjectThatNoGetAskedFor(t *testing.T) {
	object := store(1, image(goodInstance, 100), 0)
	done := getRSP(9, 0, SubOperations{})
	within := uint16(1)
	rules := func() *script {
		return &script{command: func(c *Command, _ *protocols.Verdict) {
			if c.Field == CStoreRQ {
				within = c.Within
			}
		}}
	}
	p := playEveryWay(t, Config{}, rules, workstation(info(testRole(uidCT, 1, 1)), near(getRQ(9)), far(done, object))...)
	if wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-GET-RQ allow", "C-GET-RSP allow", "C-STORE-RQ allow"); within != 0 {
		t.Errorf("within %X", within)
	}
	echo := pdu(cmdPDV(ctxEcho, echoRQ(2)))
	chunks := workstation(nil, far(object), near(echo))
	p = playEveryWay(t, Config{}, rules, chunks...)
	wantToward(t, p, protocols.Near, chunks[1].Bytes)
	wantToward(t, p, protocols.Far, chunks[0].Bytes, failure(1, reason.DICOMRole), echo)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse dicom.role", "C-ECHO-RQ allow")
	// Where breaches pass it arrives as it came.
	p = playEveryWay(t, Config{}, func() *script { return &script{lenient: true} }, chunks...)
	wantToward(t, p, protocols.Near, chunks[1].Bytes, object)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow dicom.role", "C-ECHO-RQ allow")
}

// D12
func TestWhoMayAskForWhat(t *testing.T) {
	instance := []byte(testInstance)
	for _, c := range []struct {
		roles    [][]byte // of storage commitment
		near, ok string   // who asks, and the operations that pass
	}{
		{nil, "near", "N-ACTION-RQ"},
		{nil, "far", "N-EVENT-REPORT-RQ"},
		{info(testRole(uidStorageCommitment, 1, 0)), "near", "N-ACTION-RQ"},
		{info(testRole(uidStorageCommitment, 0, 1)), "near", "N-EVENT-REPORT-RQ"}, // D20: a report on an association of the server's
		{info(testRole(uidStorageCommitment, 0, 1)), "far", "N-ACTION-RQ"},
		{info(testRole(uidStorageCommitment, 1, 1)), "near", "N-ACTION-RQ N-EVENT-REPORT-RQ"},
		{info(testRole(uidStorageCommitment, 1, 1)), "far", "N-ACTION-RQ N-EVENT-REPORT-RQ"},
		{info(testRole(uidStorageCommitment, 0, 0)), "near", ""},
		{info(testRole(uidStorageCommitment, 0, 0)), "far", ""},
	} {
		for _, rq := range []*Command{
			{Field: NActionRQ, MessageID: 1, TypeID: 1, SOPClass: []byte(uidStorageCommitment), SOPInstance: instance}, eventRQ(1),
		} {
			chunk := near(pdu(cmdPDV(ctxCommit, rq)))
			if c.near == "far" {
				chunk.From = protocols.Far
			}
			p := protocols.Play(New(Config{}, &script{}), workstation(c.roles, chunk)...)
			last := p.Verdicts[len(p.Verdicts)-1]
			if want := strings.Contains(c.ok, rq.Name()); want == last.Refused() || !want && last.Reason != reason.DICOMRole {
				t.Errorf("%s from %s with roles %x: %v", rq.Name(), c.near, c.roles, verdicts(p))
			}
		}
	}
}

// D12: what the rules leave of the roles is what the server is offered, and what it may grant.
func TestRolesAreNarrowed(t *testing.T) {
	request := func(roles ...[]byte) []byte {
		return testRQ(testApplication(), testContextRQ(1, uidCT, uidExplicit), testContextRQ(3, uidCT, uidImplicit), testContextRQ(5, uidMR, uidImplicit),
			testUser(append(info(testMaxLength(16384)), roles...)...))
	}
	answer := func(roles ...[]byte) []byte {
		return testAC(testApplication(), testContextAC(1, 0, uidExplicit), testContextAC(3, 0, uidImplicit), testContextAC(5, 0, uidImplicit),
			testUser(append(info(testMaxLength(16384)), roles...)...))
	}
	both, mr := testRole(uidCT, 1, 1), testRole(uidMR, 1, 1)
	object := func(id uint8) []byte { return withData(id, storeRQ(1), image(goodInstance, 10)) }
	for name, c := range map[string]struct {
		keep    string // roles of contexts 1 and 3
		offered []byte
		granted []byte
		code    reason.Code // of the answer
		from    [2]string   // who may ask on contexts 1 and 3
	}{
		"nothing goes":                   {"both both", both, both, "", [2]string{"near far", "near far"}},
		"SCP goes":                       {"scu scu", testRole(uidCT, 1, 0), testRole(uidCT, 1, 0), "", [2]string{"near", "near"}},
		"SCU goes":                       {"scp scp", testRole(uidCT, 0, 1), testRole(uidCT, 0, 1), "", [2]string{"far", "far"}},
		"SCU goes, no answer":            {"scp scp", testRole(uidCT, 0, 1), nil, "", [2]string{"", ""}},
		"SCP goes from one":              {"both scu", both, both, "", [2]string{"near far", "near"}},
		"one of each":                    {"scu scp", both, both, "", [2]string{"near", "far"}},
		"the server grants what went":    {"scu scu", testRole(uidCT, 1, 0), both, reason.DICOMNegotiation, [2]string{}},
		"the server grants less than is": {"both both", both, testRole(uidCT, 0, 1), "", [2]string{"far", "far"}},
	} {
		t.Run(name, func(t *testing.T) {
			rules := func() *script {
				return &script{context: func(pc *PresentationContext, _ []bool, _ *protocols.Verdict) {
					if pc.HasRole && pc.ID != 5 {
						keep := strings.Fields(c.keep)[pc.ID/2]
						pc.SCU, pc.SCP = keep != "scp", keep != "scu"
					}
				}}
			}
			ac := answer(mr)
			if c.granted != nil {
				ac = answer(c.granted, mr)
			}
			p := playEveryWay(t, Config{}, rules, near(request(both, mr)), far(ac))
			if got := protocols.ReasonOf(p.Err); p.Err != nil && got != c.code || p.Err == nil && c.code != "" {
				t.Fatalf("%v, want %q", p.Err, c.code)
			}
			if c.code != "" {
				return
			}
			wantToward(t, p, protocols.Far, request(c.offered, mr))
			wantToward(t, p, protocols.Near, ac)
			for i, who := range c.from {
				for _, side := range []protocols.Side{protocols.Near, protocols.Far} {
					p := protocols.Play(New(Config{}, rules()), near(request(both, mr)), far(ac), protocols.From(side, object(uint8(2*i+1))))
					if last := p.Verdicts[len(p.Verdicts)-1]; strings.Contains(who, side.String()) == last.Refused() {
						t.Errorf("context %d, from %s: %v", 2*i+1, side, verdicts(p))
					}
				}
			}
		})
	}
}

// D12
func TestContextWithoutARoleIsRefused(t *testing.T) {
	rules := func() *script {
		return &script{context: func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
			if v.Rule = "rule"; pc.ID == ctxEcho {
				pc.SCU = false
			}
		}}
	}
	p := playEveryWay(t, Config{}, rules, near(requestPDU()))
	if rq := mustParseRQ(t, p.Toward[protocols.Far]); len(rq.Contexts) != 2 || rq.Contexts[0].ID != ctxCT {
		t.Errorf("the server is offered %v", rq.Contexts)
	}
	wantVerdicts(t, p, "A-ASSOCIATE-RQ rewrite "+string(reason.DICOMRole))
}

func TestRolesAreFacts(t *testing.T) { // D12
	var a Association
	mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidCT, uidExplicit), testContextRQ(3, uidMR, uidExplicit),
		testUser(testRole(uidMR, 0, 1)))).Facts(&a)
	if c := a.Contexts[0]; !c.SCU || c.SCP || c.HasRole {
		t.Errorf("without an item: %+v", c)
	}
	if c := a.Contexts[1]; c.SCU || !c.SCP || !c.HasRole {
		t.Errorf("with one: %+v", c)
	}
}

// D19: a C-CANCEL goes to whoever works on the request that it names, and to nobody else.
func TestCancelNamesAnOutstandingRequest(t *testing.T) {
	cancel := func(ctx uint8, id uint16) []byte { return pdu(cmdPDV(ctx, &Command{Field: CancelRQ, MessageID: id})) }
	find := withData(ctxFind, findRQ(5), make([]byte, 20))
	final := pdu(cmdPDV(ctxFind, findRSP(5, StatusCancel, false)))
	echo := pdu(cmdPDV(ctxEcho, echoRQ(6)))
	for name, c := range map[string]struct {
		chunks []protocols.Chunk
		late   bool
	}{
		"of a C-FIND":             {[]protocols.Chunk{near(find, cancel(ctxFind, 5)), far(final)}, false},
		"of a C-GET":              {[]protocols.Chunk{near(getRQ(5), cancel(ctxGet, 5))}, false},
		"of a C-MOVE":             {[]protocols.Chunk{near(moveRQ("WS1"), cancel(ctxMove, 3))}, false},
		"after the last response": {[]protocols.Chunk{near(find), far(final), near(cancel(ctxFind, 5))}, true},
		"of another Message ID":   {[]protocols.Chunk{near(find, cancel(ctxFind, 4))}, true},
		"on another context":      {[]protocols.Chunk{near(find, cancel(ctxGet, 5))}, true},
		"of what has no cancel":   {[]protocols.Chunk{near(echo, cancel(ctxEcho, 6))}, true},
		"by the other side":       {[]protocols.Chunk{near(find), far(cancel(ctxFind, 5))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var within uint16
			rules := func() *script {
				return &script{command: func(c *Command, _ *protocols.Verdict) {
					if c.Field == CancelRQ {
						within = c.Within
					}
				}}
			}
			chunks := workstation(nil, c.chunks...)
			p := playEveryWay(t, Config{}, rules, chunks...)
			late := slices.Contains(verdicts(p), "C-CANCEL-RQ refuse "+string(reason.DICOMLateCancel))
			dropped := len(p.Toward[0])+len(p.Toward[1]) < chunksLen(chunks)
			if p.Err != nil || late != c.late || dropped != c.late || p.Ending != [2]protocols.Closing{} || !late && within == 0 {
				t.Errorf("%v, %v, within %X", p.Err, verdicts(p), within)
			}
		})
	}
	// One of a request that was refused here: the server knows nothing of it.
	p := playEveryWay(t, Config{}, func() *script { return &script{command: refuse(CFindRQ, reason.DICOMCommand)} },
		workstation(nil, near(find, cancel(ctxFind, 5)))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-FIND-RQ refuse dicom.command", "C-CANCEL-RQ refuse dicom.late-cancel")
}

func chunksLen(chunks []protocols.Chunk) (n int) {
	for _, c := range chunks {
		n += len(c.Bytes)
	}
	return n
}

// D26: matches in PDUs of several messages and several PDUs of one.
func TestManyPendingResponses(t *testing.T) {
	find := withData(ctxFind, findRQ(5), make([]byte, 20))
	answers := [][]byte{}
	want := []string{"A-ASSOCIATE-RQ allow", "C-FIND-RQ allow"}
	for i := range 20 {
		status := []uint16{StatusPending, StatusPendingWarning}[i%2]
		match := image(goodInstance, 2*i)
		answers = append(answers, AppendFragments(nil, ctxFind, true, AppendCommand(nil, findRSP(5, status, true)), uint32(30+i)))
		answers = append(answers, AppendFragments(nil, ctxFind, false, match, uint32(20+2*i)))
		answers = append(answers, pdu(cmdPDV(ctxFind, findRSP(5, status, true)), dataPDV(ctxFind, false, match[:10]), dataPDV(ctxFind, true, match[10:])))
		want = append(want, "C-FIND-RSP allow", "C-FIND-RSP allow")
	}
	answers = append(answers, pdu(cmdPDV(ctxFind, findRSP(5, 0, false))))
	chunks := workstation(nil, near(find), far(answers...))
	p := playEveryWay(t, Config{}, plain, chunks...)
	wantToward(t, p, protocols.Near, chunks[1].Bytes, bytes.Join(answers, nil))
	wantVerdicts(t, p, append(want, "C-FIND-RSP allow")...)
}

// D20: on the association that it was asked on, the server reports as the SCP that it is there.
func TestStorageCommitmentIsReported(t *testing.T) {
	action := withData(ctxCommit, &Command{Field: NActionRQ, MessageID: 1, TypeID: 1, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}, make([]byte, 16))
	done := pdu(cmdPDV(ctxCommit, &Command{Field: NActionRSP, MessageID: 1, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}))
	event := withData(ctxCommit, eventRQ(1), make([]byte, 16)) // IDs of the two sides have nothing to do with each other
	taken := pdu(cmdPDV(ctxCommit, &Command{Field: NEventRSP, MessageID: 1}))
	chunks := workstation(nil, near(action), far(done, event), near(taken))
	p := playEveryWay(t, Config{}, plain, chunks...)
	wantToward(t, p, protocols.Near, chunks[1].Bytes, done, event)
	wantToward(t, p, protocols.Far, chunks[0].Bytes, action, taken)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "N-ACTION-RQ allow", "N-ACTION-RSP allow", "N-EVENT-REPORT-RQ allow", "N-EVENT-REPORT-RSP allow")
}

// D26
func TestStatusThatDoesNotExistIsABreach(t *testing.T) {
	for _, c := range []struct {
		rsp  Command
		ctx  uint8
		want string
	}{
		{Command{Field: CStoreRSP, Status: 0}, ctxCT, ""},
		{Command{Field: CStoreRSP, Status: 0xB007}, ctxCT, ""},
		{Command{Field: CStoreRSP, Status: StatusPending}, ctxCT, "breach"},
		{Command{Field: CStoreRSP, Status: StatusCancel}, ctxCT, "breach"},
		{Command{Field: CStoreRSP, Status: 0x0003}, ctxCT, "breach"},
		{Command{Field: CStoreRSP, Status: 0xFFFF}, ctxCT, "breach"},
		{Command{Field: CFindRSP, Status: StatusPending}, ctxFind, ""},
		{Command{Field: CFindRSP, Status: StatusCancel}, ctxFind, ""},
		{Command{Field: CFindRSP, Status: 0xFF02}, ctxFind, "breach"},
	} {
		c.rsp.MessageID = 1
		ask := withData(ctxCT, storeRQ(1), image(goodInstance, 2))
		if c.ctx == ctxFind {
			ask = withData(ctxFind, findRQ(1), make([]byte, 8))
		}
		p := playEveryWay(t, Config{}, plain, workstation(nil, near(ask), far(pdu(cmdPDV(c.ctx, &c.rsp))))...)
		last := p.Verdicts[len(p.Verdicts)-1]
		if last.Refused() != (c.want != "") || last.Refused() && last.Reason != reason.DICOMStatus {
			t.Errorf("%s with status %04X: %v", c.rsp.Name(), c.rsp.Status, verdicts(p))
		}
	}
}

// D11: a side is held to what was negotiated, by the smaller of what was asked and answered.
func TestOutstandingRequestsAreThoseNegotiated(t *testing.T) {
	async := func(invoked, performed int) [][]byte { return info(testItem(0x53, invoked, performed)) }
	for _, c := range []struct {
		asked, answered [][]byte
		near, far       int // how many pass
	}{
		{nil, nil, 1, 1},
		{async(0, 0), nil, 1, 1},
		{nil, async(5, 5), 1, 1}, // not asked for
		{async(3, 1), async(3, 1), 3, 1},
		{async(3, 2), async(2, 4), 2, 2},
		{async(0, 0), async(4, 0), 4, 8},
		{async(0, 0), async(0, 0), 8, 8}, // no limit but ours
	} {
		context := func(user [][]byte) [][]byte {
			return info(testApplication(), testUser(append(info(testMaxLength(16384), testRole(uidVerification, 1, 1)), user...)...))
		}
		rq := testRQ(append(context(c.asked), testContextRQ(ctxEcho, uidVerification, uidImplicit))...)
		ac := testAC(append(context(c.answered), testContextAC(ctxEcho, 0, uidImplicit))...)
		for side, want := range []int{c.near, c.far} {
			var all, some []byte
			for i := range uint16(8) {
				one := pdu(cmdPDV(ctxEcho, echoRQ(i)))
				if all = append(all, one...); int(i) < want {
					some = append(some, one...)
				}
			}
			from := protocols.Side(side)
			p := playEveryWay(t, Config{MaxOutstanding: 8}, plain, near(rq), far(ac), protocols.From(from, all))
			if got := p.Toward[from.Other()]; p.Err != nil || !bytes.HasSuffix(got, some) || len(got) != len(some)+[2]int{len(ac), len(rq)}[from.Other()] {
				t.Errorf("asked %x, answered %x, %s: %v, %v", c.asked, c.answered, from, p.Err, verdicts(p))
			}
			if last := p.Verdicts[8]; last.Refused() != (want < 8) || last.Refused() && last.Reason != reason.DICOMWindow {
				t.Errorf("%v", verdicts(p))
			}
		}
	}
}

// D11: a request beyond the window is answered when its turn has come, and the next one passes.
func TestRequestBeyondTheWindowIsAnswered(t *testing.T) {
	first, second := pdu(cmdPDV(ctxEcho, echoRQ(1))), store(2, image(goodInstance, 20), 0)
	answer := pdu(cmdPDV(ctxEcho, echoRSP(1)))
	third := pdu(cmdPDV(ctxEcho, echoRQ(3)))
	chunks := workstation(nil, near(first, second), far(answer), near(third))
	p := playEveryWay(t, Config{}, plain, chunks...)
	wantToward(t, p, protocols.Far, chunks[0].Bytes, first, third)
	wantToward(t, p, protocols.Near, chunks[1].Bytes, answer, failure(2, reason.DICOMWindow))
}

// D15: user identity, extended and common extended negotiation, and what a later edition adds, are
// between the peers.
func TestWhatPeersNegotiateBesidesPasses(t *testing.T) {
	p := playEveryWay(t, Config{}, plain, near(fullRQ()), far(fullAC()))
	wantToward(t, p, protocols.Far, fullRQ())
	wantToward(t, p, protocols.Near, fullAC())
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow")
}
