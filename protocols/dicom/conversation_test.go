package dicom

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// script is Rules whose answers a test writes. What it leaves out allows, except breaches.
type script struct {
	associate func(*Association, *protocols.Verdict)
	context   func(*PresentationContext, []bool, *protocols.Verdict)
	command   func(*Command, *protocols.Verdict)
	titles    map[string]string // what the other side calls an AE title
	needs     Tag               // of objects
	reads     Tag               // of other data sets
	dataSet   func(*Command, *DataSet, *protocols.Verdict)
	lenient   bool // breaches pass
	saw       []string
}

func (r *script) Associate(a *Association, v *protocols.Verdict) {
	if r.associate != nil {
		r.associate(a, v)
	}
}

func (r *script) Context(_ *Association, pc *PresentationContext, keep []bool, v *protocols.Verdict) {
	if r.context != nil {
		r.context(pc, keep, v)
	}
}

func (r *script) Command(c *Command, v *protocols.Verdict) {
	r.saw = append(r.saw, fmt.Sprintf("%s %s %d", c.From, c.Name(), c.MessageID))
	if r.command != nil {
		r.command(c, v)
	}
}

func (r *script) Renames() bool { return len(r.titles) > 0 }

func (r *script) Title(_ protocols.Side, title []byte) string { return r.titles[string(title)] }

func (r *script) Needs(c *Command) Tag {
	if c.Field == CStoreRQ {
		return r.needs
	}
	return r.reads
}

func (r *script) DataSet(c *Command, d *DataSet, v *protocols.Verdict) {
	r.saw = append(r.saw, fmt.Sprintf("data %s %d", c.Name(), c.MessageID))
	if r.dataSet != nil {
		r.dataSet(c, d, v)
	}
}

func (r *script) Breach(code reason.Code, v *protocols.Verdict) {
	if v.Would, v.Reason, v.Rule = protocols.Refuse, code, "breach"; !r.lenient {
		v.Refuse(code, "breach")
	}
}

// refuse returns a rule that refuses commands with a field.
func refuse(field uint16, code reason.Code) func(*Command, *protocols.Verdict) {
	return func(c *Command, v *protocols.Verdict) {
		if c.Field == field {
			v.Refuse(code, "rule")
		}
	}
}

// unsafeInstance is a rule for data sets.
func unsafeInstance(_ *Command, d *DataSet, v *protocols.Verdict) {
	switch {
	case d.Fault != nil:
		v.Refuse(d.Fault.Reason, "rule")
	case !d.InstanceSafe:
		v.Refuse(reason.DICOMUID, "rule")
	}
}

// Shorthands for chunks.
func near(parts ...[]byte) protocols.Chunk {
	return protocols.From(protocols.Near, bytes.Join(parts, nil))
}
func far(parts ...[]byte) protocols.Chunk {
	return protocols.From(protocols.Far, bytes.Join(parts, nil))
}
func told(k protocols.EventKind, s protocols.Side, code reason.Code) protocols.Chunk {
	return protocols.Told(protocols.Event{Kind: k, Side: s, Reason: code})
}

const (
	ctxEcho = 1
	ctxCT   = 3
	ctxFind = 5
	uidFind = "1.2.840.10008.5.1.4.1.2.2.1"
)

// requestPDU and acceptPDU negotiate those contexts, both roles for the objects, and any number of
// outstanding requests.
func requestPDU() []byte {
	return testRQ(testApplication(),
		testContextRQ(ctxEcho, uidVerification, uidImplicit),
		testContextRQ(ctxCT, uidCT, uidExplicit, uidImplicit),
		testContextRQ(ctxFind, uidFind, uidImplicit),
		testUser(testMaxLength(16384), testItem(0x52, "1.2.276.0.7230010.3.0.3.6.7"), testItem(0x53, 0, 0), testRole(uidCT, 1, 1)))
}

func acceptPDU() []byte {
	return testAC(testApplication(),
		testContextAC(ctxEcho, 0, uidImplicit),
		testContextAC(ctxCT, 0, uidExplicit),
		testContextAC(ctxFind, 0, uidImplicit),
		testUser(testMaxLength(16384), testItem(0x52, "1.2.826.0.1.3680043.8.641"), testItem(0x53, 0, 0), testRole(uidCT, 1, 1)))
}

