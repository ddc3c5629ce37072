package file

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The scalars remember where they stand. The zero value of each means that the key is not there.

// Text is a text.
type Text struct {
	Value string
	At    Pos
}

// Texts is one text or a list of them.
type Texts struct {
	Values []Text
	At     Pos
}

// Strings returns the values alone.
func (t Texts) Strings() []string {
	out := make([]string, 0, len(t.Values))
	for _, v := range t.Values {
		out = append(out, v.Value)
	}
	return out
}

// Int is a whole number that is not negative.
type Int struct {
	Value int
	At    Pos
}

// Ints is one number or a list of them.
type Ints struct {
	Values []Int
	At     Pos
}

// Bool is true or false.
type Bool struct {
	Value bool
	At    Pos
}

// Duration is a time to wait: 30s, 10m, 1h30m.
type Duration struct {
	Value time.Duration
	At    Pos
}

// Size is a number of bytes that is not negative: 65536, 64KiB, 16MiB.
type Size struct {
	Value int64
	At    Pos
}

// Ref points to a secret or a certificate; a policy never holds one itself.
type Ref struct {
	Path string // of a file, as written, without "file:"
	At   Pos
}

// Refs is one reference or a list of them.
type Refs struct {
	Values []Ref
	At     Pos
}

func (t Text) Set() bool     { return t.At.Set() }
func (t Texts) Set() bool    { return t.At.Set() }
func (t Int) Set() bool      { return t.At.Set() }
func (t Ints) Set() bool     { return t.At.Set() }
func (t Bool) Set() bool     { return t.At.Set() }
func (t Duration) Set() bool { return t.At.Set() }
func (t Size) Set() bool     { return t.At.Set() }
func (t Ref) Set() bool      { return t.At.Set() }
func (t Refs) Set() bool     { return t.At.Set() }

// wants reports that a node is not what its key takes.
func (n *Node) wants(what, hint string, p *Problems) {
	p.Errorf(n.place(), WrongType, hint, "%s where %s is expected", n.Kind, what)
}

func (t *Text) read(n *Node, p *Problems) {
	switch {
	case n.Kind == Numeral || n.Kind == Truth:
		n.wants("a text", fmt.Sprintf("put it in quotes: %q", n.Value), p)
	case n.Kind != Word:
		n.wants("a text", "write one value", p)
	case n.Value == "":
		p.Errorf(n.place(), BadValue, "write a value, or leave the key out", "the text is empty")
	default:
		*t = Text{n.Value, n.At}
	}
}

func (t *Texts) read(n *Node, p *Problems) {
	t.At = n.At
	eachOf(n, "name at least one", p, func(item *Node) {
		var one Text
		if one.read(item, p); one.Set() {
			t.Values = append(t.Values, one)
		}
	})
}

// eachOf reads the items of a list, or a value that stands alone as its only one.
func eachOf(n *Node, hint string, p *Problems, read func(*Node)) {
	if n.Kind != List {
		read(n)
		return
	}
	for _, item := range n.Items {
		read(item)
	}
	if len(n.Items) == 0 {
		p.Errorf(n.place(), BadValue, hint+", or leave the key out", "the list is empty")
	}
}

func (t *Int) read(n *Node, p *Problems) {
	if n.Kind != Numeral {
		n.wants("a number", "write digits only, without quotes", p)
		return
	}
	v, err := strconv.ParseInt(n.Value, 10, 32)
	if err != nil || v < 0 {
		p.Errorf(n.place(), BadValue, "write digits only", "%q is not a whole number from 0 to %d", n.Value, math.MaxInt32)
		return
	}
	*t = Int{int(v), n.At}
}

func (t *Ints) read(n *Node, p *Problems) {
	t.At = n.At
	eachOf(n, "write at least one number", p, func(item *Node) {
		var one Int
		if one.read(item, p); one.Set() {
			t.Values = append(t.Values, one)
		}
	})
}

func (t *Bool) read(n *Node, p *Problems) {
	if n.Kind != Truth {
		n.wants("true or false", "write true or false, without quotes", p)
		return
	}
	*t = Bool{n.Value == "true" || n.Value == "True" || n.Value == "TRUE", n.At}
}

// longest is the longest wait that is accepted. What lives longer is a mistake in the unit.
const longest = 7 * 24 * time.Hour

func (t *Duration) read(n *Node, p *Problems) {
	const hint = "write a number with its unit, such as 30s, 10m or 1h30m"
	if n.Kind != Word {
		n.wants("a duration", hint, p)
		return
	}
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		p.Errorf(n.place(), BadValue, hint, "%q is not a duration", n.Value)
		return
	}
	if v <= 0 || v > longest {
		p.Errorf(n.place(), BadValue, "write something above 0 and up to 168h", "%q is not a time to wait", n.Value)
		return
	}
	*t = Duration{v, n.At}
}

// units are the suffixes of a size, longest first.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1},
}

func (t *Size) read(n *Node, p *Problems) {
	const hint = "write bytes, or a number with KiB, MiB or GiB, such as 256KiB"
	if n.Kind != Word && n.Kind != Numeral {
		n.wants("a size", hint, p)
		return
	}
	digits, unit := n.Value, int64(1)
	for _, u := range units {
		if s, ok := strings.CutSuffix(n.Value, u.suffix); ok {
			digits, unit = strings.TrimRight(s, " "), u.bytes
			break
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 0 || v > math.MaxInt64/unit {
		p.Errorf(n.place(), BadValue, hint, "%q is not a size", n.Value)
		return
	}
	*t = Size{v * unit, n.At}
}

func (t *Ref) read(n *Node, p *Problems) {
	const hint = "write file: and the path of the file that holds it, such as file:pki/ca.pem"
	if n.Kind != Word {
		p.Secretf(n.place(), WrongType, hint, "%s where a file: reference is expected", n.Kind)
		return
	}
	scheme, path, _ := strings.Cut(n.Value, ":")
	switch {
	case scheme == "file" && path != "" && !strings.ContainsAny(path, "\n\r"):
		*t = Ref{path, n.At}
	case scheme == "pkcs11" || scheme == "tpm":
		p.Secretf(n.place(), NotAvailable, hint, "%s: references are not available in this version", scheme)
	default:
		p.Secretf(n.place(), BadValue, hint, "this is not a file: reference; a policy never holds a secret itself")
	}
}

func (t *Refs) read(n *Node, p *Problems) {
	items := []*Node{n}
	if n.Kind == List {
		items = n.Items
	}
	t.At = n.At
	for _, item := range items {
		var one Ref
		if one.read(item, p); one.Set() {
			t.Values = append(t.Values, one)
		}
	}
	if n.Kind == List && len(n.Items) == 0 {
		p.Errorf(n.place(), BadValue, "name at least one", "the list is empty")
	}
}
