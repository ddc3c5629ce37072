package file

import (
	"reflect"
	"slices"
	"strings"
)

// reads is what a type that reads itself implements.
type reads interface{ read(*Node, *Problems) }

// Decode fills *into from n, strictly: an unknown key, a missing one, a wrong type and a value
// that is not in a key's list are errors. What has an error is left out.
func Decode(n *Node, into any, p *Problems) {
	decode(n, reflect.ValueOf(into).Elem(), p)
}

func decode(n *Node, v reflect.Value, p *Problems) {
	if n.Kind == Nothing {
		p.Errorf(n.place(), WrongType, "give it a value, write null to remove what it extends, or take the key out", "the key has no value")
		return
	}
	if r, ok := v.Addr().Interface().(reads); ok {
		r.read(n, p)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		decodeStruct(n, v, p)
	case reflect.Map:
		decodeMap(n, v, p)
	case reflect.Slice:
		if n.Kind != List {
			n.wants("a list", "start each entry with a dash on a line of its own", p)
			return
		}
		for _, item := range n.Items {
			one := reflect.New(v.Type().Elem()).Elem()
			decode(item, one, p)
			v.Set(reflect.Append(v, one))
		}
	default:
		panic("file: no reading of " + v.Type().String())
	}
}

// setPlace sets the field At of a struct, which says where its key stands.
func setPlace(n *Node, v reflect.Value) {
	if f := v.FieldByName("At"); f.IsValid() {
		at := n.Key
		if !at.Set() {
			at = n.At
		}
		f.Set(reflect.ValueOf(at))
	}
}

func decodeStruct(n *Node, v reflect.Value, p *Problems) {
	fields := known[v.Type()]
	if n.Kind != Map {
		n.wants("a map", "its keys are "+strings.Join(names(fields), ", "), p)
		return
	}
	setPlace(n, v)
	have := map[string]bool{}
	for _, e := range n.Entries {
		f := find(fields, e.Key)
		if f == nil {
			p.Errorf(e.Value.Key, UnknownKey, DidYouMean(e.Key, names(fields)), "unknown key %q", e.Key)
			// Read it as what was probably meant, so that its own problems show too and it is
			// not reported as missing.
			meant := Suggest(e.Key, names(fields))
			if f = find(fields, meant); f == nil || n.Get(meant) != nil {
				continue
			}
		}
		have[f.key] = true
		if e.Value.Kind == Null { // a removal; after merging there is none left
			continue
		}
		into := v.FieldByIndex(f.index)
		decode(e.Value, into, p)
		f.check(e.Value, into, p)
	}
	for _, f := range fields {
		if f.required && !have[f.key] {
			p.Errorf(placeOf(n), MissingKey, f.about, "key %q is missing", f.key)
		}
	}
}

func find(fields []field, key string) *field {
	for i := range fields {
		if fields[i].key == key {
			return &fields[i]
		}
	}
	return nil
}

func names(fields []field) (keys []string) {
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return keys
}

func placeOf(n *Node) Pos {
	if n.Key.Set() {
		return n.Key
	}
	return n.At
}

func decodeMap(n *Node, v reflect.Value, p *Problems) {
	if n.Kind != Map {
		n.wants("a map", "write name: value, each on a line of its own, indented", p)
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Entries))
	for _, e := range n.Entries {
		if e.Value.Kind == Null {
			continue
		}
		one := reflect.New(v.Type().Elem()).Elem()
		decode(e.Value, one, p)
		if one.Kind() == reflect.Struct && one.IsZero() {
			continue // it is something else altogether, and it was said
		}
		m.SetMapIndex(reflect.ValueOf(e.Key), one)
	}
	v.Set(m)
}

// field is one key of a struct.
type field struct {
	key      string
	index    []int
	required bool
	about    string   // the jsonschema tag
	enum     []string // the values it may have; none: any
}

// check holds a value against the key's list.
func (f *field) check(n *Node, v reflect.Value, p *Problems) {
	t, ok := v.Interface().(Text)
	if !ok || !t.Set() || len(f.enum) == 0 || slices.Contains(f.enum, t.Value) {
		return
	}
	p.Errorf(n.At, BadValue, DidYouMean(t.Value, slices.Clone(f.enum)), "%q is not a value of %s", t.Value, f.key)
	v.SetZero()
}

var known = map[reflect.Type][]field{}

func init() {
	// Types are walked once, so that reading ten thousand devices does not parse tags.
	learnFor[Cordon]()
	learnFor[Site]()
	learnFor[Tier]()
	learnFor[Device]()
}

func learnFor[T any]() { learn(reflect.TypeFor[T]()) }

func learn(t reflect.Type) {
	switch t.Kind() {
	case reflect.Map, reflect.Slice:
		learn(t.Elem())
	case reflect.Struct:
		if known[t] != nil {
			return
		}
		fields := []field{}
		for _, sf := range reflect.VisibleFields(t) {
			name, opts, _ := strings.Cut(sf.Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			f := field{key: name, index: sf.Index, required: opts == "", about: sf.Tag.Get("jsonschema")}
			if e := sf.Tag.Get("enum"); e != "" {
				f.enum = strings.Split(e, ",")
			}
			fields = append(fields, f)
		}
		known[t] = fields
		for _, f := range fields {
			learn(t.FieldByIndex(f.index).Type)
		}
	}
}
