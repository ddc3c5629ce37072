package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"cordon/policy/file"
)

// Keep takes over the devices of old that p does not name any longer: a file that vanished, by a
// slip or half-way through a copy, does not remove a device (invariant 8); state: retired does.
// It returns the names of those that it kept. A device is not kept when its place is taken, such
// as after it was renamed, or when its upstreams and listeners are gone. Keep is called before p
// is put into force, and changes it.
func (p *Policy) Keep(old *Policy) []string {
	var gone []*document
	for _, d := range old.origins.devices {
		if p.devices[d.name.Value] == nil && old.devices[d.name.Value].State != Retired {
			kept := *d
			kept.tree = without(d.merged, "extends") // its tiers may be gone too
			kept.merged, kept.kept = nil, true
			gone = append(gone, &kept)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if p.with(gone) {
		return documentNames(gone)
	}
	var kept []*document
	for _, d := range gone {
		if p.with([]*document{d}) {
			kept = append(kept, d)
		}
	}
	return documentNames(kept)
}

// with compiles p again with more devices. It leaves p as it is when that has errors.
func (p *Policy) with(more []*document) bool {
	s := *p.origins
	s.devices = slices.Concat(s.devices, more)
	s.version = keptVersion(s.version, more)
	s.disk.exists = func(string) error { return nil } // p was loaded a moment ago
	problems := new(file.Problems)
	q := compile(&s, problems)
	if problems.Failed() {
		return false
	}
	q.origins.disk = p.origins.disk
	*p = *q
	return true
}

// keptVersion is the version of a policy with more devices than its files have: records must tell
// the two apart.
func keptVersion(version string, more []*document) string {
	h := sha256.New()
	fmt.Fprintln(h, version, documentNames(more))
	return hex.EncodeToString(h.Sum(nil))[:len(version)]
}

func documentNames(docs []*document) (names []string) {
	for _, d := range docs {
		names = append(names, d.name.Value)
	}
	return names
}
