package policy

import (
	"fmt"
	"slices"

	"cordon/policy/file"
)

// Effective returns a device's merged document as YAML, each line with the file and line it comes
// from: for a flow that no file holds, that of what it follows from. It reads back as a device of
// its own that says the same.
func (p *Policy) Effective(device string) (string, error) {
	for _, d := range p.origins.devices {
		if d.name.Value != device {
			continue
		}
		head := fmt.Sprintf("# Device %s as policy %s has it", device, p.Version)
		if d.tier != "" {
			head += "; it extends tier " + d.tier
		}
		if d.kept {
			head += "; its file has vanished"
		}
		return head + ".\n" + file.Format(nameFirst(d.whole())), nil
	}
	return "", fmt.Errorf("no device %q in the policy", device)
}

// nameFirst is a merged device that begins with its name and extends nothing any longer.
func nameFirst(n *file.Node) *file.Node {
	out := without(n, "device", "extends")
	out.Entries = slices.Insert(out.Entries, 0, file.Entry{Key: "device", Value: n.Get("device")})
	return out
}

// whole is the merged device with the flows that follow from those it has.
func (d *document) whole() *file.Node {
	flows := d.merged.Get("flows")
	if len(d.follows) == 0 {
		return d.merged
	}
	more := *flows
	more.Entries = slices.Concat(flows.Entries, d.follows)
	out := *d.merged
	out.Entries = slices.Clone(out.Entries)
	for i := range out.Entries {
		if out.Entries[i].Value == flows {
			out.Entries[i].Value = &more
		}
	}
	return &out
}
