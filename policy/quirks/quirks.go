// Package quirks is a table of what implementations of DICOM are known not to bear. It is data, so
// that another line needs no code; what a line can ask for is only what weakens no rule.
package quirks

import (
	"bytes"
	_ "embed"
	"slices"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed quirks.yaml
var table []byte

// Quirk is one line of the table.
type Quirk struct {
	Implementation string `yaml:"implementation"`    // Implementation Class UID (PS3.7 §D.3.3.2)
	Version        string `yaml:"version"`           // Implementation Version Name; "": any
	About          string `yaml:"about"`             // what it does
	Known          string `yaml:"known"`             // where that is written down
	OmitAsync      bool   `yaml:"omit_async_window"` // take a window of 0/0 out of what it is sent
}

// All returns the table.
var All = sync.OnceValue(func() []Quirk {
	all, err := parse(table)
	if err != nil {
		panic("quirks.yaml: " + err.Error())
	}
	return all
})

func parse(text []byte) (all []Quirk, err error) {
	err = yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&all)
	return all, err
}

// Of returns the quirks of software that has these Implementation Class UIDs and Version Names.
func Of(fingerprint []string) (found []Quirk) {
	for _, q := range All() {
		if slices.Contains(fingerprint, q.Implementation) && (q.Version == "" || slices.Contains(fingerprint, q.Version)) {
			found = append(found, q)
		}
	}
	return found
}
