package file

import (
	"strconv"
	"strings"
)

// Format writes a map as YAML, in blocks, each line with its origin behind it:
//
//	mode: enforce                   # devices/ct-3.yaml:3
//	flows:                          # tiers/imaging-xp.yaml:6
func Format(n *Node) string {
	var f formatter
	f.entries(n, 0)
	return f.String()
}

type formatter struct{ lines []formatted }

type formatted struct {
	text string
	at   Pos
}

// column is where origins begin, unless a line is longer.
const column = 56

func (f *formatter) String() string {
	width := 0
	for _, l := range f.lines {
		width = max(width, min(len(l.text), column))
	}
	var b strings.Builder
	for _, l := range f.lines {
		b.WriteString(l.text)
		b.WriteString(strings.Repeat(" ", max(0, width-len(l.text))))
		b.WriteString("  # " + l.at.name() + ":" + strconv.Itoa(l.at.Line) + "\n")
	}
	return b.String()
}

func (f *formatter) line(indent int, text string, at Pos) {
	f.lines = append(f.lines, formatted{strings.Repeat(" ", indent) + text, at})
}

func (f *formatter) entries(n *Node, indent int) {
	for _, e := range n.Entries {
		f.value(quoteKey(e.Key)+":", e.Value, indent, indent+2)
	}
}

// value writes a value behind what leads to it: its key, or the dash of a list.
func (f *formatter) value(lead string, n *Node, indent, below int) {
	at := n.At
	if n.Key.Set() {
		at = n.Key
	}
	switch {
	case n.Kind == Map && len(n.Entries) > 0:
		f.line(indent, lead, at)
		f.entries(n, below)
	case n.Kind == List && !inline(n):
		f.line(indent, lead, at)
		for _, item := range n.Items {
			f.item(item, below)
		}
	default:
		f.line(indent, lead+" "+flow(n), at)
	}
}

// item writes an item of a list. The first entry of a map stands behind the dash.
func (f *formatter) item(n *Node, indent int) {
	if n.Kind != Map || len(n.Entries) == 0 {
		f.value("-", n, indent, indent+2)
		return
	}
	first, rest := n.Entries[0], *n
	rest.Entries = n.Entries[1:]
	f.value("- "+quoteKey(first.Key)+":", first.Value, indent, indent+4)
	f.entries(&rest, indent+2)
}

// inline tells whether a list fits on its line: scalars that stand on one line already.
func inline(n *Node) bool {
	for _, item := range n.Items {
		if item.Kind == Map || item.Kind == List || item.At.Line != n.Items[0].At.Line || item.At.File != n.Items[0].At.File {
			return false
		}
	}
	return true
}

// Inline writes a value as YAML on one line, without origins: {from: pacs, allow: [echo, store: all]}.
func Inline(n *Node) string { return flow(n) }

// flow writes a value on one line.
func flow(n *Node) string {
	switch n.Kind {
	case Null, Nothing:
		return "null"
	case Map:
		var entries []string
		for _, e := range n.Entries {
			entries = append(entries, quoteKey(e.Key)+": "+flow(e.Value))
		}
		return "{" + strings.Join(entries, ", ") + "}"
	case List:
		var items []string
		for _, item := range n.Items {
			text := flow(item)
			if item.Kind == Map && len(item.Entries) == 1 { // needs no braces there
				text = text[1 : len(text)-1]
			}
			items = append(items, text)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case Word:
		if n.Quoted || !plain(n.Value) {
			return Quote(n.Value)
		}
	}
	return n.Value
}

func quoteKey(k string) string {
	if plain(k) {
		return k
	}
	return Quote(k)
}

// plain tells whether a text needs no quotes, wherever it stands.
func plain(s string) bool {
	if s == "" || strings.Contains(s, ": ") || strings.HasSuffix(s, ":") || strings.HasPrefix(s, "-") || strings.TrimSpace(s) != s {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune(" /_.:+()^-", rune(c)) {
			return false
		}
	}
	return true
}

// Quote writes a text in double quotes (YAML 1.2 §7.3.1).
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			b.WriteString(`\x` + strings.ToUpper(strconv.FormatInt(int64(r)+0x100, 16)[1:]))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
