package bench

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the figures as tables for docs/performance.md.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s, %d cores, %d GiB; %s, %s; %s; %s. %s.\n\n    %s\n", m.Processor, m.Cores, (m.Memory+1<<29)>>30, m.System, m.Kernel, m.Go,
		r.Started.Format("2006-01-02"), r.Terms, r.Command)
	if r.Soak != nil {
		_, err := io.WriteString(w, b.String()+r.Soak.markdown(r.Problems))
		return err
	}
	for _, table := range r.tables() {
		fmt.Fprintf(&b, "\n**%s**", table.title)
		if table.about != "" {
			b.WriteString(": " + table.about)
		}
		b.WriteString("\n\n")
		for i, row := range table.rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
	}
	b.WriteString("\n| gateway | version |\n|---|---|\n")
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "| %s, %s | %s |\n", p.Name, p.About, p.Version)
	}
	for _, text := range append(r.LeftOut, r.Problems...) {
		fmt.Fprintf(&b, "\n%s\n", text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
