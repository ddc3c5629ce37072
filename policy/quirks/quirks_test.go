package quirks

import (
	"net/url"
	"testing"

	"cordon/protocols/dicom"
)

// TestTable holds each line to the form of the table: keyed by a UID, told, and traceable.
func TestTable(t *testing.T) {
	seen := map[[2]string]bool{}
	for _, q := range All() {
		key := [2]string{q.Implementation, q.Version}
		if seen[key] {
			t.Errorf("%v is there twice", key)
		}
		seen[key] = true
		if !dicom.ValidUID([]byte(q.Implementation)) || len(q.Version) > 16 || q.About == "" {
			t.Errorf("incomplete: %+v", q)
		}
		if u, err := url.Parse(q.Known); err != nil || u.Scheme != "https" || u.Host == "" {
			t.Errorf("%s: known is %q, not an address", q.Implementation, q.Known)
		}
		if !q.OmitAsync {
			t.Errorf("%s asks for nothing", q.Implementation)
		}
	}
}

func TestUnknownKeyOfTheTable(t *testing.T) {
	if _, err := parse([]byte("- implementation: 1.2.3\n  omit_asink_window: true\n")); err == nil {
		t.Error("a misspelt key passes")
	}
}

func TestOf(t *testing.T) {
	const known = "1.2.840.113619.6.55"
	if got := Of([]string{"MERGECOM3_390", known}); len(got) != 1 || !got[0].OmitAsync {
		t.Errorf("found %+v", got)
	}
	if got := Of([]string{"1.2.840.113619.6.5", "MERGECOM3_390"}); got != nil {
		t.Errorf("found %+v", got)
	}
	if got := Of(nil); got != nil {
		t.Errorf("software of no name has %+v", got)
	}
}
