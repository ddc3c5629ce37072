package dict

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesAndUIDsOfTheStandard(t *testing.T) {
	for _, c := range []struct{ uid, name string }{
		{"1.2.840.10008.1.1", "Verification SOP Class"},
		{"1.2.840.10008.1.2", "Implicit VR Little Endian"},
		{"1.2.840.10008.1.2.1", "Explicit VR Little Endian"},
		{"1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"},
		{"1.2.840.10008.1.2.2", "Explicit VR Big Endian"},
		{"1.2.840.10008.1.2.4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])"},
		{"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Image Compression (Lossless Only)"},
		{"1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)"},
		{"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000 Image Compression"},
		{"1.2.840.10008.1.20.1", "Storage Commitment Push Model SOP Class"},
		{"1.2.840.10008.3.1.1.1", "DICOM Application Context Name"},
		{"1.2.840.10008.3.1.2.3.3", "Modality Performed Procedure Step SOP Class"},
		{"1.2.840.10008.5.1.1.9", "Basic Grayscale Print Management Meta SOP Class"},
		{"1.2.840.10008.5.1.4.1.1.2", "CT Image Storage"},
		{"1.2.840.10008.5.1.4.1.1.7", "Secondary Capture Image Storage"},
		{"1.2.840.10008.5.1.4.1.1.66.7", "Label Map Segmentation Storage"},
		{"1.2.840.10008.5.1.4.1.2.2.1", "Study Root Query/Retrieve Information Model - FIND"},
		{"1.2.840.10008.5.1.4.31", "Modality Worklist Information Model - FIND"},
	} {
		if got := Name(c.uid); got != c.name {
			t.Errorf("Name(%s) = %q, want %q", c.uid, got, c.name)
		}
		for _, name := range []string{c.name, strings.ToUpper(c.name), " " + c.name + " "} {
			if got, ok := UID(name); !ok || got != c.uid {
				t.Errorf("UID(%q) = %s, %v, want %s", name, got, ok, c.uid)
			}
		}
	}
	if got := Name("1.2.276.0.7230010.3.4.1915765545.18030.917282194.0"); got != "" {
		t.Errorf("a private UID has the name %q", got)
	}
}

func TestOtherFormsOfANameThatTheStandardUses(t *testing.T) {
	for name, want := range map[string]string{
		"CTImageStorage":                   "1.2.840.10008.5.1.4.1.1.2",
		"ctimagestorage":                   "1.2.840.10008.5.1.4.1.1.2",
		"Verification":                     "1.2.840.10008.1.1", // its keyword
		"Explicit VR Big Endian (Retired)": "1.2.840.10008.1.2.2",
		"Implicit VR Little Endian: Default Transfer Syntax for DICOM": "1.2.840.10008.1.2",
		"Ultrasound Image Storage":                                     "1.2.840.10008.5.1.4.1.1.6.1",
		"Ultrasound Image Storage (Retired)":                           "1.2.840.10008.5.1.4.1.1.6",
	} {
		if got, ok := UID(name); !ok || got != want {
			t.Errorf("UID(%q) = %s, %v, want %s", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "CT", "CT Image", "CT Image Storage SOP Class", "CT Image Storage: x", "1.2.840.10008.1.1"} {
		if got, ok := UID(name); ok {
			t.Errorf("UID(%q) = %s; it is no name of the standard", name, got)
		}
	}
}

func TestEveryEntryIsFoundByItsNameAndKeyword(t *testing.T) {
	if len(byUID) < 480 {
		t.Fatalf("%d entries; the table did not load", len(byUID))
	}
	for uid, e := range byUID {
		for _, name := range []string{e.name, e.keyword} {
			got, ok := UID(name)
			if other := byUID[got]; name != "" && (!ok || got != uid && !e.retired && !other.retired) {
				t.Errorf("UID(%q) = %s, want %s", name, got, uid)
			}
		}
		if back, _ := UID(Name(uid)); back != uid {
			t.Errorf("the name of %s, %q, is that of %s", uid, Name(uid), back)
		}
		if strings.TrimSpace(e.name) != e.name || e.name == "" {
			t.Errorf("%s has the name %q", uid, e.name)
		}
	}
}

func TestKindsOfUID(t *testing.T) {
	for uid, want := range map[string]struct{ storage, transfer bool }{
		"1.2.840.10008.5.1.4.1.1.2":      {storage: true},
		"1.2.840.10008.5.1.4.1.1.1.1":    {storage: true}, // ... - For Presentation
		"1.2.840.10008.5.1.4.1.1.9.1":    {storage: true}, // ... - Trial
		"1.2.840.10008.5.1.4.1.1.104.1":  {storage: true}, // encapsulated PDF
		"1.2.840.10008.5.1.4.38.1":       {storage: true}, // hanging protocol
		"1.2.840.10008.1.3.10":           {},              // media directory
		"1.2.840.10008.1.20.1":           {},              // storage commitment
		"1.2.840.10008.4.2":              {},              // a service class
		"1.2.840.10008.1.1":              {},
		"1.2.840.10008.1.2":              {transfer: true},
		"1.2.840.10008.1.2.4.203":        {transfer: true},
		"1.2.840.10008.1.2.1.99":         {transfer: true},
		"1.2.840.10008.5.1.4.1.1.2.9999": {},
		"":                               {},
	} {
		if got := IsStorage(uid); got != want.storage {
			t.Errorf("IsStorage(%s) = %v", uid, got)
		}
		if got := IsTransferSyntax(uid); got != want.transfer {
			t.Errorf("IsTransferSyntax(%s) = %v", uid, got)
		}
	}
}

func TestMisspeltNamesAreSuggestedTheRightOne(t *testing.T) {
	for name, first := range map[string]string{
		"CT Image Strage":                 "CT Image Storage",
		"ct imagestorage":                 "CT Image Storage",
		"CTImageStorge":                   "CT Image Storage",
		"CT Image":                        "CT Image Storage",
		"Secondary Capture":               "Secondary Capture Image Storage",
		"Secundary Capture Image Storage": "Secondary Capture Image Storage",
		"Explicit VR Litle Endian":        "Explicit VR Little Endian",
		"Verification SOP Clas":           "Verification SOP Class",
		"Verificaton":                     "Verification SOP Class",
		"modality worklist":               "Modality Worklist Information Model - FIND",
	} {
		got := Suggest(name)
		if len(got) == 0 || got[0] != first || len(got) > suggestions {
			t.Errorf("Suggest(%q) = %q, want %q first", name, got, first)
		}
		if !slices.Equal(got, Suggest(name)) {
			t.Errorf("Suggest(%q) differs from call to call", name)
		}
	}
	for _, name := range []string{"", "q", "Completely Different Thing Altogether"} {
		if got := Suggest(name); len(got) != 0 {
			t.Errorf("Suggest(%q) = %q, want nothing", name, got)
		}
	}
}
