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
		sec.About = strings.ToUpper(wl.About[:1]) + wl.About[1:] + "."
	}
	for _, m := range measures {
		unit := unitOf(cells, m.name)
		if unit == "" || m.name == "peak" || m.name == "p50" {
			continue // they stand in the table
		}
		c := charted{Name: m.name, Title: strings.ToUpper(m.about[:1]) + m.about[1:] + ", " + unit, Bars: chart(cells, m.name)}
		if q := r.ratiosOf(s, m.name); len(q) > 0 {
			c.Ratios = strip(q)
		}
		sec.Charts = append(sec.Charts, c)
	}
	return sec, true
}

func (r *Report) ratiosOf(s Setting, measure string) []Ratio {
	return slices.DeleteFunc(slices.Clone(r.Ratios), func(q Ratio) bool {
		return q.Setting != s || q.Measure != measure || q.Peer == None
	})
}