// established prepares a conversation: the chunks that come first.
func established(rest ...protocols.Chunk) []protocols.Chunk {
	return append([]protocols.Chunk{near(requestPDU()), far(acceptPDU())}, rest...)
}

// pdu puts PDV items into one P-DATA-TF PDU.
func pdu(pdvs ...[]byte) []byte {
	all := bytes.Join(pdvs, nil)
	return append(AppendPDataHeader(nil, uint32(len(all))), all...)
}

func cmdPDV(ctx uint8, c *Command) []byte {
	return AppendPDV(nil, ctx, true, true, AppendCommand(nil, c))
}
func dataPDV(ctx uint8, last bool, b []byte) []byte { return AppendPDV(nil, ctx, false, last, b) }

func storeRQ(id uint16) *Command {
	return &Command{Field: CStoreRQ, MessageID: id, HasDataSet: true, SOPClass: []byte(uidCT), SOPInstance: []byte(testInstance)}
}
func storeRSP(id, status uint16) *Command {
	return &Command{Field: CStoreRSP, MessageID: id, Status: status, SOPClass: []byte(uidCT), SOPInstance: []byte(testInstance)}
}
func echoRQ(id uint16) *Command {
	return &Command{Field: CEchoRQ, MessageID: id, SOPClass: []byte(uidVerification)}
}
func echoRSP(id uint16) *Command {
	return &Command{Field: CEchoRSP, MessageID: id, SOPClass: []byte(uidVerification)}
}
func findRQ(id uint16) *Command {
	return &Command{Field: CFindRQ, MessageID: id, HasDataSet: true, SOPClass: []byte(uidFind)}
}
func findRSP(id, status uint16, data bool) *Command {
	return &Command{Field: CFindRSP, MessageID: id, HasDataSet: data, Status: status, SOPClass: []byte(uidFind)}
}

// store is a whole C-STORE-RQ in PDUs of at most maxLength.
func store(id uint16, set []byte, maxLength uint32) []byte {
	b := AppendFragments(nil, ctxCT, true, AppendCommand(nil, storeRQ(id)), 0)
	return AppendFragments(b, ctxCT, false, set, maxLength)
}

// image is a data set whose identifying elements come first and then size bytes of pixel data.
func image(instance string, size int) []byte {
	d := new(dataSet)
	d.put(TagSOPClassUID, "UI", uidCT+"\x00").put(TagSOPInstanceUID, "UI", instance)
	d.put(TagStudyInstanceUID, "UI", testStudy+"\x00")
	return d.put(tagPixelData, "OW", strings.Repeat("\x5A\xA5", size/2)).b
}

const goodInstance, badInstance = testInstance + "\x00", "../../x."

// playEveryWay plays chunks whole, cut to pieces of several sizes, and split once at each byte,
// and wants the same outcome each time (G1). It returns that of the whole.
func playEveryWay(t *testing.T, cfg Config, rules func() *script, chunks ...protocols.Chunk) protocols.Played {
	t.Helper()
	want := protocols.Play(New(cfg, rules()), chunks...)
	same := func(how string, chunks []protocols.Chunk) {
		t.Helper()
		if diff := differ(want, protocols.Play(New(cfg, rules()), chunks...)); diff != "" {
			t.Fatalf("%s: %s", how, diff)
		}
	}
	for _, n := range []int{1, 2, 3, 5, 6, 7, 11, 12, 13, 64, 100, 4096} {
		same(fmt.Sprintf("cut to %d bytes", n), protocols.Cut(n, chunks...))
	}
	for i, ch := range chunks {
		for at := 1; at < len(ch.Bytes) && len(ch.Bytes) < 4096; at++ {
			split := append([]protocols.Chunk{}, chunks[:i]...)
			split = append(split, protocols.From(ch.From, ch.Bytes[:at]), protocols.From(ch.From, ch.Bytes[at:]))
			same(fmt.Sprintf("chunk %d split at %d", i, at), append(split, chunks[i+1:]...))
		}
	}
	return want
}

