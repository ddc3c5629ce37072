package bench

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// lines draws one measure over the points of a sweep, with the quartiles of the rounds as whiskers.
// What grows does so by factors, so its axis is logarithmic; the measure's is too where it spans
// more than tenfold, and starts at 0 otherwise. It is SVG, as chart is.
func lines(points []*Point, measure string) template.HTML {
	const (
		width, height      = 560, 220
		left, right        = 62, 24
		top, bottom, above = 24, 26, 8
	)
	var with []*Point
	least, most := math.Inf(1), 0.0
	for _, p := range points {
		if m := p.Measures[measure]; m != nil {
			with = append(with, p)
			least, most = min(least, lower(m)), max(most, upper(m))
		}
	}
	x := axis{float64(with[0].At), float64(with[len(with)-1].At), left, width - right, true}
	y := axis{0, most * 1.05, height - bottom, top, false}
	if least > 0 && most > 10*least {
		y = axis{least / 1.3, most * 1.3, height - bottom, top, true}
	}
	var b, line strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, template.HTMLEscapeString(measure))
	fmt.Fprintf(&b, `<path class="frame" d="M%d %dV%dH%d"/>`, left, top, height-bottom, width-right)
	if y.log {
		fmt.Fprintf(&b, `<text x="0" y="%d">log</text>`, top)
	}
	for i, p := range with {
		m := p.Measures[measure]
		px, py := x.place(float64(p.At)), y.place(m.Fast)
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], px, py)
		fmt.Fprintf(&b, `<path class="whisker" d="M%.1f %.1fV%.1f"/>`, px, y.place(lower(m)), y.place(upper(m)))
		fmt.Fprintf(&b, `<circle class="cordon" cx="%.1f" cy="%.1f" r="4"/>`, px, py)
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f">%s</text>`, px, py-above, template.HTMLEscapeString(significant(m.Fast)))
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%d">%s</text>`, px, height-above, template.HTMLEscapeString(p.Label))
	}
	fmt.Fprintf(&b, `<path class="line" d="%s"/></svg>`, line.String())
	return template.HTML(b.String())
}

// axis places values between two ends of a drawing.
type axis struct {
	from, to float64 // values
	a, b     float64 // where they are drawn
	log      bool
}

func (x axis) place(v float64) float64 {
	from, to := x.from, x.to
	if x.log {
		from, to, v = math.Log(from), math.Log(to), math.Log(v)
	}
	if from == to {
		return (x.a + x.b) / 2 // one value: in the middle
	}
	return x.a + (v-from)/(to-from)*(x.b-x.a)
}

// table is what a sweep measured, a row for each point, its head first.
func (s *Sweep) table() (rows [][]string) {
	if len(s.Points) == 0 {
		return nil
	}
	head := []string{s.Axis}
	for _, m := range s.measures() {
		head = append(head, m+" "+s.unit(m))
	}
	rows = append(rows, head)
	for _, p := range s.Points {
		row := []string{p.Label}
		for _, m := range s.measures() {
			row = append(row, p.Measures.show(m))
		}
		rows = append(rows, row)
	}
	return rows
}

// measures are those of the sweep, in the order of reports.
func (s *Sweep) measures() (names []string) {
	for _, m := range measures {
		if s.unit(m.name) != "" {
			names = append(names, m.name)
		}
	}
	return names
}

func (s *Sweep) unit(measure string) string {
	for _, p := range s.Points {
		if m := p.Measures[measure]; m != nil {
			return m.Unit
		}
	}
	return ""
}

// section is the sweep on the page.
func (s *Sweep) section() section {
	sec := section{Title: "Cost by " + s.Axis + " (" + s.Name + ")", About: capital(s.About) + ".", Rows: s.table()}
	for _, m := range measures {
		if unit := s.unit(m.name); unit != "" {
			sec.Charts = append(sec.Charts, charted{Name: m.name, Title: capital(m.about) + ", " + unit, Bars: lines(s.Points, m.name)})
		}
	}
	return sec
}
