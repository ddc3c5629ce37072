package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the ratios for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	if r.Soak != nil {
		return r.Soak.writeText(w, r.Problems)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Sweeps) > 0 {
		fmt.Fprintf(t, "How the cost of Cordon, inspecting every byte, grows (the fast quartile of the rounds)\n")
	} else {
		fmt.Fprintf(t, "Cordon, inspecting every byte, beside what inspects nothing (ratios of one run; [95 %% interval]; * the best of the others)\n")
	}
	for _, table := range r.tables() {
		fmt.Fprintf(t, "\n%s\n", table.title)
		for _, row := range table.rows {
			fmt.Fprintln(t, "  "+strings.Join(row, "\t"))
		}
	}
	if len(r.LeftOut)+len(r.Problems) > 0 {
		fmt.Fprintln(t)
	}
	for _, text := range r.LeftOut {
		fmt.Fprintf(t, "LEFT OUT: %s\n", text)
	}
	for _, text := range r.Problems {
		fmt.Fprintf(t, "PROBLEM: %s\n", text)
	}
	return t.Flush()
}

// titled is a table with its title.
type titled struct {
	title, about string
	rows         [][]string // its head first
}

// tables are all that a report has in figures.
func (r *Report) tables() (list []titled) {
	for _, s := range r.settings() {
		list = append(list, titled{title: s.String(), rows: r.table(s)})
	}
	for _, s := range r.Sweeps {
		list = append(list, titled{s.Name, s.About, s.table()})
	}
	list = append(list, titled{title: "sizing", rows: sizingTable(r.Sizing)})
	return slices.DeleteFunc(list, func(t titled) bool { return len(t.rows) < 2 })
}

func (s Setting) String() string {
	text := fmt.Sprintf("%s, %s role", s.Workload, s.Role)
	if s.Role == Both {
		text = s.Workload + ", sealing and opening together"
	}
	if s.Connections > 1 {
		text += fmt.Sprintf(", %d connections", s.Connections)
	}
	if s.Loop == "open" {
		text += ", open loop"
	}
	return text
}

// table is what was measured in one setting, a row for each gateway, its head first. A figure is
// the fast quartile of its rounds; behind it stands Cordon's ratio to it.
func (r *Report) table(s Setting) (rows [][]string) {
	var cells []*Cell
	for _, c := range r.Cells {
		if c.Setting == s && len(c.Measures) > 0 {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return nil
	}
	head := []string{"gateway"}
	for _, m := range measures {
		if unit := unitOf(cells, m.name); unit != "" {
			head = append(head, m.name+" "+unit)
		}
	}
	rows = append(rows, head)
	for _, c := range cells {
		row := []string{c.Peer}
		for _, m := range measures {
			if unitOf(cells, m.name) == "" {
				continue
			}
			row = append(row, c.Measures.show(m.name)+r.against(c, m.name))
		}
		rows = append(rows, row)
	}
	return rows
}

func unitOf(cells []*Cell, measure string) string {
	for _, c := range cells {
		if m := c.Measures[measure]; m != nil {
			return m.Unit
		}
	}
	return ""
}

func (f Figures) show(measure string) string {
	m := f[measure]
	if m == nil {
		return "-"
	}
	return significant(m.Fast)
}

// against is Cordon's ratio to a cell's figure.
func (r *Report) against(c *Cell, measure string) string {
	for _, q := range r.Ratios {
		if q.Setting == c.Setting && q.Peer == c.Peer && q.Measure == measure && q.Measure != "peak" {
			text := fmt.Sprintf("  ×%.2f [%.2f–%.2f]", q.Value, q.Lo, q.Hi)
			if q.Best {
				text += "*"
			}
			return text
		}
	}
	return ""
}

// significant writes a figure with three digits that count.
func significant(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
