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

// A second fact has a second line, and in learn and shadow a line says how much enforce would refuse.
func TestStatusTellsTwoFactsInTwoLines(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	st := shadowStatus(now)
	var b strings.Builder
	showStatus(&b, st, now)
	for _, want := range []string{
		"● ct-3/archive: cut by the server: 2 sessions, ",
		"● ct-3/archive: besides, enforce would have refused C-FIND-RQ from the device, 2 min ago, session x-2: ",
		"(found \"IMAGE\")\n  what to do: Add IMAGE.\n",
		"○ ct-3/archive: enforce would have refused or narrowed 2 kinds of units (42 in all, the latest 2 min ago, 1 of them under an earlier policy alone); cordon status ct-3 lists them\n",
		"● ct-3: its file devices/ct-3.yaml:1 has vanished",
		"ct-4    archive          removed",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("status does not say %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "ct-4/archive") {
		t.Errorf("status advises on a flow that is gone:\n%s", b.String())
	}
}

// Of a device that is named, each kind of refusal is shown, with how often, when and what to do.
func TestStatusOfADeviceListsAllKinds(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	st := shadowStatus(now)
	st.Flows = append(st.Flows, gateway.FlowStatus{Device: "ct-3", Flow: "worklist", Mode: "shadow", State: gateway.FlowOK})
	var b strings.Builder
	showDevices(&b, st, now)
	for _, want := range []string{
		"ct-3/archive, the latest first:\n",
		"  would-refuse dicom.query-level: C-FIND-RQ from the device (found \"IMAGE\")\n    41 times, the latest 2 min ago, the first 3 h ago, session x-2\n    Add IMAGE.\n",
		"  would-narrow dicom.abstract-syntax: A-ASSOCIATE-RQ from the device (found \"MR Image Storage\")\n    1 time, the latest 3 h ago, session x-1, under an earlier policy\n    Add MR.\n",
		"ct-3/worklist: nothing was refused, and nothing passed that enforce would have refused, since the start 5 h ago\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("status does not say %q:\n%s", want, b.String())
		}
	}
}

// shadowStatus is that of a flow in shadow whose server is in trouble, and of one that is gone.
func shadowStatus(now time.Time) gateway.Status {
	would := gateway.Report{Kind: gateway.WouldRefuse, Count: 41, First: now.Add(-3 * time.Hour), Policy: "p2", Refusal: gateway.Refusal{
		Time: now.Add(-2 * time.Minute), Session: "x-2", Unit: "C-FIND-RQ", From: "device", Reason: reason.DICOMQueryLevel, Found: "IMAGE", Passed: true, Do: "Add IMAGE.",
	}}
	narrow := gateway.Report{Kind: gateway.WouldNarrow, Count: 1, First: now.Add(-3 * time.Hour), Policy: "p1", Refusal: gateway.Refusal{
		Time: now.Add(-3 * time.Hour), Session: "x-1", Unit: "A-ASSOCIATE-RQ", From: "device", Reason: reason.DICOMAbstractSyntax, Found: "MR Image Storage", Passed: true, Do: "Add MR.",
	}}
	since := now.Add(-time.Minute)
	return gateway.Status{Box: "gw", Policy: "p2", Since: now.Add(-5 * time.Hour), Flows: []gateway.FlowStatus{{
		Device: "ct-3", Flow: "archive", Mode: "shadow", State: gateway.FlowRejected, Vanished: "devices/ct-3.yaml:1",
		Rejected: 2, RejectedSince: &since, Meaning: "the connection was lost; 1 unanswered", Do: "Look.",
		LastRejection: &gateway.Refusal{Time: since, Session: "x-3", Unit: "session", From: "server", Reason: reason.SessionCut},
		Besides:       []gateway.Report{would}, Reports: []gateway.Report{would, narrow},
		Would: &gateway.Would{Kinds: 2, Earlier: 1, Units: 42, Last: would.Time},
	}, {
		Device: "ct-4", Flow: "archive", State: gateway.FlowRemoved, Refused: 1,
		Reports: []gateway.Report{{Kind: gateway.Refused, Count: 1, Refusal: gateway.Refusal{Time: since, Reason: reason.DICOMUID}}},
	}}}
}
