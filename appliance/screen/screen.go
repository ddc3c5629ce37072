// Package screen writes for people: tables, and colours where the output is a terminal that
// wants them. What is not a terminal gets the same text without colours.
package screen

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Colour is how a text stands out.
type Colour string

const (
	Default Colour = ""
	Bold    Colour = "1"
	Grey    Colour = "90"
	Red     Colour = "31"
	Green   Colour = "32"
	Yellow  Colour = "33"
)

// Text is a text with a colour.
type Text struct {
	s string
	c Colour
}

// Plain makes a text without colour.
func Plain(s string) Text { return Text{s: s} }

// Coloured makes a text with a colour.
func Coloured(s string, c Colour) Text { return Text{s, c} }

// Screen writes to a terminal or a file.
type Screen struct {
	w      io.Writer
	colour bool
}

// New makes a screen on w.
func New(w io.Writer) *Screen { return &Screen{w: w, colour: Colours(w)} }

// Colours tells whether w wants colours: it is a terminal that can show them, and its user has
// nothing against them (https://no-color.org).
func Colours(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Printf writes like fmt.Printf; arguments of type Text keep their colour. Control characters
// in texts are made visible, so that nothing from the wire can steer a terminal.
func (s *Screen) Printf(format string, args ...any) {
	for i, a := range args {
		switch v := a.(type) {
		case Text:
			args[i] = s.Render(v)
		case string:
			args[i] = visible(v)
		}
	}
	fmt.Fprintf(s.w, format, args...)
}

// Render returns a text with its colour's escape sequences, if the screen shows them.
func (s *Screen) Render(t Text) string {
	if !s.colour || t.c == Default {
		return visible(t.s)
	}
	return "\x1b[" + string(t.c) + "m" + visible(t.s) + "\x1b[0m"
}

// visible replaces control characters other than line feed.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// Table gathers rows and writes them in aligned columns.
type Table struct {
	s    *Screen
	rows [][]Text
}

// Table begins a table with a heading.
func (s *Screen) Table(heading ...string) *Table {
	t := &Table{s: s}
	var row []Text
	for _, h := range heading {
		row = append(row, Coloured(h, Bold))
	}
	t.rows = append(t.rows, row)
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...Text) { t.rows = append(t.rows, cells) }

// Flush writes the table.
func (t *Table) Flush() {
	var width []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c.s))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(t.s.Render(c))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.s)+2))
			}
		}
		fmt.Fprintln(t.s.w, strings.TrimRight(line.String(), " "))
	}
}

// Age returns a duration the way people say it: "12 s", "3 min", "5 h", "2 d".
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}
