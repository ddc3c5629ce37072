package bench

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// trouble is what was not as it should be, when first, and how often.
type trouble struct {
	text  string
	first time.Duration
	times int
}

// mostTroubles are told one by one.
const mostTroubles = 20

// problem notes what is not as it should be.
func (s *soak) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if at := slices.IndexFunc(s.problems, func(t *trouble) bool { return t.text == text }); at >= 0 {
		s.problems[at].times++
		return
	}
	t := &trouble{text, time.Since(s.began).Round(100 * time.Millisecond), 1}
	s.problems = append(s.problems, t)
	if len(s.problems) <= mostTroubles {
		s.say("PROBLEM %s", t)
	}
}

func (t *trouble) String() string {
	text := fmt.Sprintf("after %s: %s", t.first, t.text)
	if t.times > 1 {
		text += fmt.Sprintf(" (%d times)", t.times)
	}
	return text
}

// told lists the problems. That the gateway has ended explains the others, so it comes first.
func (s *soak) told() (list []string) {
	if s.ended() {
		list = append(list, "the gateway has ended: "+cmp.Or(s.process.output.String(), "without a word"))
	}
	for i, t := range s.problems {
		if i == mostTroubles {
			return append(list, fmt.Sprintf("and %d problems more", len(s.problems)-i))
		}
		list = append(list, t.String())
	}
	return list
}
