package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/gateway/audit"
	"cordon/protocols"
	"cordon/protocols/reason"
)

// decisions are those of a session in shadow: one association that lost a context, and three objects
// that enforce would have refused.
func decisions() []gateway.Decision {
	var all []gateway.Decision
	add := func(unit string, would protocols.Action, code reason.Code, found, remedy string) {
		r := audit.Record{
			Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Direction: audit.ToServer, Would: would, Reason: code,
			Source: audit.Source{Session: "x-1", Device: "ct-3", Flow: "archive", Peer: "10.0.0.3", Mode: "shadow", Policy: "p1"},
		}
		r.Unit.Set(unit)
		r.Found.Set(found)
		d := gateway.Decision{Record: r, Remedy: remedy}
		if code != "" {
			d.Record.Rule, d.Meaning = "devices/ct-3.yaml:7:3", reason.Lookup(code).Meaning
		}
		all = append(all, d)
	}
	add("A-ASSOCIATE-RQ", protocols.Allow, "", "", "")
	for range 3 {
		add("C-STORE-RQ", protocols.Refuse, reason.DICOMSOPClass, "MR Image Storage", "Add it.")
	}
	return all
}

// A session is explained in lines for people: a row for each record, and each reason once.
func TestSessionIsExplainedForPeople(t *testing.T) {
	var b strings.Builder
	showSession(screen.New(&b), decisions())
	text := b.String()
	for _, want := range []string{
		"Session x-1 of ct-3/archive, from 10.0.0.3, ", "; 4 records, mode shadow, policy p1\n",
		"DIRECTION  UNIT            VERDICT                  REASON           FOUND             RULE\n",
		"to-server  C-STORE-RQ      allow (enforce: refuse)  dicom.sop-class  MR Image Storage  devices/ct-3.yaml:7:3\n",
		"to-server  A-ASSOCIATE-RQ  allow\n",
		"\ndicom.sop-class: " + reason.Lookup(reason.DICOMSOPClass).Meaning + "\n  what to do: Add it.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "what to do"); n != 1 || strings.Contains(text, "{") {
		t.Errorf("the remedy is there %d times:\n%s", n, text)
	}
}

// JSON has records as objects, and keys like those of all other output.
func TestExplanationAsJSON(t *testing.T) {
	info := reason.Lookup(reason.DICOMSOPClass)
	b, err := json.Marshal(gateway.Explanation{Asked: "x-1", Reason: &info, Records: decisions()})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Reason  map[string]any
		Records []struct {
			Record struct{ Session, Unit, Would string }
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if r := got.Records[1].Record; r.Session != "x-1" || r.Unit != "C-STORE-RQ" || r.Would != "refuse" {
		t.Errorf("%+v in %s", r, b)
	}
	for key := range got.Reason {
		if key != strings.ToLower(key) {
			t.Errorf("key %q in %s", key, b)
		}
	}
	if got.Reason["code"] != string(info.Code) || got.Reason["meaning"] != info.Meaning {
		t.Errorf("%v", got.Reason)
	}
	var back gateway.Explanation
	if err := json.Unmarshal(b, &back); err != nil || *back.Reason != info || len(back.Records) != 4 || back.Records[1].Record.Rule != "devices/ct-3.yaml:7:3" {
		t.Errorf("came back as %+v, %v", back, err)
	}
}

// What happened often is said to have, with when it began.
func TestReasonIsExplainedWithAllFlows(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	info := reason.Lookup(reason.DICOMQueryLevel)
	f := shadowStatus(now).Flows[0]
	var b strings.Builder
	showReason(screen.New(&b), gateway.Explanation{
		Reason: &info, Recent: []gateway.FlowReport{{Device: "ct-3", Flow: "archive", Report: f.Reports[0]}}, Remedy: []string{"ct-3/archive: Add IMAGE."},
	}, now)
	const want = "Latest:\n  2 min ago, session x-2, C-FIND-RQ from the device (found \"IMAGE\"), 41 times in 3 h, passed\n    ct-3/archive: Add IMAGE.\n"
	if !strings.Contains(b.String(), want) {
		t.Errorf("%q is not in:\n%s", want, b.String())
	}
}
