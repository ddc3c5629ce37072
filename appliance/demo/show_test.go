package demo

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func at(second int) time.Time { return time.Date(2026, 3, 1, 12, 0, second, 0, time.Local) }

func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := NewShow(&out, false)
		store := row{device: "ct-3", unit: "C-STORE-RQ", found: "CT Image Storage", verdict: "allow", would: "allow", bytes: 131_700}
		s.add(row{at: at(0), device: "ct-3", unit: "A-ASSOCIATE-RQ", verdict: "allow", would: "allow", bytes: 230})
		for i := range 24 {
			store.at = at(1 + i)
			s.add(store)
			s.add(row{at: at(1 + i), device: "ct-3", unit: "C-STORE-RSP", verdict: "allow", would: "allow", answer: true})
		}
		s.add(row{at: at(30), device: "ct-3", unit: "A-ASSOCIATE-RQ", found: "ARCHIVE9", verdict: "refuse", would: "refuse",
			code: "dicom.called-ae", rule: "devices/ct-3.yaml:1:1 flows.archive.to"})
		s.add(row{at: at(31), device: "us-2", unit: "A-ASSOCIATE-RQ", found: "Secondary Capture Image Storage, and then some more",
			verdict: "allow", would: "refuse", code: "dicom.abstract-syntax", bytes: 2_000_000})
		s.add(row{at: at(31), device: "us-2", unit: "C-STORE-RQ", found: "Secondary Capture Image Storage",
			verdict: "allow", would: "refuse", code: "dicom.abstract-syntax", bytes: 2_000_000})
		s.add(row{at: at(32), device: "a-device-of-long-name", unit: "ORU^R01", found: "ORU^R01", verdict: "allow", would: "allow", bytes: 300})
		time.Sleep(mergeQuiet) // of the bubble's clock: nothing more comes
		synctest.Wait()
		want := `
time      device      unit                                              verdict       reason
12:00:00  ct-3        A-ASSOCIATE-RQ  230 B                             allow
12:00:01  ct-3        C-STORE-RQ ×24  CT Image Storage  3.2 MB          allow
12:00:30  ct-3        A-ASSOCIATE-RQ  ARCHIVE9                          refuse        dicom.called-ae
                      → fix: Have the device call the upstream by its AE title, or add was: {ae: ARCHIVE9} to
                             the upstream. (devices/ct-3.yaml:1:1 flows.archive.to)
12:00:31  us-2        A-ASSOCIATE-RQ  Secondary Capture Image Storage…  would refuse  dicom.abstract-syntax
                      → fix: Add the SOP class to the flow's allow list if the device needs it.
12:00:31  us-2        C-STORE-RQ  Secondary Capture Image Storage       would refuse  dicom.abstract-syntax
                      → fix: Add store: [Secondary Capture Image Storage] to the flow's allow list.
12:00:32  a-device-…  ORU^R01  300 B                                    allow
`
		if got := "\n" + out.String(); got != want {
			t.Errorf("got:%s\nwant:%s", got, want)
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > width {
				t.Errorf("wider than %d columns: %s", width, line)
			}
		}
	})
}

func TestColourStaysAroundTheVerdict(t *testing.T) {
	var plain, coloured strings.Builder
	r := row{at: at(0), device: "ct-3", unit: "C-STORE-RQ ×2", verdict: "refuse", code: "dicom.uid"}
	(&Show{out: &plain}).line(r, 2)
	(&Show{out: &coloured, colour: true}).line(r, 2)
	if !strings.Contains(coloured.String(), "  \x1b[31mrefuse\x1b[0m  ") {
		t.Errorf("not coloured: %q", coloured.String())
	}
	if got := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "").Replace(coloured.String()); got != plain.String() {
		t.Errorf("colour moves the columns:\n%s%s", got, plain.String())
	}
}

func TestSayInterruptsTheTable(t *testing.T) {
	var out strings.Builder
	s := NewShow(&out, false)
	s.add(row{at: at(0), device: "ct-3", unit: "C-ECHO-RQ", verdict: "allow"})
	s.Say("after\n")
	if got := out.String(); !strings.HasSuffix(got, "allow\nafter\n") {
		t.Errorf("got %q", got)
	}
}
