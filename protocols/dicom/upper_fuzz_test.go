package dicom

import (
	"bytes"
	"testing"
)

// fitted is b with a header that fits it, so that a fuzzer need not find the length.
func fitted(t PDUType, b []byte) []byte {
	return append(AppendPDUHeader(nil, t, uint32(len(b))), b...)
}

// FuzzAssociateRQ: what is accepted is encoded anew as it was, and however it is narrowed, what
// the server gets is a request again, with nothing in it that was taken away. A server that
// accepts all of it, and one that accepts none, give the device an answer to each of its contexts.
func FuzzAssociateRQ(f *testing.F) {
	f.Add(fullRQ()[PDUHeaderLen:], uint64(0), uint32(0))
	f.Add(fullRQ()[PDUHeaderLen:], uint64(0b0110), uint32(limit))
	f.Add(testRQ(testUser(), testContextRQ(9, uidCT, uidExplicit), testApplication())[PDUHeaderLen:], uint64(1), uint32(1))
	f.Add(testRQ(testApplication(), testContextRQ(1, uidCT, uidExplicit), testContextRQ(3, uidCT, uidImplicit), testUser(testRole(uidCT, 1, 1)))[PDUHeaderLen:], uint64(2), uint32(1))
	f.Fuzz(func(t *testing.T, body []byte, strip uint64, most uint32) {
		pdu := fitted(TypeAssociateRQ, body)
		a := new(AssociateRQ)
		if a.Parse(pdu) != nil {
			return
		}
		if !bytes.Equal(a.Append(nil), pdu) {
			t.Fatalf("encoded anew it differs\n%x\n%x", pdu, a.Append(nil))
		}
		var facts Association
		a.Facts(&facts)
		n := new(Narrowing)
		n.Reset(a)
		if !bytes.Equal(a.AppendNarrowed(nil, n), pdu) {
			t.Fatal("the request changed although nothing is narrowed")
		}
		n.MaxLength = most
		i := 0
		for c := range n.Keep {
			if n.Keep[c].Result = Acceptance; strip>>(i%64)&1 != 0 {
				n.Keep[c].Result = AbstractSyntaxNotSupported
			}
			i++
			for j := range n.Keep[c].Transfer {
				n.Keep[c].Transfer[j] = strip>>(i%64)&1 == 0
				i++
			}
		}
		server := mustParseRQ(t, a.AppendNarrowed(nil, n))
		o := a.Offer(n)
		if o.Remaining() != len(server.Contexts) {
			t.Fatalf("%d contexts remain, the server is offered %d", o.Remaining(), len(server.Contexts))
		}
		if most != 0 && (server.User.MaxLength == 0 || server.User.MaxLength > most) {
			t.Fatalf("the server is told %d", server.User.MaxLength)
		}
		all := [][]byte{testApplication()}
		for _, pc := range server.Contexts {
			result := Acceptance
			if len(pc.Transfer[0]) == 0 {
				result = TransferSyntaxesNotSupported // nobody accepts one without a name
			}
			all = append(all, testContextAC(pc.ID, byte(result), string(pc.Transfer[0])))
		}
		for _, answer := range [][]byte{testAC(append(all, testUser())...), testAC(testUser(), testApplication())} {
			ac := mustParseAC(t, answer)
			if err := ac.Check(o); err != nil {
				t.Fatal(err)
			}
			device := mustParseAC(t, ac.AppendRestored(nil, o, most))
			if want := len(ac.Contexts) + len(a.Contexts) - o.Remaining(); len(device.Contexts) != want {
				t.Fatalf("the device gets %d answers, want %d", len(device.Contexts), want)
			}
			if most != 0 && (device.User.MaxLength == 0 || device.User.MaxLength > most) {
				t.Fatalf("the device is told %d", device.User.MaxLength)
			}
		}
	})
}

