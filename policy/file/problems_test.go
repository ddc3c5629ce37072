package file

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestSuggest(t *testing.T) {
	names := []string{"address", "certificate", "enforce", "listeners", "mode", "name", "shadow"}
	for word, want := range map[string]string{
		"adress": "address", "modus": "mode", "listner": "listeners", "nmae": "name", "cert": "certificate",
		"shaodw": "shadow", "zzzz": "", "": "", "x": "", "ENFORCE": "",
	} {
		if got := Suggest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestDiagnosticIsDrawnLikeACompilersOne(t *testing.T) {
	f := NewFile("devices/ü.yaml", []byte("a: b\n\t\"é\": {mod: enforce}\r\n"+strings.Repeat("x", 300)))
	for _, tt := range []struct {
		name string
		at   Pos
		want string
	}{
		{"tabs and accents", Pos{f, 2, 8}, "devices/ü.yaml:2:8: error: found\n    2 | \t\"é\": {mod: enforce}\n      | \t      ^\n    hint: right\n"},
		{"the file as a whole", Pos{File: f}, "devices/ü.yaml: error: found\n    hint: right\n"},
		{"a long line", Pos{f, 3, 200}, "devices/ü.yaml:3:200: error: found\n    3 | …" + strings.Repeat("x", 140) + "…\n      | " + strings.Repeat(" ", 70) + "^\n    hint: right\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := new(Problems)
			p.Errorf(tt.at, BadValue, "right", "found")
			if got := p.Diagnostics().String(); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestControlCharactersAreNotShown(t *testing.T) {
	f := NewFile("a", []byte("x: \"\x1b[31m\x07\u009b\"\n"))
	p := new(Problems)
	p.Errorf(Pos{f, 1, 4}, BadValue, "not \x1b", "found \x1b[2J")
	if s := p.Diagnostics().String(); strings.ContainsAny(s, "\x1b\x07\u009b") {
		t.Errorf("%q", s)
	}
}

func TestProblemsAreSortedAndSaidOnce(t *testing.T) {
	f, g := NewFile("b", []byte("1\n2\n3")), NewFile("a", []byte("1"))
	p := new(Problems)
	p.Errorf(Pos{f, 3, 1}, BadValue, "", "late")
	p.Errorf(Pos{f, 1, 2}, BadValue, "", "early")
	p.Notef(Pos{g, 1, 1}, Remark, "", "other file")
	p.Errorf(Pos{f, 3, 1}, BadValue, "", "late")
	ds := p.Diagnostics()
	if len(ds) != 3 || ds[0].Message != "other file" || ds[1].Message != "early" || ds[2].Message != "late" {
		t.Errorf("%v", ds)
	}
	if len(ds.Errors()) != 2 || !ds.Failed() || ds.Err() == nil || ds[:1].Failed() || ds[:1].Err() != nil {
		t.Error("errors and notes are mixed up")
	}
	if got := ds.Error(); got != "b:1:2: early (and 1 more)" {
		t.Errorf("%q", got)
	}
	var back []map[string]any
	if err := json.Unmarshal(ds.JSON(), &back); err != nil || len(back) != 3 || back[1]["line"] != 1.0 || back[1]["severity"] != "error" {
		t.Errorf("%v: %s", err, ds.JSON())
	}
	if string(Diagnostics(nil).JSON()) != "[]\n" {
		t.Error("no diagnostics are an empty array")
	}
}

// TestHostileYAML: what would cost a recursive parser its stack or a day of work is refused first.
func TestHostileYAML(t *testing.T) {
	for name, text := range map[string]string{
		"brackets":     strings.Repeat("[", 1<<20),
		"braces":       strings.Repeat("{a: ", 1<<18),
		"dashes":       strings.Repeat("- ", 1<<18),
		"question":     strings.Repeat("? ", 1<<18),
		"over lines":   strings.Repeat("a: [\n", 1<<16),
		"one document": strings.Repeat("a: b\n", 1<<17),
		"a whole file": strings.Repeat("---\na: b\n", 1<<21),
		"nested blocks": func() (s string) {
			for i := range 300 {
				s += strings.Repeat(" ", i) + "a:\n"
			}
			return
		}(),
	} {
		p := new(Problems)
		if _, whole := Parse(NewFile("x", []byte(text)), p); whole || !p.Failed() {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestScalars(t *testing.T) {
	type all struct {
		D Duration `json:"d,omitempty"`
		S Size     `json:"s,omitempty"`
		U Until    `json:"u,omitempty"`
		I Int      `json:"i,omitempty"`
		B Bool     `json:"b,omitempty"`
		R Ref      `json:"r,omitempty"`
	}
	learnFor[all]()
	read := func(text string) (a all, failed bool) {
		p := new(Problems)
		Decode(parseOne(t, "x", text), &a, p)
		return a, p.Failed()
	}
	a, failed := read("d: 1h30m\ns: 16 MiB\nu: 2026-12-01T18:00+01:00\ni: 7\nb: false\nr: \"file:a b\"")
	if failed || a.D.Value != 90*time.Minute || a.S.Value != 16<<20 || a.I.Value != 7 || a.B.Value || !a.B.Set() || a.R.Path != "a b" ||
		!a.U.Value.Equal(time.Date(2026, 12, 1, 17, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", a)
	}
	if a, _ := read("u: 2027-06-30\ns: 512"); a.U.Value.Add(-time.Second).Day() != 30 || a.S.Value != 512 {
		t.Error("a day is included; a size without a unit is in bytes")
	}
	for _, text := range []string{
		"d: 10", "d: ten", "d: -1s", "d: 0s", "d: 9999h", "s: 1MB", "s: -1", "s: 1.5MiB", "s: 9999999999999GiB", "s: [1]",
		"u: 2027-13-01", "u: 12", "i: 1.5", "i: 0x10", "i: -1", "i: 99999999999", "i: a", "b: yes", "b: 1", "r: \"file:\"", "r: a", "r: 12", "r: tpm:x",
	} {
		if _, failed := read(text); !failed {
			t.Errorf("%s: accepted", text)
		}
	}
}
