//go:build !race

package mtls_test

import (
	"testing"

	"cordon/tunnels/tunneltest"
)

// crypto/tls itself makes one small allocation for each record it reads.
func TestOnlyCryptoTLSAllocates(t *testing.T) {
	near, far := pair(t)
	const records = 3 + 1 // of 40,000 bytes, and of the answer
	if n := tunneltest.AllocsPerExchange(t, near, far, 40_000); n > records {
		t.Errorf("%v allocations to send, await and read %d records", n, records)
	}
}
