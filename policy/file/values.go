package file

import (
	"slices"
	"time"
)

// Until is the end of an exception: a day, which is included, or a time. One that could not be
// read has a place and no value.
type Until struct {
	Value time.Time
	At    Pos
}

func (t Until) Set() bool { return t.At.Set() }

func (t *Until) read(n *Node, p *Problems) {
	const hint = "write a day (2027-06-30) or a time (2026-12-01T18:00+01:00)"
	t.At = n.At // so that nobody reports it as missing
	if n.Kind != Word {
		n.wants("a day or a time", hint, p)
		return
	}
	if day, err := time.ParseInLocation(time.DateOnly, n.Value, time.Local); err == nil {
		*t = Until{day.AddDate(0, 0, 1), n.At}
		return
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, n.Value); err == nil {
			*t = Until{at, n.At}
			return
		}
	}
	p.Errorf(n.place(), BadValue, hint, "%q is not a day or a time", n.Value)
}

// Patches is auto, none, or a list of names.
type Patches struct {
	Names []Text
	Word  string // "auto" or "none"; "" with a list
	At    Pos
}

func (t Patches) Set() bool { return t.At.Set() }

func (t *Patches) read(n *Node, p *Problems) {
	if n.Kind == List {
		var names Texts
		names.read(n, p)
		*t = Patches{Names: names.Values, At: n.At}
		return
	}
	if n.Kind != Word || n.Value != "auto" && n.Value != "none" {
		n.wants("auto, none or a list of names", "write auto, none or [name, name]", p)
		return
	}
	*t = Patches{Word: n.Value, At: n.At}
}

// Allow is the list of what a flow lets through.
type Allow struct {
	Verbs    []Verb
	Troubled bool // an entry could not be read, and it was said why
	At       Pos  // of its key
}

func (t Allow) Set() bool { return t.At.Set() }

// Verb is one entry of it: an operation, with what it is limited to.
type Verb struct {
	Name  string
	Index int // in the list, as written
	At    Pos

	Names   Texts // store: SOP classes; message: types
	All     bool  // store: all
	Model   Texts // find, move, get: information models
	To      Texts // move: destinations
	Returns Texts // move, get: SOP classes
}

// takes says how a verb is written.
type takes uint8

const (
	alone   takes = iota // - echo
	named                // - store: [a, b]
	model                // - find: {model: a}
	maybe                // - get, or get: {model: a, returns: [b]}
	destine              // - move: {to: self}
)

// VerbForm is how one verb is written.
type VerbForm struct {
	Name  string
	takes takes
	Like  string // an example
	Means string
}

// Verbs lists what allow may say.
var Verbs = []VerbForm{
	{"commit", alone, "commit", "Storage commitment: the device asks whether its objects are safe (DICOM PS3.4 J)."},
	{"echo", alone, "echo", "Verification (DICOM PS3.4 A)."},
	{"find", model, "find: {model: Study Root}", "Queries (DICOM PS3.4 C and K): model is Study Root, Patient Root or Modality Worklist."},
	{"get", maybe, "get: {model: Study Root}", "Retrieval on the same association (DICOM PS3.4 C)."},
	{"message", named, "message: ORU^R01", "HL7 v2 messages by type and trigger event; ORU^* for any event."},
	{"move", destine, "move: {to: self}", "Retrieval to a destination: self is the device, anything else an AE title (DICOM PS3.4 C)."},
	{"mpps", alone, "mpps", "Modality performed procedure step (DICOM PS3.4 F)."},
	{"print", alone, "print", "Print management (DICOM PS3.4 H)."},
	{"store", named, "store: [CT Image Storage]", "Objects to be stored, by SOP class name or UID; all for every storage SOP class of the standard."},
}

// Keys returns the keys that the verb's map may have and those that it must have, and whether the
// verb may stand alone. A verb without keys that does not stand alone takes names.
func (v *VerbForm) Keys() (keys, needs []string, standsAlone bool) {
	switch v.takes {
	case model:
		return []string{"model"}, []string{"model"}, false
	case maybe:
		return []string{"model", "returns"}, nil, true
	case destine:
		return []string{"model", "returns", "to"}, []string{"to"}, false
	}
	return nil, nil, v.takes == alone
}

func verbNames() (out []string) {
	for _, v := range Verbs {
		out = append(out, v.Name)
	}
	return out
}

func (t *Allow) read(n *Node, p *Problems) {
	t.At = n.Key
	if !t.At.Set() {
		t.At = n.At
	}
	if n.Kind != List {
		t.Troubled = true
		n.wants("a list", "write allow: [echo, store: [CT Image Storage]]", p)
		return
	}
	for i, item := range n.Items {
		v := Verb{Index: i, At: item.At}
		if v.read(item, p) {
			t.Verbs = append(t.Verbs, v)
		} else {
			t.Troubled = true
		}
	}
}

func (v *Verb) read(n *Node, p *Problems) bool {
	var argument *Node
	switch {
	case n.Kind == Word:
		v.Name = n.Value
	case n.Kind == Map && len(n.Entries) == 1:
		v.Name, argument = n.Entries[0].Key, n.Entries[0].Value
		v.At = argument.Key
	case n.Kind == Map:
		n.wants("one operation", "write one operation in an entry", p)
		return false
	default:
		n.wants("an operation", OneOf(verbNames()), p)
		return false
	}
	i := slices.IndexFunc(Verbs, func(known VerbForm) bool { return known.Name == v.Name })
	if i < 0 {
		p.Errorf(v.At, UnknownName, DidYouMean(v.Name, verbNames()), "unknown operation %q", v.Name)
		return false
	}
	return v.argument(argument, &Verbs[i], p)
}

func (v *Verb) argument(n *Node, form *VerbForm, p *Problems) bool {
	hint, how := "write "+form.Like, form.takes
	switch {
	case n != nil && (n.Kind == Nothing || n.Kind == Null):
		p.Errorf(v.At, WrongType, hint, "%s: has no value", v.Name)
		return false
	case how == alone && n != nil:
		p.Errorf(n.At, WrongType, hint, "%s takes nothing", v.Name)
		return false
	case how == alone || how == maybe && n == nil:
		return true
	case n == nil:
		p.Errorf(v.At, WrongType, hint, "%s alone does not say what is allowed", v.Name)
		return false
	case how == named:
		if v.All = v.Name == "store" && n.Kind == Word && n.Value == "all"; !v.All {
			v.Names.read(n, p)
		}
		return v.All || len(v.Names.Values) > 0
	}
	return v.arguments(n, form, hint, p)
}

func (v *Verb) arguments(n *Node, form *VerbForm, hint string, p *Problems) bool {
	if n.Kind != Map {
		n.wants("a map", hint, p)
		return false
	}
	keys, needs, _ := form.Keys()
	into := map[string]*Texts{"model": &v.Model, "returns": &v.Returns, "to": &v.To}
	for _, e := range n.Entries {
		if !slices.Contains(keys, e.Key) {
			p.Errorf(e.Value.Key, UnknownKey, DidYouMean(e.Key, keys), "unknown key %q of %s", e.Key, v.Name)
			continue
		}
		into[e.Key].read(e.Value, p)
	}
	for _, k := range needs {
		if n.Get(k) == nil {
			p.Errorf(v.At, MissingKey, hint, "%s does not say %q", v.Name, k)
			return false
		}
	}
	return true
}
