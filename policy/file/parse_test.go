package file

import (
	"strings"
	"testing"
)

// Editors put a byte order mark at the start of UTF-8, which is nobody's key; UTF-16 is named.
func TestByteOrderMarks(t *testing.T) {
	wide := func(text string, first, second int) string {
		b := make([]byte, 2*len(text))
		for i := range len(text) {
			b[2*i+first], b[2*i+second] = text[i], 0
		}
		return string(b)
	}
	const text = "device: ct-3\nmode: enforce\n"
	for name, tt := range map[string]struct{ text, says string }{
		"UTF-8":                    {text, ""},
		"UTF-8 with a mark":        {"\xef\xbb\xbf" + text, ""},
		"UTF-16, little end":       {wide(text, 0, 1), "the file is UTF-16"},
		"UTF-16, big end":          {wide(text, 1, 0), "the file is UTF-16"},
		"UTF-16 with a mark":       {"\xff\xfe" + wide(text, 0, 1), "the file is UTF-16"},
		"UTF-16 that is one break": {"\n\x00", "the file is UTF-16"},
		"empty":                    {"", ""},
		"a mark alone":             {"\xef\xbb\xbf", ""},
	} {
		p := new(Problems)
		docs, whole := Parse(NewFile("a.yaml", []byte(tt.text)), p)
		if got := p.Diagnostics().String(); whole != (tt.says == "") || !strings.Contains(got, tt.says) {
			t.Errorf("%s: whole %v\n%s", name, whole, got)
		}
		if len(tt.text) > 4 && whole && (len(docs) != 1 || docs[0].Get("device") == nil || docs[0].At.Column != 1) {
			t.Errorf("%s: %d documents", name, len(docs))
		}
	}
}

// What people write most that is not YAML is told where it stands, with what would be right, and not
// where the parser noticed.
func TestSlipsAreToldWhereTheyAre(t *testing.T) {
	const flow = "device: ct-3\nflows:\n  a:\n    allow:\n      - echo\n"
	for name, tt := range map[string]struct{ text, at, hint string }{
		"a list that another bracket closes":  {"device: ct-3\nae: {titles: [CT3}\nmode: enforce\n", "2:14", "close it with ]"},
		"a list that nothing closes":          {"device: ct-3\nidentify: [10.1.1.1\nmode: [enforce]\n", "2:11", "close it with ]"},
		"a map that nothing closes":           {"device: ct-3 # [\nidentify: {ip: 10.1.1.1 # }\nmode: enforce\n", "2:11", "close it with }"},
		"two that nothing closes":             {"device: ct-3\nae: {titles: [CT3\nmode: enforce\n", "2:14", "close it with ]"},
		"brackets in texts are none":          {"device: ct-3\nabout: a [1\nowner: \"[\"\nname: {a: b\n", "4:7", "close it with }"},
		"an item a little to the left":        {flow + "     - commit\n    to: pacs\n", "6:6", "the dashes of one list need the same indent"},
		"an item far to the left":             {flow + "- commit\n", "6:1", "the dashes of one list need the same indent"},
		"an apostrophe in a flow list":        {"a: ['Patient's Name', Modality]\n", "1:14", `write it in double quotes: "Patient's Name"`},
		"an apostrophe in an item":            {"a:\n  - 'Patient's Name'\n", "2:14", `write it in double quotes: "Patient's Name"`},
		"an apostrophe in a value":            {"a: 'Patient's Name'\n", "1:13", `write it in double quotes: "Patient's Name"`},
		"a key too far to the right":          {"device: ct-3\n  mode: enforce\n", "2:3", "keys of one map need the same indent: here the key above has 0 spaces"},
		"the same behind a comment":           {"device: ct-3\n\n  # why\n  mode: enforce\n", "4:3", "keys of one map need the same indent"},
		"a key too far to the right, further": {"flows:\n  - to: pacs\n      from: ris\n", "3:7", "keys of one map need the same indent: here the key above has 4 spaces"},
		"a colon in a text":                   {"about: a: b\nmode: x\n", "1:8", `a text with ": " in it needs quotes; keys of one map need the same indent`},
		"a word between keys":                 {"device: ct-3\nmode\nstate: active\n", "2:1", "write a key, a colon and a value"},
	} {
		p := new(Problems)
		Parse(NewFile("a.yaml", []byte(tt.text)), p)
		got := p.Diagnostics()
		if len(got) != 1 || got[0].Position() != "a.yaml:"+tt.at || got[0].Hint != tt.hint {
			t.Errorf("%s: want %s, %s; got\n%s", name, tt.at, tt.hint, got)
		}
	}
}

func TestAllowWithoutAList(t *testing.T) {
	for text, want := range map[string]string{
		"allow: print":        "write allow: [print]",
		"allow: store":        "write allow: [store: [CT Image Storage]]",
		"allow: {store: all}": "write allow: [store: [CT Image Storage]]",
		"allow: nonsense":     "write allow: [echo, store: [CT Image Storage]]",
	} {
		p := new(Problems)
		var f Flow
		Decode(parseOne(t, "a.yaml", text), &f, p)
		if got := p.Diagnostics(); len(got) != 1 || got[0].Hint != want {
			t.Errorf("%s: want %s; got\n%s", text, want, got)
		}
	}
}
