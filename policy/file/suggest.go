package file

import (
	"slices"
	"strings"
)

// Suggest returns the name that was probably meant, or "".
func Suggest(word string, names []string) string {
	best, least := "", tolerated(len(word))+1
	slices.Sort(names)
	for _, n := range names {
		if d := distance(word, n, least); d < least {
			best, least = n, d
		}
	}
	if best == "" && len(word) >= 3 { // "cert" for "certificate"
		if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, word) }); i >= 0 {
			best = names[i]
		}
	}
	return best
}

// tolerated is how many slips a word of so many letters may have to be taken for another.
func tolerated(letters int) int {
	switch {
	case letters < 4:
		return 1
	case letters < 9:
		return 2
	}
	return letters / 3
}

// distance is the number of letters to insert, remove, change or swap with their neighbour that
// makes b of a (Damerau and Levenshtein), at most limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 64 || len(b) > 64 {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

// DidYouMean is a hint with the name that was probably meant, else with all there are.
func DidYouMean(word string, names []string) string {
	if s := Suggest(word, names); s != "" {
		return "did you mean \"" + s + "\"?"
	}
	return OneOf(names)
}

// OneOf is a hint with the names there are, as long as they are few.
func OneOf(names []string) string {
	if len(names) == 0 || len(names) > 24 {
		return ""
	}
	names = slices.Sorted(slices.Values(names))
	out := "known here: "
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}
