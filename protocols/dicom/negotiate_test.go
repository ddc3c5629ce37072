package dicom

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"cordon/protocols/reason"
	"cordon/protocols/wire"
)

const limit = 256 << 10

// fullAC answers fullRQ.
func fullAC() []byte {
	return testAC(testApplication(), testContextAC(1, 0, uidImplicit), testContextAC(3, 0, uidJPEG),
		testContextAC(5, 3, uidImplicit), testContextAC(255, 4, ""),
		testUser(testMaxLength(32768), testItem(0x52, "1.2.3"), testRole(uidCT, 0, 1), testItem(0x59, 0), testItem(0x7E, "new")))
}

// narrowing keeps all of a except what the words of strip name: "3" strips context 3 with result
// 3, "3:1" takes its second transfer syntax.
func narrowing(a *AssociateRQ, strip ...string) *Narrowing {
	n := new(Narrowing)
	n.Reset(a)
	for _, s := range strip {
		var id, transfer int
		got, _ := fmt.Sscanf(s, "%d:%d", &id, &transfer)
		for i, pc := range a.Contexts {
			switch {
			case int(pc.ID) != id:
			case got == 2:
				n.Keep[i].Transfer[transfer] = false
			default:
				n.Keep[i].Result = AbstractSyntaxNotSupported
			}
		}
	}
	return n
}

// D11: a window that the server cannot bear does not reach it, and counts as one operation each.
func TestAsyncWindowIsKeptFromTheServer(t *testing.T) {
	rq := mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit),
		testUser(testMaxLength(16384), testItem(byte(ItemAsyncWindow), 0, 0), testItem(0x00, "unknown"))))
	for _, omit := range []bool{false, true} {
		n := narrowing(rq)
		n.OmitAsync = omit
		server := mustParseRQ(t, rq.AppendNarrowed(nil, n))
		if server.User.HasAsync == omit || !bytes.Contains(server.Raw(), []byte("unknown")) {
			t.Errorf("omitted %v: the server is sent %x", omit, server.Raw())
		}
		want := [2]int{}
		if omit {
			want = [2]int{1, 1}
		}
		if got := rq.Offer(n).window; got != want {
			t.Errorf("omitted %v: the window is %v, want %v", omit, got, want)
		}
	}
}

// D1, D2
func TestMaximumLengthIsLowered(t *testing.T) {
	for _, c := range []struct{ value, limit, want uint32 }{
		{16384, limit, 16384}, // what the receiver said
		{limit + 1, limit, limit},
		{0, limit, limit}, // unlimited
		{1<<32 - 1, limit, limit},
		{1, limit, 1}, // there is no minimum
		{0, 0, 0},     // no cap of our own
		{7, 0, 7},
	} {
		if got := LowerMaxLength(c.value, c.limit); got != c.want {
			t.Errorf("%d lowered to %d is %d, want %d", c.value, c.limit, got, c.want)
		}
		rq := mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), testUser(testItem(0x55, "A"), testMaxLength(c.value), testItem(0x7F))))
		n := narrowing(rq)
		n.MaxLength = c.limit
		server := mustParseRQ(t, rq.AppendNarrowed(nil, n))
		if server.User.MaxLength != c.want || len(server.raw) != len(rq.raw) {
			t.Errorf("the server is told %d", server.User.MaxLength)
		}
		ac := mustParseAC(t, testAC(testApplication(), testContextAC(1, 0, uidImplicit), testUser(testItem(0x55, "A"), testMaxLength(c.value))))
		device := mustParseAC(t, ac.AppendRestored(nil, rq.Offer(n), c.limit))
		if device.User.MaxLength != c.want {
			t.Errorf("the device is told %d", device.User.MaxLength)
		}
	}
}

// D2: a maximum length that is not told means no limit, so ours is.
func TestMaximumLengthIsPutInWhereItIsAbsent(t *testing.T) {
	rq := mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), testUser(testItem(0x55, "A"))))
	n := narrowing(rq)
	n.MaxLength = limit
	want := testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), testUser(testMaxLength(limit), testItem(0x55, "A")))
	if got := rq.AppendNarrowed(nil, n); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	ac := mustParseAC(t, testAC(testApplication(), testContextAC(1, 0, uidImplicit), testUser()))
	want = testAC(testApplication(), testContextAC(1, 0, uidImplicit), testUser(testMaxLength(limit)))
	if got := ac.AppendRestored(nil, rq.Offer(n), limit); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestNothingChangesWhereNothingIsNarrowed(t *testing.T) {
	rq := mustParseRQ(t, fullRQ())
	n := narrowing(rq)
	n.MaxLength, n.CalledAE = limit, "PACS"
	if !bytes.Equal(rq.AppendNarrowed([]byte{}, n), fullRQ()) {
		t.Error("the request changed")
	}
	o := rq.Offer(n)
	ac := mustParseAC(t, fullAC())
	if err := ac.Check(o); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ac.AppendRestored([]byte{}, o, limit), fullAC()) {
		t.Error("the answer changed")
	}
}

