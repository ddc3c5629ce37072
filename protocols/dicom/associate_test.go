package dicom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// D12, D15
func TestEveryItemOfARequestIsRead(t *testing.T) {
	a := mustParseRQ(t, fullRQ())
	u := &a.User
	got := fmt.Sprintf("%d %q %q %s | %d %v %s %s | %v %d/%d | %s %v %v | %s %x | %s %s %s | %d %v | %02x %s",
		a.Version, a.CalledAE, a.CallingAE, a.ApplicationContext,
		u.MaxLength, u.HasMaxLength, u.ImplementationUID, u.ImplementationName,
		u.HasAsync, u.AsyncInvoked, u.AsyncPerformed,
		u.Roles[0].SOPClass, u.Roles[0].SCU, u.Roles[0].SCP,
		u.Extended[0].SOPClass, u.Extended[0].Info,
		u.CommonExtended[0].SOPClass, u.CommonExtended[0].ServiceClass, u.CommonExtended[0].Related[0],
		u.Identity.Type, u.Identity.ResponseWanted, uint8(u.Unknown[0].Type), u.Unknown[0].Value)
	want := `1 "PACS            " "CT3             " 1.2.840.10008.3.1.1.1` +
		` | 16384 true 1.2.276.0.7230010.3.0.3.6.7 OFFIS_DCMTK_367 | true 0/1 | ` +
		uidCT + ` false true | ` + uidStudyGet + ` 010100 | ` + uidCT + ` 1.2.840.10008.4.2 ` + uidMR +
		` | 2 true | 7f of a later edition`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var contexts []string
	for _, pc := range a.Contexts {
		contexts = append(contexts, fmt.Sprintf("%d %s %s", pc.ID, pc.Abstract, pc.Transfer))
	}
	if got, want := strings.Join(contexts, "; "), "1 1.2.840.10008.1.1 [1.2.840.10008.1.2]; "+
		"3 1.2.840.10008.5.1.4.1.1.2 [1.2.840.10008.1.2.1 1.2.840.10008.1.2 1.2.840.10008.1.2.4.50]; "+
		"5 1.2.840.10008.5.1.4.1.2.2.3 [1.2.840.10008.1.2]; 255 1.3.12.2.1107.5.9.1 [1.2.840.113619.5.2]"; got != want {
		t.Errorf("contexts %s", got)
	}
	if made := a.Append([]byte("x")); !bytes.Equal(made[1:], fullRQ()) {
		t.Errorf("encoded anew it differs")
	}
}

func TestEveryItemOfAnAnswerIsRead(t *testing.T) {
	pdu := testAC(testApplication(), testContextAC(1, 0, uidImplicit), testContextAC(3, 4, ""),
		testUser(testMaxLength(0), testItem(0x53, 1, 1), testItem(0x59, 3, "yes")))
	ac := mustParseAC(t, pdu)
	if len(ac.Contexts) != 2 || ac.Contexts[0].ID != 1 || ac.Contexts[0].Result != Acceptance || string(ac.Contexts[0].Transfer) != uidImplicit ||
		ac.Contexts[1].Result != TransferSyntaxesNotSupported || ac.Contexts[1].Transfer != nil {
		t.Errorf("contexts %+v", ac.Contexts)
	}
	if !ac.User.HasMaxLength || ac.User.MaxLength != 0 || !ac.User.HasResponse || string(ac.User.Response) != "yes" {
		t.Errorf("user information %+v", ac.User)
	}
	if !bytes.Equal(ac.Append(nil), pdu) {
		t.Error("encoded anew it differs")
	}
}

func TestMemoryOfAViewIsReusedCleanly(t *testing.T) {
	var a AssociateRQ
	for range 2 {
		if err := a.Parse(fullRQ()); err != nil {
			t.Fatal(err)
		}
		if err := a.Parse(testRQ(testApplication(), testContextRQ(1, uidMR, uidImplicit), testUser())); err != nil {
			t.Fatal(err)
		}
		if u := a.User; len(a.Contexts) != 1 || u.HasMaxLength || u.HasAsync || len(u.Roles)+len(u.Extended)+len(u.CommonExtended)+len(u.Unknown) != 0 || u.Identity.Type != 0 {
			t.Fatalf("something is left of the request before: %+v", a)
		}
	}
}

