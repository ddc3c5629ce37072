package reason

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/reasons.md")

const page = "../../docs/reasons.md"

// TestPage holds docs/reasons.md to the registry. Rewrite it with
// go test ./protocols/reason -update.
func TestPage(t *testing.T) {
	want := render()
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the registry says; run: go test ./protocols/reason -update", page)
	}
}

func render() []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "# Reasons\n\nWhy a unit was refused, what it means and what to do. `cordon explain CODE` says the same, with\nthe latest refusals of a running gateway. This page is generated from `protocols/reason`.\n")
	group := ""
	for _, i := range All() {
		if g := i.Code.Group(); g != group {
			group = g
			fmt.Fprintf(&b, "\n## %s\n\n| code | means | do | on the wire |\n| --- | --- | --- | --- |\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", i.Code, i.Meaning, i.Do, wire(i))
	}
	return b.Bytes()
}

// wire lists the answers of a code.
func wire(i Info) string {
	var all []string
	if !i.Refuses() {
		return "nothing: it passed"
	}
	if i.RJ != (RJ{}) {
		all = append(all, fmt.Sprintf("A-ASSOCIATE-RJ %d/%d/%d", i.RJ.Result, i.RJ.Source, i.RJ.Reason))
	}
	if i.Status != 0 {
		all = append(all, fmt.Sprintf("DIMSE status %04XH", i.Status))
	}
	if i.Abort != (Abort{}) {
		all = append(all, fmt.Sprintf("A-ABORT %d/%d", i.Abort.Source, i.Abort.Reason))
	}
	if i.ERR != "" {
		all = append(all, "ERR-3 "+i.ERR)
	}
	if i.HTTP != 0 {
		all = append(all, fmt.Sprintf("HTTP %d", i.HTTP))
	}
	if i.Theirs {
		all = append(all, "the peer's own answer")
	}
	if len(all) == 0 {
		all = append(all, "closed")
	}
	if i.Transient {
		all = append(all, "transient")
	}
	return strings.Join(all, ", ")
}

func TestRowsAreComplete(t *testing.T) {
	form := regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9-]+)+$`)
	for _, i := range All() {
		if !form.MatchString(string(i.Code)) {
			t.Errorf("%q is not of the form group.name", i.Code)
		}
		for what, text := range map[string]string{"Meaning": i.Meaning, "Do": i.Do} {
			if text == "" || !strings.HasSuffix(text, ".") || strings.Contains(text, "|") {
				t.Errorf("%s: %s must be a sentence without a table bar, it is %q", i.Code, what, text)
			}
		}
		if i.RJ.Result == 2 && !i.Transient || i.RJ.Result == 1 && i.Transient && i.Code != SessionRevoked {
			t.Errorf("%s: Transient %v does not agree with A-ASSOCIATE-RJ result %d", i.Code, i.Transient, i.RJ.Result)
		}
	}
}

// What passed is answered by its receiver, not by us.
func TestWhatPassesHasNoAnswer(t *testing.T) {
	for _, i := range All() {
		if !i.Refuses() && (i.RJ != RJ{} || i.Abort != Abort{} || i.Status != 0 || i.ERR != "" || i.HTTP != 0) {
			t.Errorf("%s refuses nothing and has an answer: %+v", i.Code, i)
		}
	}
	if Lookup(PolicyRewrite).Refuses() || !Lookup(PolicyDenied).Refuses() {
		t.Error("a rewrite refuses, or a denial does not")
	}
}

func TestUnregisteredCodeGetsGeneralAnswer(t *testing.T) {
	i := Lookup("patch.example")
	if i.Code != "patch.example" || i.RJ != Lookup(PolicyDenied).RJ || i.Meaning != "" || Known(i.Code) {
		t.Errorf("Lookup of an unregistered code gave %+v", i)
	}
}

// TestEveryCodeIsTested finds, for each constant of the registry, a test outside this package
// that names it. It reads source, so it cannot be fooled into passing by a test that is skipped:
// where peers are missing the tests with our own ends still run.
func TestEveryCodeIsTested(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "registry.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Code" {
				names = append(names, v.Names[0].Name)
			}
		}
		return true
	})
	// const X Code = …, Y = … : a typed first constant is enough, all of ours carry the type.
	if len(names) != len(registry) {
		t.Fatalf("%d constants of type Code, %d rows in the registry", len(names), len(registry))
	}
	tests := testSources(t)
	for _, n := range names {
		if !regexp.MustCompile(`reason\.` + n + `\b`).Match(tests) {
			t.Errorf("no test names reason.%s: each code needs a test that provokes it", n)
		}
	}
}

func testSources(t *testing.T) []byte {
	var all []byte
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "reason_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