// differ says how two outcomes differ. What is held when a session ends in an error is not
// compared: it depends on how much was read.
func differ(a, b protocols.Played) string {
	for s, name := range []string{"near", "far"} {
		if !bytes.Equal(a.Toward[s], b.Toward[s]) {
			return fmt.Sprintf("toward %s\n% x\nwant\n% x", name, b.Toward[s], a.Toward[s])
		}
	}
	if len(a.Verdicts) != len(b.Verdicts) {
		return fmt.Sprintf("verdicts\n%v\nwant\n%v", verdicts(b), verdicts(a))
	}
	for i := range a.Verdicts {
		if a.Verdicts[i] != b.Verdicts[i] {
			return fmt.Sprintf("verdict %d is %+v, want %+v", i, b.Verdicts[i], a.Verdicts[i])
		}
	}
	if a.Ending != b.Ending || (a.Err == nil) != (b.Err == nil) || protocols.ReasonOf(a.Err) != protocols.ReasonOf(b.Err) || a.Timer != b.Timer {
		return fmt.Sprintf("ending %v, %v, %v; want %v, %v, %v", b.Ending, b.Timer, b.Err, a.Ending, a.Timer, a.Err)
	}
	if a.Err == nil && a.Ending == [2]protocols.Closing{} && a.Held != b.Held {
		return fmt.Sprintf("held %v, want %v", b.Held, a.Held)
	}
	return ""
}

// verdicts writes verdicts in short: "C-STORE-RQ refuse dicom.uid", with "…" for what was cut.
func verdicts(p protocols.Played) []string {
	out := []string{}
	for _, v := range p.Verdicts {
		s := v.Unit.String() + " " + v.Action.String()
		if v.Reason != "" {
			s += " " + string(v.Reason)
		}
		if !v.Settled {
			s += "…"
		}
		out = append(out, s)
	}
	return out
}

func wantVerdicts(t *testing.T, p protocols.Played, want ...string) {
	t.Helper()
	if got := verdicts(p); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("verdicts\n%q\nwant\n%q", got, want)
	}
}

// wantToward checks the bytes toward a side, PDU by PDU.
func wantToward(t *testing.T, p protocols.Played, to protocols.Side, want ...[]byte) {
	t.Helper()
	if all := bytes.Join(want, nil); !bytes.Equal(p.Toward[to], all) {
		t.Errorf("toward %s\n%s\nwant\n%s", to, outline(p.Toward[to]), outline(all))
	}
}

// outline names the PDUs of a stream.
func outline(b []byte) string {
	var out []string
	for len(b) > 0 {
		typ, n, ok := ParsePDUHeader(b)
		if !ok || int(n) > len(b)-PDUHeaderLen {
			out = append(out, fmt.Sprintf("rest % x", b))
			break
		}
		s := typ.String()
		if typ != TypePDataTF || n < 400 {
			s += fmt.Sprintf(" % x", b[:PDUHeaderLen+n])
		} else {
			s += fmt.Sprintf(" of %d", n)
		}
		out = append(out, s)
		b = b[PDUHeaderLen+n:]
	}
	return strings.Join(out, "\n")
}

func wantEnding(t *testing.T, p protocols.Played, near, far protocols.Closing) {
	t.Helper()
	if p.Ending != [2]protocols.Closing{near, far} {
		t.Errorf("ended %v, want %v %v", p.Ending, near, far)
	}
}

func abortPDU(source, why uint8) []byte {
	return AppendAbort(nil, reason.Abort{Source: source, Reason: why})
}

