package protocols

import (
	"strings"
	"testing"
)

// A label that was cut says so, however it was filled; one that just fits is whole.
func TestCutLabelEndsWithDots(t *testing.T) {
	fits := strings.Repeat("x", len(Label{}.b))
	cutOff := fits[:len(fits)-3] + "..."
	for _, tt := range []struct {
		name string
		fill func(*Label)
		want string
	}{
		{"it fits", func(l *Label) { l.Set(fits) }, fits},
		{"one too many", func(l *Label) { l.Set(fits + "x") }, cutOff},
		{"bytes", func(l *Label) { l.AppendBytes([]byte(fits + fits)) }, cutOff},
		{"in two parts", func(l *Label) { l.Set(fits); l.Append("y") }, cutOff},
		{"nothing more", func(l *Label) { l.Set(fits); l.Append(""); l.AppendBytes(nil) }, fits},
		{"more after the cut", func(l *Label) { l.Set(fits + "x"); l.Append("y") }, cutOff},
		{"set anew", func(l *Label) { l.Set(fits + "x"); l.Set("short") }, "short"},
	} {
		var l Label
		if tt.fill(&l); l.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, l.String(), tt.want)
		}
	}
}

func TestCuttingALabelAllocatesNothing(t *testing.T) {
	long := strings.Repeat("x", 200)
	var l Label
	if n := testing.AllocsPerRun(100, func() { l.Set(long); l.AppendBytes([]byte("y")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
