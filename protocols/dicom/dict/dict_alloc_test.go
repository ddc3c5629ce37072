//go:build !race

package dict

import "testing"

func TestLookUpsDoNotAllocate(t *testing.T) {
	uid := []byte("1.2.840.10008.1.2.1")
	var name string
	var vrs VRs
	if n := testing.AllocsPerRun(100, func() { name, vrs = Name(string(uid)), VRsOf(0x00280106) }); n != 0 || name == "" || vrs == 0 {
		t.Errorf("%v allocations (%q, %b)", n, name, vrs)
	}
}

func BenchmarkVRsOf(b *testing.B) {
	b.ReportAllocs()
	var some VRs
	for i := uint32(0); b.Loop(); i++ {
		some |= VRsOf(0x00280000 | i&0x3F<<4)
	}
	if some == 0 {
		b.Error("nothing was found")
	}
}