// FuzzAssociateAC: what is accepted is encoded anew as it was, and an answer that passes the
// check becomes an answer for the device.
func FuzzAssociateAC(f *testing.F) {
	rq := mustParseRQ(f, fullRQ())
	offers := []*Offer{rq.Offer(narrowing(rq)), rq.Offer(narrowing(rq, "1", "255")), rq.Offer(narrowing(rq, "5", "3:0"))}
	f.Add(fullAC()[PDUHeaderLen:], uint32(0))
	f.Add(testAC(testApplication(), testContextAC(1, 0, uidImplicit), testContextAC(3, 2, ""), testUser())[PDUHeaderLen:], uint32(limit))
	f.Add(testAC(testApplication(), testContextAC(3, 0, uidJPEG), testContextAC(5, 0, uidImplicit), testUser(testRole(uidCT, 0, 1)))[PDUHeaderLen:], uint32(1))
	f.Fuzz(func(t *testing.T, body []byte, most uint32) {
		pdu := fitted(TypeAssociateAC, body)
		ac := new(AssociateAC)
		if ac.Parse(pdu) != nil {
			return
		}
		if !bytes.Equal(ac.Append(nil), pdu) {
			t.Fatalf("encoded anew it differs\n%x\n%x", pdu, ac.Append(nil))
		}
		for _, o := range offers {
			if ac.Check(o) != nil {
				continue
			}
			device := mustParseAC(t, ac.AppendRestored(nil, o, most))
			if want := len(ac.Contexts) + len(o.contexts) - o.Remaining(); len(device.Contexts) != want {
				t.Fatalf("the device gets %d answers, want %d", len(device.Contexts), want)
			}
			for c := range ac.Accepted(o) {
				if c.Abstract == "" || c.Transfer == "" {
					t.Fatalf("accepted %+v", c)
				}
			}
		}
	})
}

// FuzzPDataTF: the PDVs of what is accepted are the PDU, byte for byte but for the control bits
// that nobody tests, and a walk over headers alone judges the same.
func FuzzPDataTF(f *testing.F) {
	f.Add(testData([]byte{0, 0, 0, 6, 1, 3, 'c', 'o', 'm', 'm'}, []byte{0, 0, 0, 4, 1, 0, 'd', 'a'})[PDUHeaderLen:])
	f.Add(testData([]byte{0, 0, 0, 2, 1, 3}, []byte{0xFF, 0xFF, 0xFF, 0xFE, 1, 3})[PDUHeaderLen:])
	f.Add(testData([]byte{0, 0, 0, 5, 1, 3, 1, 2, 3})[PDUHeaderLen:])
	f.Fuzz(func(t *testing.T, body []byte) {
		pdu := fitted(TypePDataTF, body)
		pdvs, err := ParsePDataTF(pdu)
		if err != nil {
			return
		}
		made := AppendPDataHeader(nil, uint32(len(pdu)-PDUHeaderLen))
		off := PDUHeaderLen
		for v := (PDV{}); pdvs.Next(&v); off += v.Len {
			n, id, control, ok := ParsePDVHeader(pdu[off:])
			if !ok || v.Off != off || int(n)+4 != v.Len || id != v.ContextID || CheckPDV(n, id, control, uint32(len(pdu)-off), off) != nil {
				t.Fatalf("%+v at %d", v, off)
			}
			made = AppendPDV(made, v.ContextID, v.Command, v.Last, v.Data)
			made[off+5] |= control &^ 3
		}
		if !bytes.Equal(made, pdu) {
			t.Fatalf("encoded anew it differs\n%x\n%x", pdu, made)
		}
	})
}

// FuzzSniff: what is refused early is refused for good, and what an A-ASSOCIATE-RQ parser takes
// is never refused.
func FuzzSniff(f *testing.F) {
	f.Add(fullRQ())
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Add([]byte{1, 0, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		refused := false
		for n := range min(len(b), 32) + 1 {
			m := Sniff(b[:n])
			if refused && m == nil {
				t.Fatalf("%d bytes are taken after fewer were refused", n)
			}
			refused = m != nil
		}
		if refused && new(AssociateRQ).Parse(b) == nil {
			t.Fatal("a request is refused")
		}
	})
}
