// Package schema holds a JSON Schema for each kind of file of a site, so that editors complete
// keys, show what they mean and mark mistakes while they are made. The schemas are generated from
// the types of package file; a test holds them against drift. They know the shape of a file alone:
// cordon check also knows the dictionaries and the other files.
package schema

import "embed"

//go:generate go test -run TestSchemas -update .

//go:embed *.schema.json
var files embed.FS

// The kinds of files.
const (
	Cordon = "cordon"
	Site   = "site"
	Tier   = "tier"
	Device = "device"
)

// FileName returns the name that the schema of a kind has as a file.
func FileName(kind string) string { return kind + ".schema.json" }

// For returns the schema of a kind, nil for one that does not exist.
func For(kind string) []byte {
	b, err := files.ReadFile(FileName(kind))
	if err != nil {
		return nil
	}
	return b
}
