package gateway

import (
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
		{reason.DICOMQueryKey, "Patient's Name (0010,0010)", "Patient's Name (0010,0010)"},
		{reason.DICOMQueryEverything, "", "everything: true"},
		{reason.DICOMMoveDestination, "WS2", "Add WS2 to the flow's move"},
		{reason.DICOMAction, "Printer SOP Class, type 2", "type 2"},
		{reason.DICOMEvent, "Printer SOP Class, type 9", "type 9"},
		{reason.DICOMGeometry, "RLE header", "tolerate: {geometry: true}"},
	} {
		got := Remedy(tt.code, tt.found, "devices/ct-1.yaml:9:7 flows.archive.allow[2]")
		if !strings.Contains(got, tt.want) || !strings.HasSuffix(got, "(devices/ct-1.yaml:9:7 flows.archive.allow[2])") {
			t.Errorf("%s: %q, want %q in it", tt.code, got, tt.want)
		}
	}
}