// D14
func TestStrippedContextsGoAndComeBackRejected(t *testing.T) {
	rq := mustParseRQ(t, fullRQ())
	n := narrowing(rq, "5", "255:0", "3:2")
	n.MaxLength = 8192
	server := rq.AppendNarrowed([]byte("before"), n)[6:]
	want := testRQ(testApplication(), testContextRQ(1, uidVerification, uidImplicit), testContextRQ(3, uidCT, uidExplicit, uidImplicit),
		testUser(testMaxLength(8192), testItem(0x52, "1.2.276.0.7230010.3.0.3.6.7"), testItem(0x53, 0, 1), testRole(uidCT, 0, 1),
			testItem(0x55, "OFFIS_DCMTK_367"),
			testItem(0x57, len(uidCT), uidCT, len("1.2.840.10008.4.2"), "1.2.840.10008.4.2", 2+len(uidMR), len(uidMR), uidMR),
			testItem(0x58, []byte{2, 1}, 5, "alice", 6, "secret"), testItem(0x7F, "of a later edition")))
	if !bytes.Equal(server, want) {
		t.Fatalf("the server gets\n%x\nwant\n%x", server, want)
	}
	o := rq.Offer(n)
	if o.Remaining() != 2 {
		t.Errorf("%d contexts remain", o.Remaining())
	}
	// The server answers in an order of its own.
	user := testUser(testMaxLength(4096), testItem(0x55, "S"))
	ac := mustParseAC(t, testAC(testApplication(), testContextAC(3, 0, uidExplicit), testContextAC(1, 0, uidImplicit), user))
	if err := ac.Check(o); err != nil {
		t.Fatal(err)
	}
	device := ac.AppendRestored([]byte("before"), o, 8192)[6:]
	want = testAC(testApplication(), testContextAC(1, 0, uidImplicit), testContextAC(3, 0, uidExplicit),
		testContextAC(5, 3, uidImplicit), testContextAC(255, 4, uidPrivateTS), user)
	if !bytes.Equal(device, want) {
		t.Fatalf("the device gets\n%x\nwant\n%x", device, want)
	}
	var accepted []string
	for c := range ac.Accepted(o) {
		accepted = append(accepted, fmt.Sprint(c))
	}
	if got, want := strings.Join(accepted, ""), "{3 "+uidCT+" "+uidExplicit+" true false}{1 "+uidVerification+" "+uidImplicit+" true false}"; got != want {
		t.Errorf("accepted %s", got)
	}
}

// D14: a server that answers for none of what it was offered.
func TestStrippedContextsComeBackToAnAnswerWithoutAny(t *testing.T) {
	rq := mustParseRQ(t, testRQ(testUser(), testContextRQ(1, uidCT, uidImplicit), testContextRQ(3, uidMR, uidImplicit), testApplication()))
	o := rq.Offer(narrowing(rq, "3"))
	for _, c := range [][2][]byte{
		{testAC(testApplication(), testUser()), testAC(testApplication(), testContextAC(3, 3, uidImplicit), testUser())},
		{testAC(testUser(), testApplication()), testAC(testContextAC(3, 3, uidImplicit), testUser(), testApplication())},
	} {
		ac := mustParseAC(t, c[0])
		if err := ac.Check(o); err != nil {
			t.Fatal(err)
		}
		if got := ac.AppendRestored(nil, o, 0); !bytes.Equal(got, c[1]) {
			t.Errorf("the device gets\n%x\nwant\n%x", got, c[1])
		}
	}
}