// D16
func TestFactsAreTrimmedAndTheBytesAreNot(t *testing.T) {
	pdu := testAssociate(1, "  PACS\x00\x00", " CT 3\x00",
		testItem(0x10, ApplicationContextName+"\x00"),
		testContextRQ(1, uidVerification+"\x00", uidImplicit+"\x00", uidExplicit+"  "),
		testUser(testMaxLength(65535), testItem(0x52, "1.2.3\x00"), testItem(0x55, "A NAME OF MORE THAN 16 BYTES \x00")))
	a := mustParseRQ(t, pdu)
	var f Association
	a.Facts(&f)
	got := fmt.Sprintf("%d|%s|%s|%s|%d|%v|%s|%s|%d|%s%s", f.ProtocolVersion, f.CalledAE, f.CallingAE, f.ApplicationContext,
		f.MaxLength, f.HasMaxLength, f.ImplementationUID, f.ImplementationName, f.UserIdentityType, f.Contexts[0].Abstract, f.Contexts[0].Transfer)
	want := "1|PACS|CT 3|" + ApplicationContextName + "|65535|true|1.2.3|A NAME OF MORE THAN 16 BYTES|0|" +
		uidVerification + "[" + uidImplicit + " " + uidExplicit + "]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !bytes.Equal(a.Append(nil), pdu) || !bytes.Equal(a.Raw(), pdu) {
		t.Error("the bytes are not as received")
	}
	var n Narrowing
	n.Reset(a)
	if !bytes.Equal(a.AppendNarrowed(nil, &n), pdu) {
		t.Error("the bytes for the server are not as received")
	}
}

// D16: an AE title may be blank or hold control characters; that is for the rules.
func TestOddAETitlesAreFactsNotErrors(t *testing.T) {
	for _, title := range []string{"", "\x00\x00\x00\x00", "A\\B", "../x", "\x01\x1b[2J", "1234567890123456"} {
		a := mustParseRQ(t, testAssociate(1, title, title, testApplication(), testUser()))
		var f Association
		a.Facts(&f)
		if want := strings.Trim(title, "\x00"); string(f.CalledAE) != want || string(f.CallingAE) != want {
			t.Errorf("%q is read as %q, %q", title, f.CalledAE, f.CallingAE)
		}
	}
}

func TestFactsForTheRulesAreNotErrors(t *testing.T) {
	a := mustParseRQ(t, testRQ(testItem(0x10, "%n%n%n%n"), testUser()))
	if string(a.ApplicationContext) != "%n%n%n%n" || len(a.Contexts) != 0 {
		t.Errorf("%+v", a)
	}
	pdu := testRQ(testApplication(), testUser())
	pdu[7] = 2
	if a := mustParseRQ(t, pdu); a.Version != 2 {
		t.Errorf("version %d", a.Version)
	}
}

// D15: also in an order that nobody else uses, with reserved bytes that are not 0.
func TestOrderAndReservedBytesAreKept(t *testing.T) {
	pdu := testRQ(testUser(testItem(0x80), testItem(0x55, "X"), testMaxLength(1), testItem(0x80)),
		testContextRQ(9, uidCT, uidExplicit), testApplication(), testContextRQ(7, uidMR, uidImplicit))
	pdu[1], pdu[8], pdu[9], pdu[42], pdu[73], pdu[75] = 1, 2, 3, 4, 5, 6
	a := mustParseRQ(t, pdu)
	if !bytes.Equal(a.Append(nil), pdu) {
		t.Error("encoded anew it differs")
	}
	// A context whose abstract syntax comes last.
	pdu = testRQ(testApplication(), testItem(0x20, []byte{1, 9, 9, 9}, testItem(0x40, uidImplicit), testItem(0x30, uidCT)), testUser())
	if a := mustParseRQ(t, pdu); !bytes.Equal(a.Append(nil), pdu) || string(a.Contexts[0].Abstract) != uidCT {
		t.Error("encoded anew it differs")
	}
}

