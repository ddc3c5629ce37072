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
			n.wants("a list", "", p)
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
	if n.Kind != Map {
		n.wants("a map", "", p)
		return
	}
	setPlace(n, v)
	fields := fieldsOf(v.Type())
	for _, e := range n.Entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.Key })
		switch {
		case i < 0:
			p.Errorf(e.Value.Key, UnknownKey, unknownHint(e.Key, fields), "unknown key %q", e.Key)
		case e.Value.Kind == Null:
			// A removal; after merging there is none left.
		default:
			decode(e.Value, v.Field(fields[i].index), p)
			fields[i].check(e.Value, v.Field(fields[i].index), p)
		}
	}
	for _, f := range fields {
		if f.required && n.Get(f.key) == nil {
			p.Errorf(placeOf(n), MissingKey, f.about, "key %q is missing", f.key)
		}
	}
}

func placeOf(n *Node) Pos {
	if n.Key.Set() {
		return n.Key
	}
	return n.At
}

func unknownHint(key string, fields []field) string {
	var names []string
	for _, f := range fields {
		names = append(names, f.key)
	}
	return DidYouMean(key, names)
}

func decodeMap(n *Node, v reflect.Value, p *Problems) {
	if n.Kind != Map {
		n.wants("a map", "", p)
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Entries))
	for _, e := range n.Entries {
		if e.Value.Kind == Null {
			continue
		}
		one := reflect.New(v.Type().Elem()).Elem()
		decode(e.Value, one, p)
		m.SetMapIndex(reflect.ValueOf(e.Key), one)
	}
	v.Set(m)
}

// field is one key of a struct.
type field struct {
	key      string
	index    int
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
	p.Errorf(n.At, BadValue, DidYouMean(t.Value, slices.Clone(f.enum)), "%q is not a %s", t.Value, f.key)
	v.SetZero()
}

var known = map[reflect.Type][]field{}

func init() {
	// Types are walked once, so that reading ten thousand devices does not parse tags.
	for _, t := range []reflect.Type{reflect.TypeFor[Cordon](), reflect.TypeFor[Site](), reflect.TypeFor[Tier](), reflect.TypeFor[Device]()} {
		learn(t)
	}
}

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
			f := field{key: name, index: sf.Index[0], required: opts == "", about: sf.Tag.Get("jsonschema")}
			if e := sf.Tag.Get("enum"); e != "" {
				f.enum = strings.Split(e, ",")
			}
			fields = append(fields, f)
		}
		known[t] = fields
		for _, f := range fields {
			learn(t.Field(f.index).Type)
		}
	}
}

func fieldsOf(t reflect.Type) []field { return known[t] }
