package bench

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// trace is one line of a time series.
type trace struct {
	name, class string
	values      []float64
}

// A time series' drawing: of the whole, around the plot, and of the strip with the changes.
const (
	seriesWidth, seriesHeight        = 560, 214
	plotLeft, plotRight              = 58, 8
	plotTop, plotBottom              = 26, 150
	stripTop, stripRow, seriesLabels = 156, 11, 207
	mostPoints                       = 260 // of a line; more are drawn as medians with their span
)

// timeline draws lines over the seconds at which they were looked at, from zero up, with marks
// where something changed. It is SVG for the middle of a page.
func timeline(title string, at []float64, lines []trace, changes []Change) template.HTML {
	end, most := 1.0, 1.0
	if n := len(at); n > 0 {
		end = at[n-1]
	}
	for _, l := range lines {
		for _, v := range l.values {
			most = max(most, v)
		}
	}
	step := roundStep(most * 1.05 / 4)
	most = step * float64(int(most*1.05/step)+1)
	x := func(s float64) float64 { return plotLeft + min(s/end, 1)*(seriesWidth-plotLeft-plotRight) }
	y := func(v float64) float64 { return plotBottom - v/most*(plotBottom-plotTop) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s over time">`, seriesWidth, seriesHeight, template.HTMLEscapeString(title))
	for v := 0.0; v <= most+step/2; v += step {
		fmt.Fprintf(&b, `<path class="rule" d="M%d %.1fH%d"/><text class="name" x="%d" y="%.1f">%.4g</text>`, plotLeft, y(v), seriesWidth-plotRight, plotLeft-6, y(v)+4, v)
	}
	for i, l := range lines {
		drawTrace(&b, at, l, x, y)
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="6" width="10" height="10" rx="2"/><text x="%d" y="15">%s</text>`,
			l.class, plotLeft+i*150, plotLeft+i*150+15, template.HTMLEscapeString(l.name))
	}
	for row, kind := range []string{Reload, Rotation, Reopening} {
		label := []string{"policy", "certificates", "audit file"}[row]
		top := stripTop + row*stripRow
		fmt.Fprintf(&b, `<text class="name small" x="%d" y="%d">%s</text>`, plotLeft-6, top+8, label)
		for _, c := range changes {
			if c.Kind == kind {
				fmt.Fprintf(&b, `<path class="%s" d="M%.1f %dv%d"/>`, kind, x(c.At), top, stripRow-3)
			}
		}
	}
	timeStep := clockStep(end)
	for s := 0.0; s <= end; s += timeStep {
		class := "clock"
		switch {
		case s == 0:
			class = "first"
		case x(s) > seriesWidth-20:
			class = "name" // the last would not fit around its place
		}
		fmt.Fprintf(&b, `<text class="%s" x="%.1f" y="%d">%s</text>`, class, x(s), seriesLabels, clock(s))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// drawTrace draws a line, over a band between the smallest and the largest of the values that each
// of its points stands for.
func drawTrace(b *strings.Builder, at []float64, l trace, x, y func(float64) float64) {
	n := len(l.values)
	points := min(n, mostPoints)
	var line, upper, lower []string
	for p := range points {
		from, to := p*n/points, (p+1)*n/points
		part := l.values[from:to]
		place := x(median(at[from:to]))
		line = append(line, fmt.Sprintf("%.1f %.1f", place, y(median(part))))
		upper = append(upper, fmt.Sprintf("%.1f %.1f", place, y(slices.Max(part))))
		lower = append(lower, fmt.Sprintf("%.1f %.1f", place, y(slices.Min(part))))
	}
	if points == 0 {
		return
	}
	if points < n {
		slices.Reverse(lower)
		fmt.Fprintf(b, `<path class="%s band" d="M%sZ"/>`, l.class, strings.Join(append(upper, lower...), "L"))
	}
	fmt.Fprintf(b, `<path class="%s trace" d="M%s"/>`, l.class, strings.Join(line, "L"))
}

// roundStep is the smallest of 1, 2 and 5 times a power of ten that is not below v.
func roundStep(v float64) float64 {
	for power := 0.001; ; power *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if f*power >= v {
				return f * power
			}
		}
	}
}

// clockStep is the time between labels of an axis of so many seconds.
func clockStep(end float64) float64 {
	steps := []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 6 * 3600, 24 * 3600}
	for _, s := range steps {
		if end/s <= 7 {
			return s
		}
	}
	return end
}

func clock(seconds float64) string {
	text := time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
