package gateway

import (
	"sync"
	"sync/atomic"
)

// readSize is how much one read may bring: larger reads save no more system calls worth having.
const readSize = 128 << 10 // bytes

// buffers are pools of memory for windows: of readSize, and of each doubling of it up to 8 MiB.
// What is larger is rare and goes back to the collector.
var buffers [7]sync.Pool

func init() {
	for i := range buffers {
		buffers[i].New = func() any { b := make([]byte, readSize<<i); return &b }
	}
}

// classOf returns the pool for buffers of a size; nil when there is none.
func classOf(size int) *sync.Pool {
	for i := range buffers {
		if size == readSize<<i {
			return &buffers[i]
		}
	}
	return nil
}

// takeBuffer returns a buffer of a size.
func takeBuffer(size int) *[]byte {
	if p := classOf(size); p != nil {
		return p.Get().(*[]byte)
	}
	b := make([]byte, size)
	return &b
}

func giveBuffer(b *[]byte) {
	if p := classOf(len(*b)); p != nil {
		p.Put(b)
	}
}

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
	memory     *[]byte // that buf is; nil for none
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
	if w.memory != nil {
		giveBuffer(w.memory)
	}
	if w.extra > 0 {
		w.budget.give(w.extra)
	}
	*w = window{budget: w.budget}
}

// Get gives an empty window's memory to read into; Put takes it back. They make a window the
// tunnels.Memory of a lazy read.
func (w *window) Get() []byte {
	w.memory = takeBuffer(readSize)
	w.buf = *w.memory
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
	bigger := takeBuffer(size)
	copy(*bigger, w.buf[:w.end])
	giveBuffer(w.memory)
	if w.extra > 0 {
		w.budget.give(w.extra)
	}
	w.memory, w.buf, w.extra = bigger, *bigger, more
	return w.buf[w.end:], roomy
}

// shrink gives back grown memory once the window is empty, so that one large unit does not keep
// its memory for the life of a link.
func (w *window) shrink() {
	if w.len() == 0 && w.extra > 0 {
		w.free()
	}
}
