package policy

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestEffective(t *testing.T) {
	const site = "testdata/design.good"
	p, diags := load(disk{}, site, testNow)
	if p == nil {
		t.Fatalf("%s", diags)
	}
	text, err := p.Effective("ct-3")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(site, "effective-ct-3.txt"), strings.Replace(text, p.Version, "VERSION", 1))

	// It says the same when it is read as the device's only file.
	dir := t.TempDir()
	files := map[string]string{"devices/ct-3.yaml": text}
	for _, name := range []string{
		"cordon.yaml", "site.yaml", "pki/ca.pem", "pki/devices/ct-3.pem", "pki/devices/ct-3.key",
		"pki/devices/cordon-1.pem", "pki/devices/cordon-1.key",
	} {
		files[name] = readFile(t, filepath.Join(site, name))
	}
	writeSite(t, dir, files)
	q, diags := load(disk{}, dir, testNow)
	if q == nil {
		t.Fatalf("%s", diags)
	}
	for _, f := range p.Flows {
		g := q.Flow(f.ID())
		if g == nil || g.Mode != f.Mode || g.To.Name != f.To.Name || len(g.dicom.classes) != len(f.dicom.classes) {
			t.Errorf("flow %s is another", f.ID())
		}
	}
	if _, err := p.Effective("ct-4"); err == nil {
		t.Error("there is no ct-4")
	}
}
