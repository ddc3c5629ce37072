package file

import (
	"strings"
	"testing"
)

func parseOne(t testing.TB, name, text string) *Node {
	t.Helper()
	p := new(Problems)
	docs, whole := Parse(NewFile(name, []byte(text)), p)
	if !whole || len(docs) != 1 {
		t.Fatalf("%s: %d documents\n%s", name, len(docs), p.Diagnostics())
	}
	return docs[0]
}

// bare is a formatted node without its origins.
func bare(n *Node) string {
	var b strings.Builder
	for line := range strings.Lines(Format(n)) {
		line, _, _ = strings.Cut(line, "  # ")
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// TestMerge is the table of merge rules: scalars override, maps merge by key, lists replace, null
// removes.
func TestMerge(t *testing.T) {
	for _, tt := range []struct{ name, base, over, want string }{
		{"a scalar overrides", "mode: shadow\nstate: active", "mode: enforce", "mode: enforce\nstate: active\n"},
		{"a key is added at the end", "a: 1", "b: 2", "a: 1\nb: 2\n"},
		{"maps merge", "ae: {port: 104, titles: [A]}", "ae: {port: 105}", "ae:\n  port: 105\n  titles: [A]\n"},
		{"maps merge all the way down", "a: {b: {c: 1, d: 2}}", "a: {b: {d: 3}}", "a:\n  b:\n    c: 1\n    d: 3\n"},
		{"a list replaces", "allow: [echo, mpps]", "allow: [print]", "allow: [print]\n"},
		{"an empty list replaces", "allow: [echo]", "allow: []", "allow: []\n"},
		{"null removes", "flows: {a: {to: x}, b: {to: y}}", "flows: {a: null}", "flows:\n  b:\n    to: y\n"},
		{"tilde is null", "a: 1\nb: 2", "a: ~", "b: 2\n"},
		{"null removes a map", "a: {b: 1}\nc: 2", "a: null", "c: 2\n"},
		{"null of nothing is nothing", "a: 1", "b: null\nc: {d: null, e: 2}", "a: 1\nc:\n  e: 2\n"},
		{"null removes what a map below has", "a: {b: 1, c: 2}", "a: {b: null}", "a:\n  c: 2\n"},
		{"a scalar replaces a map", "a: {b: 1}", "a: 2", "a: 2\n"},
		{"a map replaces a scalar", "a: 2", "a: {b: 1}", "a:\n  b: 1\n"},
		{"a map replaces a list", "a: [1, 2]", "a: {b: 1}", "a:\n  b: 1\n"},
		{"an empty map adds nothing", "a: {b: 1}", "a: {}", "a:\n  b: 1\n"},
		{"a quoted null is a text", "a: 1", `a: "null"`, "a: \"null\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, over := parseOne(t, "base", tt.base), parseOne(t, "over", tt.over)
			before := bare(base) + bare(over)
			if got := bare(Merge(base, over)); got != tt.want {
				t.Errorf("got:\n%swant:\n%s", got, tt.want)
			}
			if bare(base)+bare(over) != before {
				t.Error("merging changed what was merged")
			}
		})
	}
}

func TestMergeKeepsOrigins(t *testing.T) {
	base := parseOne(t, "tiers/t.yaml", "tier: t\nflows:\n  a:\n    to: x\n    allow:\n      - echo\n      - store: [A,\n          B]\n")
	over := parseOne(t, "devices/d.yaml", "device: d\nflows:\n  a: {mode: enforce}\n")
	want := `tier: t            # tiers/t.yaml:1
flows:             # devices/d.yaml:2
  a:               # devices/d.yaml:3
    to: x          # tiers/t.yaml:4
    allow:         # tiers/t.yaml:5
      - echo       # tiers/t.yaml:6
      - store:     # tiers/t.yaml:7
          - A      # tiers/t.yaml:7
          - B      # tiers/t.yaml:8
    mode: enforce  # devices/d.yaml:3
device: d          # devices/d.yaml:1
`
	if got := Format(Merge(base, over)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// FuzzFormat: what is read and written reads back as the same.
func FuzzFormat(f *testing.F) {
	f.Add("a: 1\nb: [x, \"y: z\", {c: d}]\ne:\n  - f: g\n    h: ~\n  - - i\n    - j\nk: |\n  text\n  more\n")
	f.Add("\"a b\": '#'\nc: \"\\x01\\n\\u00e9\"\nd: - e\n")
	f.Add("a: 0x10\nb: 1e3\nc: true\nd: .nan\ne: 2027-06-30\nf: \"\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		docs, whole := Parse(NewFile("x", []byte(text)), new(Problems))
		if !whole || len(docs) != 1 || docs[0].Kind != Map || len(docs[0].Entries) == 0 {
			return
		}
		once := Format(docs[0])
		p := new(Problems)
		again, whole := Parse(NewFile("x", []byte(once)), p)
		if !whole || len(again) != 1 {
			t.Fatalf("%q was written as\n%s\nwhich does not read back:\n%s", text, once, p.Diagnostics())
		}
		if !same(docs[0], again[0]) {
			t.Fatalf("%q was written as\n%s\nwhich reads differently", text, once)
		}
	})
}

// same tells whether two trees say the same. Nothing and null are one once they are written.
func same(a, b *Node) bool {
	if a.Kind == Nothing || a.Kind == Null {
		return b.Kind == Nothing || b.Kind == Null
	}
	if a.Kind != b.Kind || a.Value != b.Value || len(a.Entries) != len(b.Entries) || len(a.Items) != len(b.Items) {
		return false
	}
	for i := range a.Entries {
		if a.Entries[i].Key != b.Entries[i].Key || !same(a.Entries[i].Value, b.Entries[i].Value) {
			return false
		}
	}
	for i := range a.Items {
		if !same(a.Items[i], b.Items[i]) {
			return false
		}
	}
	return true
}