// D15 and PS3.8 §9.3.1: items that the standard does not have are skipped, and pass as they came, also
// where the PDU is made anew around them.
func TestUnknownItemsAreSkipped(t *testing.T) {
	later := testItem(0x60, "of a later edition")
	accepted := testItem(0x21, []byte{1, 0, 0, 0}, testItem(0x40, uidImplicit), later)
	for name, c := range map[string]struct{ rq, ac []byte }{
		"item of the request": {rq: testRQ(testApplication(), testItem(0x11, "of a later edition"), testContextRQ(1, uidCT, uidImplicit),
			testContextRQ(3, uidMR, uidImplicit), testUser(), later)},
		"sub-item of a proposed context": {rq: testRQ(testApplication(),
			testItem(0x20, []byte{1, 0, 0, 0}, testItem(0x30, uidCT), later, testItem(0x40, uidImplicit)), testContextRQ(3, uidMR, uidImplicit), testUser())},
		"item of the answer":                {ac: testAC(testApplication(), testContextAC(1, 0, uidImplicit), testUser(), later)},
		"item before those of the answer":   {ac: testAC(later, testApplication(), testContextAC(1, 0, uidImplicit), testUser())},
		"sub-item of an accepted context":   {ac: testAC(testApplication(), accepted, testUser())},
		"sub-items of a rejected context":   {ac: testAC(testApplication(), testItem(0x21, []byte{1, 0, 3, 0}, testItem(0x30, uidCT), later), testUser())},
		"an answer without any context":     {ac: testAC(testApplication(), later, testUser())},
		"an item between those of contexts": {rq: testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), later, testContextRQ(3, uidMR, uidImplicit), testUser())},
	} {
		for _, strip := range []string{"", uidMR} {
			t.Run(name+" "+strip, func(t *testing.T) {
				rq, ac := c.rq, c.ac
				if rq == nil {
					rq = testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), testContextRQ(3, uidMR, uidImplicit), testUser())
				}
				if ac == nil {
					ac = testAC(testApplication(), testContextAC(1, 0, uidImplicit), testUser())
				}
				rules := func() *script {
					return &script{context: func(pc *PresentationContext, _ []bool, v *protocols.Verdict) {
						if string(pc.Abstract) == strip {
							v.Refuse(reason.DICOMAbstractSyntax, "rule")
						}
					}}
				}
				p := playEveryWay(t, Config{}, rules, near(rq), far(ac))
				if p.Err != nil {
					t.Fatal(p.Err)
				}
				for side, sent := range [][]byte{protocols.Far: rq, protocols.Near: ac} {
					got := p.Toward[side]
					if len(got) == 0 || got[0] != sent[0] || bytes.Count(got, []byte("of a later edition")) != bytes.Count(sent, []byte("of a later edition")) {
						t.Errorf("toward side %d: %q", side, got)
					}
				}
			})
		}
	}
}

// What a request that cannot be read says behind the fault is unknown, not wrong.
func TestFaultBeforeTheApplicationContext(t *testing.T) {
	rules := func() *script {
		return &script{associate: func(a *Association, v *protocols.Verdict) {
			if string(a.ApplicationContext) != ApplicationContextName {
				v.Refuse(reason.DICOMApplicationContext, "rule")
			}
		}}
	}
	p := playEveryWay(t, Config{}, rules, near(testRQ(testContextRQ(2, uidCT, uidImplicit), testApplication(), testUser())))
	if protocols.ReasonOf(p.Err) != reason.DICOMItem {
		t.Errorf("%v, %q", p.Err, verdicts(p))
	}
}

