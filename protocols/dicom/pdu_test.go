package dicom

import (
	"bytes"
	"strings"
	"testing"

	"cordon/protocols/reason"
)

// D10
func TestOtherProtocolsAreRecognisedFromTheFirstByte(t *testing.T) {
	for _, c := range []struct{ begin, looks string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"},
		{"POST /dicom-web HTTP/1.1\r\n", "HTTP"},
		{"OPTIONS * HTTP/1.0\r\n", "HTTP"},
		{"HTTP/1.1 400 Bad Request\r\n", "HTTP response"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"},
		{"SSH-2.0-OpenSSH_9.6\r\n", "SSH"},
		{"\x0bMSH|^~\\&|LAB\r", "MLLP"},
		{"MSH|^~\\&|LAB\r", "HL7"},
		{"\x00\x00\x00\x85\xffSMB", "SMB"},
		{"EHLO example\r\n", "text"},
		{"\r\n\r\n", "text"},
		{"\x80\x9d\x01\x03\x01", "binary"},
		{"\xff\xff\xff\xff\xff\xff", "binary"},
	} {
		for n := 1; n <= len(c.begin); n++ {
			m := Sniff([]byte(c.begin[:n]))
			if m == nil {
				t.Fatalf("%q is waited for", c.begin[:n])
			}
			wantMalformed(t, m, reason.DICOMNotDICOM, []byte(c.begin))
		}
		if m := Sniff([]byte(c.begin)); !strings.Contains(m.Detail, c.looks) {
			t.Errorf("%q: %s; want %s", c.begin, m.Detail, c.looks)
		}
	}
}

// D9, D10
func TestFirstPDUMustBeAnAssociateRQ(t *testing.T) {
	for typ := TypeAssociateAC; typ <= TypeAbort; typ++ {
		wantMalformed(t, Sniff([]byte{byte(typ)}), reason.DICOMPDUState, []byte{0})
	}
}

// D7, D10
func TestGiantLengthIsRefusedBeforeItIsWhole(t *testing.T) {
	for _, c := range []struct {
		begin []byte
		code  reason.Code // "" while it may become an association
	}{
		{[]byte{1, 0, 0x47, 0x45, 0x54, 0x20}, reason.DICOMPDUTooLong},
		{[]byte{1, 0, 0x01}, reason.DICOMPDUTooLong},
		{[]byte{1, 0, 0x00, 0x11}, reason.DICOMPDUTooLong},
		{[]byte{1, 0, 0x00, 0x10}, ""},
		{[]byte{1, 0, 0x00, 0x10, 0, 0}, ""},
		{[]byte{1, 0, 0x00, 0x10, 0, 1}, reason.DICOMPDUTooLong},
		{[]byte{1, 0, 0, 0, 0, 67}, reason.DICOMPDU},
		{[]byte{1, 0, 0, 0, 0, 68}, ""},
		{[]byte{1, 0xFF, 0, 0}, ""}, // the reserved byte is not tested
		{nil, ""},
	} {
		m := Sniff(c.begin)
		if c.code != "" {
			wantMalformed(t, m, c.code, c.begin)
		} else if m != nil {
			t.Errorf("% x: %v", c.begin, m)
		}
	}
}

func TestSniffWaitsForARequest(t *testing.T) {
	pdu := fullRQ()
	for n := range len(pdu) + 1 {
		if m := Sniff(pdu[:n]); m != nil {
			t.Fatalf("%d bytes: %v", n, m)
		}
	}
}

func TestPDUHeader(t *testing.T) {
	b := AppendPDUHeader(nil, TypePDataTF, 0x01020304)
	for n := range len(b) {
		if _, _, ok := ParsePDUHeader(b[:n]); ok {
			t.Errorf("a header was read from %d bytes", n)
		}
	}
	typ, length, ok := ParsePDUHeader(b)
	if typ != TypePDataTF || length != 0x01020304 || !ok || len(b) != PDUHeaderLen {
		t.Errorf("got %s %x %v", typ, length, ok)
	}
}

// D1, D7
func TestPDULengthsAreJudgedByTheHeaderAlone(t *testing.T) {
	for _, c := range []struct {
		typ         PDUType
		length, max uint32
		code        reason.Code
	}{
		{TypeAssociateRQ, 1 << 20, 0, ""},
		{TypeAssociateRQ, 1<<20 + 1, 0, reason.DICOMPDUTooLong},
		{TypeAssociateAC, 1<<32 - 1, 0, reason.DICOMPDUTooLong},
		{TypeAssociateAC, 67, 0, reason.DICOMPDU},
		{TypeAssociateRJ, 4, 0, ""},
		{TypeAssociateRJ, 3, 0, reason.DICOMPDU},
		{TypeReleaseRQ, 5, 0, reason.DICOMPDU},
		{TypeReleaseRP, 0, 0, reason.DICOMPDU},
		{TypeAbort, 1<<32 - 1, 0, reason.DICOMPDU},
		{TypePDataTF, 5, 16384, reason.DICOMPDU},
		{TypePDataTF, 16384, 16384, ""},
		{TypePDataTF, 16385, 16384, reason.DICOMPDUTooLong}, // counts the bytes after the header
		{TypePDataTF, 65535, 65535, ""},
		{TypePDataTF, 1 << 31, 0, ""}, // no limit was told
		{0, 4, 0, reason.DICOMPDUType},
		{8, 4, 0, reason.DICOMPDUType},
		{0x47, 4, 0, reason.DICOMPDUType},
	} {
		err := CheckPDUHeader(c.typ, c.length, c.max)
		if c.code != "" {
			wantMalformed(t, err, c.code, make([]byte, 6))
		} else if err != nil {
			t.Errorf("%s of %d: %v", c.typ, c.length, err)
		}
	}
}

// testData makes a P-DATA-TF PDU of raw PDV items.
func testData(items ...[]byte) []byte {
	v := bytes.Join(items, nil)
	return append([]byte{4, 0, 0, byte(len(v) >> 16), byte(len(v) >> 8), byte(len(v))}, v...)
}

// D4
func TestCommandAndDataInOnePDU(t *testing.T) {
	pdu := testData(
		[]byte{0, 0, 0, 6, 1, 3, 'c', 'o', 'm', 'm'},
		[]byte{0, 0, 0, 4, 1, 0, 'd', 'a'},
		[]byte{0, 0, 0, 2, 255, 2})
	pdvs, err := ParsePDataTF(pdu)
	if err != nil {
		t.Fatal(err)
	}
	want := []PDV{
		{ContextID: 1, Command: true, Last: true, Data: []byte("comm"), Off: 6, Len: 10},
		{ContextID: 1, Data: []byte("da"), Off: 16, Len: 8},
		{ContextID: 255, Last: true, Data: []byte{}, Off: 24, Len: 6},
	}
	made := AppendPDataHeader(nil, uint32(len(pdu)-PDUHeaderLen))
	for i, v := 0, (PDV{}); pdvs.Next(&v); i++ {
		w := want[i]
		if v.ContextID != w.ContextID || v.Command != w.Command || v.Last != w.Last || !bytes.Equal(v.Data, w.Data) || v.Off != w.Off || v.Len != w.Len {
			t.Errorf("PDV %d: %+v, want %+v", i, v, w)
		}
		made = AppendPDV(made, v.ContextID, v.Command, v.Last, v.Data)
	}
	if !bytes.Equal(made, pdu) {
		t.Errorf("made % x\nwant % x", made, pdu)
	}
}

// D3, D5, D7
func TestMalformedPDVs(t *testing.T) {
	for _, c := range []struct {
		name string
		pdu  []byte
	}{
		{"no PDV", testData()},
		{"less than a PDV", testData([]byte{0, 0, 0, 2})},
		{"length 0", testData([]byte{0, 0, 0, 0, 1, 3})},
		{"length 1", testData([]byte{0, 0, 0, 1, 1, 3})},
		{"odd length", testData([]byte{0, 0, 0, 5, 1, 3, 1, 2, 3})},
		{"reaches beyond the PDU", testData([]byte{0, 0, 0, 6, 1, 3, 1, 2})},
		{"reaches far beyond the PDU", testData([]byte{0xFF, 0xFF, 0xFF, 0xFE, 1, 3, 1, 2})},
		{"less than the PDU", testData([]byte{0, 0, 0, 2, 1, 3, 1, 2})},
		{"second one underflows", testData([]byte{0, 0, 0, 2, 1, 3}, []byte{0, 0, 0, 0, 1, 3})},
		{"even context ID", testData([]byte{0, 0, 0, 2, 2, 3})},
		{"context ID 0", testData([]byte{0, 0, 0, 2, 0, 3})},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParsePDataTF(c.pdu)
			code := reason.DICOMPDV
			if len(c.pdu) < PDUHeaderLen+pdvHeaderLen {
				code = reason.DICOMPDU // its length already says so
			}
			wantMalformed(t, err, code, c.pdu)
		})
	}
}

