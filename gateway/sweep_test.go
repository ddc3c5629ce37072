package gateway

import (
	"fmt"
	"runtime"
	"testing"
	"time"
	"weak"
)

// Memory is given back a few times once all is quiet, and anew after bytes or a reload.
func TestLullGivesBackAfterTrafficAndReload(t *testing.T) {
	var l lull
	given := func(moved int64, reloaded time.Time) (n int) {
		for range 2 * giveBacks {
			if l.due(moved, reloaded) {
				n++
			}
		}
		return n
	}
	start := time.Now()
	for _, step := range []struct {
		name     string
		moved    int64
		reloaded time.Time
		want     int
	}{
		{"after the start", 0, time.Time{}, giveBacks},
		{"while nothing happens", 0, time.Time{}, 0},
		{"after traffic", 10, time.Time{}, giveBacks},
		{"after a reload", 10, start, giveBacks},
		{"while nothing happens again", 10, start, 0},
	} {
		if got := given(step.moved, step.reloaded); got != step.want {
			t.Errorf("%s memory is given back %d times, not %d", step.name, got, step.want)
		}
	}
}

// A policy that is no longer in force, and that no session began under, takes no memory.
func TestReloadForgetsTheOldPolicy(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 2 {
		old := weak.Make(w.gw.store.Current())
		writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": worldCT + fmt.Sprintf("about: {name: \"room %d\"}\n", i)})
		if err := w.gw.Reload(); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("without the policy before reload %d", i+1), func() bool {
			runtime.GC()
			return old.Value() == nil
		})
	}
}
