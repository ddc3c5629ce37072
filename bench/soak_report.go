package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Sentence says what came of the run; problems are those of the report.
func (s *Soaked) Sentence(problems []string) string {
	took := time.Duration(s.Seconds * float64(time.Second)).Round(time.Second)
	done := fmt.Sprintf("%s of mixed load, %d policy reloads, %d certificate rotations, %d log rotations: ", took, s.count(Reload), s.count(Rotation), s.count(Reopening))
	if len(problems) > 0 {
		return done + "not all was as it should be; the first of it: " + problems[0]
	}
	done += fmt.Sprintf("%d messages and %d C-STORE and C-ECHO arrived and were answered once each, no connection was reset, nothing was left of the load", s.Messages.Sent, s.DICOM.Sent)
	if len(s.Growth) == 0 {
		return done + "; too short to tell whether memory grows."
	}
	return done + ", and nothing grew."
}

// grown is the table of what must not grow, its head first.
func (s *Soaked) grown() (rows [][]string) {
	rows = append(rows, []string{"", "before", "second quarter", "last quarter", "allowed", "slope an hour", "after", "verdict"})
	for i, g := range s.Growth {
		of := steady[i].of
		rows = append(rows, []string{strings.TrimSpace(g.Name + " " + g.Unit), figure(of(&s.Before)), figure(g.Second), figure(g.Last), figure(g.Allowed),
			fmt.Sprintf("%+.2f [%+.2f to %+.2f]", g.Slope, g.Lo, g.Hi), figure(of(&s.After)), map[bool]string{true: "flat", false: "grows"}[g.Flat]})
	}
	return rows
}

func figure(v float64) string {
	if v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// mixed is the table of the load, its head first.
func (s *Soaked) mixed() (rows [][]string) {
	rows = append(rows, []string{"load", "connections", "arrivals/s", "units", "MB", "p50 µs", "p99 µs", "longest µs"})
	for _, t := range s.Strands {
		held, rate := fmt.Sprint(t.Connections), fmt.Sprint(t.Rate)
		if t.Connections == 0 {
			held = "come and go"
		}
		if t.Rate == 0 {
			rate = "-"
		}
		rows = append(rows, []string{t.Name + ": " + t.About, held, rate, fmt.Sprint(t.Units), figure(float64(t.Bytes) / 1e6),
			significant(t.P50), significant(t.P99), significant(t.Most)})
	}
	return rows
}

// tables are those of the report that have rows.
func (s *Soaked) tables() (list [][][]string) {
	for _, rows := range [][][]string{s.grown(), s.mixed()} {
		if len(rows) > 1 {
			list = append(list, rows)
		}
	}
	return list
}

// writeText writes a run for a terminal.
func (s *Soaked) writeText(w io.Writer, problems []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, rows := range s.tables() {
		for _, row := range rows {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
		fmt.Fprintln(t)
	}
	for _, p := range problems {
		fmt.Fprintf(t, "PROBLEM: %s\n", p)
	}
	fmt.Fprintln(t, s.Sentence(problems))
	return t.Flush()
}

// markdown is a run for docs/performance.md.
func (s *Soaked) markdown(problems []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", s.Sentence(problems))
	for _, rows := range s.tables() {
		b.WriteString("\n")
		for i, row := range rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
	}
	return b.String()
}

// Tables are what the page shows below the charts.
func (s *Soaked) Tables() [][][]string { return s.tables() }

// Charts are the time series of the page.
func (s *Soaked) Charts() []charted {
	var at []float64
	for _, m := range s.Moments {
		at = append(at, m.At)
	}
	series := func(of func(*Moment) float64) (values []float64) {
		for i := range s.Moments {
			values = append(values, of(&s.Moments[i]))
		}
		return values
	}
	var list []charted
	for _, c := range []struct {
		title string
		lines []trace
	}{
		{"Memory, MiB", []trace{
			{"resident", "cordon", series(func(m *Moment) float64 { return m.Resident })},
			{"heap in use", "blind", series(func(m *Moment) float64 { return m.Heap })}}},
		{"Goroutines", []trace{{"goroutines", "cordon", series(func(m *Moment) float64 { return m.Goroutines })}}},
		{"Open files", []trace{{"descriptors", "cordon", series(func(m *Moment) float64 { return m.Files })}}},
		{"Messages judged a second, both ways", []trace{{"units/s", "cordon", s.unitRate()}}},
		{"Longest wait for an acknowledgment between two looks, ms", []trace{{"ms", "cordon", series(func(m *Moment) float64 { return m.Wait })}}},
	} {
		list = append(list, charted{Name: c.title, Title: c.title, Bars: timeline(c.title, at, c.lines, s.Changes)})
	}
	return list
}

// unitRate is how many units a second were judged, from moment to moment.
func (s *Soaked) unitRate() (values []float64) {
	last := &s.Before
	for i := range s.Moments {
		m := &s.Moments[i]
		values = append(values, (m.Units-last.Units)/max(m.At-last.At, 1e-3))
		last = m
	}
	return values
}

//go:embed soak.html
var soakText string

var _ = template.Must(page.New("soak").Parse(soakText))