func TestFirstBytes(t *testing.T) { // D10, D9
	for name, c := range map[string]struct {
		b    []byte
		code reason.Code
		tell []byte
	}{
		"HTTP":       {[]byte("GET / HTTP/1.1\r\n"), reason.DICOMNotDICOM, abortPDU(2, 1)},
		"TLS":        {[]byte("\x16\x03\x01\x02\x00\x01"), reason.DICOMNotDICOM, abortPDU(2, 1)},
		"one byte":   {[]byte("{"), reason.DICOMNotDICOM, abortPDU(2, 1)},
		"release":    {AppendReleaseRQ(nil), reason.DICOMPDUState, abortPDU(2, 2)},
		"giant":      {[]byte{1, 0, 0xFF, 0xFF, 0xFF, 0xFF}, reason.DICOMPDUTooLong, abortPDU(2, 6)},
		"two in one": {append(requestPDU(), requestPDU()...), reason.DICOMPDUState, abortPDU(2, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			p := playEveryWay(t, Config{}, func() *script { return &script{} }, near(c.b))
			if got := protocols.ReasonOf(p.Err); got != c.code {
				t.Errorf("%v, want %s", p.Err, c.code)
			}
			wantToward(t, p, protocols.Near, c.tell)
			wantEnding(t, p, protocols.FIN, protocols.FIN)
		})
	}
}

func TestAssociationPassesAsItCame(t *testing.T) {
	p := playEveryWay(t, Config{}, func() *script { return &script{} }, established()...)
	wantToward(t, p, protocols.Far, requestPDU())
	wantToward(t, p, protocols.Near, acceptPDU())
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow")
	if p.Timer != protocols.Idle || p.Verdicts[0].Bytes != int64(len(requestPDU())) {
		t.Errorf("timer %v, %+v", p.Timer, p.Verdicts[0])
	}
}

func TestAETitlesAreJudgedTrimmedAndForwardedAsTheyCame(t *testing.T) { // D16
	rq := testAssociate(1, " PACS\x00", "  CT3", testApplication(), testContextRQ(1, uidVerification, uidImplicit), testUser(testMaxLength(16384)))
	p := playEveryWay(t, Config{}, func() *script {
		return &script{associate: func(a *Association, v *protocols.Verdict) {
			if string(a.CalledAE) != "PACS" || string(a.CallingAE) != "CT3" {
				v.Refuse(reason.DICOMCalledAE, "rule")
			}
		}}
	}, near(rq))
	wantToward(t, p, protocols.Far, rq)
}

func TestRefusedAssociationIsRejectedWithoutDialling(t *testing.T) {
	rules := func() *script {
		return &script{associate: func(_ *Association, v *protocols.Verdict) { v.Refuse(reason.DICOMCallingAE, "rule") }}
	}
	p := playEveryWay(t, Config{}, rules, near(requestPDU()))
	wantToward(t, p, protocols.Near, AppendRJ(nil, reason.RJ{Result: 1, Source: 1, Reason: 3}))
	wantToward(t, p, protocols.Far)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ refuse dicom.calling-ae")
	wantEnding(t, p, protocols.FIN, protocols.FIN)
}

func TestContextsAreStrippedAndComeBackRejected(t *testing.T) { // D14
	rules := func() *script {
		return &script{context: func(pc *PresentationContext, keep []bool, v *protocols.Verdict) {
			switch pc.ID {
			case ctxFind:
				v.Refuse(reason.DICOMAbstractSyntax, "no find")
			case ctxEcho:
				v.Refuse(reason.DICOMTransferSyntax, "no echo")
			case ctxCT:
				keep[1] = false
			}
		}}
	}
	answer := testAC(testApplication(), testContextAC(ctxCT, 0, uidExplicit), testUser(testMaxLength(16384)))
	p := playEveryWay(t, Config{}, rules, near(requestPDU()), far(answer), near(pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, true, image(goodInstance, 2)))))
	rq := mustParseRQ(t, p.Toward[protocols.Far][:PDUHeaderLen+pduLen(p.Toward[protocols.Far])])
	if len(rq.Contexts) != 1 || rq.Contexts[0].ID != ctxCT || len(rq.Contexts[0].Transfer) != 1 {
		t.Errorf("the server was offered %v", rq.Contexts)
	}
	ac := mustParseAC(t, p.Toward[protocols.Near])
	if len(ac.Contexts) != 3 || ac.Contexts[0].Result != TransferSyntaxesNotSupported || ac.Contexts[1].Result != Acceptance ||
		ac.Contexts[2].Result != AbstractSyntaxNotSupported {
		t.Errorf("the device was answered %v", ac.Contexts)
	}
	wantVerdicts(t, p, "A-ASSOCIATE-RQ rewrite dicom.transfer-syntax", "C-STORE-RQ allow")
	if found := p.Verdicts[0].Found.String(); found != "Implicit VR Little Endian for Verification SOP Class (+1 more class)" {
		t.Errorf("found %q", found)
	}
}

