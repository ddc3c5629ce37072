package bench

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"gib": func(n int64) int64 { return (n + 1<<29) >> 30 },
}).Parse(pageText))

// section is one setting of the page.
type section struct {
	Title, About string
	Charts       []charted
	Rows         [][]string
	Open         bool // the rows are shown at once
}

type charted struct {
	Name, Title string
	Bars        template.HTML
	Ratios      template.HTML
}

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	var sections []section
	for _, s := range r.settings() {
		if sec, ok := r.section(s); ok {
			sections = append(sections, sec)
		}
	}
	for _, s := range r.Sweeps {
		if len(s.Points) > 0 {
			sections = append(sections, s.section())
		}
	}
	if len(r.Sizing) > 0 {
		sections = append(sections, section{Title: "Sizing", Rows: sizingTable(r.Sizing), Open: true,
			About: "What was measured here, times what is needed; on top comes what you want in reserve."})
	}
	return page.Execute(w, struct {
		*Report
		Sections []section
	}{r, sections})
}

func (r *Report) section(s Setting) (sec section, ok bool) {
	var cells []*Cell
	for _, c := range r.Cells {
		if c.Setting == s && len(c.Measures) > 0 {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return sec, false
	}
	sec = section{Title: s.String(), Rows: r.table(s)}
	if wl := Find(s.Workload); wl != nil {
		sec.About = capital(wl.About) + "."
	}
	for _, m := range measures {
		unit := unitOf(cells, m.name)
		if unit == "" || m.name == "peak" || m.name == "p50" {
			continue // they stand in the table
		}
		c := charted{Name: m.name, Title: capital(m.about) + ", " + unit, Bars: chart(cells, m.name)}
		if q := r.ratiosOf(s, m.name); len(q) > 0 {
			c.Ratios = strip(q)
		}
		sec.Charts = append(sec.Charts, c)
	}
	return sec, true
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func (r *Report) ratiosOf(s Setting, measure string) []Ratio {
	return slices.DeleteFunc(slices.Clone(r.Ratios), func(q Ratio) bool {
		return q.Setting != s || q.Measure != measure || q.Peer == None
	})
}