// D14: what is said about a SOP class goes with the last of its contexts, and not before.
func TestItemsOfAStrippedClassGoWithItsLastContext(t *testing.T) {
	rq := mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidCT, uidExplicit), testContextRQ(3, uidCT, uidJPEG), testContextRQ(5, uidMR, uidImplicit),
		testUser(testMaxLength(1), testRole(uidCT, 1, 1), testItem(0x56, len(uidCT), uidCT, byte(1)), testItem(0x57, len(uidCT), uidCT, 3, "1.2", 0),
			testRole(uidMR, 1, 1), testRole(uidPrivateClass, 1, 0))))
	for _, c := range []struct {
		strip string
		want  []byte
	}{
		{"1", rq.raw[rq.User.off:]},
		{"1 3", testUser(testMaxLength(1), testRole(uidMR, 1, 1), testRole(uidPrivateClass, 1, 0))},
		{"5", testUser(testMaxLength(1), testRole(uidCT, 1, 1), testItem(0x56, len(uidCT), uidCT, byte(1)), testItem(0x57, len(uidCT), uidCT, 3, "1.2", 0), testRole(uidPrivateClass, 1, 0))},
	} {
		got := rq.AppendNarrowed(nil, narrowing(rq, strings.Fields(c.strip)...))
		if !bytes.HasSuffix(got, c.want) {
			t.Errorf("without %s the server gets\n%x\nwant at the end\n%x", c.strip, got, c.want)
		}
		_ = mustParseRQ(t, got)
	}
}

func TestNothingRemains(t *testing.T) {
	rq := mustParseRQ(t, fullRQ())
	n := narrowing(rq, "1", "3:0", "3:1", "3:2", "5", "255")
	o := rq.Offer(n)
	if o.Remaining() != 0 {
		t.Errorf("%d contexts remain", o.Remaining())
	}
	if server := mustParseRQ(t, rq.AppendNarrowed(nil, n)); len(server.Contexts) != 0 {
		t.Errorf("the server is offered %d", len(server.Contexts))
	}
	ac := mustParseAC(t, testAC(testApplication(), testUser()))
	device := mustParseAC(t, ac.AppendRestored(nil, o, 0))
	if len(device.Contexts) != 4 || device.Contexts[1].Result != TransferSyntaxesNotSupported {
		t.Errorf("the device gets %v", device.Contexts)
	}
}

// D16
func TestServerIsCalledByItsOwnTitleAndTheDeviceSeesItsOwn(t *testing.T) {
	rq := mustParseRQ(t, testAssociate(1, " PACS\x00", "CT3", testApplication(), testContextRQ(1, uidCT, uidImplicit), testUser()))
	n := narrowing(rq)
	n.CalledAE = "PACS"
	if !bytes.Equal(rq.AppendNarrowed(nil, n), rq.raw) {
		t.Error("the same title was written anew")
	}
	n.CalledAE = "PACS2"
	server := rq.AppendNarrowed(nil, n)
	if want := testAssociate(1, "PACS2", "CT3", testApplication(), testContextRQ(1, uidCT, uidImplicit), testUser()); !bytes.Equal(server, want) {
		t.Errorf("the server gets %q", server)
	}
	o := rq.Offer(n)
	ac := mustParseAC(t, testAssociate(2, "PACS2", "CT3", testApplication(), testContextAC(1, 0, uidImplicit), testUser()))
	if want := testAssociate(2, " PACS\x00", "CT3", testApplication(), testContextAC(1, 0, uidImplicit), testUser()); !bytes.Equal(ac.AppendRestored(nil, o, 0), want) {
		t.Errorf("the device gets %q", ac.AppendRestored(nil, o, 0))
	}
	n.CalledAE = "A TITLE OF MORE THAN 16 BYTES"
	if got := mustParseRQ(t, rq.AppendNarrowed(nil, n)); string(got.CalledAE) != "A TITLE OF MORE " {
		t.Errorf("the server is called %q", got.CalledAE)
	}
}

