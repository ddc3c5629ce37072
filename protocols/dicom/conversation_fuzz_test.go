package dicom

import (
	"bytes"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// sentences are PDUs that a fuzzer would take long to find.
func sentences() [][]byte {
	good, bad := image(goodInstance, 200), image(badInstance, 200)
	return [][]byte{
		requestPDU(), acceptPDU(), AppendReleaseRQ(nil), AppendReleaseRP(nil), abortPDU(0, 0),
		AppendRJ(nil, reason.RJ{Result: 1, Source: 1, Reason: 1}),
		store(1, good, 100), store(2, bad, 100), store(3, good, 0),
		pdu(cmdPDV(ctxCT, storeRQ(4)), dataPDV(ctxCT, true, bad), cmdPDV(ctxEcho, echoRQ(5))),
		pdu(cmdPDV(ctxCT, storeRQ(6)), dataPDV(ctxCT, false, good[:60])),
		pdu(dataPDV(ctxCT, true, good[60:]), cmdPDV(ctxCT, storeRQ(7))), pdu(dataPDV(ctxCT, true, bad)),
		pdu(cmdPDV(ctxEcho, echoRQ(8))), pdu(cmdPDV(ctxEcho, echoRSP(8))), pdu(cmdPDV(ctxEcho, echoRSP(5))),
		pdu(cmdPDV(ctxCT, storeRSP(1, 0))), pdu(cmdPDV(ctxCT, storeRSP(3, 0))), pdu(cmdPDV(ctxCT, storeRSP(6, 0))),
		pdu(cmdPDV(ctxFind, findRQ(9)), dataPDV(ctxFind, true, good[:8])),
		pdu(cmdPDV(ctxFind, findRSP(9, StatusPending, true))), pdu(dataPDV(ctxFind, true, good[:8])),
		pdu(cmdPDV(ctxFind, findRSP(9, 0, false))), pdu(cmdPDV(ctxFind, &Command{Field: CancelRQ, MessageID: 9})),
		getRQ(10), getRSP(10, StatusPending, SubOperations{Remaining: 1}), getRSP(10, 0, SubOperations{Completed: 1}),
		moveRQ("PACS"), originated("PACS", good, 50), originated("WS1", bad, 0),
		pdu(cmdPDV(ctxFind, findRSP(9, StatusPending, true)), dataPDV(ctxFind, false, match("PACS")[:20])), pdu(dataPDV(ctxFind, true, match("PACS")[20:])),
		withData(ctxCommit, eventRQ(11), references("PACS", 2)), withData(ctxCommit, eventRQ(12), references("WS1", 60)),
		pdu(cmdPDV(ctxCommit, &Command{Field: NEventRSP, MessageID: 11})), pdu(cmdPDV(ctxEcho, echoRQ(13)), cmdPDV(ctxMove, &Command{Field: CMoveRQ, MessageID: 14, HasDataSet: true, SOPClass: []byte(uidMove), MoveAE: []byte("WS1")}), dataPDV(ctxMove, false, nil)),
		pdu(dataPDV(ctxMove, true, good[:8]), cmdPDV(ctxEcho, echoRQ(15))),
		withData(ctxPacked, eventRQ(16), deflate(match("PACS"))), withData(ctxPacked, eventRQ(17), deflate(match("CT3 "))), withData(ctxPacked, eventRQ(18), deflate(match("PACS"))[:30]),
	}
}

// wellFormed checks that a stream is whole PDUs, but for the last, which may be cut.
func wellFormed(t *testing.T, b []byte) {
	for len(b) >= PDUHeaderLen {
		typ, n, _ := ParsePDUHeader(b)
		if err := CheckPDUHeader(typ, n, 0); err != nil {
			t.Fatalf("%v\n%s", err, outline(b))
		}
		if int(n) > len(b)-PDUHeaderLen {
			return
		}
		if typ == TypePDataTF {
			if _, err := ParsePDataTF(b[:PDUHeaderLen+n]); err != nil {
				t.Fatalf("%v\n%s", err, outline(b))
			}
		}
		b = b[PDUHeaderLen+n:]
	}
}

// FuzzConversation plays a script of two peers: each of its bytes says one of the sentences, from
// one side or the other, then come raw bytes. What is forwarded must be PDUs, nothing of a refused
// object may be in it, and how the bytes were cut may make no difference (G1). The upper bits of cut
// choose whether breaches pass and whether requests may be outstanding without limit.
func FuzzConversation(f *testing.F) {
	for i := range sentences() {
		f.Add([]byte{byte(i), byte(i) | 0x80}, []byte{}, uint8(7))
	}
	f.Add([]byte{6, 0x80 | 16, 7, 9, 13, 0x80 | 14, 2, 0x80 | 3}, []byte("GET /"), uint8(1))
	f.Add([]byte{19, 0x80 | 20, 7, 0x80 | 21, 0x80 | 22, 2, 0x80 | 2}, []byte{4, 0, 0, 0, 0, 8}, uint8(3))
	f.Add([]byte{10, 11, 12, 0x80 | 18, 7, 4}, []byte{}, uint8(12))
	f.Add([]byte{0x80 | 10, 7, 0x80 | 11, 13, 0x80 | 12, 2}, []byte{}, uint8(12))
	f.Add([]byte{24, 0x80 | 28, 16, 0x80 | 25, 0x80 | 7, 0x80 | 26, 27, 0x80 | 29}, []byte{}, uint8(9))
	f.Add([]byte{19, 0x80 | 30, 0x80 | 31, 0x80 | 32, 34, 0x80 | 33, 35, 36, 0x80 | 14}, []byte{}, uint8(0x80|5))
	all := sentences()
	f.Fuzz(func(t *testing.T, said, raw []byte, cut uint8) {
		if len(said) > 40 {
			said = said[:40]
		}
		user := info(testRole(uidCT, 1, 1))
		if cut&0x80 != 0 {
			user = append(user, testItem(0x53, 0, 0))
		}
		rules := func() *script {
			r := checked()
			r.titles, r.lenient = renamed, cut&0x40 != 0
			return r
		}
		chunks := workstation(user)
		for _, s := range said {
			chunks = append(chunks, protocols.From(protocols.Side(s>>7), all[int(s&0x7F)%len(all)]))
		}
		chunks = append(chunks, near(raw))
		cfg := Config{HoldCap: 2048}
		p := protocols.Play(New(cfg, rules()), chunks...)
		for side := range p.Toward {
			wellFormed(t, p.Toward[side])
		}
		if bytes.Contains(p.Toward[protocols.Far], []byte(badInstance)) || bytes.Contains(p.Toward[protocols.Near], []byte(badInstance)) {
			t.Fatal("a part of a refused object was forwarded")
		}
		if diff := differ(p, protocols.Play(New(cfg, rules()), protocols.Cut(int(cut&0x3F)+1, chunks...)...)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzStream gives both sides raw bytes from the start.
func FuzzStream(f *testing.F) {
	f.Add(requestPDU(), acceptPDU(), uint8(3))
	f.Add(append(requestPDU(), abortPDU(0, 0)...), AppendRJ(nil, reason.RJ{}), uint8(3))
	f.Fuzz(func(t *testing.T, a, b []byte, cut uint8) {
		p := protocols.Play(New(Config{}, checked()), near(a), far(b))
		for side := range p.Toward {
			wellFormed(t, p.Toward[side])
		}
		if diff := differ(p, protocols.Play(New(Config{}, checked()), protocols.Cut(int(cut)+1, near(a), far(b))...)); diff != "" {
			t.Fatal(diff)
		}
	})
}
