package policy

import (
	"os"
	"strings"
	"testing"
)

// TestFarEndPageCanBeCopied: the pair of docs/far-end.md loads, without a word about it.
func TestFarEndPageCanBeCopied(t *testing.T) {
	page, err := os.ReadFile("../docs/far-end.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of files, want those of the near and the far end", len(blocks))
	}
	for i, want := range []string{"ct-3/archive ct-3/archive.return ct-3/film ct-3/worklist", "archive/returns ct-3/archive ct-3/film ct-3/worklist"} {
		block, _, _ := strings.Cut(blocks[i], "```")
		files := map[string]string{}
		for _, text := range strings.Split(block, "---\n") {
			head, _, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
			name, _, _ := strings.Cut(head, ":")
			files[name] = text
		}
		p, diags := loadSite(t, files)
		if p == nil || len(diags) > 0 {
			t.Fatalf("%s", diags)
		}
		var flows []string
		for _, f := range p.Flows {
			flows = append(flows, f.ID())
		}
		if got := strings.Join(flows, " "); got != want {
			t.Errorf("flows %s, want %s", got, want)
		}
	}
}
