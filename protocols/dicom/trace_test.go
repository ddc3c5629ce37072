package dicom

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

var update = flag.Bool("update", false, "write the golden files anew")

// notebook is a tracer that writes down what it is told.
type notebook struct{ strings.Builder }

func (n *notebook) Trace(t protocols.Traced) {
	who := t.From.String()
	if t.Own {
		who = "own to " + t.From.Other().String()
	}
	fmt.Fprintf(n, "%s %s", who, t.Unit)
	if t.Text != "" {
		fmt.Fprintf(n, " %s", t.Text)
	}
	if t.Stage == protocols.Ended {
		fmt.Fprintf(n, " ends: %d bytes, %d PDVs", t.Bytes, t.PDVs)
	}
	if t.Class != "" {
		fmt.Fprintf(n, " [%s]", t.Class)
	}
	if t.Reason != "" {
		fmt.Fprintf(n, " (%s, would %s: %s, %s, %q)", t.Action, t.Would, t.Reason, t.Rule, t.Found)
	}
	n.WriteByte('\n')
	for _, l := range t.Lines {
		fmt.Fprintf(n, "    %s\n", l)
	}
}

const (
	ctxMR   = 7
	ctxPush = 11
)

// traced are rules that take a context, a transfer syntax and a role away, and refuse instances with
// UIDs that are none.
func traced() *script {
	return &script{
		needs: TagStudyInstanceUID, dataSet: unsafeInstance,
		associate: func(a *Association, v *protocols.Verdict) { a.CallAs = "PACS2" },
		context: func(pc *PresentationContext, keep []bool, v *protocols.Verdict) {
			switch pc.ID {
			case ctxMR:
				v.Found.Set("MR Image Storage")
				v.Refuse(reason.DICOMAbstractSyntax, "devices/ct-3.yaml:9:5")
			case ctxCT:
				keep[1], pc.SCP = false, false
			}
		},
		command: refuse(CancelRQ, reason.DICOMCommand),
	}
}

// mark stands for everything that a trace must not show.
const mark = "MARKED"

