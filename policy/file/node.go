package file

import (
	"fmt"
	"strings"
)

// File is the text that positions refer to.
type File struct {
	Name  string // relative to the site's directory, with slashes
	lines []string
}

// mark is the byte order mark that some editors put at the start of UTF-8 (YAML 1.2 §5.2).
const mark = "\ufeff"

// NewFile makes a File of a name and its bytes.
func NewFile(name string, text []byte) *File {
	return &File{Name: name, lines: strings.Split(strings.TrimPrefix(string(text), mark), "\n")}
}

// wide tells whether the text is UTF-16: by its byte order mark, or because it starts with an ASCII
// character in two bytes (YAML 1.2 §5.2).
func (f *File) wide() bool {
	start := strings.Join(f.lines[:min(2, len(f.lines))], "\n")
	if len(start) < 2 {
		return false
	}
	big, little := start[0] == 0 && start[1] != 0, start[0] != 0 && start[1] == 0
	return big || little || start[:2] == "\xfe\xff" || start[:2] == "\xff\xfe"
}

// maxSource is how much of a source line a diagnostic shows.
const maxSource = 1000 // characters

func (f *File) line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	l := []rune(strings.TrimRight(f.lines[n-1], "\r"))
	return string(l[:min(len(l), maxSource)])
}

// Pos is a place in a file.
type Pos struct {
	File   *File
	Line   int // from 1; 0 for the file as a whole
	Column int // from 1, in characters
}

func (p Pos) name() string {
	if p.File == nil {
		return ""
	}
	return p.File.Name
}

// String is "devices/ct-3.yaml:14:9".
func (p Pos) String() string {
	if p.Line == 0 {
		return p.name()
	}
	return fmt.Sprintf("%s:%d:%d", p.name(), p.Line, p.Column)
}

// Set tells whether p is a place at all.
func (p Pos) Set() bool { return p.File != nil }

// Kind is the kind of a node.
type Kind uint8

const (
	Null    Kind = iota // written as null or ~
	Nothing             // a key without a value
	Word
	Numeral
	Truth // true or false
	Map
	List
)

var kindNames = [...]string{"null", "nothing", "a text", "a number", "true or false", "a map", "a list"}

func (k Kind) String() string { return kindNames[k] }

// Node is a value in a file.
type Node struct {
	Kind    Kind
	At      Pos
	Key     Pos     // where its key stands, when it is the value of a map's entry
	Value   string  // of a scalar, as written, quotes and escapes resolved
	Quoted  bool    // of a text: it was written in quotes
	Entries []Entry // of a map
	Items   []*Node // of a list
}

// Entry is one key of a map with its value.
type Entry struct {
	Key   string
	Value *Node
}

// Get returns the value of a key of a map, nil when it has none.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			return n.Entries[i].Value
		}
	}
	return nil
}

// place is where a problem with n is shown: its own place, or its key's when it has no text.
func (n *Node) place() Pos {
	if n.Kind == Nothing && n.Key.Set() {
		return n.Key
	}
	return n.At
}
