package gateway

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"cordon/protocols/reason"
)

// TestRemediesOfServices: what would allow a unit names the key of the flow, what was found, and
// the rule's place.
func TestRemediesOfServices(t *testing.T) {
	for _, tt := range []struct {
		code        reason.Code
		found, want string
	}{
		{reason.DICOMRole, "CT Image Storage", "get, whose returns have CT Image Storage"},
		{reason.DICOMQueryLevel, "IMAGE", "Add IMAGE to levels"},
		{reason.DICOMQueryKey, "match: [Patient's Sex], return: [Patient's Age]", "what the device needs of match: [Patient's Sex], return: [Patient's Age];"},
		{reason.DICOMQueryKey, "return: [(0009,1001)] (+2 more)", "of return: [(0009,1001)], and of the 2 more; match is for what it may match by, return for what it may ask for. Private"},
		{reason.DICOMQueryEverything, "", "everything: true"},
		{reason.DICOMMoveDestination, "WS2", "Add WS2 to the flow's move"},
		{reason.DICOMAction, "Printer SOP Class, type 2", "type 2"},
		{reason.DICOMEvent, "Printer SOP Class, type 9", "type 9"},
		{reason.PolicyRewrite, "PACS as PACS2", "Nothing has to be done: it passed."},
		{reason.DICOMPeerFailed, "A700H failure: Out of resources", "Look into the log of the device"},
		{reason.DICOMPeerFailed, "0124H failure: Not authorized; refused by Cordon: dicom.command",
			"a far end before the device refused it (0124H failure: Not authorized; dicom.command): " + strings.TrimSuffix(reason.Lookup(reason.DICOMCommand).Meaning, ".") + ". Ask the far end with `cordon explain dicom.command`"},
		{reason.DICOMGeometry, "RLE header", "tolerate: {geometry: true}"},
	} {
		got := Remedy(&Refusal{Reason: tt.code, Found: tt.found, From: "device", Rule: "devices/ct-1.yaml:9:7 flows.archive.allow[2]"})
		if !strings.Contains(got, tt.want) || !strings.HasSuffix(got, "(devices/ct-1.yaml:9:7 flows.archive.allow[2])") {
			t.Errorf("%s: %q, want %q in it", tt.code, got, tt.want)
		}
	}
}

// remedySite is a workstation with flows to two servers of the near end, and an archive that is a
// device itself, as at a far end.
const remedySite = `device: ct-1
mode: enforce
identify: {ip: 10.0.0.1}
ae: {titles: [CT1], port: 104}
flows:
  archive: {to: pacs, allow: [echo, store: [CT Image Storage], find: {model: Study Root}, get: {returns: [MR Image Storage]}, commit]}
  worklist: {to: ris, allow: [find: {model: Modality Worklist}, mpps, move: {to: self, returns: [MR Image Storage]}]}
  second: {to: pacs, listen: "127.0.0.1:11113", allow: [print], transfer_syntaxes: [Implicit VR Little Endian]}
---
device: archive
mode: enforce
identify: {ip: 10.0.0.9}
ae: {titles: [PACS]}
flows:
  returns: {to: ward, allow: [store: [CT Image Storage], commit]}
  reports: {to: ris, allow: [commit: reports]}
`

