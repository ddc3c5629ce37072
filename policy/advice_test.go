package policy

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// TestEntries covers what allow says of services by what was refused.
func TestEntries(t *testing.T) {
	for _, tt := range []struct {
		class, unit string
		accepts     bool
		want        string
	}{
		{verification, "C-ECHO-RQ", false, "echo"},
		{ctImage, "A-ASSOCIATE-RQ", false, "store: [CT Image Storage]"},
		{ctImage, "C-STORE-RQ", false, "store: [CT Image Storage]"},
		{ctImage, "C-STORE-RQ", true, "get: {returns: [CT Image Storage]}"},
		{ctImage, "N-CREATE-RQ", false, ""},
		{"1.2.840.113619.4.26", "A-ASSOCIATE-RQ", false, `store: ["1.2.840.113619.4.26"]`},
		{"1.2.840.113619.4.27", "N-GET-RQ", false, `normalized: {class: "1.2.840.113619.4.27", operations: [N-GET]}`},
		{studyFind, "A-ASSOCIATE-RQ", false, "find: {model: Study Root}"},
		{studyFind, "C-FIND-RQ", true, ""},
		{worklistFind, "A-ASSOCIATE-RQ", false, "find: {model: Modality Worklist}"},
		{"1.2.840.10008.5.1.4.1.2.1.1", "C-FIND-RQ", false, "find: {model: Patient Root}"},
		{studyMove, "A-ASSOCIATE-RQ", false, "move: {model: Study Root, to: self}"},
		{studyGet, "A-ASSOCIATE-RQ", false, "get: {model: Study Root}"},
		{commitPush, "A-ASSOCIATE-RQ", false, "commit"},
		{commitPush, "N-ACTION-RQ", false, "commit"},
		{commitPush, "N-ACTION-RQ", true, ""},
		{commitPush, "N-EVENT-REPORT-RQ", true, "commit"},
		{commitPush, "N-EVENT-REPORT-RQ", false, "commit: reports"},
		{commitPush, "N-DELETE-RQ", false, "normalized: {class: Storage Commitment Push Model SOP Class, operations: [N-DELETE]}"},
		{mppsStep, "A-ASSOCIATE-RQ", false, "mpps"},
		{mppsStep, "N-DELETE-RQ", false, "normalized: {class: Modality Performed Procedure Step SOP Class, operations: [N-DELETE]}"},
		{mppsRead, "N-GET-RQ", false, "mpps: {retrieve: true}"},
		{mppsNotify, "A-ASSOCIATE-RQ", false, "mpps: {notify: true}"},
		{printMetaBW, "A-ASSOCIATE-RQ", false, "print"},
		{printerUID, "N-GET-RQ", false, "print"},
		{available, "A-ASSOCIATE-RQ", false, "normalized: {class: Instance Availability Notification SOP Class, operations: […]}"},
		{upsPush, "N-EVENT-REPORT-RQ", true, "normalized: {class: Unified Procedure Step - Push SOP Class, operations: [N-EVENT-REPORT]}"},
		{upsPush, "N-EVENT-REPORT-RQ", false, ""},
		{"1.2.840.10008.5.1.4.37.1", "A-ASSOCIATE-RQ", false, "find: {model: General Relevant Patient Information Query}"},
		{"1.2.840.10008.5.1.4.32", "A-ASSOCIATE-RQ", false, "find: {model: General Purpose Worklist}"}, // its meta SOP class
		{"1.2.840.10008.5.1.4.43.4", "C-GET-RQ", false, "get: {model: Generic Implant Template}"},
		{"1.2.840.10008.5.1.4.43.4", "C-GET-RQ", true, ""},
		{"1.2.840.113619.4.28", "C-FIND-RQ", false, `find: {model: "1.2.840.113619.4.28", everything: true}`},
		{"1.2.840.113619.4.28", "C-MOVE-RQ", false, `move: {model: "1.2.840.113619.4.28", to: self, everything: true}`},
		{"1.2.840.113619.4.28", "C-GET-RQ", true, ""},
	} {
		if got := (Wanted{tt.class, tt.unit, tt.accepts}).Entry(); got != tt.want {
			t.Errorf("%s of %s (accepts: %v): %q, want %q", tt.unit, className(tt.class), tt.accepts, got, tt.want)
		}
	}
}

// TestEntriesCanBePasted: for every SOP class of the standard, what is advised lets it pass.
func TestEntriesCanBePasted(t *testing.T) {
	file, err := os.Open("../protocols/dicom/dict/uids.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var classes, entries []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		field := strings.Split(lines.Text(), "\t")
		if len(field) < 3 || !strings.HasSuffix(field[2], "SOP Class") {
			continue
		}
		for _, unit := range []string{"A-ASSOCIATE-RQ", "C-STORE-RQ", "C-FIND-RQ", "C-MOVE-RQ", "C-GET-RQ", "N-CREATE-RQ", "N-DELETE-RQ"} {
			w := Wanted{Class: field[0], Unit: unit}
			entry := strings.Replace(w.Entry(), "…", "N-GET", 1)
			if entry == "" {
				continue
			}
			p, diags := loadSite(t, map[string]string{"cordon.yaml": testBox, "site.yaml": testSite,
				"devices/all.yaml": "device: d\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\nflows:\n  x:\n    to: pacs\n    allow:\n      - " + entry + "\n"})
			if p == nil {
				t.Fatalf("%s\n%s", entry, diags)
			}
			if !p.Flow("d/x").Allows(w) {
				t.Errorf("%s does not allow %s of %s", entry, unit, field[1])
			}
			classes, entries = append(classes, field[0]), append(entries, entry)
		}
	}
	if len(entries) < 300 {
		t.Errorf("%d entries for %d classes", len(entries), len(classes))
	}
}

// TestElsewhere: another flow of the device may have what one has not.
func TestElsewhere(t *testing.T) {
	p := site(t, ct1)
	archive, worklist := p.Flow("ct-1/archive"), p.Flow("ct-1/worklist")
	for _, tt := range []struct {
		from  *Flow
		class string
		want  *Flow
	}{
		{archive, worklistFind, worklist}, {archive, mppsStep, worklist}, {worklist, ctImage, archive}, {archive, ctImage, nil}, {archive, mrImage, nil},
	} {
		if got := p.Elsewhere(tt.from, Wanted{Class: tt.class, Unit: "A-ASSOCIATE-RQ"}); got != tt.want {
			t.Errorf("%s of %s is in %v", className(tt.class), tt.from.Name, got)
		}
	}
	if scu, scp := archive.Roles(ctImage); !scu || scp {
		t.Errorf("roles of CT: SCU %v SCP %v", scu, scp)
	}
}
