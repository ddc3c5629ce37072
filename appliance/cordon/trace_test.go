package main

import (
	"strings"
	"testing"
	"time"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/protocols"
	"cordon/protocols/reason"
)

func TestATraceReadsAsADialogue(t *testing.T) {
	at := time.Date(2026, 3, 2, 8, 15, 0, 0, time.Local)
	lines := []gateway.Trace{
		{Session: "7f3a-1", Device: "ct-3", Flow: "archive", From: "device", To: "server", Unit: "A-ASSOCIATE-RQ", Bytes: 200,
			Text: "CT3 calls PACS", Lines: []string{"context   1  MR Image Storage: stripped"},
			Verdict: "rewrite", Reason: reason.DICOMAbstractSyntax, Meaning: "Meaning.", Found: "MR", Rule: "ct-3.yaml:9:5"},
		{Session: "7f3a-1", Device: "ct-3", Flow: "archive", From: "device", To: "server", Unit: "C-STORE-RQ", Text: "message 1", Bytes: 150, PDVs: 1, More: true},
		{Session: "7f3a-1", Device: "ct-3", Flow: "archive", From: "device", To: "server", Unit: "C-STORE-RQ", Bytes: 526_300, PDVs: 5, Elapsed: 2503.16, Ends: true},
		{Session: "7f3a-1", Device: "ct-3", Flow: "archive", From: "server", To: "device", Unit: "C-STORE-RSP", Text: "message 1: 0000H Success",
			Class: protocols.StatusSuccess, Bytes: 148, PDVs: 1, After: 12},
		{Lost: 12},
		{Session: "7f3a-1", Device: "ct-3", Flow: "archive", From: "cordon", To: "device", Unit: "A-ABORT", Text: "service-provider", Bytes: 10, Reason: reason.DICOMPDU, Meaning: "Meaning.\x1b[2J"},
		{Session: "7f3a-1", Device: "ct-3", Flow: "archive", Unit: "session", Text: "over", Would: "refuse", Reason: reason.SessionOpaque},
		{Session: "7f3a-1", Device: "ct-3", Flow: "archive", From: "device", To: "server", Unit: "A-RELEASE-RQ", Bytes: 10},
	}
	const want = `08:15:00.000  7f3a-1     ct-3/archive  device → server  A-ASSOCIATE-RQ      CT3 calls PACS
              context   1  MR Image Storage: stripped
              rewritten: dicom.abstract-syntax: Meaning. Found "MR". (ct-3.yaml:9:5)
              more: cordon explain dicom.abstract-syntax
08:15:00.000  7f3a-1     ct-3/archive  device → server  C-STORE-RQ          message 1  (under way)
08:15:00.000  7f3a-1     ct-3/archive  device → server  C-STORE-RQ          over  (526.3 kB, 5 PDVs, in 2503.2 ms)
08:15:00.000  7f3a-1     ct-3/archive  server → device  C-STORE-RSP         message 1: 0000H Success  (148 bytes, 1 PDV, after 12.0 ms)
08:15:00.000  12 lines are missing here: they were not read in time
08:15:00.000  7f3a-1     ct-3/archive  cordon → device  A-ABORT             service-provider
              why: dicom.pdu: Meaning.` + "\uFFFD" + `[2J
              more: cordon explain dicom.pdu
08:15:00.000  7f3a-1     ct-3/archive                   session             over
              passed, but enforce would refuse it: session.opaque
              more: cordon explain session.opaque
08:15:00.000  7f3a-1     ct-3/archive  device → server  A-RELEASE-RQ
`
	var out strings.Builder
	v := &traceView{out: screen.New(&out), several: true}
	for _, line := range lines {
		line.Time = at
		v.show(&line)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestBytesAreCountedForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 4_294_967_296: "4.3 GB", 5_000_000_000_000: "5000.0 GB"} {
		if got := byteCount(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
