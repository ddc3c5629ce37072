package gateway

import (
	"sync"
	"sync/atomic"
)

// readSize is how much one read may bring: larger reads save no more system calls worth having.
const readSize = 128 << 10 // bytes

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// budget is the memory that windows beyond readSize may take, over all sessions.
type budget struct {
	limit atomic.Int64 // bytes
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit.Load() {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// window holds the bytes of one side that are not settled yet. It has no memory while it is
// empty. It starts with a pooled buffer and doubles as bytes arrive, never because a length was
// declared.
type window struct {
	buf        []byte
	pooled     *[]byte
	start, end int
	extra      int64 // bytes taken from the budget
	budget     *budget
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
	if w.pooled != nil {
		readBuffers.Put(w.pooled)
	}
	if w.extra > 0 {
		w.budget.give(w.extra)
	}
	*w = window{budget: w.budget}
}

// Get gives an empty window's memory to read into; Put takes it back. They make a window the
// tunnels.Memory of a lazy read.
func (w *window) Get() []byte {
	w.pooled = readBuffers.Get().(*[]byte)
	w.buf = *w.pooled
	return w.buf
}

func (w *window) Put() { w.free() }

// grown says how making room in a window went.
type grown uint8

const (
	roomy      grown = iota
	atCap            // the window holds as much as its cap allows
	overBudget       // the process holds as much as its budget allows
)

// room returns memory to read into, after making some.
func (w *window) room(limit int) ([]byte, grown) {
	if w.buf == nil {
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
	size := min(2*len(w.buf), max(limit, readSize))
	more := int64(size)
	if !w.budget.take(more) {
		return nil, overBudget
	}
	bigger := make([]byte, size)
	copy(bigger, w.buf[:w.end])
	if w.pooled != nil {
		readBuffers.Put(w.pooled)
		w.pooled = nil
	}
	if w.extra > 0 {
		w.budget.give(w.extra)
	}
	w.buf, w.extra = bigger, more
	return w.buf[w.end:], roomy
}

// shrink gives back grown memory once the window is empty, so that one large unit does not keep
// its memory for the life of a link.
func (w *window) shrink() {
	if w.len() == 0 && w.extra > 0 {
		w.free()
	}
}
