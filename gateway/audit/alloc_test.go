//go:build !race

package audit

import (
	"testing"
	"time"
)

func TestEncodingAllocatesNothing(t *testing.T) {
	r := example()
	r.Peer = "10.20.3.15:1042 \x1b \"Röntgen\" \xff"
	buf := make([]byte, 0, 4096)
	var at stamp
	at.append(nil, r.Time)
	if n := testing.AllocsPerRun(1000, func() { buf = r.appendJSON(buf[:0], &at) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func TestPutAllocatesNothing(t *testing.T) {
	l := start(t, &sink{}, Options{Recent: 16})
	r := example()
	for range 1000 {
		l.Put(&r)
	}
	settled(l)
	if n := testing.AllocsPerRun(1000, func() { l.Put(&r) }); n >= 1 {
		t.Errorf("%v allocations a record", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := example()
	r.Encode()
	var buf []byte
	var at stamp
	for b.Loop() {
		buf = r.appendJSON(buf[:0], &at)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkPut(b *testing.B) {
	l := start(b, &sink{discard: true}, Options{})
	r := example()
	r.Encode()
	b.ReportAllocs()
	for b.Loop() {
		r.Time = time.Now()
		l.Put(&r)
	}
}