// Toolkits propose a class once for each transfer syntax: what a record counts is classes.
func TestStrippedClassesAreCountedOnce(t *testing.T) { // D14
	const mr, cr, longest = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.14.1"
	for _, c := range []struct {
		classes []string
		want    string
	}{
		{[]string{mr}, "MR Image Storage"},
		{[]string{mr, mr}, "MR Image Storage"},
		{[]string{mr, mr, cr, mr, cr}, "MR Image Storage (+1 more class)"},
		{[]string{mr, cr, mr, longest}, "MR Image Storage (+2 more classes)"},
		{[]string{longest, cr, mr}, "Intravascular Optical Coherence Tomography Image Storage - For Presentation (+2 more classes)"},
	} {
		items := [][]byte{testApplication(), testContextRQ(1, uidCT, uidExplicit)}
		for i, class := range c.classes {
			items = append(items, testContextRQ(byte(3+2*i), class, uidImplicit))
		}
		rules := func() *script {
			return &script{context: func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
				if pc.ID != 1 {
					v.Refuse(reason.DICOMAbstractSyntax, "the rule")
				}
			}}
		}
		p := playEveryWay(t, Config{}, rules, near(testRQ(append(items, testUser(testMaxLength(16384)))...)))
		if found := p.Verdicts[0].Found.String(); found != c.want {
			t.Errorf("found %q, want %q", found, c.want)
		}
	}
}

// The services of a query model are named together, and a C-GET rather than what it may bring.
func TestStrippedServicesAreNamed(t *testing.T) { // D14
	const (
		root                  = "1.2.840.10008.5.1.4.1.2.2."
		find, move, get       = root + "1", root + "2", root + "3"
		worklist, mr, private = "1.2.840.10008.5.1.4.31", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.113619.4.26"
		model                 = "Study Root Query/Retrieve Information Model"
	)
	for _, c := range []struct {
		classes []string // of storage in the role of SCP
		want    string
	}{
		{[]string{find, move}, model + " - FIND, MOVE"},
		{[]string{mr, move, find}, "MR Image Storage (+2 more classes)"},
		{[]string{find, move, worklist, private}, model + " - FIND, MOVE (+2 more classes)"},
		{[]string{worklist, find, move}, "Modality Worklist Information Model - FIND (+2 more classes)"},
		{[]string{mr, uidCT, get}, model + " - GET (+2 more classes)"},
		{[]string{get, mr, uidCT, find}, model + " - GET, FIND (+2 more classes)"},
	} {
		items, user := [][]byte{testApplication()}, [][]byte{testMaxLength(16384)}
		for i, class := range c.classes {
			items = append(items, testContextRQ(byte(1+2*i), class, uidImplicit))
			if dict.IsStorage(class) {
				user = append(user, testRole(class, 0, 1))
			}
		}
		rules := func() *script {
			return &script{context: func(_ *PresentationContext, _ []bool, v *protocols.Verdict) {
				v.Refuse(reason.DICOMAbstractSyntax, "the rule")
			}}
		}
		p := playEveryWay(t, Config{}, rules, near(testRQ(append(items, testUser(user...))...)))
		if v := p.Verdicts[0]; v.Found.String() != c.want || v.Reason != reason.DICOMNoContext {
			t.Errorf("found %q (%s), want %q", v.Found, v.Reason, c.want)
		}
	}
}

