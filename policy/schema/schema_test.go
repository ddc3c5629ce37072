package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"

	"cordon/policy/file"
)

var update = flag.Bool("update", false, "write the schemas anew")

var kinds = []struct {
	name, title string
	of          reflect.Type
	extends     bool // null removes what a tier says
}{
	{Cordon, "cordon.yaml: what this box is and where it listens", reflect.TypeFor[file.Cordon](), false},
	{Site, "site.yaml: the upstreams of the site", reflect.TypeFor[file.Site](), false},
	{Tier, "tiers/*.yaml: what a class of devices has in common", reflect.TypeFor[file.Tier](), true},
	{Device, "devices/*.yaml: one device, and what differs from its tier", reflect.TypeFor[file.Device](), true},
}

// TestSchemas holds the schemas to the types that files are read into.
func TestSchemas(t *testing.T) {
	for _, k := range kinds {
		want := generate(t, k.of, k.title, k.extends)
		if *update {
			if err := os.WriteFile(FileName(k.name), want, 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !bytes.Equal(For(k.name), want) {
			t.Errorf("%s is not what the types say; run: go generate ./policy/schema", FileName(k.name))
		}
	}
}

func generate(t *testing.T, of reflect.Type, title string, extends bool) []byte {
	t.Helper()
	s, err := jsonschema.ForType(of, &jsonschema.ForOptions{TypeSchemas: scalars()})
	if err != nil {
		t.Fatal(err)
	}
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", title
	refine(s, of, extends)
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// refine adds what the json tag does not say: the values of enum tags, and that null is allowed
// where it removes what a tier says.
func refine(s *jsonschema.Schema, of reflect.Type, extends bool) {
	switch of.Kind() {
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(of) {
			key, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := s.Properties[key]
			if p == nil {
				continue
			}
			refine(p, f.Type, extends)
			if e := f.Tag.Get("enum"); e != "" {
				for _, v := range strings.Split(e, ",") {
					p.Enum = append(p.Enum, v)
				}
			}
			if extends && opts != "" {
				nullable(p)
			}
		}
	case reflect.Map:
		refine(s.AdditionalProperties, of.Elem(), extends)
		if extends {
			nullable(s.AdditionalProperties)
		}
	case reflect.Slice:
		s.Type, s.Types = "array", nil // the generator allows null for a slice
		refine(s.Items, of.Elem(), false)
	}
}

func nullable(s *jsonschema.Schema) {
	switch {
	case len(s.AnyOf) > 0:
		s.AnyOf = append(s.AnyOf, &jsonschema.Schema{Type: "null"})
	case s.Type != "" && s.Type != "null":
		s.Types, s.Type = []string{s.Type, "null"}, ""
	}
	if len(s.Enum) > 0 {
		s.Enum = append(s.Enum, nil)
	}
}

// scalars are the schemas of the types that read themselves.
func scalars() map[reflect.Type]*jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MinLength: jsonschema.Ptr(1), Pattern: pattern}
	}
	orList := func(one *jsonschema.Schema) *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, {Type: "array", Items: one.CloneSchemas(), MinItems: jsonschema.Ptr(1)}}}
	}
	zero := 0.0
	ref := text(`^file:.+$`)
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[file.Text]():     text(""),
		reflect.TypeFor[file.Texts]():    orList(text("")),
		reflect.TypeFor[file.Int]():      {Type: "integer", Minimum: &zero},
		reflect.TypeFor[file.Bool]():     {Type: "boolean"},
		reflect.TypeFor[file.Duration](): text(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`),
		reflect.TypeFor[file.Size](): {AnyOf: []*jsonschema.Schema{
			{Type: "integer", Minimum: &zero}, text(`^[0-9]+ *(B|KiB|MiB|GiB)$`),
		}},
		reflect.TypeFor[file.Ref]():     ref,
		reflect.TypeFor[file.Refs]():    orList(ref),
		reflect.TypeFor[file.Until]():   text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]+(Z|[+-][0-9]{2}:[0-9]{2}))?$`),
		reflect.TypeFor[file.Patches](): {AnyOf: []*jsonschema.Schema{{Type: "string", Enum: []any{"auto", "none"}}, {Type: "array", Items: text("")}}},
		reflect.TypeFor[file.Allow]():   {Type: "array", Items: verb(text, orList), MinItems: jsonschema.Ptr(1)},
	}
}

// verb is the schema of one entry of allow: a word, or a map of one key.
func verb(text func(string) *jsonschema.Schema, orList func(*jsonschema.Schema) *jsonschema.Schema) *jsonschema.Schema {
	words := []any{}
	maps := &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{},
		MinProperties: jsonschema.Ptr(1), MaxProperties: jsonschema.Ptr(1),
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
	for i := range file.Verbs {
		v := &file.Verbs[i]
		if v.Alone {
			words = append(words, v.Name)
		}
		switch {
		case len(v.Keys) > 0:
			maps.Properties[v.Name] = verbKeys(v, text, orList)
		case len(v.Words) > 0:
			maps.Properties[v.Name] = &jsonschema.Schema{Type: "string", Enum: []any{}, Description: v.Means}
			for _, w := range v.Words {
				maps.Properties[v.Name].Enum = append(maps.Properties[v.Name].Enum, w)
			}
		case v.Names:
			maps.Properties[v.Name] = orList(text(""))
			maps.Properties[v.Name].Description = v.Means
		}
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", Enum: words}, maps}}
}

// verbKeys is the schema of what a verb with keys takes.
func verbKeys(v *file.VerbForm, text func(string) *jsonschema.Schema, orList func(*jsonschema.Schema) *jsonschema.Schema) *jsonschema.Schema {
	o := &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}, Description: v.Means,
	}
	zero := 0.0
	for _, k := range v.Keys {
		one := text("")
		switch {
		case k.Kind == file.KeyBool:
			one = &jsonschema.Schema{Type: "boolean"}
		case k.Kind == file.KeyInts:
			one = orList(&jsonschema.Schema{Type: "integer", Minimum: &zero})
		case len(k.Enum) > 0:
			one = &jsonschema.Schema{Type: "string"}
			for _, e := range k.Enum {
				one.Enum = append(one.Enum, e)
			}
			one = orList(one)
		default:
			one = orList(one)
		}
		one.Description = k.Means
		o.Properties[k.Name] = one
		if k.Must {
			o.Required = append(o.Required, k.Name)
		}
	}
	return o
}

