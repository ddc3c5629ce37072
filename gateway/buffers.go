package gateway

import (
	"sync/atomic"

	"cordon/tunnels/buffer"
)

// budget is the memory that windows beyond a small buffer may take, over all sessions.
type budget struct {
	limit atomic.Int64 // bytes
	used  atomic.Int64
}

// share is what one holder of sessions has of the budget: at most half of what the others leave. So
// whoever would take all of it, alone or with others, always leaves something to the rest.
type share struct {
	budget *budget
	used   atomic.Int64
}

// take takes bytes if they are there.
func (s *share) take(n int64) bool { return s.takeOf(n, s.budget.limit.Load()) }

// takeHalf is take for what is convenient only: it leaves half of the budget to what is needed.
func (s *share) takeHalf(n int64) bool { return s.takeOf(n, s.budget.limit.Load()/2) }

func (s *share) takeOf(n, limit int64) bool {
	mine, all := s.used.Add(n), s.budget.used.Add(n)
	if others := all - mine; all > limit || mine > (s.budget.limit.Load()-others)/2 {
		s.give(n)
		return false
	}
	return true
}

func (s *share) give(n int64) {
	s.used.Add(-n)
	s.budget.used.Add(-n)
}

// window holds the bytes of one side that are not settled yet. It has no memory while it is
// empty. It starts with a buffer as large as reads have been, and doubles as bytes arrive, never
// because a length was declared.
type window struct {
	buf        []byte
	memory     *[]byte // that buf is; nil for none
	start, end int
	extra      int64 // bytes taken from the share
	share      *share
	appetite   buffer.Appetite
}

// bytes returns what is not settled.
func (w *window) bytes() []byte { return w.buf[w.start:w.end] }

func (w *window) len() int { return w.end - w.start }

// consume settles the first n bytes.
func (w *window) consume(n int) {
	w.start += n
	if w.start == w.end {
		w.start, w.end = 0, 0
	}
}

// free frees the memory of an empty window.
func (w *window) free() {
	if w.memory != nil {
		buffer.Give(w.memory)
	}
	if w.extra > 0 {
		w.share.give(w.extra)
	}
	*w = window{share: w.share, appetite: w.appetite}
}

// Get gives an empty window's memory to read into; Put takes it back. They make a window the
// tunnels.Memory of a lazy read.
func (w *window) Get() []byte {
	size := w.appetite.Size()
	if more := int64(size); size > buffer.Small {
		if w.share.takeHalf(more) {
			w.extra = more
		} else {
			size = buffer.Small
		}
	}
	w.hold(buffer.Take(size))
	return w.buf
}

func (w *window) hold(memory *[]byte) { w.memory, w.buf = memory, *memory }

// fed notes that a read brought n bytes into room for so many.
func (w *window) fed(n, room int) {
	w.end += n
	w.appetite.Fed(n, room)
}

func (w *window) Put() { w.free() }

// grown says how making room in a window went.
type grown uint8

const (
	roomy      grown = iota
	atCap            // the window holds as much as its cap allows
	overBudget       // the process, or the session's holder, holds as much as the budget allows
)

// room returns memory to read into, after making some.
func (w *window) room(limit int) ([]byte, grown) {
	if w.len() == 0 && len(w.buf) < w.appetite.Size() {
		w.free()
		w.Get()
	}
	if w.end < len(w.buf) && (w.start == 0 || w.end <= len(w.buf)/2) {
		return w.buf[w.end:], roomy
	}
	if w.start > 0 {
		w.end = copy(w.buf, w.buf[w.start:w.end])
		w.start = 0
	}
	if w.end < len(w.buf) {
		return w.buf[w.end:], roomy
	}
	if w.len() >= limit {
		return nil, atCap
	}
	size := min(2*len(w.buf), max(limit, buffer.Small))
	// The two are there at once only while one is copied, which does not count.
	if !w.share.take(int64(size) - w.extra) {
		return nil, overBudget
	}
	bigger := buffer.Take(size)
	copy(*bigger, w.buf[:w.end])
	buffer.Give(w.memory)
	w.hold(bigger)
	w.extra = int64(size)
	return w.buf[w.end:], roomy
}

// shrink gives back grown memory once the window is empty, so that one large unit does not keep
// its memory for the life of a link.
func (w *window) shrink() {
	if w.len() == 0 && w.extra > 0 {
		w.free()
	}
}