// dialogue is an association with most of what there is: a stripped context, an echo, an object
// that is stored and one that is refused, a query, a retrieval, storage commitment, a release.
// Everything about patients is marked.
func dialogue() []protocols.Chunk {
	const instance = "1.2.77777.10"
	marked := func(instance string) []byte {
		d := new(dataSet).put(TagSOPClassUID, "UI", uidCT+"\x00").put(TagSOPInstanceUID, "UI", instance)
		d.put(0x00100010, "PN", mark+"^X").put(0x00100020, "LO", mark)
		return d.put(TagStudyInstanceUID, "UI", "1.2.77777.2\x00").put(tagPixelData, "OW", strings.Repeat("\x5A", 2000)).b
	}
	stores := func(id uint16, instance string) []byte {
		c := storeRQ(id)
		c.SOPInstance, c.Originator, c.OriginatorID = []byte(instance), []byte("WS1"), 4
		b := AppendFragments(nil, ctxCT, true, AppendCommand(nil, c), 0)
		return AppendFragments(b, ctxCT, false, marked(instance), 1024)
	}
	query := new(dataSet)
	query.implicit = true
	query.put(0x00100010, "PN", mark+"*X").put(0x00100020, "LO", mark)
	// Error Comment is free text of a peer.
	comment := testCommand(testElement(0, 0x0100, testShort(CStoreRSP)), testElement(0, 0x0120, testShort(3)),
		testElement(0, 0x0800, testShort(noDataSet)), testElement(0, 0x0900, testShort(0xA701)), testElement(0, 0x0902, mark))
	moving := testCommand(testElement(0, 0x0100, testShort(CMoveRSP)), testElement(0, 0x0120, testShort(6)),
		testElement(0, 0x0800, testShort(noDataSet)), testElement(0, 0x0900, testShort(StatusPending)),
		testElement(0, 0x1020, testShort(3)), testElement(0, 0x1021, testShort(10)), testElement(0, 0x1022, testShort(0)), testElement(0, 0x1023, testShort(1)))
	moved := &Command{Field: CMoveRSP, MessageID: 6, Status: 0xB000}
	commit := &Command{Field: NActionRQ, MessageID: 7, HasDataSet: true, TypeID: 1,
		SOPClass: []byte("1.2.840.10008.1.20.1"), SOPInstance: []byte("1.2.840.10008.1.20.1.1")}
	rq := testRQ(testApplication(),
		testContextRQ(ctxEcho, uidVerification, uidImplicit),
		testContextRQ(ctxCT, uidCT, uidExplicit, uidImplicit),
		testContextRQ(ctxFind, uidFind, uidImplicit),
		testContextRQ(ctxMR, uidMR, uidImplicit, uidExplicit),
		testContextRQ(ctxMove, uidMove, uidImplicit),
		testContextRQ(ctxPush, "1.2.840.10008.1.20.1", uidImplicit),
		testContextRQ(13, uidVerification, uidExplicit),
		testContextRQ(15, "1.2.3.4.5", uidExplicit),
		testUser(testMaxLength(16384), testItem(0x52, "1.2.276.0.7230010.3.0.3.6.7"), testItem(0x55, "OFFIS\x1b[2J"),
			testItem(0x53, []byte{0, 0, 0, 5}), testRole(uidCT, 1, 1), testItem(0x56, []byte{0, byte(len(uidFind))}, uidFind, []byte{1}),
			testItem(0x58, []byte{2, 0, 0, byte(len(mark))}, mark, []byte{0, byte(len(mark))}, mark)))
	ac := testAC(testApplication(),
		testContextAC(ctxEcho, 0, uidImplicit),
		testContextAC(ctxCT, 0, uidExplicit),
		testContextAC(ctxFind, 0, uidImplicit),
		testContextAC(ctxMove, 0, uidImplicit),
		testContextAC(ctxPush, 0, uidImplicit),
		testContextAC(13, 1, uidExplicit),
		testUser(testMaxLength(0), testItem(0x52, "1.2.826.0.1.3680043.8.641"), testRole(uidCT, 1, 0)))
	return []protocols.Chunk{
		near(rq), far(ac),
		near(pdu(cmdPDV(ctxEcho, echoRQ(1)))), far(pdu(cmdPDV(ctxEcho, echoRSP(1)))),
		near(stores(2, instance)), far(pdu(cmdPDV(ctxCT, storeRSP(2, 0)))),
		near(stores(3, instance)), far(pdu(AppendPDV(nil, ctxCT, true, true, comment))),
		near(stores(4, "../../"+mark)),
		near(pdu(cmdPDV(ctxFind, findRQ(5)), dataPDV(ctxFind, true, query.b))),
		far(pdu(cmdPDV(ctxFind, findRSP(5, StatusPending, true)), dataPDV(ctxFind, true, query.b))),
		near(pdu(cmdPDV(ctxFind, &Command{Field: CancelRQ, MessageID: 5}))),
		far(pdu(cmdPDV(ctxFind, findRSP(5, 0xFE00, false)))),
		near(pdu(cmdPDV(ctxMove, &Command{Field: CMoveRQ, MessageID: 6, HasDataSet: true, SOPClass: []byte(uidMove), MoveAE: []byte("WS1")}),
			dataPDV(ctxMove, true, query.b))),
		far(pdu(AppendPDV(nil, ctxMove, true, true, moving))), far(pdu(cmdPDV(ctxMove, moved))),
		near(pdu(cmdPDV(ctxPush, commit), dataPDV(ctxPush, true, query.b))),
		near(AppendReleaseRQ(nil)), far(AppendReleaseRP(nil)),
	}
}

func TestAnAssociationReadsAsADialogueWithoutPatients(t *testing.T) {
	var n notebook
	c := New(Config{}, traced())
	c.Watch(&n)
	if p := protocols.Play(c, dialogue()...); p.Err != nil {
		t.Fatal(p.Err)
	}
	for _, secret := range []string{mark, "77777", "\x1b"} {
		if strings.Contains(n.String(), secret) {
			t.Errorf("%q is in the trace", secret)
		}
	}
	golden(t, "testdata/trace.txt", n.String())
}

