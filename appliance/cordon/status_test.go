package main

import (
	"strings"
	"testing"
	"time"

	"cordon/gateway"
	"cordon/protocols/reason"
)

// A server's own rejections, a refusal before any flow and an audit that fails stand in status in
// words, each with what to do.
func TestStatusSaysWhatIsWrong(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	st := gateway.Status{
		Box: "gw", Policy: "p1", Since: now, Sessions: 2,
		Audit: &gateway.AuditStatus{Problem: "write audit.jsonl: no space left on device", Since: now.Add(-3 * time.Minute), Waiting: 12, Lost: 4},
		Flows: []gateway.FlowStatus{{
			Device: "ct-3", Flow: "archive", Mode: "enforce", Upstream: "pacs", State: gateway.FlowRejected,
			Rejected: 7, RejectedSince: ago(time.Hour), Meaning: "temporary congestion", Do: "Check the server.",
			LastRejection: &gateway.Refusal{Time: *ago(time.Second), Session: "x-1", Unit: "A-ASSOCIATE-RJ", From: "server", Reason: reason.DICOMPeerRejected},
		}, {
			Device: "ct-4", State: gateway.FlowRefusing, Refused: 1, Meaning: "Too many.", Do: "Raise it.",
			LastRefusal: &gateway.Refusal{Time: *ago(time.Minute), Session: "x-2", Unit: "A-ASSOCIATE-RQ", From: "device", Reason: reason.SessionLimit, Found: "2 sessions"},
		}},
	}
	st.Unknown = []gateway.UnknownPeer{{
		Address: "10.9.9.9", Listener: "from-pacs", Reason: reason.SessionPeerIdentity, Count: 2, Last: now.Add(-time.Minute),
		Found: `certificate "ris" names none of the peers allowed here: "pacs.example"`, Do: "Check it.",
	}}
	var b strings.Builder
	showStatus(&b, st, now)
	for _, want := range []string{
		"policy p1, 2 sessions\n",
		"rejected", "1 s ago: A-ASSOCIATE-RJ dicom.peer-rejected",
		"● ct-3/archive: rejected by the server: 7 associations, the first 1 h ago, the latest 1 s ago, session x-1: temporary congestion\n  what to do: Check the server.\n",
		"● ct-4: A-ASSOCIATE-RQ from the device, 1 min ago, session x-2: Too many. (found \"2 sessions\")\n  what to do: Raise it.\n",
		"10.9.9.9 on from-pacs: session.peer-identity, 2 times, last 1 min ago\n    found: certificate \"ris\" names none of the peers allowed here: \"pacs.example\"\n    Check it.\n",
		"● audit records cannot be written for 3 min: write audit.jsonl: no space left on device\n  traffic goes on; 12 records waiting in memory, 4 lost\n  what to do: ",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("status does not say %q:\n%s", want, b.String())
		}
	}
}
