package dicom

import (
	"bytes"
	"strings"
	"testing"

	"cordon/protocols/reason"
)

func TestKindsOfStatus(t *testing.T) { // D26
	for _, c := range []struct {
		field, status uint16
		want          StatusKind
	}{
		{CStoreRSP, 0x0000, StatusIsSuccess},
		{CStoreRSP, 0xB000, StatusIsWarning},
		{CStoreRSP, 0xB006, StatusIsWarning},
		{CStoreRSP, 0xA7FF, StatusIsFailure},
		{CStoreRSP, 0xC123, StatusIsFailure},
		{CStoreRSP, 0x0122, StatusIsFailure},
		{CStoreRSP, 0xFF00, StatusUnknown},
		{CStoreRSP, 0xFE00, StatusUnknown},
		{CEchoRSP, 0xFF01, StatusUnknown},
		{NSetRSP, 0x0107, StatusIsWarning},
		{NSetRSP, 0x0116, StatusIsWarning},
		{NCreateRSP, 0x0001, StatusIsWarning},
		{NCreateRSP, 0x0111, StatusIsFailure},
		{NActionRSP, 0x0213, StatusIsFailure},
		{NActionRSP, 0xC311, StatusIsFailure}, // of a service class (PS3.4 CC.2)
		{CFindRSP, 0xFF00, StatusIsPending},
		{CFindRSP, 0xFF01, StatusIsPending},
		{CFindRQ, 0xFF01, StatusIsPending}, // by the request's field likewise
		{CMoveRSP, 0xFF00, StatusIsPending},
		{CGetRSP, 0xFE00, StatusIsCancel},
		{CMoveRSP, 0xA801, StatusIsFailure},
		{CMoveRSP, 0x0002, StatusUnknown},
		{CMoveRSP, 0x0300, StatusUnknown},
		{CMoveRSP, 0x9000, StatusUnknown},
		{CMoveRSP, 0xD000, StatusUnknown},
		{CMoveRSP, 0xFE01, StatusUnknown},
		{CMoveRSP, 0xFF02, StatusUnknown},
	} {
		got := KindOfStatus(c.field, c.status)
		if got != c.want {
			t.Errorf("%s %04X is %s, want %s", CommandName(c.field), c.status, got, c.want)
		}
		if got.Final() != (got != StatusIsPending) {
			t.Errorf("%s: Final() is %v", got, got.Final())
		}
	}
}

func TestStatusesInTheStandardsWords(t *testing.T) {
	for _, c := range []struct {
		field, status uint16
		want          string
	}{
		{CEchoRSP, 0x0000, "Success"},
		{CStoreRSP, 0xA702, "Out of resources"},
		{CMoveRSP, 0xA702, "Out of resources: unable to perform sub-operations"},
		{CMoveRSP, 0xA801, "Move Destination unknown"},
		{CStoreRSP, 0xB000, "Coercion of Data Elements"},
		{CGetRSP, 0xB000, "Sub-operations complete, one or more failures"},
		{CStoreRSP, 0xC0FF, "Cannot understand"},
		{CFindRQ, 0xC001, "Unable to process"},
		{NSetRSP, 0x0106, "Invalid Attribute Value"},
		{NSetRSP, 0xC616, ""},
		{CFindRSP, 0x0004, ""},
	} {
		if got := StatusText(c.field, c.status); got != c.want {
			t.Errorf("%s %04X: %q, want %q", CommandName(c.field), c.status, got, c.want)
		}
	}
	for _, s := range serviceStatuses {
		if s.status&^s.mask != 0 {
			t.Errorf("%04X cannot match %04X", s.status, s.mask)
		}
	}
}