// A request may propose thousands of transfer syntaxes in vain; a record names few of them.
func TestRecordOfManyTransferSyntaxes(t *testing.T) {
	var w taken
	var contexts []PresentationContext
	for i := range maxContexts {
		pc := PresentationContext{ID: uint8(2*i + 1), Abstract: []byte(uidCT)}
		for j := range maxTransfers {
			pc.Transfer = append(pc.Transfer, []byte(fmt.Sprintf("1.%d", i*maxTransfers+j)))
		}
		contexts = append(contexts, pc)
		w.syntaxes = append(w.syntaxes, i)
	}
	got := ""
	joins := testing.AllocsPerRun(1, func() { got = w.syntax(contexts, 40, "CT Image Storage") })
	if want := "1.0 or 1.1 or 1.2 or 1.3 or 16380 more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if most := 8.0 * maxContexts * maxTransfers; joins > most {
		t.Errorf("%.0f allocations, want at most %.0f", joins, most)
	}
}

// D13: a UID that is none is for the rules, like one that nobody knows. It costs its context alone.
func TestProposedUIDsThatAreNoneCostTheirContextAlone(t *testing.T) {
	for _, bad := range [][]byte{
		testContextRQ(3, "1.2.private.x", uidImplicit), testContextRQ(3, "1..2", uidImplicit), testContextRQ(3, "1.%s", uidImplicit),
		testContextRQ(3, "", uidImplicit), testContextRQ(3, uidCT, ""), testContextRQ(3, uidCT, " \x00"), testContextRQ(3, uidCT, "1.2."),
	} {
		rq := testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), bad, testUser())
		rules := func() *script {
			return &script{context: func(pc *PresentationContext, keep []bool, v *protocols.Verdict) {
				if !ValidUID(pc.Abstract) {
					v.Refuse(reason.DICOMAbstractSyntax, "rule")
				}
				for i := range keep {
					keep[i] = string(pc.Transfer[i]) == uidImplicit
				}
			}}
		}
		p := playEveryWay(t, Config{}, rules, near(rq), far(testAC(testApplication(), testContextAC(1, 0, uidImplicit), testUser())))
		if p.Err != nil {
			t.Fatal(p.Err)
		}
		a := mustParseRQ(t, p.Toward[protocols.Far])
		if len(a.Contexts) != 1 || a.Contexts[0].ID != 1 {
			t.Errorf("%q: the server is asked for %v", bad, a.Contexts)
		}
		var ac AssociateAC
		if err := ac.Parse(p.Toward[protocols.Near]); err != nil || len(ac.Contexts) != 2 || ac.Contexts[1].Result == Acceptance {
			t.Errorf("%q: the device is told %v, %v", bad, ac.Contexts, err)
		}
		for _, v := range p.Verdicts {
			if f := v.Found.String(); strings.Contains(f, "private") || strings.Contains(f, "%s") {
				t.Errorf("the record quotes it: %s", f)
			}
		}
	}
}

