package file

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxFile     = 16 << 20  // bytes of the largest file that is read
	maxDocument = 256 << 10 // bytes of the largest document in it; the parser is not linear
	maxDepth    = 32        // of maps and lists in each other; a policy has 8
)

// Parse reads the documents of a file. One that cannot be read does not stop the others: the
// text is cut at its document markers first. It returns what could be read, and whether that was
// all of it.
func Parse(f *File, p *Problems) (docs []*Node, whole bool) {
	whole = true
	if size := f.size(); size > maxFile {
		p.Errorf(Pos{File: f}, BadValue, "spread the devices over several files", "the file has %d bytes; at most %d are read", size, maxFile)
		return nil, false
	}
	if f.wide() {
		p.Errorf(Pos{File: f}, Syntax, "save it as UTF-8", "the file is UTF-16")
		return nil, false
	}
	for start := 0; start < len(f.lines); {
		end := start + 1
		for end < len(f.lines) && !marker(f.lines[end]) {
			end++
		}
		n, ok := parseDocument(f, start, end, p)
		if n != nil {
			docs = append(docs, n)
		}
		whole = whole && ok
		start = end
	}
	return docs, whole
}

func (f *File) size() (n int) {
	for _, l := range f.lines {
		n += len(l) + 1
	}
	return n - 1
}

// marker tells whether a line starts a document (YAML 1.2 §9.1.2). Nothing else can stand at
// the first column, not even inside a block of text.
func marker(line string) bool {
	rest, ok := strings.CutPrefix(line, "---")
	return ok && (rest == "" || strings.ContainsAny(rest[:1], " \t\r"))
}

// parseDocument reads lines [start, end) of f.
func parseDocument(f *File, start, end int, p *Problems) (*Node, bool) {
	r := reader{file: f, base: start, problems: p, ok: true}
	text := strings.Join(f.lines[start:end], "\n")
	if len(text) > maxDocument {
		r.fail(Pos{f, start + 1, 1}, "one device, one document", "the document has %d bytes; at most %d are read", len(text), maxDocument)
		return nil, false
	}
	if at, deep := tooDeep(text); deep {
		r.fail(Pos{f, start + at, 1}, "a policy has no more than 8 levels", "maps and lists are nested deeper than %d levels", maxDepth)
		return nil, false
	}
	tree, err := parser.ParseBytes([]byte(text+"\n"), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err, end)
		return nil, false
	}
	for _, d := range tree.Docs {
		if d.Body != nil {
			return r.node(d.Body, 0), r.ok
		}
	}
	return nil, r.ok
}

// tooDeep tells whether brackets or indents nest so deep that the recursive parser would need
// more memory than there is, and in which line. It counts without understanding quotes, which is
// good enough: a policy comes nowhere near.
func tooDeep(text string) (line int, deep bool) {
	open := 0
	for n, l := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(l, " -?:\t")
		if len(l)-len(trimmed) > 8*maxDepth {
			return n + 1, true
		}
		if strings.HasPrefix(trimmed, "#") {
			continue
		}
		for i := range len(l) {
			switch l[i] {
			case '[', '{':
				open++
			case ']', '}':
				open--
			}
			if open > maxDepth {
				return n + 1, true
			}
		}
	}
	return 0, false
}

// reader turns the parser's tree of one document into nodes.
type reader struct {
	file     *File
	base     int // lines before the document
	problems *Problems
	ok       bool
}

func (r *reader) fail(at Pos, hint, format string, args ...any) {
	r.ok = false
	r.problems.Errorf(at, Syntax, hint, format, args...)
}

func (r *reader) pos(t *token.Token) Pos {
	at := Pos{File: r.file, Line: r.base + 1}
	if t != nil && t.Position != nil {
		at.Line = min(r.base+t.Position.Line, len(r.file.lines))
		at.Column = max(t.Position.Column, 1)
	}
	return at
}

func (r *reader) node(n ast.Node, depth int) *Node {
	at := r.pos(n.GetToken())
	if depth > maxDepth {
		r.fail(at, "a policy has no more than 8 levels", "maps and lists are nested deeper than %d levels", maxDepth)
		return &Node{Kind: Null, At: at}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.mapping(n, at, depth)
	case *ast.MappingValueNode:
		out := &Node{Kind: Map, At: at}
		r.entry(out, n, depth, map[string]Pos{})
		return out
	case *ast.SequenceNode:
		out := &Node{Kind: List, At: at}
		for _, v := range n.Values {
			out.Items = append(out.Items, r.node(v, depth+1))
		}
		return out
	case *ast.StringNode:
		quoted := n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
		return &Node{Kind: Word, At: at, Value: n.Value, Quoted: quoted}
	case *ast.LiteralNode:
		return &Node{Kind: Word, At: at, Value: n.Value.Value, Quoted: true}
	case *ast.IntegerNode:
		return &Node{Kind: Numeral, At: at, Value: n.Token.Value}
	case *ast.FloatNode:
		return &Node{Kind: Numeral, At: at, Value: n.Token.Value}
	case *ast.InfinityNode, *ast.NanNode:
		return &Node{Kind: Numeral, At: at, Value: n.GetToken().Value}
	case *ast.BoolNode:
		return &Node{Kind: Truth, At: at, Value: n.Token.Value}
	case *ast.NullNode:
		if n.Token.Type == token.ImplicitNullType {
			return &Node{Kind: Nothing, At: at}
		}
		return &Node{Kind: Null, At: at, Value: n.Token.Value}
	case *ast.AnchorNode, *ast.AliasNode:
		r.fail(at, "use a tier and extends to share lines", "anchors and aliases are not used in policies")
	case *ast.TagNode:
		r.fail(at, "leave the tag out; quotes make a text", "tags are not used in policies")
	default:
		r.fail(at, "", "%s is not used in policies", strings.ToLower(n.Type().String()))
	}
	return &Node{Kind: Null, At: at} // nobody complains about a null again
}

func (r *reader) mapping(n *ast.MappingNode, at Pos, depth int) *Node {
	out := &Node{Kind: Map, At: at}
	seen := map[string]Pos{}
	for _, v := range n.Values {
		r.entry(out, v, depth, seen)
	}
	if !n.IsFlowStyle && len(out.Entries) > 0 { // the parser's token is the first colon
		out.At = out.Entries[0].Value.Key
	}
	return out
}

func (r *reader) entry(into *Node, v *ast.MappingValueNode, depth int, seen map[string]Pos) {
	at := r.pos(v.Key.GetToken())
	if v.Key.IsMergeKey() {
		r.fail(at, "use a tier and extends to share lines", "merge keys (<<) are not used in policies")
		return
	}
	var key string
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		key = k.GetToken().Value
	default:
		r.fail(at, "write a plain word before the colon", "a key must be a text")
		return
	}
	if first, twice := seen[key]; twice {
		r.ok = false
		r.problems.Errorf(at, DuplicateKey, "keep one of the two", "key %q is there twice; first in line %d", key, first.Line)
		return
	}
	seen[key] = at
	value := r.node(v.Value, depth+1)
	value.Key = at
	into.Entries = append(into.Entries, Entry{key, value})
}
