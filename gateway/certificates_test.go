package gateway

import (
	"fmt"
	"io/fs"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cordon/policy/file"
)

// Who keeps the policies need not have the keys: what may not be read is no mistake.
func TestKeysOfOthersAreNoMistake(t *testing.T) {
	w := newWorld(t, nil)
	p := w.gw.store.Current()
	c := checker{policy: p}
	key := filepath.Join(w.dir, "pki/ct-1.key")
	c.unusable(wantOfFlow(p.Flow("ct-1/archive")), "flow ct-1/archive", fmt.Errorf("key file: %w", &fs.PathError{Op: "open", Path: key, Err: syscall.EACCES}))
	found := p.Locate(c.found)
	if len(found) != 1 || found[0].Severity != file.Note || found[0].Code != file.Unread || !strings.Contains(found[0].Message, "not yours to read") {
		t.Errorf("found %+v", found)
	}
}

// The metric says whose certificate ends: each device has one of its own.
func TestEndOfEachCertificateIsAMetric(t *testing.T) {
	w := newWorld(t, nil)
	r := httptest.NewRecorder()
	promhttp.HandlerFor(w.gw.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	for _, device := range []string{"ct-1", "analyzer-1"} {
		if want := fmt.Sprintf("cordon_certificate_not_after_timestamp_seconds{device=%q,tunnel=\"mtls\"} ", device); !strings.Contains(r.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