// D14
func TestServerAcceptsWhatItWasNotOffered(t *testing.T) {
	user := testUser()
	rq := mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidVerification, uidImplicit), testContextRQ(3, uidCT, uidExplicit, uidJPEG), testContextRQ(5, uidMR, uidImplicit),
		testUser(testRole(uidCT, 1, 0), testRole(uidMR, 1, 1))))
	o := rq.Offer(narrowing(rq, "5", "3:1"))
	ok := testContextAC(1, 0, uidImplicit)
	for _, c := range []struct {
		name string
		pdu  []byte
	}{
		{"a context nobody asked for", testAC(testApplication(), ok, testContextAC(7, 0, uidImplicit), user)},
		{"a rejected context nobody asked for", testAC(testApplication(), ok, testContextAC(7, 3, uidImplicit), user)},
		{"a stripped context", testAC(testApplication(), ok, testContextAC(5, 0, uidImplicit), user)},
		{"a stripped context, rejected", testAC(testApplication(), ok, testContextAC(5, 3, uidImplicit), user)},
		{"a stripped transfer syntax", testAC(testApplication(), testContextAC(3, 0, uidJPEG), user)},
		{"another context's transfer syntax", testAC(testApplication(), testContextAC(1, 0, uidExplicit), user)},
		{"a context twice", testAC(testApplication(), ok, ok, user)},
		{"a context twice, once rejected", testAC(testApplication(), ok, testContextAC(1, 3, uidImplicit), user)},
		{"a role nobody asked for", testAC(testApplication(), ok, testUser(testRole(uidVerification, 1, 1)))},
		{"a role that was stripped", testAC(testApplication(), ok, testUser(testRole(uidMR, 1, 1)))},
		{"more of a role than was asked for", testAC(testApplication(), ok, testUser(testRole(uidCT, 1, 1)))},
		{"a user identity that was not sent", testAC(testApplication(), ok, testUser(testItem(0x59, 0)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantMalformed(t, mustParseAC(t, c.pdu).Check(o), reason.DICOMNegotiation, c.pdu)
		})
	}
	for _, pdu := range [][]byte{
		testAC(testApplication(), user),
		testAC(testApplication(), ok, testContextAC(3, 0, uidExplicit+"\x00"), testUser(testRole(uidCT, 1, 0))),
		testAC(testApplication(), ok, testContextAC(3, 1, ""), testUser(testRole(uidCT, 0, 0))),
		testAC(testApplication(), ok, testUser(testRole(uidVerification, 1, 0))), // says what holds anyway
	} {
		if err := mustParseAC(t, pdu).Check(o); err != nil {
			t.Error(err)
		}
	}
	pdu := testAC(testItem(0x10, "1.2.%n"), ok, user)
	wantMalformed(t, mustParseAC(t, pdu).Check(o), reason.DICOMApplicationContext, pdu)
}

// D12
func TestNegotiatedRolesOfAcceptedContexts(t *testing.T) {
	rq := mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), testContextRQ(3, uidMR, uidImplicit), testContextRQ(5, uidVerification, uidImplicit),
		testUser(testRole(uidCT, 0, 1), testRole(uidMR, 1, 1))))
	o := rq.Offer(narrowing(rq))
	ac := mustParseAC(t, testAC(testApplication(), testContextAC(1, 0, uidImplicit), testContextAC(3, 0, uidImplicit), testContextAC(5, 0, uidImplicit),
		testUser(testRole(uidCT, 0, 1))))
	var got []string
	for c := range ac.Accepted(o) {
		got = append(got, fmt.Sprint(c.ID, c.SCU, c.SCP))
	}
	if want := "1 false true,3 true false,5 true false"; strings.Join(got, ",") != want {
		t.Errorf("roles %s", got)
	}
	for c := range ac.Accepted(o) {
		if c.ID != 1 {
			t.Error("it goes on after a break")
		}
		break
	}
}

// What an offer and its contexts remember does not alias the request.
func TestOfferHoldsCopies(t *testing.T) {
	pdu := fullRQ()
	rq := mustParseRQ(t, pdu)
	n := narrowing(rq, "5")
	n.CalledAE = "X"
	o := rq.Offer(n)
	clear(pdu)
	ac := mustParseAC(t, testAC(testApplication(), testContextAC(1, 0, uidImplicit), testContextAC(3, 0, uidJPEG), testUser(testRole(uidCT, 0, 1), testItem(0x59, 0))))
	if err := ac.Check(o); err != nil {
		t.Fatal(err)
	}
	if device := mustParseAC(t, ac.AppendRestored(nil, o, 0)); len(device.Contexts) != 3 || string(device.CalledAE) != string(testAE("PACS")) {
		t.Errorf("the device gets %v", device.Contexts)
	}
}

// A narrowing is used again for the next request.
func TestNarrowingIsResetToKeepAll(t *testing.T) {
	rq := mustParseRQ(t, fullRQ())
	n := narrowing(rq, "1", "3:1", "255")
	n.CalledAE, n.MaxLength = "X", 1
	small := mustParseRQ(t, testRQ(testApplication(), testContextRQ(1, uidCT, uidImplicit), testUser()))
	n.Reset(small)
	if !bytes.Equal(small.AppendNarrowed(nil, n), small.raw) {
		t.Error("something is left")
	}
	n.Reset(rq)
	if !bytes.Equal(rq.AppendNarrowed(nil, n), rq.raw) {
		t.Error("something is left")
	}
}

// without appends the contexts of an answer except one, as a server does that was not asked.
func without(id uint8) func(*wire.Builder, *Item) {
	return func(b *wire.Builder, it *Item) {
		if it.Value[0] != id {
			it.encodeContext(b, nil)
		}
	}
}