// Where it is transfer syntaxes that keep contexts away, they are named: by UID where names find no room.
func TestStrippedTransferSyntaxesAreNamed(t *testing.T) { // D14
	const (
		us, mr              = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.4"
		jpeg, lossless, j2k = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.91"
		longest             = "1.2.840.10008.5.1.4.1.1.14.1"
		private             = "1.2.840.113619.5.2"
		long0, long1, long2 = "1.2.840.113619.1234567890.1234567890.1", "1.2.840.113619.1234567890.1234567890.2", "1.2.840.113619.1234567890.1234567890.3"
	)
	for _, c := range []struct {
		contexts [][]string // class, transfer syntaxes
		want     string
	}{
		{[][]string{{us, jpeg}}, "JPEG Baseline (Process 1) for Ultrasound Image Storage"},
		{[][]string{{us, jpeg, private}, {us, jpeg}, {us, j2k}}, "JPEG Baseline (Process 1) or 1.2.840.113619.5.2 or JPEG 2000 Image Compression"},
		{[][]string{{us, jpeg}, {mr, j2k}}, "1.2.840.10008.1.2.4.50 or 1.2.840.10008.1.2.4.91 for Ultrasound Image Storage (+1 more class)"},
		{[][]string{{us, lossless}}, "1.2.840.10008.1.2.4.70 for Ultrasound Image Storage"},
		{[][]string{{longest, lossless}}, "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])"},
		{[][]string{{us, long0, long1, long2}}, long0 + " or " + long1 + " or 1 more"},
		{[][]string{{longest, long0}}, long0},
		{[][]string{{us, "not a UID"}}, "Ultrasound Image Storage"},
	} {
		items := [][]byte{testApplication()}
		for i, pc := range c.contexts {
			items = append(items, testContextRQ(byte(1+2*i), pc[0], pc[1:]...))
		}
		rules := func() *script {
			return &script{context: func(_ *PresentationContext, _ []bool, v *protocols.Verdict) {
				v.Refuse(reason.DICOMTransferSyntax, "the rule")
			}}
		}
		p := playEveryWay(t, Config{}, rules, near(testRQ(append(items, testUser(testMaxLength(16384)))...)))
		if v := p.Verdicts[0]; v.Found.String() != c.want || v.Reason != reason.DICOMTransferSyntax {
			t.Errorf("found %q (%s), want %q", v.Found, v.Reason, c.want)
		}
	}
}

// What is taken away is recorded also where the server was renamed, with the new title after it.
func TestStrippedContextsAreRecordedBesideARename(t *testing.T) { // D14
	for _, action := range []protocols.Action{protocols.Refuse, protocols.Allow} { // in enforce and in shadow
		rules := func() *script {
			return &script{
				associate: func(a *Association, v *protocols.Verdict) {
					a.CallAs, v.Action, v.Would, v.Reason = "PACS2", protocols.Rewrite, protocols.Rewrite, reason.PolicyRewrite
					v.Found.Set("PACS as PACS2")
				},
				context: func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
					if pc.ID == ctxFind {
						v.Refuse(reason.DICOMAbstractSyntax, "no find")
						v.Action = action
					}
				}}
		}
		p := playEveryWay(t, Config{}, rules, near(requestPDU()))
		if v := p.Verdicts[0]; v.Action != protocols.Rewrite || v.Would != protocols.Rewrite || v.Reason != reason.DICOMAbstractSyntax || v.Rule != "no find" {
			t.Errorf("recorded %v, would %v, %s, %s", v.Action, v.Would, v.Reason, v.Rule)
		} else if found := v.Found.String(); found != "Study Root Query/Retrieve Information Model - FIND; PACS as PACS2" {
			t.Errorf("found %q", found)
		}
	}
}

func pduLen(b []byte) int { _, n, _ := ParsePDUHeader(b); return int(n) }

