package dict

import "strings"

// SuggestTag returns up to three names of data elements that a misspelt name may mean, the nearest
// first; nothing where nothing is near.
func SuggestTag(name string) []string {
	return nearest(name, func(yield func(*entry) bool) {
		for line := range strings.Lines(tagTable) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if !strings.HasPrefix(line, "#") && f[3] == "" && !yield(&entry{name: f[1], keyword: f[4]}) {
				return
			}
		}
	})
}
