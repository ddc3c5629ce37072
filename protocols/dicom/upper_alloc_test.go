//go:build !race

package dicom

import (
	"bytes"
	"runtime"
	"testing"
)

func TestReadingPDVsDoesNotAllocate(t *testing.T) {
	pdu := testData([]byte{0, 0, 0, 6, 1, 3, 'c', 'o', 'm', 'm'}, []byte{0, 0, 0, 4, 1, 0, 'd', 'a'})
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		typ, length, ok := ParsePDUHeader(pdu)
		if !ok || CheckPDUHeader(typ, length, limit) != nil || Sniff(pdu[:0]) != nil {
			t.Fatal("not read")
		}
		pdvs, err := ParsePDataTF(pdu)
		if err != nil {
			t.Fatal(err)
		}
		var v PDV
		for pdvs.Next(&v) {
			dst = AppendPDV(AppendPDataHeader(dst[:0], 10), v.ContextID, v.Command, v.Last, v.Data)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An association costs a few allocations, whatever it proposes.
func TestReadingARequestAgainAllocatesNextToNothing(t *testing.T) {
	pdu := fullRQ()
	a, facts := new(AssociateRQ), new(Association)
	if n := testing.AllocsPerRun(100, func() {
		if err := a.Parse(pdu); err != nil {
			t.Fatal(err)
		}
		a.Facts(facts)
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// D7: memory follows what came, not what was declared, and the worst request costs a small
// multiple of its bytes.
func TestMemoryOfTheWorstRequest(t *testing.T) {
	var contexts []byte
	transfers := bytes.Repeat(testItem(0x40, "1"), maxTransfers)
	for id := 1; id < 256; id += 2 {
		contexts = append(contexts, testItem(0x20, []byte{byte(id), 0, 0, 0}, testItem(0x30, "1"), transfers)...)
	}
	pdu := testRQ(testApplication(), contexts, testUser(bytes.Repeat(testItem(0x7F), 16000)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = mustParseRQ(t, pdu)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d bytes allocated for a request of %d", n, len(pdu))
	}
}