// D13, and the structure that shields parsers behind us.
func TestMalformedRequests(t *testing.T) {
	app, user, ct := testApplication(), testUser(testMaxLength(16384)), testContextRQ(1, uidCT, uidImplicit)
	in := func(sub ...[]byte) []byte { return testRQ(app, ct, testUser(sub...)) }
	pc := func(parts ...any) []byte { return testRQ(app, testItem(0x20, parts...), user) }
	head := []byte{1, 0, 0, 0}
	abstract, transfer := testItem(0x30, uidCT), testItem(0x40, uidImplicit)
	long := func(item []byte, n int) []byte { // item claims n bytes
		item = bytes.Clone(item)
		binary.BigEndian.PutUint16(item[2:], uint16(n))
		return item
	}
	many := func(n int) (contexts []byte) {
		for range n {
			contexts = append(contexts, transfer...)
		}
		return contexts
	}
	uid65 := strings.Repeat("1", 65)
	for _, c := range []struct {
		name string
		pdu  []byte
	}{
		{"no application context", testRQ(ct, user)},
		{"two application contexts", testRQ(app, app, ct, user)},
		{"empty application context", testRQ(testItem(0x10), ct, user)},
		{"long application context", testRQ(testItem(0x10, uid65), ct, user)},
		{"no user information", testRQ(app, ct)},
		{"two user informations", testRQ(app, ct, user, user)},
		{"item of another PDU", testRQ(app, testContextAC(1, 0, uidImplicit), user)},
		{"sub-item outside", testRQ(app, ct, user, abstract)},
		{"item reaches beyond the PDU", testRQ(app, ct, long(user, 100))},
		{"rest of an item", testRQ(app, ct, user, []byte{0x50, 0})},
		{"even context ID", testRQ(app, testContextRQ(2, uidCT, uidImplicit), user)},
		{"context ID 0", testRQ(app, testContextRQ(0, uidCT, uidImplicit), user)},
		{"context ID twice", testRQ(app, ct, testContextRQ(1, uidMR, uidImplicit), user)},
		{"empty context", pc()},
		{"short context", pc(head[:3])},
		{"no abstract syntax", pc(head, transfer)},
		{"two abstract syntaxes", pc(head, abstract, abstract, transfer)},
		{"no transfer syntax", pc(head, abstract)},
		{"sub-item that only user information has", pc(head, abstract, transfer, testItem(0x52, "1.2"))},
		{"sub-item reaches beyond its context", pc(head, abstract, long(transfer, len(uidImplicit)+1))},
		{"sub-item reaches beyond the PDU", pc(head, long(abstract, 0xFFFF), transfer)},
		{"long abstract syntax", pc(head, testItem(0x30, uid65), transfer)},
		{"long transfer syntax", pc(head, abstract, testItem(0x40, uid65))},
		{"too many transfer syntaxes", pc(head, abstract, many(maxTransfers+1))},

		{"maximum length of 3 bytes", in(testItem(0x51, 0, byte(1)))},
		{"maximum length of 5 bytes", in(testItem(0x51, 0, 1, byte(1)))},
		{"maximum length twice", in(testMaxLength(1), testMaxLength(1))},
		{"implementation UID twice", in(testItem(0x52, "1.2"), testItem(0x52, "1.2"))},
		{"implementation UID empty", in(testItem(0x52))},
		{"implementation UID long", in(testItem(0x52, uid65))},
		{"asynchronous window of 2 bytes", in(testItem(0x53, 1))},
		{"asynchronous window of 6 bytes", in(testItem(0x53, 1, 1, 1))},
		{"version name twice", in(testItem(0x55, "A"), testItem(0x55, "A"))},
		{"role without UID", in(testItem(0x54))},
		{"role's UID too long for it", in(testItem(0x54, len(uidCT)+1, uidCT, byte(1), byte(1)))},
		{"role's UID reaches far beyond", in(testItem(0x54, 0xFFFF, uidCT, byte(1), byte(1)))},
		{"role's UID too short for it", in(testItem(0x54, len(uidCT)-1, uidCT, byte(1), byte(1)))},
		{"role's UID of 65 bytes", in(testRole(uid65, 1, 1))},
		{"role's UID empty", in(testRole("", 1, 1))},
		{"role without SCP", in(testItem(0x54, len(uidCT), uidCT, byte(1)))},
		{"role of 2", in(testRole(uidCT, 1, 2))},
		{"roles that disagree", in(testRole(uidCT, 1, 0), testRole(uidCT, 0, 1))},
		{"extended negotiation's UID too long", in(testItem(0x56, 100, uidCT))},
		{"extended negotiations that disagree", in(testItem(0x56, len(uidCT), uidCT, byte(1)), testItem(0x56, len(uidCT), uidCT, byte(2)))},
		{"common extended negotiation cut short", in(testItem(0x57, len(uidCT), uidCT, 3, "1.2"))},
		{"common extended negotiation's service class", in(testItem(0x57, len(uidCT), uidCT, 3, "1..", 0))},
		{"related classes reach beyond", in(testItem(0x57, len(uidCT), uidCT, 3, "1.2", 9, 3, "1.2"))},
		{"related class reaches beyond its list", in(testItem(0x57, len(uidCT), uidCT, 3, "1.2", 5, 4, "1.2.3"))},
		{"related class is no UID", in(testItem(0x57, len(uidCT), uidCT, 3, "1.2", 5, 3, "../"))},
		{"user identity cut short", in(testItem(0x58, []byte{2, 1}, 5, "alice"))},
		{"user identity's first field reaches beyond", in(testItem(0x58, []byte{2, 1}, 6, "alice", 0))},
		{"user identity's second field reaches beyond", in(testItem(0x58, []byte{2, 1}, 5, "alice", 7, "secret"))},
		{"user identity with a rest", in(testItem(0x58, []byte{2, 1}, 5, "alice", 5, "secret"))},
		{"user identity of type 0", in(testItem(0x58, []byte{0, 1}, 1, "a", 0))},
		{"user identity twice", in(testItem(0x58, []byte{1, 0}, 1, "a", 0), testItem(0x58, []byte{1, 0}, 1, "b", 0))},
		{"answer to a user identity in a request", in(testItem(0x59, 0))},
		{"sub-item reaches beyond user information", in(long(testItem(0x55, "A"), 2))},
		{"unknown sub-item reaches beyond", in(long(testItem(0x7F, "A"), 2))}, // D15
		{"rest of a sub-item", in([]byte{0x51, 0, 0})},
		{"no room for a maximum length", in(testItem(0x7F, make([]byte, 65535-4)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantMalformed(t, new(AssociateRQ).Parse(c.pdu), reason.DICOMItem, c.pdu)
		})
	}
}

func TestMalformedAnswers(t *testing.T) {
	app, user, ct := testApplication(), testUser(testMaxLength(16384)), testContextAC(1, 0, uidImplicit)
	transfer := testItem(0x40, uidImplicit)
	for _, c := range []struct {
		name string
		pdu  []byte
	}{
		{"no application context", testAC(ct, user)},
		{"no user information", testAC(app, ct)},
		{"item of another PDU", testAC(app, testContextRQ(1, uidCT, uidImplicit), user)},
		{"even context ID", testAC(app, testContextAC(4, 0, uidImplicit), user)},
		{"result 5", testAC(app, testContextAC(1, 5, uidImplicit), user)},
		{"accepted without a transfer syntax", testAC(app, testItem(0x21, []byte{1, 0, 0, 0}), user)},
		{"accepted with two", testAC(app, testItem(0x21, []byte{1, 0, 0, 0}, transfer, transfer), user)},
		{"accepted with an empty one", testAC(app, testContextAC(1, 0, ""), user)},
		{"rejected with a long one", testAC(app, testContextAC(1, 3, strings.Repeat("1", 65)), user)},
		{"rejected and very long", testAC(app, testItem(0x21, []byte{1, 0, 3, 0}, bytes.Repeat(transfer, 200)), user)},
		{"sub-item reaches beyond", testAC(app, testItem(0x21, []byte{1, 0, 3, 0}, []byte{0x40, 0, 0, 1}), user)},
		{"129 contexts", testAC(app, bytes.Repeat(ct, 129), user)},
		{"a user identity", testAC(app, ct, testUser(testItem(0x58, []byte{1, 0}, 1, "a", 0)))},
		{"an answer to a user identity with a rest", testAC(app, ct, testUser(testItem(0x59, 1, "ab")))},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantMalformed(t, new(AssociateAC).Parse(c.pdu), reason.DICOMItem, c.pdu)
		})
	}
}

