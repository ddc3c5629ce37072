package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Options of a Log. The zero value is the ordinary one.
type Options struct {
	Queue  int // records that wait to be written; 65536 when 0
	Recent int // records kept in memory for Recent and BySession; 4096 when 0
	// Trouble is told when writing begins to fail, and nil when it works again. It must not
	// call the Log.
	Trouble func(error)
	// Observe, when set, is shown every record by the writer, before it is written. It must not
	// block for long, and must not call the Log.
	Observe func(Record)
}

// Log takes records from the sessions and writes them. Traffic outranks it: Put never waits,
// and a sink that is full, slow or gone costs records, which are counted, and nothing else.
type Log struct {
	open    func() (io.WriteCloser, error)
	trouble func(error)
	observe func(Record) // nil for nobody
	limit   int

	mu       sync.Mutex
	seq      uint64
	queue    []entry
	inflight int  // records taken by the writer and not written yet
	pending  *gap // lost since the last record that was queued; nil for nothing
	lost     uint64
	reopen   bool
	closed   bool
	recent   ring

	wake chan struct{} // holds one
	quit chan struct{} // closed when Close gives up waiting
	done chan struct{} // closed when the writer has ended
}

// entry is a queued record, and what was lost just before it.
type entry struct {
	record Record
	before *gap // nil for nothing
}

// New opens the sink and starts writing. Reopen opens it again.
func New(open func() (io.WriteCloser, error), o Options) (*Log, error) {
	sink, err := open()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if o.Queue == 0 {
		o.Queue = 1 << 16
	}
	if o.Recent == 0 {
		o.Recent = 1 << 12
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	l := &Log{
		open: open, trouble: o.Trouble, observe: o.Observe, limit: o.Queue,
		recent: ring{size: o.Recent},
		wake:   make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go (&writer{log: l, sink: sink}).run() // Close waits for it
	return l, nil
}

// A writer that is woken for each record costs the traffic more than judging it. So it writes what
// has come together lingerFor after the first, or when hurryAt have: not many more, since what
// they take to encode is taken from a processor that traffic may wait for.
const (
	lingerFor = 20 * time.Millisecond
	hurryAt   = 64 // records
)

// Put takes a record and returns its number. It never waits for the sink.
func (l *Log) Put(r Record) (seq uint64) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	l.mu.Lock()
	l.seq++
	r.Seq = l.seq
	l.recent.add(&r)
	if l.closed || len(l.queue)+l.inflight >= l.limit {
		l.lose(&r)
		l.mu.Unlock()
		return r.Seq
	}
	l.queue = append(l.queue, entry{record: r, before: l.pending})
	l.pending = nil
	waiting := len(l.queue)
	l.mu.Unlock()
	if waiting == 1 || waiting == hurryAt {
		l.signal()
	}
	return r.Seq
}

// lose counts a record. Sessions take the time before they come here, so it may run back a little.
func (l *Log) lose(r *Record) {
	if l.pending == nil {
		l.pending = &gap{since: r.Time, last: r.Time}
	}
	g := l.pending
	g.n, g.seq = g.n+1, r.Seq
	if r.Time.Before(g.since) {
		g.since = r.Time
	}
	if r.Time.After(g.last) {
		g.last = r.Time
	}
	l.lost++
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // the writer will look anyway
	}
}

// Lost is how many records were never written, since the start.
func (l *Log) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Waiting is how many records are not written yet.
func (l *Log) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) + l.inflight
}

// Reopen makes the writer open its sink anew, after someone renamed the file. When that fails it
// goes on with the old one and tries again.
func (l *Log) Reopen() {
	l.mu.Lock()
	l.reopen = true
	l.mu.Unlock()
	l.signal()
}

// takeReopen tells whether Reopen was called since it was asked last.
func (l *Log) takeReopen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.reopen
	l.reopen = false
	return asked
}

// urgent tells whether a failing writer should try again at once: a new file may be the cure, and
// at the end there is no later.
func (l *Log) urgent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reopen || l.closed
}

// hurried tells whether the writer should not wait for more.
func (l *Log) hurried() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reopen || l.closed || len(l.queue) >= hurryAt
}

// Close writes what waits and closes the sink. When ctx ends before that, what is left is lost;
// the error says how much.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again {
		<-l.done
		return nil
	}
	l.signal()
	select {
	case <-l.done:
	case <-ctx.Done():
		close(l.quit)
		select {
		case <-l.done:
		case <-time.After(stuck):
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	left := len(l.queue) + l.inflight
	if left == 0 {
		return nil
	}
	l.lost += uint64(left)
	return fmt.Errorf("%w: %d at the end, %d in all", ErrLost, left, l.lost)
}

// stuck is how long Close waits for a write to return that nothing can interrupt.
const stuck = 100 * time.Millisecond

// ErrLost is what Close returns when records were left.
var ErrLost = errors.New("audit records could not be written")

// Recent returns the last n records, the newest last. They are there even if they could not be
// written.
func (l *Log) Recent(n int) []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recent.last(n, func(*Record) bool { return true })
}

// BySession returns what is still known of a session, the newest last.
func (l *Log) BySession(id string) []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recent.last(l.recent.size, func(r *Record) bool { return r.Session == id })
}

// ring keeps the last records.
type ring struct {
	size int
	kept []Record
	next int // where the oldest is, once size records are kept
}

func (r *ring) add(rec *Record) {
	if len(r.kept) < r.size {
		r.kept = append(r.kept, *rec)
		return
	}
	r.kept[r.next] = *rec
	r.next = (r.next + 1) % r.size
}

// last returns up to n of the newest records that match, the newest last.
func (r *ring) last(n int, match func(*Record) bool) (found []Record) {
	for i := len(r.kept) - 1; i >= 0 && len(found) < n; i-- {
		if rec := &r.kept[(r.next+i)%len(r.kept)]; match(rec) {
			found = append(found, *rec)
		}
	}
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found
}
