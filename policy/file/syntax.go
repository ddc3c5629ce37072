package file

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// syntaxHints says what would be right for what people write most.
var syntaxHints = []struct{ message, hint string }{
	{"cannot start any token", "indent with spaces, not with tabs"},
	{"'@' is a reserved character", "put the text in quotes"},
	{"'`' is a reserved character", "put the text in quotes"},
	{"mapping value is not allowed in this context", `a text with ": " in it needs quotes; keys of one map need the same indent`},
	{"value is not allowed in this context", "keys of one map need the same indent"},
	{"non-map value is specified", "write a key, a colon and a value"},
	{"must be specified", "separate entries with commas; put a text with other signs in it in quotes"},
	{"not found", "close what was opened here"},
	{"could not find", "close what was opened here"},
	{"unexpected directive", "put the text in quotes"},
}

// syntax reports what the parser could not read, in lines [base, end) of the file. Where the lines show
// a slip that the parser notices late, or names by what it led to, the slip is what is reported.
func (r *reader) syntax(err error, end int) {
	message, at := err.Error(), Pos{File: r.file, Line: r.base + 1, Column: 1}
	var e yaml.Error
	if errors.As(err, &e) {
		message, at = e.GetMessage(), r.pos(e.GetToken())
	}
	line := r.file.line(at.Line)
	if text := apostrophe(line); text != "" {
		r.fail(at, "write it in double quotes: "+Quote(text), "not valid YAML: a text in single quotes ends at its first apostrophe")
		return
	}
	if open, closing, found := r.unclosed(end); found && open.Line <= at.Line && !strings.Contains(message, "quoted text") {
		r.fail(open, "close it with "+closing, "not valid YAML: what opens here is not closed")
		return
	}
	if strings.Contains(message, "mapping value is not allowed") {
		if next, above, found := r.overIndented(at.Line, end); found {
			r.fail(next, "keys of one map need the same indent: here the key above has "+spaces(above), "not valid YAML: a key with an indent of %s", spaces(next.Column-1))
			return
		}
	}
	hint := ""
	for _, h := range syntaxHints {
		if strings.Contains(message, h.message) {
			hint = h.hint
			break
		}
	}
	if strings.HasPrefix(strings.TrimLeft(line, " "), "- ") && (strings.HasSuffix(hint, "same indent") || strings.Contains(message, "non-map value")) {
		hint = "the dashes of one list need the same indent"
	}
	r.fail(at, hint, "not valid YAML: %s", strings.ReplaceAll(message, "\t", `\t`))
}

func spaces(n int) string {
	if n == 1 {
		return "1 space"
	}
	return fmt.Sprintf("%d spaces", n)
}

var innerApostrophe = regexp.MustCompile(`(?:^|[\s\[{,:-])'([^']*\pL)'(\pL[^']*)'`)

// apostrophe returns a text in single quotes with an apostrophe in it; "" where a line has none.
func apostrophe(line string) string {
	if m := innerApostrophe.FindStringSubmatch(line); m != nil {
		return m[1] + "'" + m[2]
	}
	return ""
}

// unclosed finds the bracket that is not closed, and what would close it. It leaves out what stands in
// quotes and comments, and brackets inside a text.
func (r *reader) unclosed(end int) (open Pos, closing string, found bool) {
	type bracket struct {
		at    Pos
		close byte
	}
	var stack []bracket
	var quote byte
	for n := r.base; n < end; n++ {
		before := byte(' ') // the last character that is no space
		line := r.file.lines[n]
		for i := 0; i < len(line); i++ {
			c := line[i]
			switch {
			case quote != 0:
				if c == '\\' && quote == '"' {
					i++
				} else if c == quote {
					quote = 0
				}
			case c == '#' && (i == 0 || line[i-1] == ' '):
				i = len(line)
			case (c == '"' || c == '\'') && starts(before):
				quote = c
			case (c == '[' || c == '{') && (len(stack) > 0 || starts(before)):
				at := Pos{r.file, n + 1, utf8.RuneCountInString(line[:i]) + 1}
				stack = append(stack, bracket{at, c + 2}) // ASCII has ] and } two behind
			case (c == ']' || c == '}') && len(stack) > 0:
				if last := stack[len(stack)-1]; last.close != c {
					return last.at, string(last.close), true
				}
				stack = stack[:len(stack)-1]
			}
			if c != ' ' && c != '\t' {
				before = c
			}
		}
	}
	if len(stack) == 0 {
		return Pos{}, "", false
	}
	first := stack[0]
	for _, b := range stack {
		if b.at.Line == first.at.Line {
			first = b // the inner one has to be closed first
		}
	}
	return first.at, string(first.close), true
}

// starts tells whether a value may start behind a character.
func starts(before byte) bool { return strings.IndexByte(" [{,:-?", before) >= 0 }

// overIndented finds the key below a line that is indented further than that line's own, which has a
// value already, and the indent of that one.
func (r *reader) overIndented(line, end int) (key Pos, above int, found bool) {
	indent := func(l string) int { return len(l) - len(strings.TrimLeft(l, " ")) }
	above = indent(strings.Replace(r.file.line(line), "- ", "  ", 1))
	for n := line; n < end; n++ {
		l := r.file.lines[n]
		text := strings.TrimSpace(l)
		if text == "" || text[0] == '#' {
			continue
		}
		name, _, isKey := strings.Cut(text, ":")
		found = isKey && !strings.ContainsAny(name, " \"'[]{}") && indent(l) > above
		return Pos{r.file, n + 1, indent(l) + 1}, above, found
	}
	return Pos{}, 0, false
}
