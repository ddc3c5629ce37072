//go:build !race

package audit

import "testing"

func TestEncodingAllocatesNothing(t *testing.T) {
	r := example()
	r.Peer = "10.20.3.15:1042 \x1b \"Röntgen\" \xff"
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() { buf = r.AppendJSON(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func TestPutAllocatesNothing(t *testing.T) {
	l := start(t, &sink{}, Options{Recent: 16})
	r := example()
	for range 1000 {
		l.Put(r)
	}
	settled(l)
	if n := testing.AllocsPerRun(1000, func() { l.Put(r) }); n >= 1 {
		t.Errorf("%v allocations a record", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := example()
	var buf []byte
	for b.Loop() {
		buf = r.AppendJSON(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