// TestRemediesCanBePasted: what would allow a service is what allow says; where another flow has
// it, the device may only call the wrong server.
func TestRemediesCanBePasted(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	w.makePKI("pacs", "ris", "ct-1", "archive", "ward", "test")
	writeSite(t, w.dir, map[string]string{
		"cordon.yaml": fmt.Sprintf(returnCordon, "127.0.0.1:11112", "127.0.0.1:2762"),
		"site.yaml": fmt.Sprintf(returnSite, "127.0.0.1:9") +
			"  ward: {ae: CT1, address: \"127.0.0.1:9\", tunnel: mtls, server_name: ward.test}\n",
		"devices/all.yaml": remedySite,
	})
	p, err := w.load()
	if err != nil {
		t.Fatal(err)
	}
	const (
		asked    = "A-ASSOCIATE-RQ"
		mwl      = "Modality Worklist Information Model - FIND"
		commit   = "Storage Commitment Push Model SOP Class"
		mpps     = "Modality Performed Procedure Step SOP Class"
		patients = "Patient Root Query/Retrieve Information Model - FIND"
		root     = "Study Root Query/Retrieve Information Model"
		waveform = "Ambulatory ECG Waveform Storage"
	)
	for _, tt := range []struct {
		name, flow  string
		from        string // "" for the device
		code        reason.Code
		unit, found string
		want        string
	}{
		{"a class", "ct-1/archive", "", reason.DICOMNoContext, asked, "Computed Radiography Image Storage", "Add store: [Computed Radiography Image Storage] to the flow's allow list."},
		{"two", "ct-1/worklist", "", reason.DICOMAbstractSyntax, asked, "Computed Radiography Image Storage (+1 more class)", "Add store: [Computed Radiography Image Storage] to the flow's allow list, and the other class if the device needs it."},
		{"two beside a rename", "ct-1/worklist", "", reason.DICOMAbstractSyntax, asked, "Computed Radiography Image Storage (+1 more class); RIS as RIS2", "Add store: [Computed Radiography Image Storage] to the flow's allow list, and the other class if the device needs it."},
		{"one beside a rename", "ct-1/worklist", "", reason.DICOMAbstractSyntax, asked, "General Relevant Patient Information Query; RIS as RIS2", "Add find: {model: General Relevant Patient Information Query} to the flow's allow list."},
		{"a few", "ct-1/worklist", "", reason.DICOMAbstractSyntax, asked, "Computed Radiography Image Storage (+7 more classes)", "Add store: [Computed Radiography Image Storage] to the flow's allow list, and what else the device needs of the other 7 classes."},
		{"all that a toolkit knows", "ct-1/archive", "", reason.DICOMAbstractSyntax, asked, waveform + " (+61 more classes)",
			"The device proposes 62 SOP classes that the flow does not allow, as toolkits that propose all they know do. If a user misses one: `cordon trace ct-1` lists them by name."},
		{"of which it has none", "ct-1/worklist", "", reason.DICOMNoContext, asked, waveform + " (+61 more classes)",
			"The flow allows none of the 62 SOP classes that the device proposes. If a user misses one: `cordon trace ct-1` lists them by name."},
		{"a query", "ct-1/archive", "", reason.DICOMNoContext, asked, patients, "Add find: {model: Patient Root} to the flow's allow list."},
		{"what another flow has", "ct-1/archive", "", reason.DICOMNoContext, asked, mwl,
			"Flow worklist (to ris) has it, and is called RIS; the device called PACS or PACS2. Correct that on the device, or add find: {model: Modality Worklist} to the flow's allow list."},
		{"and likewise", "ct-1/archive", "", reason.DICOMAbstractSyntax, asked, mpps, "Flow worklist (to ris) has it, and is called RIS; the device called PACS or PACS2. Correct that on the device, or add mpps to the flow's allow list."},
		{"a flow to the same server", "ct-1/archive", "", reason.DICOMNoContext, asked, "Basic Grayscale Print Management Meta SOP Class",
			"Flow second has it, and is heard on 127.0.0.1:11113; the device called 127.0.0.1:11112. Correct that on the device, or add print to the flow's allow list."},
		{"an operation", "ct-1/worklist", "", reason.DICOMCommand, "N-DELETE-RQ", mpps, "Add normalized: {class: Modality Performed Procedure Step SOP Class, operations: [N-DELETE]} to the flow's allow list."},
		{"a service without a verb", "ct-1/archive", "", reason.DICOMAbstractSyntax, asked, "Instance Availability Notification SOP Class", "Add normalized: {class: Instance Availability Notification SOP Class, operations: […]} to the flow's allow list."},
		{"a private class", "ct-1/archive", "", reason.DICOMNoContext, asked, "1.2.840.113619.4.26", `Add store: ["1.2.840.113619.4.26"] to the flow's allow list.`},
		{"a retired class whose name was given again", "ct-1/archive", "", reason.DICOMNoContext, asked, "Ultrasound Image Storage (Retired)", "Add store: [Ultrasound Image Storage (Retired)] to the flow's allow list."},
		{"a query that few have", "ct-1/archive", "", reason.DICOMAbstractSyntax, asked, "General Relevant Patient Information Query", "Add find: {model: General Relevant Patient Information Query} to the flow's allow list."},
		{"a private query", "ct-1/archive", "", reason.DICOMAbstractSyntax, "C-FIND-RQ", "1.2.840.113619.4.28", `Add find: {model: "1.2.840.113619.4.28", everything: true} to the flow's allow list.`},
		{"what no entry is for", "ct-1/worklist", "", reason.DICOMAbstractSyntax, "N-CREATE-RQ", "MR Image Storage", `No entry of allow lets the device send N-CREATE-RQ here (found "MR Image Storage").`},
		{"no class at all", "ct-1/archive", "", reason.DICOMAbstractSyntax, asked, "not a UID", reason.Lookup(reason.DICOMAbstractSyntax).Do},
		{"a query and a retrieval", "ct-1/worklist", "", reason.DICOMNoContext, asked, root + " - FIND, GET",
			"Flow archive (to pacs) has it, and is called PACS or PACS2; the device called RIS. Correct that on the device, or add find: {model: Study Root} and get: {model: Study Root} to the flow's allow list."},
		{"of which one was added since", "ct-1/archive", "", reason.DICOMAbstractSyntax, asked, root + " - FIND, MOVE (+1 more class)",
			"Flow worklist (to ris) has it, and is called RIS; the device called PACS or PACS2. Correct that on the device, or add move: {model: Study Root, to: self} to the flow's allow list, and the other class if the device needs it."},
		{"a retrieval with what it may bring", "ct-1/archive", "", reason.DICOMNoContext, asked, "Patient Root Query/Retrieve Information Model - GET (+120 more classes)",
			"Add get: {model: Patient Root} to the flow's allow list; get lets the objects of the other 120 classes come back, too."},

		{"a transfer syntax", "ct-1/second", "", reason.DICOMTransferSyntax, asked, "1.2.840.10008.1.2.4.70 for Ultrasound Image Storage (+3 more classes); PACS as PACS2",
			`Add "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])" to transfer_syntaxes of the flow, as far as what it leads to takes them.`},
		{"one of several", "ct-1/second", "", reason.DICOMTransferSyntax, asked, "JPEG Baseline (Process 1) or XML Encoding or 1.2.840.113619.5.2 or 1 more",
			"Add JPEG Baseline (Process 1), 1.2.840.113619.5.2 to transfer_syntaxes of the flow, as far as what it leads to takes them. No flow takes XML Encoding: its data sets are XML."},
		{"one that no flow takes", "ct-1/archive", "", reason.DICOMTransferSyntax, asked, "XML Encoding for CT Image Storage (+1 more class)",
			"Have the device propose another transfer syntax, such as Explicit VR Little Endian. No flow takes XML Encoding: its data sets are XML."},
		{"where all known ones are taken", "ct-1/archive", "", reason.DICOMTransferSyntax, "C-STORE-RQ", "Deflated Explicit VR Little Endian",
			"Write transfer_syntaxes in the flow with all that it is to take, such as [Implicit VR Little Endian, Explicit VR Little Endian, Deflated Explicit VR Little Endian]: without a list it takes all known ones that can be read, but deflated ones."},
		{"one that was added since", "ct-1/second", "", reason.DICOMTransferSyntax, asked, "Implicit VR Little Endian for CT Image Storage", "The flow takes it by now: let the device try again."},
		{"none at all", "ct-1/second", "", reason.DICOMTransferSyntax, asked, "Ultrasound Image Storage", reason.Lookup(reason.DICOMTransferSyntax).Do},

		{"what was added since", "ct-1/archive", "", reason.DICOMNoContext, asked, "CT Image Storage", "The flow has it by now: let the device try again."},
		{"a server's request", "ct-1/archive", "server", reason.DICOMCommand, "N-ACTION-RQ", commit, "No entry of allow lets the server send N-ACTION-RQ here"},
		{"an object outside of a get", "ct-1/archive", "server", reason.DICOMCommand, "C-STORE-RQ", "CT Image Storage", "Add get: {returns: [CT Image Storage]} to the flow's allow list."},
		{"what a server brings", "ct-1/archive.return", "server", reason.DICOMNoContext, asked, "CT Image Storage",
			"Write this flow, which replaces the one that follows from flow archive, if the device needs it: archive.return: {from: pacs, allow: [commit, echo, store: [CT Image Storage]]}."},
		{"what another server brings", "ct-1/worklist.return", "server", reason.DICOMNoContext, asked, "CT Image Storage", "Add CT Image Storage to returns of the move of flow worklist, if the device needs it."},
		{"a private class of it", "ct-1/worklist.return", "server", reason.DICOMNoContext, asked, "1.2.840.113619.4.26", `Add "1.2.840.113619.4.26" to returns of the move of flow worklist, if the device needs it.`},
		{"a server's orders", "ct-1/worklist.return", "server", reason.DICOMNoContext, asked, "Instance Availability Notification SOP Class",
			"Write this flow, which replaces the one that follows from flow worklist, if the device needs it: worklist.return: {from: ris, allow: [store: [MR Image Storage], normalized: {class: Instance Availability Notification SOP Class, operations: […]}]}."},

		{"an archive reports, and may only ask", "archive/returns", "", reason.DICOMRole, asked, commit, "Add commit: reports to the flow's allow list, if it is the device that reports; commit alone lets it ask."},
		{"it reports without the role", "archive/reports", "", reason.DICOMRole, asked, commit, "Let the device propose the role of SCP for " + commit + ", since it reports; or set tolerate: {roles: true} in the flow."},
		{"a server that comes back does so", "ct-1/archive.return", "server", reason.DICOMRole, asked, commit, "Let the server propose the role of SCP for " + commit + ", since it reports; or set tolerate: {roles: true} in flow archive."},
		{"a device that may only retrieve sends", "ct-1/archive", "", reason.DICOMRole, asked, "MR Image Storage", "Add store: [MR Image Storage] to the flow's allow list if the device sends such objects"},
		{"a device that may only send retrieves", "ct-1/archive", "", reason.DICOMRole, asked, "CT Image Storage", "Add get, whose returns have CT Image Storage"},

		{"the title of a server of another flow", "ct-1/archive", "", reason.DICOMCalledAE, asked, "RIS", "Flow worklist (to ris) is called RIS, and is heard on 127.0.0.1:11112"},
		{"of a server without a flow", "ct-1/archive", "", reason.DICOMCalledAE, asked, "ATTIC2", "Give the device a flow with to: attic, if it needs it"},
		{"of none", "ct-1/archive", "", reason.DICOMCalledAE, asked, "NOBODY", "add was: {ae: NOBODY} to the upstream"},
		{"a flow that is gone", "ct-1/gone", "", reason.DICOMNoContext, asked, mwl, "Add find: {model: Modality Worklist} to the flow's allow list."},
	} {
		device, flow, _ := strings.Cut(tt.flow, "/")
		r := &Refusal{From: cmp.Or(tt.from, "device"), Unit: tt.unit, Reason: tt.code, Found: tt.found}
		if got := advised(p, device, flow, r).Do; got != tt.want && (strings.HasSuffix(tt.want, ".") || !strings.Contains(got, tt.want)) {
			t.Errorf("%s:\n %s, want\n %s", tt.name, got, tt.want)
		}
	}
}

