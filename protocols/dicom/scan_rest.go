package dicom

import (
	"math"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// Follow goes on behind what was asked for, up to the end of the data set: an element that comes
// twice, or where it should not, is read there by some and not by others. What is there is no fact
// any longer. It returns false when nothing can be followed: the data set is at its end, malformed or
// deflated.
func (s *Scanner) Follow() bool {
	w := &s.walk
	if f := w.facts.Fault; s.packed || !s.done || w.facts.Complete || f != nil && f.Reason != reason.CapHold {
		return false
	}
	w.resume()
	s.done = w.done
	return true
}

// resume has the walk go on. Nothing is held for it, so no cap but that of depth is needed.
func (w *walker) resume() {
	w.done, w.stopAt, w.until, w.content, w.facts.Fault = false, false, Whole, somethingElse, nil
	w.kept, w.key = nil, -1 // the value under way is no fact
	w.limits.Elements, w.limits.Length, w.limits.Text = math.MaxInt, math.MaxUint32, math.MaxUint32
	if e := w.behind; e.tag != 0 {
		w.behind = header{}
		if w.value(e.tag, e.vr, e.length); !w.done && w.skip == 0 {
			w.valueEnds()
		}
	}
}

// Skip takes the next n bytes as read without being shown them, if all are of one value; where they
// are the last, if the data set ends with it. It returns false otherwise.
func (s *Scanner) Skip(n int, last bool) bool {
	w := &s.walk
	switch {
	case s.done || w.have > 0 || n == 0 || uint64(n) > uint64(w.skip):
		return false
	case last && (uint32(n) < w.skip || w.rest > 0 || len(w.levels) > 0):
		return false
	}
	w.at += int64(n)
	if w.skip -= uint32(n); w.skip == 0 {
		w.valueEnds()
	}
	s.done = w.done
	return true
}

// ahead returns how many bytes are worth waiting for: up to the next header, and that.
func (s *Scanner) ahead() int { return int(s.walk.skip) + s.walk.want - s.walk.have }

// Fault returns what is wrong with the data set as far as it was read, nil for nothing.
func (s *Scanner) Fault() *protocols.Malformed { return s.walk.facts.Fault }
