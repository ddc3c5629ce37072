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