// TestRemediesOfWhatPassed: a refusal that an earlier mode let pass says so, now that none does.
func TestRemediesOfWhatPassed(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	w.makePKI("pacs", "ris", "ct-1", "archive", "ward", "test")
	writeSite(t, w.dir, map[string]string{
		"cordon.yaml": fmt.Sprintf(returnCordon, "127.0.0.1:11112", "127.0.0.1:2762"),
		"site.yaml":   fmt.Sprintf(returnSite, "127.0.0.1:9"),
		"devices/all.yaml": "device: ct-1\nmode: enforce\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\nflows:\n" +
			"  archive: {to: pacs, allow: [echo]}\n  worklist: {to: ris, mode: shadow, allow: [mpps]}\n",
	})
	p, err := w.load()
	if err != nil {
		t.Fatal(err)
	}
	const passed = "It passed, since the flow was not in enforce then; now it would be refused. "
	const store = "Add store: [MR Image Storage] to the flow's allow list."
	for _, tt := range []struct {
		flow, unit string
		code       reason.Code
		passed     bool
		want       string
	}{
		{"archive", "C-STORE-RQ", reason.DICOMAbstractSyntax, true, passed + store},
		{"archive", "A-ASSOCIATE-RQ", reason.DICOMNoContext, true, passed + store},
		{"archive", "A-ASSOCIATE-RQ", reason.DICOMAbstractSyntax, true, store}, // it may only have been narrowed
		{"archive", "C-STORE-RQ", reason.DICOMAbstractSyntax, false, store},
		{"worklist", "C-STORE-RQ", reason.DICOMAbstractSyntax, true, store},
	} {
		r := &Refusal{From: "device", Unit: tt.unit, Reason: tt.code, Found: "MR Image Storage", Passed: tt.passed}
		if got := advised(p, "ct-1", tt.flow, r).Do; got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// TestFailedRetrievals: where what a server brings back is kept away, it is the retrieval that fails.
func TestFailedRetrievals(t *testing.T) {
	for _, found := range []string{"A702H failure: Out of resources: unable to perform sub-operations", "C000H failure: Unable to process"} {
		got := Remedy(&Refusal{Reason: reason.DICOMPeerFailed, Unit: "C-MOVE-RSP", From: "server", Found: found})
		if !strings.HasPrefix(got, found+". Where the device retrieves, see by `cordon status` whether the flow toward it") {
			t.Errorf("%s: %s", found, got)
		}
	}
}
