// Package dict is the dictionary of DICOM PS3.6. It has names for UIDs (Annex A), so that policies
// and reports can say "CT Image Storage" where the wire says 1.2.840.10008.5.1.4.1.1.2, and names
// and Value Representations for data elements (§6).
package dict

import (
	"cmp"
	_ "embed"
	"iter"
	"slices"
	"strings"
)

//go:embed uids.tsv
var table string

// entry is one row of the table.
type entry struct {
	uid, name, kind, keyword string
	retired                  bool
}

const (
	kindSOPClass       = "SOP Class"
	kindMetaSOPClass   = "Meta SOP Class"
	kindTransferSyntax = "Transfer Syntax"

	// mediaStorageDirectory is a Storage class by its name only: a DICOMDIR lives on media and
	// is never sent.
	mediaStorageDirectory = "1.2.840.10008.1.3.10"
)

var (
	byUID  = map[string]*entry{}
	byName = map[string]*entry{} // folded names and keywords
)

func init() {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		e := &entry{uid: f[0], name: f[1], kind: f[2], retired: f[3] != "", keyword: f[4]}
		byUID[e.uid] = e
		for _, n := range []string{e.name, e.keyword, strings.TrimSuffix(e.name, " SOP Class")} {
			index(fold(n), e)
		}
		if e.retired {
			index(fold(e.name+" (Retired)"), e)
		}
	}
	for _, e := range byUID {
		if e.retired && byName[fold(e.name)] != e {
			e.name += " (Retired)"
		}
	}
}

// index makes e known by a folded name. Some names were given again after a class was retired:
// the one in force has it.
func index(folded string, e *entry) {
	if old := byName[folded]; folded != "" && (old == nil || old.retired && !e.retired) {
		byName[folded] = e
	}
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Name returns the standard's name of a UID, "" for one that the standard does not define. A retired
// one whose name was given again has "(Retired)" behind it.
func Name(uid string) string {
	if e := byUID[uid]; e != nil {
		return e.name
	}
	return ""
}

// Intern returns a UID as a string, which is the table's own where the standard defines it.
func Intern(uid []byte) string {
	if e := byUID[string(uid)]; e != nil {
		return e.uid
	}
	return string(uid)
}

// UID returns the UID that a name or keyword of the standard stands for, in upper or lower case:
// "CT Image Storage", "CTImageStorage"; " SOP Class" at a name's end may be left out. A retired one
// may carry "(Retired)", and a transfer syntax what the standard says after its name's colon.
func UID(name string) (string, bool) {
	e := byName[fold(name)]
	if e == nil {
		short, _, _ := strings.Cut(name, ": ")
		if e = byName[fold(short)]; e == nil || e.kind != kindTransferSyntax {
			return "", false
		}
	}
	return e.uid, true
}

// IsStorage tells whether a UID is a SOP class whose instances are sent with C-STORE, in force or
// retired.
func IsStorage(uid string) bool {
	e := byUID[uid]
	return e != nil && e.kind == kindSOPClass && uid != mediaStorageDirectory &&
		strings.Contains(e.name, " Storage") && !strings.Contains(e.name, "Storage Commitment")
}

// IsTransferSyntax tells whether a UID is a transfer syntax of the standard.
func IsTransferSyntax(uid string) bool {
	e := byUID[uid]
	return e != nil && e.kind == kindTransferSyntax
}

const suggestions = 3

// Suggest returns up to three names of SOP classes and transfer syntaxes that a misspelt name may
// mean, the nearest first; nothing where nothing is near.
func Suggest(name string) []string {
	return nearest(name, func(yield func(*entry) bool) {
		for _, e := range byUID {
			switch e.kind {
			case kindSOPClass, kindMetaSOPClass, kindTransferSyntax:
				if !yield(e) {
					return
				}
			}
		}
	})
}

// nearest returns the names of the entries that a misspelt name may mean.
func nearest(name string, among iter.Seq[*entry]) []string {
	want := fold(name)
	if want == "" {
		return nil
	}
	type near struct {
		name string
		far  int
	}
	var found []near
	for e := range among {
		if far, ok := distance(want, e); ok {
			found = append(found, near{e.name, far})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, n := range found {
		if len(names) < suggestions && !slices.Contains(names, n.name) {
			names = append(names, n.name)
		}
	}
	return names
}

// distance says how far a folded name is from an entry, by its name or keyword. A name that is
// the beginning of the entry's, or part of it, is near in spite of what it lacks. A retired entry
// is a little farther than one in force.
func distance(want string, e *entry) (far int, ok bool) {
	name := fold(e.name)
	far = min(edits(want, name), edits(want, fold(e.keyword)))
	limit := max(2, len(want)/4)
	switch {
	case far <= limit:
	case strings.HasPrefix(name, want):
		far = limit + 1
	case len(want) >= 3 && strings.Contains(name, want):
		far = limit + 2
	default:
		return 0, false
	}
	far *= 2
	if e.retired {
		far++
	}
	return far, true
}

// edits counts the bytes to insert, delete or replace to make b of a (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
