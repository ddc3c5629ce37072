package file

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a diagnostic keeps a policy from being used.
type Severity string

const (
	Error Severity = "error"
	Note  Severity = "note" // the policy is in force, but its author should know
)

// Diagnostic is one problem, at one place.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"` // the kind of problem: "syntax", "unknown-key"
	File     string   `json:"file"`
	Line     int      `json:"line"`             // from 1; 0 when the problem is the file itself
	Column   int      `json:"column"`           // from 1, in characters
	Source   string   `json:"source,omitempty"` // the line; "" where it might hold a secret
	Message  string   `json:"message"`          // what was found
	Hint     string   `json:"hint,omitempty"`   // what would be right
}

// The kinds of problems.
const (
	Syntax         = "syntax"
	UnknownKey     = "unknown-key"
	DuplicateKey   = "duplicate-key"
	MissingKey     = "missing-key"
	WrongType      = "wrong-type"
	BadValue       = "bad-value"
	UnknownName    = "unknown-name"
	DuplicateName  = "duplicate-name"
	Ambiguous      = "ambiguous"
	Unprotected    = "unprotected" // plaintext toward a server without what that needs
	MissingFile    = "missing-file"
	Certificate    = "certificate"   // of a file with certificates or a key
	Unread         = "unread"        // there, and not the caller's to read
	NotAvailable   = "not-available" // known, but not in this version
	NotActedOn     = "not-acted-on"  // accepted, without effect in this version
	Remark         = "remark"
	secretReplaced = "(not shown: it may hold a secret)"
)

// Position is "file:line:column", or as much of it as is known.
func (d *Diagnostic) Position() string {
	switch {
	case d.Line == 0:
		return d.File
	case d.Column == 0:
		return fmt.Sprintf("%s:%d", d.File, d.Line)
	}
	return fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
}

// String renders d the way compilers do:
//
//	devices/ct-3.yaml:4:3: error: unknown key "mod"
//	    4 | mod: enforce
//	      | ^
//	    hint: did you mean "mode"?
func (d *Diagnostic) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s\n", printable(d.Position()), d.Severity, printable(d.Message))
	if d.Source != "" {
		line, at := window(d.Source, d.Column)
		fmt.Fprintf(&b, "%5d | %s\n", d.Line, printable(line))
		if at > 0 {
			fmt.Fprintf(&b, "      | %s^\n", indent(line, at))
		}
	}
	if d.Hint != "" {
		fmt.Fprintf(&b, "    hint: %s\n", printable(d.Hint))
	}
	return b.String()
}

// shown is how much of a long line is shown, in characters.
const shown = 140

// window is the part of a long line around a column, and where the column is in it.
func window(line string, column int) (string, int) {
	runes := []rune(line)
	if len(runes) <= shown {
		return line, column
	}
	start := min(max(0, column-shown/2), len(runes)-shown)
	part := string(runes[start : start+shown])
	if start+shown < len(runes) {
		part += "…"
	}
	if start > 0 {
		part, column = "…"+part, column+1
	}
	return part, column - start
}

// indent is as wide as the first column-1 characters of line. Tabs stay tabs, so that the caret
// stands below its character whatever their width.
func indent(line string, column int) string {
	var b strings.Builder
	for _, c := range line {
		if column--; column <= 0 {
			break
		}
		if c != '\t' {
			c = ' '
		}
		b.WriteRune(c)
	}
	return b.String()
}

// printable escapes control characters, which could tell a terminal what to show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// Diagnostics is all that was found in the files of a site, in order of place.
type Diagnostics []Diagnostic

// Errors returns those that keep the policy from being used.
func (ds Diagnostics) Errors() Diagnostics {
	return slices.DeleteFunc(slices.Clone(ds), func(d Diagnostic) bool { return d.Severity != Error })
}

// Without returns those that are of another kind.
func (ds Diagnostics) Without(code string) Diagnostics {
	return slices.DeleteFunc(slices.Clone(ds), func(d Diagnostic) bool { return d.Code == code })
}

// Failed tells whether there is an error among them.
func (ds Diagnostics) Failed() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Err returns ds as an error when there is one among them, else nil.
func (ds Diagnostics) Err() error {
	if ds.Failed() {
		return ds.Errors()
	}
	return nil
}

// Error says how many problems there are, and the first of them.
func (ds Diagnostics) Error() string {
	switch errors := ds.Errors(); len(errors) {
	case 0:
		return "no errors"
	case 1:
		return errors[0].Position() + ": " + errors[0].Message
	default:
		return fmt.Sprintf("%s: %s (and %d more)", errors[0].Position(), errors[0].Message, len(errors)-1)
	}
}

// String renders all of them.
func (ds Diagnostics) String() string {
	var b strings.Builder
	for i := range ds {
		b.WriteString(ds[i].String())
	}
	return b.String()
}

// JSON renders them as a JSON array; an empty one when there are none.
func (ds Diagnostics) JSON() []byte {
	if ds == nil {
		ds = Diagnostics{}
	}
	b, _ := json.MarshalIndent(ds, "", "  ") // strings and numbers only: it cannot fail
	return append(b, '\n')
}

// Problems collects diagnostics. What is said twice of one place, because two devices share the
// line, is kept once.
type Problems struct {
	list   Diagnostics
	seen   map[string]bool
	failed bool
}

// Errorf adds an error.
func (p *Problems) Errorf(at Pos, code, hint, format string, args ...any) {
	p.failed = true
	p.add(at, Diagnostic{Severity: Error, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Notef adds a note.
func (p *Problems) Notef(at Pos, code, hint, format string, args ...any) {
	p.add(at, Diagnostic{Severity: Note, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Secretf adds an error about a line that might hold a secret and is not shown.
func (p *Problems) Secretf(at Pos, code, hint, format string, args ...any) {
	p.failed = true
	d := Diagnostic{Severity: Error, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint, Source: secretReplaced}
	p.add(at, d)
}

func (p *Problems) add(at Pos, d Diagnostic) {
	d.File, d.Line, d.Column = at.name(), at.Line, at.Column
	switch {
	case d.Source == secretReplaced:
		d.Source = ""
	case at.File != nil:
		d.Source = at.File.line(at.Line)
	}
	key := d.Position() + "\x00" + d.Message
	if p.seen[key] {
		return
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[key] = true
	p.list = append(p.list, d)
}

// Failed tells whether an error was added.
func (p *Problems) Failed() bool { return p.failed }

// Diagnostics returns what was collected, in order of place.
func (p *Problems) Diagnostics() Diagnostics {
	slices.SortStableFunc(p.list, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p.list
}
