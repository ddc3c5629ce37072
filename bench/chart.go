package bench

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// chart draws one measure of one setting as bars, the best on top, with the quartiles of the
// rounds as whiskers. It is SVG for the middle of a page; the page's style gives the colours.
func chart(cells []*Cell, measure string) template.HTML {
	cells = slices.DeleteFunc(slices.Clone(cells), func(c *Cell) bool { return c.Measures[measure] == nil })
	slices.SortStableFunc(cells, func(a, b *Cell) int {
		switch {
		case better(a.Measures[measure].Fast, b.Measures[measure].Fast, measure):
			return -1
		case better(b.Measures[measure].Fast, a.Measures[measure].Fast, measure):
			return 1
		}
		return 0
	})
	const (
		width, label, value = 560, 104, 92 // of the drawing, of names, of figures
		row, bar            = 26, 16
	)
	most := 0.0
	for _, c := range cells {
		if c.Peer != None { // without a gateway, throughput may be off the scale
			most = max(most, upper(c.Measures[measure]))
		}
	}
	scale := func(v float64) float64 { return label + min(v/most, 1)*(width-label-value) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, row*len(cells)+4, template.HTMLEscapeString(measure))
	for i, c := range cells {
		m, y := c.Measures[measure], i*row+4
		middle := float64(y) + bar/2.0
		fmt.Fprintf(&b, `<text class="name" x="%d" y="%.1f">%s</text>`, label-8, middle+4, template.HTMLEscapeString(c.Peer))
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, kind(c.Peer), label, y, max(scale(m.Fast)-label, 1), bar)
		if m.Fast <= most {
			low, high := scale(lower(m)), scale(upper(m))
			fmt.Fprintf(&b, `<path class="whisker" d="M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6"/>`, low, middle, high, low, middle-3, high, middle-3)
		}
		fmt.Fprintf(&b, `<text class="figure" x="%d" y="%.1f">%s</text>`, width-value+8, middle+4, template.HTMLEscapeString(significant(m.Fast)))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func lower(m *Measured) float64 { return quantile(slices.Sorted(slices.Values(m.Rounds)), 0.25) }
func upper(m *Measured) float64 { return quantile(slices.Sorted(slices.Values(m.Rounds)), 0.75) }

func kind(peer string) string {
	switch peer {
	case Cordon:
		return "cordon"
	case Blind:
		return "blind"
	case None:
		return "none"
	}
	return "peer"
}

// strip draws Cordon's ratios to the gateways of one setting and measure, each with its interval,
// around the line at 1.
func strip(ratios []Ratio) template.HTML {
	const width, label, value, row = 560, 104, 92, 22
	far := 0.25 // the widest distance from 1, as a logarithm of base 2
	for _, q := range ratios {
		far = max(far, math.Abs(math.Log2(q.Lo)), math.Abs(math.Log2(q.Hi)))
	}
	place := func(v float64) float64 {
		return label + (width-label-value)/2.0*(1+math.Log2(v)/far)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="ratios">`, width, row*len(ratios)+4)
	fmt.Fprintf(&b, `<path class="one" d="M%.1f 0V%d"/>`, place(1), row*len(ratios)+4)
	for i, q := range ratios {
		y := float64(i*row) + row/2.0 + 2
		fmt.Fprintf(&b, `<text class="name" x="%d" y="%.1f">%s</text>`, label-8, y+4, template.HTMLEscapeString(q.Peer))
		fmt.Fprintf(&b, `<path class="interval" d="M%.1f %.1fH%.1f"/>`, place(q.Lo), y, place(q.Hi))
		fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"/>`, verdict(q), place(q.Value), y)
		fmt.Fprintf(&b, `<text class="figure" x="%d" y="%.1f">×%.2f</text>`, width-value+8, y+4, q.Value)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// verdict says on which side of 1 the whole interval lies.
func verdict(q Ratio) string {
	less, more := q.Hi < 1, q.Lo > 1
	if moreIsBetter(q.Measure) {
		less, more = more, less
	}
	switch {
	case less:
		return "won"
	case more:
		return "lost"
	}
	return "even"
}
