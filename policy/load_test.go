package policy

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/policy/file"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testNow is when the golden sites are loaded: after 2026 began, before its end.
var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestSites loads each site of testdata. What is said about it stands in its expected.txt: every
// problem of every file, in order, as cordon check prints it. Sites ending in .good have a
// policy, those ending in .bad have none.
func TestSites(t *testing.T) {
	sites, err := filepath.Glob("testdata/*.*d")
	if err != nil || len(sites) < 5 {
		t.Fatalf("found %d sites: %v", len(sites), err)
	}
	for _, site := range sites {
		t.Run(filepath.Base(site), func(t *testing.T) {
			p, diags := load(disk{}, site, testNow)
			golden(t, filepath.Join(site, "expected.txt"), diags.String())
			good := strings.HasSuffix(site, ".good")
			if good != (p != nil) || good != !diags.Failed() {
				t.Errorf("policy: %v, failed: %v; a %s", p != nil, diags.Failed(), filepath.Ext(site))
			}
			for i := range diags {
				checkDiagnostic(t, &diags[i])
			}
		})
	}
}

// checkDiagnostic holds what every diagnostic must have: a place that is in the file, the line
// that stands there, and words.
func checkDiagnostic(t *testing.T, d *Diagnostic) {
	t.Helper()
	if d.Message == "" || d.File == "" || d.Code == "" || d.Severity == "" {
		t.Errorf("incomplete: %+v", *d)
	}
	if d.Severity == file.Error && d.Hint == "" {
		t.Logf("no hint: %s: %s", d.Position(), d.Message)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", name, got, want)
	}
}
