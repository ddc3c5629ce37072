// Package reason is the registry of why things are refused. Each code is stable: policies, audit
// records, metrics and people refer to it. An [Info] holds what the code means, what to do about
// it, and how it is said in each protocol's own words. docs/reasons.md is generated from it.
package reason

import (
	"sort"
	"strings"
)

// Code names one reason: "dicom.calling-ae". It is stable across versions.
type Code string

// Info says what a code means and how a refusal for it is answered on the wire.
type Info struct {
	Code    Code   `json:"code"`
	Meaning string `json:"meaning"` // one sentence, for whoever reads a refusal
	Do      string `json:"do"`      // what to do about it, in the imperative
	// Transient says that the same unit may pass later, so the peer is asked to try again.
	Transient bool `json:"transient"`
	// Theirs says that it is no refusal of ours but a peer's own answer, which says itself whether the
	// same unit may pass later.
	Theirs bool `json:"theirs"`

	RJ     RJ     `json:"rj,omitzero"`      // A-ASSOCIATE-RJ (PS3.8 §9.3.4)
	Abort  Abort  `json:"abort,omitzero"`   // A-ABORT (PS3.8 §9.3.8)
	Status uint16 `json:"status,omitempty"` // DIMSE status (PS3.7 Annex C, PS3.4); 0 where no response is made
	ERR    string `json:"err,omitempty"`    // HL7 table 0357 code for ERR-3; "" where no acknowledgment is made
	HTTP   int    `json:"http,omitempty"`   // HTTP status; 0 where none
}

// Refuses tells whether what is recorded for the reason was kept from passing, or would have been.
func (i Info) Refuses() bool { return i.Code != PolicyRewrite }

// RJ is the result, source and reason of an A-ASSOCIATE-RJ.
type RJ struct {
	Result uint8 `json:"result"`
	Source uint8 `json:"source"`
	Reason uint8 `json:"reason"`
}

// Abort is the source and reason of an A-ABORT.
type Abort struct {
	Source uint8 `json:"source"`
	Reason uint8 `json:"reason"`
}

// Lookup returns what is known of a code; for a code that is not registered, such as that of a
// patch, an Info with only its Code and the answers of a general refusal.
func Lookup(c Code) Info {
	if i, ok := byCode[c]; ok {
		return i
	}
	i := byCode[PolicyDenied]
	i.Code, i.Meaning, i.Do = c, "", ""
	return i
}

// Known tells whether a code is registered.
func Known(c Code) bool { _, ok := byCode[c]; return ok }

// All returns the registry in order of the codes.
func All() []Info {
	all := make([]Info, 0, len(byCode))
	for _, i := range byCode {
		all = append(all, i)
	}
	sort.Slice(all, func(a, b int) bool { return all[a].Code < all[b].Code })
	return all
}

// Group returns the part of a code before its first dot: "dicom", "hl7", "session".
func (c Code) Group() string {
	g, _, _ := strings.Cut(string(c), ".")
	return g
}

var byCode = func() map[Code]Info {
	m := make(map[Code]Info, len(registry))
	for _, i := range registry {
		if _, twice := m[i.Code]; twice {
			panic("reason: " + string(i.Code) + " is registered twice")
		}
		m[i.Code] = i
	}
	return m
}()
