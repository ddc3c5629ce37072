// Package appliance_test holds the house rules: which way imports run, what is a program, what
// may lie at the top. Each ban carries its reason, so that whoever breaks one reads why it is
// there.
package appliance_test

import (
	"bytes"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = ".." // of the repository, from here

// A ban keeps packages from importing others. Names are of directories of this repository, or
// import paths of the standard library and of modules; each stands for what is below it too.
type ban struct {
	in      []string
	except  []string // packages below in that may; path.Match patterns
	imports []string
	tests   bool // holds for test files too
	why     string
}

var bans = []ban{
	{
		in:      []string{"protocols"},
		imports: []string{"cordon/policy", "cordon/tunnels", "cordon/gateway", "cordon/appliance", "cordon/bench"},
		tests:   true,
		why:     "a protocol declares the Rules it consults; who implements them, and how bytes travel, is not its business",
	},
	{
		in:      []string{"protocols"},
		except:  []string{"protocols/*/endpoint"},
		imports: []string{"net", "os", "io/fs", "time", "context", "log", "sync", "math/rand", "crypto/rand", "runtime", "syscall", "unsafe"},
		why:     "a conversation is a pure machine over bytes: no socket, clock, goroutine, lock, log or chance, so that any stream can be played again",
	},
	{
		in:      []string{"protocols", "tunnels", "gateway"},
		imports: []string{"github.com/suyashkumar/dicom"},
		why:     "it panics on some inputs; it may help tools and tests, never touch live bytes",
	},
	{
		in:      []string{"policy"},
		imports: []string{"cordon/tunnels", "cordon/gateway", "cordon/appliance", "cordon/bench"},
		tests:   true,
		why:     "policy turns files into rules over facts; it must compile and be tested where nothing runs",
	},
	{
		in:      []string{"tunnels"},
		imports: []string{"cordon/protocols", "cordon/policy", "cordon/gateway", "cordon/appliance", "cordon/bench"},
		tests:   true,
		why:     "a tunnel moves bytes that it does not understand, for whoever dials or listens",
	},
	{
		in:      []string{"gateway"},
		imports: []string{"cordon/appliance", "cordon/bench"},
		tests:   true,
		why:     "the running heart does not know what an operator meets, so that it can be embedded and tested alone",
	},
	{
		in:      []string{"bench"},
		imports: []string{"cordon/appliance"},
		tests:   true,
		why:     "a benchmark runs the binary as a hospital would, beside its peers",
	},
	{
		in:      []string{"appliance"},
		except:  []string{"appliance/cordon"}, // runs it: cordon bench
		imports: []string{"cordon/bench"},
		tests:   true,
		why:     "what serves does not lean on what measures",
	},
}

func TestImportsRunOneWay(t *testing.T) {
	for _, f := range goFiles(t) {
		dir := path.Dir(f.name)
		for _, b := range bans {
			if !slices.ContainsFunc(b.in, func(in string) bool { return below(dir, in) }) ||
				f.test && !b.tests || matches(b.except, dir) {
				continue
			}
			for _, imp := range f.imports() {
				if slices.ContainsFunc(b.imports, func(banned string) bool { return below(imp, banned) && !harmless[imp] }) {
					t.Errorf("%s imports %s: %s", f.name, imp, b.why)
				}
			}
		}
	}
}

// harmless lists packages below a banned one that are pure all the same.
var harmless = map[string]bool{"net/netip": true, "sync/atomic": true}

// Modules are few, and each has a row that says what it is for.
func TestEachModuleHasAReason(t *testing.T) {
	const page = "docs/decisions/0002-dependencies.md"
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllSubmatch(text, -1) {
		modules = append(modules, string(row[1]))
	}
	for _, f := range goFiles(t) {
		for _, imp := range f.imports() {
			host, _, _ := strings.Cut(imp, "/")
			if strings.Contains(host, ".") && !slices.ContainsFunc(modules, func(m string) bool { return below(imp, m) }) {
				t.Errorf("%s imports %s, for which %s has no row", f.name, imp, page)
			}
		}
	}
}

func TestOneProgram(t *testing.T) {
	const program = "appliance/cordon"
	for _, f := range goFiles(t) {
		if f.Name.Name == "main" && path.Dir(f.name) != program && !f.script {
			t.Errorf("%s is package main; the only program is %s, everything else is a command of it", f.name, program)
		}
	}
}

func TestPackagesAreNamedAfterWhatTheyKnow(t *testing.T) {
	empty := []string{"util", "utils", "common", "types", "helpers", "helper", "misc", "shared", "base", "lib"}
	for _, f := range goFiles(t) {
		name := strings.TrimSuffix(f.Name.Name, "_test")
		if slices.Contains(empty, name) || slices.Contains(empty, path.Base(path.Dir(f.name))) {
			t.Errorf("%s: a package called %s knows nothing in particular; name it after what it knows", f.name, name)
		}
	}
}

func TestTopLevelIsFixed(t *testing.T) {
	fixed := []string{
		"protocols", "policy", "tunnels", "gateway", "appliance", "bench", "docs",
		"README.md", "Makefile", "go.mod", "go.sum",
		"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
		".ci", ".editorconfig", ".gitattributes", ".gitignore",
	}
	for _, name := range tracked(t) {
		top, _, _ := strings.Cut(name, "/")
		if !slices.Contains(fixed, top) {
			t.Errorf("%s: the top level holds only %s", name, strings.Join(fixed, " "))
		}
	}
}

func TestFilesKnowNoMachine(t *testing.T) {
	machine := regexp.MustCompile(`(^|[^\w.])/(work|root|home|Users)/`)
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // removed, but not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue // not text
		}
		for n, line := range bytes.Split(text, []byte("\n")) {
			if machine.Match(line) {
				t.Errorf("%s:%d speaks of a path of somebody's machine: %s", name, n+1, bytes.TrimSpace(line))
			}
		}
	}
}

// goFile is a parsed head of a Go file.
type goFile struct {
	*ast.File
	name   string // from the root of the repository, with slashes
	test   bool
	script bool // left out of every build: a generator, or a tool for make
}

func (f goFile) imports() []string {
	var paths []string
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "bin" || rel == "build") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(rel) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, goFile{parsed, rel, strings.HasSuffix(rel, "_test.go"), ignored(parsed)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("found no Go files; these tests must run in the repository")
	}
	return files
}

// ignored tells whether a file has the build constraint "ignore".
func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil {
				return expr.String() == "ignore"
			}
		}
	}
	return false
}

// tracked lists the files that git keeps.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skip("LEFT OUT: what git tracks is not checked: no git, or not a clone")
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}

// below tells whether a slash-separated name is under or at another.
func below(name, under string) bool {
	return name == under || strings.HasPrefix(name, under+"/")
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}
