//go:build !race

package plain_test

import (
	"testing"

	"cordon/tunnels"
)

func TestReadingAndWritingAllocateNothing(t *testing.T) {
	a, b := pair(t)
	buf := make([]byte, 4096)
	round := func() {
		if _, err := a.Write(buf[:1000]); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 1000; {
			if err := b.Await(); err != nil {
				t.Fatal(err)
			}
			k, err := b.TryRead(buf)
			if err != nil && err != tunnels.ErrNothing {
				t.Fatal(err)
			}
			n += k
		}
		if _, err := b.TryRead(buf); err != tunnels.ErrNothing {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(500, round); n >= 1 {
		t.Errorf("%v allocations to send, await and read", n)
	}
}