// Each refusal has a status that the service of the request has, and that says failure.
func TestRefusalsSpeakTheirServicesStatuses(t *testing.T) { // D19, D24
	for _, c := range []struct {
		code   reason.Code
		status map[uint16]uint16 // by request; 0 for all others
	}{
		{reason.DICOMMoveDestination, map[uint16]uint16{CMoveRQ: 0xA801, 0: 0x0124}},
		{reason.DICOMCommand, map[uint16]uint16{0: 0x0124}},
		{reason.DICOMRole, map[uint16]uint16{0: 0x0124}},
		{reason.DICOMSOPClass, map[uint16]uint16{0: 0x0122}},
		{reason.DICOMWindow, map[uint16]uint16{CStoreRQ: 0xA700, CFindRQ: 0xA700, CMoveRQ: 0xA702, CGetRQ: 0xA702, 0: 0x0213}},
		{reason.CapHold, map[uint16]uint16{CStoreRQ: 0xA700, CFindRQ: 0xA700, CMoveRQ: 0xA702, CGetRQ: 0xA702, 0: 0x0213}},
		{reason.DICOMUIDMismatch, map[uint16]uint16{CStoreRQ: 0xA900, CFindRQ: 0xA900, CMoveRQ: 0xA900, CGetRQ: 0xA900, 0: 0x0119}},
		{reason.DICOMDataSet, map[uint16]uint16{CStoreRQ: 0xC000, CFindRQ: 0xC000, CMoveRQ: 0xC000, CGetRQ: 0xC000, 0: 0x0115}},
		{reason.HL7Batch, map[uint16]uint16{0: StatusProcessing}}, // no status of its own
		{"patch.example", map[uint16]uint16{0: 0x0124}},
	} {
		for field := range forms {
			if field&responseBit != 0 || field == CancelRQ {
				continue
			}
			want, ok := c.status[field]
			if !ok {
				want = c.status[0]
			}
			rq := Command{Field: field, MessageID: 7, SOPClass: []byte(uidCT), SOPInstance: []byte(testInstance)}
			if rsp := rq.Failure(c.code); rsp.Status != want || KindOfStatus(field, rsp.Status) != StatusIsFailure || StatusText(field, rsp.Status) == "" {
				t.Errorf("%s refused with %s: %04X, want %04X", CommandName(field), c.code, rsp.Status, want)
			}
		}
	}
}

// D24: the response to any request names what the request named, in the Affected elements.
func TestRefusalsNameWhatTheRequestNamed(t *testing.T) {
	for field := range forms {
		if field&responseBit != 0 || field == CancelRQ {
			continue
		}
		rq := Command{Field: field, MessageID: 7, ContextID: 5, SOPClass: []byte(uidCT), SOPInstance: []byte(testInstance)}
		rsp := rq.Failure(reason.DICOMCommand)
		var got Command
		if err := got.Parse(AppendCommand(nil, &rsp)); err != nil {
			t.Errorf("%s: %v", CommandName(field), err)
		}
		if got.Field != field|responseBit || got.MessageID != 7 || string(got.SOPClass) != uidCT || string(got.SOPInstance) != testInstance || got.HasDataSet {
			t.Errorf("%s is answered with %+v", CommandName(field), got)
		}
	}
}

func TestNumbersOfSubOperations(t *testing.T) { // D26
	for _, c := range []struct {
		status uint16
		sent   SubOperations
		want   SubOperations
	}{
		{StatusPending, SubOperations{true, 9, 3, 2, 1}, SubOperations{true, 9, 3, 2, 1}},
		{StatusCancel, SubOperations{true, 9, 3, 2, 1}, SubOperations{true, 9, 3, 2, 1}},
		{StatusSuccess, SubOperations{true, 9, 3, 0, 0}, SubOperations{true, 0, 3, 0, 0}}, // none remain
		{StatusSuccess, SubOperations{}, SubOperations{}},
	} {
		var got Command
		if err := got.Parse(AppendCommand(nil, &Command{Field: CMoveRSP, Status: c.status, SubOperations: c.sent})); err != nil || got.SubOperations != c.want {
			t.Errorf("%v is read as %v (%v)", c.sent, got.SubOperations, err)
		}
	}
}

// A refusal says who refused and why, for whoever reads it at the device: it has no other way to
// tell a gateway's answer from the server's.
func TestRefusalsSayWhoRefused(t *testing.T) {
	c := Command{Field: CStoreRQ, MessageID: 7, SOPClass: []byte(uidCT), SOPInstance: []byte("1.2.3"), HasDataSet: true}
	for _, i := range reason.All() {
		rsp := c.Failure(i.Code)
		set := AppendCommand(nil, &rsp)
		if want := "refused by Cordon: " + string(i.Code); len(want) > 64 || !bytes.Contains(set, []byte(want)) {
			t.Errorf("%q does not say %q", set, want)
		}
		var back Command
		if err := back.Parse(set); err != nil {
			t.Errorf("%s: %v", i.Code, err)
		}
	}
	if rsp := c.Failure("patch." + reason.Code(strings.Repeat("x", 80))); len(rsp.Comment) != 64 {
		t.Errorf("a comment of %d characters", len(rsp.Comment))
	}
}