// validate holds the documents of a file against the schema of its kind.
func validate(t *testing.T, kind string, text []byte) (problem error) {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(For(kind), &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range strings.Split("\n"+string(text), "\n---") {
		j, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(j, &v); err != nil {
			t.Fatal(err)
		}
		if err := r.Validate(v); err != nil {
			problem = err
		}
	}
	return problem
}

func TestGoodSitesAreValid(t *testing.T) {
	for pattern, kind := range map[string]string{
		"cordon.yaml": Cordon, "site.yaml": Site, "tiers/*.yaml": Tier, "devices/*.yaml": Device,
	} {
		names, _ := filepath.Glob("../testdata/*.good/" + pattern)
		if len(names) == 0 {
			t.Errorf("no %s", pattern)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, kind, b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestWhatIsNotValid(t *testing.T) {
	for _, tt := range []struct{ name, kind, text string }{
		{"unknown key", Cordon, "box: {nam: x}"},
		{"number for a text", Cordon, "box: {name: 12}"},
		{"listener without address", Cordon, "listeners: {a: {protocol: dicom}}"},
		{"unknown protocol", Cordon, "listeners: {a: {address: \":1\", protocol: http}}"},
		{"duration without unit", Cordon, "timers: {idle: 30}"},
		{"size in MB", Cordon, "limits: {hold: 1MB}"},
		{"inline key", Cordon, "tunnels: {mtls: {ca: pki/ca.pem, certificate: \"file:x\", key: \"file:y\"}}"},
		{"float for a version", Cordon, "tunnels: {mtls: {ca: \"file:a\", certificate: \"file:x\", key: \"file:y\", min_version: 1.3}}"},
		{"upstream without tunnel", Site, "upstreams: {pacs: {address: \"a:1\"}}"},
		{"until without a day", Site, "upstreams: {pacs: {address: \"a:1\", tunnel: plain, until: soon}}"},
		{"tier without a name", Tier, "mode: shadow"},
		{"device in a tier's file", Tier, "device: a"},
		{"tier in a device's file", Device, "tier: a"},
		{"unknown mode", Device, "device: a\nmode: strict"},
		{"null name", Device, "device: null"},
		{"allow without list", Device, "device: a\nflows: {x: {to: b, allow: echo}}"},
		{"unknown operation", Device, "device: a\nflows: {x: {to: b, allow: [ech]}}"},
		{"echo with more", Device, "device: a\nflows: {x: {to: b, allow: [echo: all]}}"},
		{"two operations in one", Device, "device: a\nflows: {x: {to: b, allow: [{store: all, find: {model: x}}]}}"},
		{"find without model", Device, "device: a\nflows: {x: {to: b, allow: [find: {}]}}"},
		{"find alone", Device, "device: a\nflows: {x: {to: b, allow: [find]}}"},
		{"pinhole without end", Device, "device: a\nnetwork: [{from: 10.0.0.1, port: tcp/1, reason: x}]"},
	} {
		if validate(t, tt.kind, []byte(tt.text)) == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
}

func TestNullRemovesOnlyWhereTiersExtend(t *testing.T) {
	for _, tt := range []struct {
		kind, text string
		ok         bool
	}{
		{Device, "device: a\nmode: null\nabout: {os: null}\nflows: {x: null, y: {allow: null, mode: null}}", true},
		{Tier, "tier: a\nextends: b\npatches: null\nlimits: {hold: null}\nidentify: null", true},
		{Site, "upstreams: {a: null}", false},
		{Cordon, "limits: {hold: null}", false},
	} {
		if err := validate(t, tt.kind, []byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("%q: %v", tt.text, err)
		}
	}
}

// TestEveryKeyIsDocumented keeps completion in editors useful.
func TestEveryKeyIsDocumented(t *testing.T) {
	var walk func(path []string, s *jsonschema.Schema)
	walk = func(path []string, s *jsonschema.Schema) {
		for key, p := range s.Properties {
			here := append(slices.Clone(path), key)
			if p.Description == "" && !slices.Contains(path, "allow") {
				t.Errorf("%s says nothing", strings.Join(here, "."))
			}
			walk(here, p)
		}
		if s.AdditionalProperties != nil {
			walk(append(slices.Clone(path), "*"), s.AdditionalProperties)
		}
	}
	for _, k := range kinds {
		var s jsonschema.Schema
		if err := json.Unmarshal(For(k.name), &s); err != nil {
			t.Fatal(err)
		}
		walk([]string{k.name}, &s)
	}
}
