package demo

import (
	"os"
	"path/filepath"
	"testing"

	"cordon/policy"
)

// The policy that the demo writes is one without a complaint, and says what the cast is.
func TestPolicyLoads(t *testing.T) {
	s := site{dir: t.TempDir(), dicomPort: 11112, hl7Port: 2575, httpPort: 9180}
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := s.writePolicy("127.0.0.1:4001", "127.0.0.1:4002"); err != nil {
		t.Fatal(err)
	}
	p, problems := policy.Load(s.dir)
	for _, d := range problems {
		t.Error(d)
	}
	if p == nil {
		t.FailNow()
	}
	for name, r := range cast {
		d := p.Device(name)
		switch {
		case d == nil:
			t.Errorf("%s of the cast is no device", name)
		case len(d.Prefixes) != 1 || d.Prefixes[0].Addr().String() != r.address:
			t.Errorf("%s is known by %v, and speaks from %s", name, d.Prefixes, r.address)
		case r.ae != "" && (len(d.AETitles) != 1 || d.AETitles[0] != r.ae):
			t.Errorf("%s has AE titles %v, and calls itself %s", name, d.AETitles, r.ae)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "pki", name+".pem")); err != nil {
			t.Error(err)
		}
	}
	if f := p.Flow("us-2/archive"); f == nil || f.Mode != policy.Shadow {
		t.Error("us-2 is not in shadow")
	}
	if f := p.Flow("ct-3/archive"); f == nil || f.Mode != policy.Enforce {
		t.Error("ct-3 is not enforced")
	}
}