// What a rejected context's transfer syntax says "shall not be significant and its value shall
// not be tested" (Table 9-18).
func TestRejectedContextsAreNotTested(t *testing.T) {
	for _, pdu := range [][]byte{
		testAC(testApplication(), testItem(0x21, []byte{1, 0, 3, 0}), testUser()),
		testAC(testApplication(), testContextAC(1, 4, ""), testUser()),
		testAC(testApplication(), testContextAC(1, 2, "any\x00thing"), testUser()),
		testAC(testApplication(), testItem(0x21, []byte{1, 0, 1, 0}, testItem(0x40, uidImplicit), testItem(0x40, uidExplicit)), testUser()),
	} {
		if a := mustParseAC(t, pdu); !bytes.Equal(a.Append(nil), pdu) {
			t.Error("encoded anew it differs")
		}
	}
}

// A device that repeats itself about a SOP class, once for each context, is understood.
func TestRepeatedItemsThatAgreeAreRead(t *testing.T) {
	pdu := testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), testContextRQ(3, uidCT, uidExplicit),
		testUser(testRole(uidCT, 1, 1), testRole(uidCT, 1, 1)))
	if a := mustParseRQ(t, pdu); len(a.User.Roles) != 2 {
		t.Errorf("%d roles", len(a.User.Roles))
	}
	roles := testRole(uidCT, 1, 1)
	_ = mustParseRQ(t, testRQ(testApplication(), testUser(bytes.Repeat(roles, 128))))
	pdu = testRQ(testApplication(), testUser(bytes.Repeat(roles, 129)))
	wantMalformed(t, new(AssociateRQ).Parse(pdu), reason.DICOMItem, pdu)
}

