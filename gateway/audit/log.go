package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
//
// A record is encoded where it comes from, straight into the piece of the log that is written
// next: copying it to a queue would cost as much, and the writer would then take a processor for
// encoding just when traffic wants it.
type Log struct {
	open    func() (io.WriteCloser, error)
	trouble func(error)
	observe func(Record) // nil for nobody
	limit   int
	recent  int

	mu      sync.Mutex
	seq     uint64
	at      stamp
	lines   chunks
	fresh   int      // bytes that the writer has not taken
	waiting int      // records not written yet
	pending *gap     // lost since the last record that was taken; nil for nothing
	missed  [2]chunk // the last records that were lost, to be asked about; the first is older
	lost    uint64
	failing error     // why the last write, or opening the sink anew, failed; nil while all is well
	since   time.Time // of the first failure in this row
	reopen  bool
	closed  bool

	wake chan struct{} // holds one
	quit chan struct{} // closed when Close gives up waiting
	done chan struct{} // closed when the writer has ended
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
		recent: o.Recent, lines: chunks{keep: o.Recent},
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go (&writer{log: l, sink: sink}).run() // Close waits for it
	return l, nil
}

// A writer that is woken for each record costs the traffic more than judging it. So it writes what
// has come together lingerFor after the first, or when hurryAt has.
const (
	lingerFor = 20 * time.Millisecond
	hurryAt   = 32 << 10 // bytes
)

// Put takes a record and returns its number. It never waits for the sink.
func (l *Log) Put(r *Record) (seq uint64) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	l.mu.Lock()
	l.seq++
	r.Seq = l.seq
	if l.closed || l.waiting >= l.limit {
		l.lose(r)
		l.mu.Unlock()
		return r.Seq
	}
	c := l.lines.last()
	before := len(c.b)
	l.appendGap(c)
	c.b = append(r.appendJSON(c.b, &l.at), '\n')
	c.records++
	l.waiting++
	l.lines.kept++
	first := l.fresh == 0
	late := l.fresh < hurryAt
	l.fresh += len(c.b) - before
	late = late && l.fresh >= hurryAt
	l.mu.Unlock()
	if first || late {
		l.signal()
	}
	return r.Seq
}

// appendGap writes down what was lost before.
func (l *Log) appendGap(c *chunk) {
	if l.pending != nil {
		c.b = append(l.pending.appendJSON(c.b, &l.at), '\n')
		l.pending = nil
	}
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
	m := &l.missed[1]
	if m.records >= l.recent {
		l.missed[0], l.missed[1] = *m, chunk{b: l.missed[0].b[:0]}
	}
	m.b = append(r.appendJSON(m.b, &l.at), '\n')
	m.records++
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

// Trouble returns since when records cannot be written, and why; nil while they can.
func (l *Log) Trouble() (since time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since, l.failing
}

// fails notes an error of the sink, or with nil that there is none any longer.
func (l *Log) fails(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing == nil {
		l.since = time.Now()
	}
	l.failing = err
}

// Waiting is how many records are not written yet.
func (l *Log) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
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
	return l.reopen || l.closed || l.fresh >= hurryAt
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
	if l.waiting == 0 {
		return nil
	}
	l.lost += uint64(l.waiting)
	return fmt.Errorf("%w: %d at the end, %d in all", ErrLost, l.waiting, l.lost)
}

// stuck is how long Close waits for a write to return that nothing can interrupt.
const stuck = 100 * time.Millisecond

// ErrLost is what Close returns when records were left.
var ErrLost = errors.New("audit records could not be written")

// Remembers is how many records Recent and BySession know at most.
func (l *Log) Remembers() int { return l.recent }

// Recent returns the last n records, the newest last. They are there even if they could not be
// written.
func (l *Log) Recent(n int) []Record {
	all := l.remembered()
	return all[max(0, len(all)-n):]
}

// BySession returns what is still known of a session, the newest last.
func (l *Log) BySession(id string) (found []Record) {
	for _, r := range l.remembered() {
		if r.Session == id {
			found = append(found, r)
		}
	}
	return found
}

// remembered reads back the last records, in order. The lines are copied first, since their
// memory is used again.
func (l *Log) remembered() []Record {
	var lines []byte
	l.mu.Lock()
	for _, c := range l.lines.all {
		lines = append(lines, c.b...)
	}
	lines = append(append(lines, l.missed[0].b...), l.missed[1].b...)
	l.mu.Unlock()
	all := records(lines)
	slices.SortFunc(all, func(a, b Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return all[max(0, len(all)-l.recent):]
}
