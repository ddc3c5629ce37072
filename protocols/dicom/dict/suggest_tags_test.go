package dict

import (
	"slices"
	"testing"
)

func TestMisspeltDataElements(t *testing.T) {
	if got := SuggestTag("Patients Name"); !slices.Contains(got, "Patient's Name") {
		t.Errorf("suggested %q", got)
	}
	if got := SuggestTag(""); got != nil {
		t.Errorf("suggested %q for nothing", got)
	}
}

func TestNamesOfDataElementsDoNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { TagName(0x00100010) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
