package dict

import (
	"slices"
	"strings"
)

// SuggestTag returns up to three names of data elements that a misspelt name may mean, the nearest
// first; nothing where nothing is near.
func SuggestTag(name string) []string {
	want := fold(name)
	if want == "" {
		return nil
	}
	type near struct {
		name string
		far  int
	}
	var found []near
	for line := range strings.Lines(tagTable) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || f[3] != "" {
			continue
		}
		if far, ok := distance(want, &entry{name: f[1], keyword: f[4]}); ok {
			found = append(found, near{f[1], far})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		if a.far != b.far {
			return a.far - b.far
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, n := range found[:min(len(found), suggestions)] {
		names = append(names, n.name)
	}
	return names
}
