package file

// Merge lays a device, or a tier, over what it extends: scalars override, maps merge by key,
// lists replace, null removes. Neither tree is changed, and each line of the result knows where
// it came from.
func Merge(base, over *Node) *Node {
	if base == nil || base.Kind != Map || over.Kind != Map {
		return withoutNulls(over)
	}
	out := *base
	out.At, out.Key = over.At, over.Key
	out.Entries = nil
	for _, e := range base.Entries {
		o := over.Get(e.Key)
		switch {
		case o == nil:
			out.Entries = append(out.Entries, e)
		case o.Kind != Null:
			out.Entries = append(out.Entries, Entry{e.Key, Merge(e.Value, o)})
		}
	}
	for _, e := range over.Entries {
		if base.Get(e.Key) == nil && e.Value.Kind != Null {
			out.Entries = append(out.Entries, Entry{e.Key, withoutNulls(e.Value)})
		}
	}
	return &out
}

// withoutNulls drops what a null would have removed, had there been anything.
func withoutNulls(n *Node) *Node {
	if n.Kind != Map {
		return n
	}
	out := *n
	out.Entries = nil
	for _, e := range n.Entries {
		if e.Value.Kind != Null {
			out.Entries = append(out.Entries, Entry{e.Key, withoutNulls(e.Value)})
		}
	}
	return &out
}