func TestReservedControlBitsAreNotTested(t *testing.T) {
	pdvs, err := ParsePDataTF(testData([]byte{0, 0, 0, 2, 1, 0xFF}))
	var v PDV
	if err != nil || !pdvs.Next(&v) || !v.Command || !v.Last {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestPDVHeaderOfAPartialPDU(t *testing.T) {
	b := []byte{0, 1, 0xFF, 0xFE, 3, 2}
	for n := range len(b) {
		if _, _, _, ok := ParsePDVHeader(b[:n]); ok {
			t.Errorf("a header was read from %d bytes", n)
		}
	}
	n, id, control, ok := ParsePDVHeader(b)
	if n != 0x1FFFE || id != 3 || control != 2 || !ok {
		t.Errorf("got %d %d %d %v", n, id, control, ok)
	}
	if err := CheckPDV(n, id, control, n+4, 6); err != nil {
		t.Error(err)
	}
	wantMalformed(t, CheckPDV(n, id, control, n+3, 6), reason.DICOMPDV, b)
	wantMalformed(t, CheckPDV(n, id, control, 3, 6), reason.DICOMPDV, b)
}

func TestRejectReleaseAbort(t *testing.T) {
	rj := reason.RJ{Result: 1, Source: 1, Reason: 7}
	if b := AppendRJ(nil, rj); !bytes.Equal(b, []byte{3, 0, 0, 0, 0, 4, 0, 1, 1, 7}) {
		t.Errorf("RJ % x", b)
	} else if got, err := ParseRJ(b); got != rj || err != nil {
		t.Error(got, err)
	}
	abort := reason.Abort{Source: 2, Reason: 6}
	if b := AppendAbort(nil, abort); !bytes.Equal(b, []byte{7, 0, 0, 0, 0, 4, 0, 0, 2, 6}) {
		t.Errorf("ABORT % x", b)
	} else if got, err := ParseAbort(b); got != abort || err != nil {
		t.Error(got, err)
	}
	if b := AppendReleaseRQ(nil); !bytes.Equal(b, []byte{5, 0, 0, 0, 0, 4, 0, 0, 0, 0}) {
		t.Errorf("RELEASE-RQ % x", b)
	}
	if b := AppendReleaseRP(nil); !bytes.Equal(b, []byte{6, 0, 0, 0, 0, 4, 0, 0, 0, 0}) {
		t.Errorf("RELEASE-RP % x", b)
	}
	if got, ok := ParseBriefRJ(BriefRJ(rj)); !ok || got != rj {
		t.Error(got, ok)
	}
	if got, ok := ParseBriefRJ("PACS9"); ok {
		t.Error(got)
	}
	// What the standard does not define is the peer's answer all the same.
	if got, err := ParseRJ([]byte{3, 9, 0, 0, 0, 4, 9, 8, 7, 6}); err != nil || got != (reason.RJ{Result: 8, Source: 7, Reason: 6}) {
		t.Error(got, err)
	}
	for _, b := range [][]byte{nil, {3}, {3, 0, 0, 0, 0, 4, 0, 1, 1}, {3, 0, 0, 0, 0, 4, 0, 1, 1, 7, 0}, {3, 0, 0, 0, 0, 5, 0, 1, 1, 7, 0}, {7, 0, 0, 0, 0, 4, 0, 1, 1, 7}} {
		_, err := ParseRJ(b)
		wantMalformed(t, err, reason.DICOMPDU, b)
	}
	for got, want := range map[string]string{
		DescribeRJ(rj): "rejected-permanent, service-user, called-AE-title-not-recognized",
		DescribeRJ(reason.RJ{Result: 2, Source: 3, Reason: 1}): "rejected-transient, service-provider (presentation), temporary-congestion",
		DescribeRJ(reason.RJ{Result: 3, Source: 1, Reason: 9}): "undefined 3, service-user, undefined [1 9]",
		BriefRJ(rj): "1/1/7 permanent: called-AE-title-not-recognized",
		BriefRJ(reason.RJ{Result: 1, Source: 1, Reason: 2}): "1/1/2 permanent: application-context-name-not-supported",
		BriefRJ(reason.RJ{Result: 2, Source: 3, Reason: 1}): "2/3/1 transient: temporary-congestion",
		BriefRJ(reason.RJ{Result: 3, Source: 1, Reason: 9}): "3/1/9 undefined 3: undefined [1 9]",
		DescribeAbort(abort):                              "service-provider, invalid-PDU-parameter-value",
		DescribeAbort(reason.Abort{Source: 0, Reason: 2}): "service-user",
		DescribeAbort(reason.Abort{Source: 2, Reason: 3}): "service-provider, undefined 3",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// D1, D3: an odd maximum length, such as 65535, makes no odd fragment.
func TestFragmentsAreEvenWhateverTheMaximum(t *testing.T) {
	set := make([]byte, 200_000)
	for _, most := range []uint32{0, 1, 7, 8, 9, 16383, 16384, 65535} {
		var got []byte
		for b := AppendFragments(nil, 1, false, set, most); len(b) > 0; {
			n := pduLen(b)
			if fragment := n - pdvHeaderLen; fragment%2 != 0 || most > pdvHeaderLen+1 && n > int(most) {
				t.Fatalf("a fragment of %d bytes for a maximum of %d", fragment, most)
			}
			got = append(got, b[PDUHeaderLen+pdvHeaderLen:PDUHeaderLen+n]...)
			b = b[PDUHeaderLen+n:]
		}
		if !bytes.Equal(got, set) {
			t.Errorf("a maximum of %d: %d bytes of %d", most, len(got), len(set))
		}
	}
}