// A toolkit that proposes all it knows, twice each, must not bury the context that is wanted.
func TestManyStrippedContextsAreOneLine(t *testing.T) {
	var n notebook
	c := New(Config{}, &script{context: func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
		if string(pc.Abstract) != uidCT {
			v.Refuse(reason.DICOMAbstractSyntax, "rule")
		}
	}})
	c.Watch(&n)
	items := [][]byte{testApplication()}
	for i, abstract := range []string{uidVerification, uidVerification, uidCT, uidFind, uidFind, "1.2.3.4"} {
		items = append(items, testContextRQ(uint8(2*i+1), abstract, uidImplicit))
	}
	if p := protocols.Play(c, near(testRQ(append(items, testUser(testMaxLength(16384)))...))); p.Err != nil {
		t.Fatal(p.Err)
	}
	_, lines, _ := strings.Cut(n.String(), "maximum length 16384")
	const want = `
    context   5  CT Image Storage: Implicit VR Little Endian
    5 contexts stripped (abstract-syntax-not-supported): Verification SOP Class, Study Root Query/Retrieve Information Model - FIND, 1.2.3.4
`
	if !strings.HasSuffix(lines, want) {
		t.Errorf("got%s\nwant%s", lines, want)
	}
}

// Who may send everything agrees on 128 contexts, which are two lines, and one that differs has its own.
func TestManyAcceptedContextsAreALineForEachTransferSyntax(t *testing.T) {
	rq, ac := [][]byte{testApplication()}, [][]byte{testApplication()}
	for i := range 128 {
		id, class, syntax, result := uint8(2*i+1), fmt.Sprintf("1.2.3.%d", i/2), uidExplicit, uint8(Acceptance)
		if i%2 == 1 {
			syntax = uidImplicit
		}
		switch i {
		case 0, 1:
			class = uidCT
		case 2, 3:
			class = uidMR
		case 126:
			result = uint8(TransferSyntaxesNotSupported)
		}
		rq = append(rq, testContextRQ(id, class, syntax))
		ac = append(ac, testContextAC(id, result, syntax))
	}
	user := testUser(testMaxLength(16384))
	var n notebook
	c := New(Config{}, &script{})
	c.Watch(&n)
	if p := protocols.Play(c, near(testRQ(append(rq, user)...)), far(testAC(append(ac, user)...))); p.Err != nil {
		t.Fatal(p.Err)
	}
	const classes = "CT Image Storage, MR Image Storage, 1.2.3.2, 1.2.3.3, 1.2.3.4, 1.2.3.5, 1.2.3.6, 1.2.3.7 and "
	for _, want := range []string{
		"\n    64 contexts: Explicit VR Little Endian; for " + classes + "56 more SOP classes\n    64 contexts: Implicit VR Little Endian; for ",
		"\n    63 contexts: accepted, Explicit VR Little Endian; for " + classes + "55 more SOP classes\n" +
			"    64 contexts: accepted, Implicit VR Little Endian; for " + classes + "56 more SOP classes\n" +
			"    context 253  1.2.3.63: rejected, transfer-syntaxes-not-supported\n",
	} {
		if !strings.Contains(n.String(), want) {
			t.Errorf("got %s\nwithout %s", n.String(), want)
		}
	}
	if u, _ := c.Underway(); len(u.Lines) != 2 || !strings.HasPrefix(u.Lines[1], "64 contexts: accepted, Implicit VR Little Endian; for CT") {
		t.Errorf("under way: %q", u.Lines)
	}
}

func TestATraceIsTheSameHoweverBytesCome(t *testing.T) {
	var whole, cut notebook
	for n, size := range map[*notebook]int{&whole: 1 << 20, &cut: 1} {
		c := New(Config{}, traced())
		c.Watch(n)
		protocols.Play(c, protocols.Cut(size, dialogue()...)...)
	}
	if whole.String() != cut.String() {
		t.Errorf("byte by byte:\n%s\nwhole:\n%s", cut.String(), whole.String())
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s says\n%s\ngot\n%s", path, want, got)
	}
}