func TestNoContextLeftIsRejectedWithoutDialling(t *testing.T) { // D14
	for _, c := range []struct {
		name    string
		context func(pc *PresentationContext, keep []bool, v *protocols.Verdict)
		want    reason.Code
	}{
		{"abstract syntaxes", func(_ *PresentationContext, _ []bool, v *protocols.Verdict) {
			v.Refuse(reason.DICOMAbstractSyntax, "the rule")
		}, reason.DICOMNoContext},
		{"transfer syntaxes", func(_ *PresentationContext, keep []bool, v *protocols.Verdict) {
			v.Rule = "the rule"
			clear(keep)
		}, reason.DICOMTransferSyntax},
		{"roles", func(_ *PresentationContext, _ []bool, v *protocols.Verdict) {
			v.Refuse(reason.DICOMRole, "the rule")
		}, reason.DICOMRole},
		{"this and that: of a class that nothing allows there is most to say", func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
			if pc.ID == ctxFind {
				v.Refuse(reason.DICOMAbstractSyntax, "the rule")
				return
			}
			v.Refuse(reason.DICOMRole, "another")
		}, reason.DICOMNoContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := func() *script { return &script{context: c.context} }
			p := playEveryWay(t, Config{}, rules, near(requestPDU()))
			wantToward(t, p, protocols.Far)
			wantToward(t, p, protocols.Near, AppendRJ(nil, reason.RJ{Result: 1, Source: 1, Reason: 1}))
			if last := p.Verdicts[len(p.Verdicts)-1]; len(p.Verdicts) != 1 || last.Reason != c.want || last.Rule != "the rule" {
				t.Errorf("%v", verdicts(p))
			}
		})
	}
}

func TestShadowRecordsWhatItWouldRefuse(t *testing.T) {
	would := func(v *protocols.Verdict, code reason.Code) {
		v.Would, v.Reason, v.Rule = protocols.Refuse, code, "rule"
	}
	rules := func() *script {
		return &script{lenient: true, needs: TagStudyInstanceUID,
			associate: func(_ *Association, v *protocols.Verdict) { would(v, reason.DICOMCalledAE) },
			context: func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
				if pc.ID == ctxFind {
					would(v, reason.DICOMAbstractSyntax)
				}
			},
			dataSet: func(_ *Command, d *DataSet, v *protocols.Verdict) {
				if !d.InstanceSafe {
					would(v, reason.DICOMUID)
				}
			}}
	}
	msg := store(1, image(badInstance, 100), 16384)
	unasked := pdu(cmdPDV(ctxEcho, echoRSP(9)))
	p := playEveryWay(t, Config{}, rules, established(near(msg), far(unasked))...)
	wantToward(t, p, protocols.Far, requestPDU(), msg)
	wantToward(t, p, protocols.Near, acceptPDU(), unasked)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow dicom.called-ae", "C-STORE-RQ allow dicom.uid", "C-ECHO-RSP allow dicom.unasked-response")
}

func TestServerThatAcceptsWhatItWasNotOfferedIsAborted(t *testing.T) { // D14
	rules := func() *script {
		return &script{context: func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
			if pc.ID == ctxFind {
				v.Refuse(reason.DICOMAbstractSyntax, "rule")
			}
		}}
	}
	p := playEveryWay(t, Config{}, rules, established()...)
	if protocols.ReasonOf(p.Err) != reason.DICOMNegotiation {
		t.Errorf("%v", p.Err)
	}
	wantToward(t, p, protocols.Near, abortPDU(2, 6))
	if !bytes.HasSuffix(p.Toward[protocols.Far], abortPDU(2, 6)) {
		t.Error("the server was not aborted")
	}
	wantEnding(t, p, protocols.FIN, protocols.FIN)
}

func TestServersRejectionPasses(t *testing.T) {
	rj := AppendRJ(nil, reason.RJ{Result: 2, Source: 3, Reason: 1})
	p := playEveryWay(t, Config{}, func() *script { return &script{} }, near(requestPDU()), far(rj))
	wantToward(t, p, protocols.Near, rj)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "A-ASSOCIATE-RJ allow dicom.peer-rejected")
	wantEnding(t, p, protocols.FIN, protocols.FIN)
}

func TestServerIsCalledByAnotherTitle(t *testing.T) {
	rules := func() *script {
		return &script{associate: func(a *Association, v *protocols.Verdict) { a.CallAs, v.Action = "PACS2", protocols.Rewrite }}
	}
	p := playEveryWay(t, Config{}, rules, near(requestPDU()))
	if got := string(TrimAE(mustParseRQ(t, p.Toward[protocols.Far]).CalledAE)); got != "PACS2" {
		t.Errorf("called %q", got)
	}
	wantVerdicts(t, p, "A-ASSOCIATE-RQ rewrite")
}

