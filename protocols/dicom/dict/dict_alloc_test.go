//go:build !race

package dict

import "testing"

func TestNameDoesNotAllocate(t *testing.T) {
	uid := []byte("1.2.840.10008.1.2.1")
	var got string
	if n := testing.AllocsPerRun(100, func() { got = Name(string(uid)) }); n != 0 || got == "" {
		t.Errorf("Name allocates %v times (%q)", n, got)
	}
}
