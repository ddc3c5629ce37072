package policy

import (
	"maps"
	"slices"

	"cordon/policy/file"
)

// merge lays each tier and each device over what it extends.
func (s *sources) merge(p *file.Problems) {
	for _, name := range slices.Sorted(maps.Keys(s.tiers)) {
		s.mergeOne(s.tiers[name], nil, p)
	}
	for _, d := range s.devices {
		s.mergeOne(d, nil, p)
	}
}

// mergeOne merges d, whose path of extensions so far is path.
func (s *sources) mergeOne(d *document, path []*document, p *file.Problems) *file.Node {
	if d.merged != nil {
		return d.merged
	}
	var extends file.Text
	if n := d.tree.Get("extends"); n != nil && n.Kind == file.Word {
		extends = file.Text{Value: n.Value, At: n.At}
	}
	base := (*file.Node)(nil)
	switch tier := s.tiers[extends.Value]; {
	case !extends.Set():
	case tier == nil:
		if !s.brokenTiers {
			p.Errorf(extends.At, file.UnknownName, file.DidYouMean(extends.Value, slices.Collect(maps.Keys(s.tiers))),
				"there is no tier %q", extends.Value)
		}
	case tier == d || slices.Contains(path, tier):
		p.Errorf(extends.At, file.BadValue, "take one extends of the circle out", "tier %q extends itself%s", extends.Value, through(d, tier, path))
	default:
		d.tier = extends.Value
		base = s.mergeOne(tier, append(path, d), p)
	}
	d.merged = file.Merge(without(base, "tier", "extends"), d.tree)
	return d.merged
}

func through(d, tier *document, path []*document) string {
	if tier == d {
		return ""
	}
	out := ", through "
	for _, x := range path[slices.Index(path, tier)+1:] {
		out += x.name.Value + " and "
	}
	return out + d.name.Value
}

// without is a map without some of its keys.
func without(n *file.Node, keys ...string) *file.Node {
	if n == nil {
		return nil
	}
	out := *n
	out.Entries = nil
	for _, e := range n.Entries {
		if !slices.Contains(keys, e.Key) {
			out.Entries = append(out.Entries, e)
		}
	}
	return &out
}