func TestEveryWayToEndIsTraced(t *testing.T) {
	object := store(1, image(goodInstance, 4000), 1024)
	begun := pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, false, image(goodInstance, 200)))
	for name, c := range map[string]struct {
		rules  *script
		chunks []protocols.Chunk
		want   string // the last lines
	}{
		"rejected by the rules": {&script{associate: func(_ *Association, v *protocols.Verdict) { v.Refuse(reason.DICOMCalledAE, "rule") }},
			[]protocols.Chunk{near(requestPDU())},
			`own to near A-ASSOCIATE-RJ rejected-permanent, service-user, called-AE-title-not-recognized [failure] (allow, would allow: dicom.called-ae, , "")`},
		"rejected by the server": {&script{},
			[]protocols.Chunk{near(requestPDU()), far(AppendRJ(nil, reason.RJ{Result: 2, Source: 3, Reason: 2}))},
			`far A-ASSOCIATE-RJ rejected-transient, service-provider (presentation), local-limit-exceeded [failure] (allow, would allow: dicom.peer-rejected, , "")`},
		"server away": {&script{},
			[]protocols.Chunk{near(requestPDU()), told(protocols.DialFailed, protocols.Far, reason.UpstreamUnreachable)},
			`own to near A-ASSOCIATE-RJ rejected-transient, service-provider (presentation), temporary-congestion [failure] (allow, would allow: upstream.unreachable, , "")`},
		"aborted by the device": {&script{},
			established(near(begun, abortPDU(0, 0))),
			"near A-ABORT service-user [failure]"},
		"device gone in the middle": {&script{},
			established(near(object[:3000]), told(protocols.Lost, protocols.Near, "")),
			`near C-STORE-RQ never completed ends: 3224 bytes, 4 PDVs [failure] (allow, would allow: session.cut, , "")` + "\n" +
				`own to far A-ABORT service-provider, reason-not-specified [failure] (allow, would allow: session.cut, , "")`},
		"a response that nobody asked for": {&script{},
			established(far(pdu(cmdPDV(ctxEcho, echoRSP(9))))),
			`far C-ECHO-RSP message 9: 0000H Success [success] (refuse, would refuse: dicom.unasked-response, breach, "Verification SOP Class")`},
	} {
		t.Run(name, func(t *testing.T) {
			var n notebook
			conv := New(Config{}, c.rules)
			conv.Watch(&n)
			protocols.Play(conv, c.chunks...)
			if !strings.Contains(n.String(), c.want+"\n") {
				t.Errorf("%s\nhas no\n%s", n.String(), c.want)
			}
		})
	}
}

func TestWhoBeginsToWatchLearnsWhatWasAgreedOn(t *testing.T) {
	c := New(Config{}, &script{})
	if _, ok := c.Underway(); ok {
		t.Error("something is under way before anything came")
	}
	protocols.Play(c, established()...)
	u, ok := c.Underway()
	if want := "context   3  CT Image Storage: accepted, Explicit VR Little Endian"; !ok || len(u.Lines) != 3 || u.Lines[1] != want {
		t.Errorf("%v %q, want %q in the middle", ok, u.Lines, want)
	}
	var n notebook
	c.Watch(&n)
	protocols.Play(c, near(pdu(cmdPDV(ctxEcho, echoRQ(1)))))
	c.Watch(nil)
	seen := n.Len()
	protocols.Play(c, far(pdu(cmdPDV(ctxEcho, echoRSP(1)))))
	if seen == 0 || n.Len() != seen {
		t.Errorf("saw %q", n.String())
	}
}

func TestStatusesHaveTheirMeaning(t *testing.T) {
	for _, c := range []struct {
		field, status uint16
		text          string
		class         protocols.StatusClass
	}{
		{CEchoRSP, 0x0000, "0000H Success", protocols.StatusSuccess},
		{CStoreRSP, 0xA7AB, "A7ABH failure: Out of resources", protocols.StatusFailure},
		{CStoreRSP, 0xB000, "B000H warning: Coercion of Data Elements", protocols.StatusWarning},
		{CMoveRSP, 0xA801, "A801H failure: Move Destination unknown", protocols.StatusFailure},
		{CFindRSP, 0xFF01, "FF01H Pending, optional keys not supported", protocols.StatusPending},
		{CGetRSP, 0xFE00, "FE00H Cancel", protocols.StatusCancel},
		{NActionRSP, 0xC601, "C601H failure: Unable to create Print Job; print queue is full", protocols.StatusFailure},
		{NActionRSP, 0xC777, "C777H failure", protocols.StatusFailure},
		{CEchoRSP, 0x7777, "7777H, which the standard does not have", protocols.StatusUnknown},
	} {
		if got := describeStatus(c.field, c.status); got != c.text || statusClass(c.field, c.status) != c.class {
			t.Errorf("%04XH: %q, %s; want %q, %s", c.status, got, statusClass(c.field, c.status), c.text, c.class)
		}
	}
}

func TestASubOperationIsNamedWithItsRequest(t *testing.T) {
	c := storeRQ(3)
	c.Abstract, c.Transfer, c.Within, c.WithinID = uidCT, uidExplicit, CGetRQ, 2
	if got, want := c.text(), ", of C-GET-RQ, message 2"; !strings.HasSuffix(got, want) {
		t.Errorf("%q, want %q at its end", got, want)
	}
}
