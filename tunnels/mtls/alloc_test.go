//go:build !race

package mtls_test

import (
	"testing"

	"cordon/tunnels"
)

// crypto/tls itself makes one small allocation for each record it reads.
func TestOnlyCryptoTLSAllocates(t *testing.T) {
	near, far := pair(t)
	out, in := make([]byte, 40_000), make([]byte, 64<<10)
	round := func() {
		if _, err := near.Write(out); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(out); {
			if err := far.Await(); err != nil {
				t.Fatal(err)
			}
			k, err := far.TryRead(in)
			if err != nil && err != tunnels.ErrNothing {
				t.Fatal(err)
			}
			n += k
		}
		if _, err := far.TryRead(in); err != tunnels.ErrNothing {
			t.Fatal(err)
		}
	}
	for range 10 {
		round()
	}
	const records = 3
	if n := testing.AllocsPerRun(500, round); n > records {
		t.Errorf("%v allocations to send, await and read %d records", n, records)
	}
}