// D13: 128 contexts are as many as there are odd IDs.
func Test128Contexts(t *testing.T) {
	var contexts []byte
	for id := 1; id < 256; id += 2 {
		contexts = append(contexts, testContextRQ(byte(id), uidCT, uidImplicit)...)
	}
	if a := mustParseRQ(t, testRQ(testApplication(), contexts, testUser())); len(a.Contexts) != maxContexts {
		t.Errorf("%d contexts", len(a.Contexts))
	}
}

// Every beginning of a PDU is refused, also one whose length field was made to agree.
func TestCutRequestsAreRefused(t *testing.T) {
	for _, full := range [][]byte{fullRQ(), fullAC()} {
		parse := new(AssociateRQ).Parse
		if full[0] == byte(TypeAssociateAC) {
			parse = new(AssociateAC).Parse
		}
		for n := range len(full) {
			err := parse(full[:n])
			wantMalformed(t, err, reason.DICOMPDU, full)
			if n < PDUHeaderLen {
				continue
			}
			cut := bytes.Clone(full[:n])
			binary.BigEndian.PutUint32(cut[2:], uint32(n-PDUHeaderLen))
			var m *protocols.Malformed
			if err := parse(cut); !errors.As(err, &m) {
				t.Fatalf("%d bytes of %s are read: %v", n, PDUType(full[0]), err)
			}
		}
		if err := parse(append(bytes.Clone(full), 0)); err == nil {
			t.Error("a PDU with a byte after it is read")
		}
	}
}

// D7
func TestLongestRequest(t *testing.T) {
	transfers := bytes.Repeat(testItem(0x40, strings.Repeat("1", 60)), maxTransfers)
	var contexts []byte
	for id := 1; id < 256; id += 2 {
		contexts = append(contexts, testItem(0x20, []byte{byte(id), 0, 0, 0}, testItem(0x30, uidCT), transfers)...)
	}
	pdu := testRQ(testApplication(), contexts, testUser(testMaxLength(0)))
	wantMalformed(t, new(AssociateRQ).Parse(pdu), reason.DICOMPDUTooLong, pdu)

	// One that is a byte too long to take a maximum length is refused, not made too long.
	rest := MaxAssociatePDU - associateFixed - len(testApplication()) - len(testUser())
	contexts = contexts[:len(contexts)-len(contexts)/128*2]
	if rest > len(contexts)+65535-maxLengthItem {
		t.Fatal("the test does not fill the PDU")
	}
	fill := func(n int) []byte {
		return testRQ(testApplication(), contexts, testUser(testItem(0x7F, make([]byte, n-itemHeaderLen))))
	}
	full := rest - len(contexts)
	_ = mustParseRQ(t, fill(full-maxLengthItem))
	pdu = fill(full - maxLengthItem + 1)
	wantMalformed(t, new(AssociateRQ).Parse(pdu), reason.DICOMPDUTooLong, pdu)
}