func TestMaximumLengthBindsEachSender(t *testing.T) { // D1, D2, D7
	rq := testRQ(testApplication(), testContextRQ(ctxCT, uidCT, uidExplicit), testUser(testMaxLength(0), testRole(uidCT, 1, 1)))
	ac := testAC(testApplication(), testContextAC(ctxCT, 0, uidExplicit), testUser(testMaxLength(8192), testRole(uidCT, 1, 1)))
	cfg := Config{MaxPDU: 20000}
	rules := func() *script { return &script{} }
	caller := func() *script { // the cap is that of who calls
		return &script{associate: func(a *Association, _ *protocols.Verdict) { a.Caps = &cfg }}
	}
	long := func(n int) []byte {
		return append(pdu(cmdPDV(ctxCT, storeRQ(1))), pdu(dataPDV(ctxCT, true, make([]byte, n-6)))...)
	}
	for _, c := range []struct {
		chunk protocols.Chunk
		code  reason.Code
	}{
		{near(long(8192)), ""},
		{near(long(8194)), reason.DICOMPDUTooLong},
		{far(long(20000)), ""},
		{far(long(20002)), reason.DICOMPDUTooLong},
		{near([]byte{4, 0, 0xFF, 0xFF, 0xFF, 0xFF}), reason.DICOMPDUTooLong},
	} {
		p := playEveryWay(t, cfg, rules, near(rq), far(ac), c.chunk)
		if diff := differ(p, playEveryWay(t, Config{MaxPDU: 1 << 20}, caller, near(rq), far(ac), c.chunk)); diff != "" {
			t.Error(diff)
		}
		if c.code == "" && p.Err != nil || c.code != "" && protocols.ReasonOf(p.Err) != c.code {
			t.Errorf("%v, want %q", p.Err, c.code)
		}
		if got := mustParseRQ(t, p.Toward[protocols.Far][:PDUHeaderLen+pduLen(p.Toward[protocols.Far])]).User.MaxLength; got != 20000 {
			t.Errorf("the server was told %d", got)
		}
	}
}

func TestMalformedRequestIsAbortedWithoutDialling(t *testing.T) {
	p := playEveryWay(t, Config{}, plain, near(testRQ(testApplication())))
	if protocols.ReasonOf(p.Err) != reason.DICOMItem {
		t.Errorf("%v", p.Err)
	}
	wantToward(t, p, protocols.Far)
	wantToward(t, p, protocols.Near, abortPDU(2, 6))
	wantVerdicts(t, p) // the pump records what cannot be read
}

func TestDialThatFailsIsRejected(t *testing.T) {
	p := protocols.Play(New(Config{}, &script{}), near(requestPDU()), told(protocols.DialFailed, protocols.Far, reason.UpstreamUnreachable))
	wantToward(t, p, protocols.Near, AppendRJ(nil, reason.RJ{Result: 2, Source: 3, Reason: 1}))
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "A-ASSOCIATE-RQ refuse upstream.unreachable")
	wantEnding(t, p, protocols.FIN, protocols.FIN)
}

func TestShutdownRejectsWhatBegins(t *testing.T) { // G8
	down := told(protocols.Shutdown, protocols.Near, "")
	p := playEveryWay(t, Config{}, func() *script { return &script{} }, down, near(requestPDU()))
	wantToward(t, p, protocols.Near, AppendRJ(nil, reason.RJ{Result: 2, Source: 3, Reason: 1}))
	wantVerdicts(t, p, "A-ASSOCIATE-RQ refuse session.shutdown")

	echo := pdu(cmdPDV(ctxEcho, echoRQ(1)))
	p = playEveryWay(t, Config{}, func() *script { return &script{} }, established(down, near(echo))...)
	wantToward(t, p, protocols.Far, requestPDU(), echo)
}
