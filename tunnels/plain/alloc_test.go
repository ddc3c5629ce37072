//go:build !race

package plain_test

import (
	"testing"

	"cordon/tunnels/tunneltest"
)

func TestReadingAndWritingAllocateNothing(t *testing.T) {
	a, b := pair(t)
	if n := tunneltest.AllocsPerExchange(t, a, b, 1000); n >= 1 {
		t.Errorf("%v allocations to send, await and read, there and back", n)
	}
}
