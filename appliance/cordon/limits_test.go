package main

import (
	"strings"
	"testing"

	"cordon/appliance/screen"
	"cordon/gateway"
)

func TestLimitsStandInALineForEachDeviceAndFlow(t *testing.T) {
	var b strings.Builder
	showLimits(screen.New(&b), []gateway.LimitStatus{
		{Device: "ct-1", Limit: "sessions", Most: 4, Used: 1, Text: "1 of 4 sessions"},
		{Device: "ct-1", Limit: "bytes_per_day", Most: 100, Used: 20, Text: "20 bytes of 100 bytes per day"},
		{Device: "ct-1", Flow: "archive", Limit: "sessions", Most: 1, Used: 1, Text: "1 of 1 sessions"},
	})
	const want = `
Limits (of the day since midnight):
  ct-1: 1 of 4 sessions, 20 bytes of 100 bytes per day
● ct-1/archive: 1 of 1 sessions
`
	if b.String() != want {
		t.Errorf("got %s", b.String())
	}
}
