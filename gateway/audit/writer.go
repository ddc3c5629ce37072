package audit

import (
	"bytes"
	"io"
	"time"
)

const (
	batchBytes = 64 << 10 // encoded before it is written
	keepQueue  = 1 << 10  // records; the memory of a longer queue is let go
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// writer is the one goroutine that encodes and writes. It holds no lock while it does.
type writer struct {
	log   *Log
	sink  io.WriteCloser
	spare []entry // the queue's memory, to be swapped in
	buf   []byte  // encoded, not written whole yet

	stale    bool      // the sink is to be opened anew
	nextOpen time.Time // not before then
	patience *time.Timer
	wait     time.Duration
	troubled bool // and that was told
}

func (w *writer) run() {
	defer close(w.log.done)
	w.patience = time.NewTimer(lingerFor)
	defer w.patience.Stop()
	for {
		batch, tail, more := w.take()
		if !w.write(batch, tail) {
			return // Close gave up
		}
		if !more {
			w.sink.Close()
			return
		}
	}
}

// take waits for records and takes all there are. tail is what was lost after the last of them.
// more is false when none will follow.
func (w *writer) take() (batch []entry, tail *gap, more bool) {
	l := w.log
	l.mu.Lock()
	for len(l.queue) == 0 && l.pending == nil && !l.closed && !l.reopen {
		l.mu.Unlock()
		<-l.wake
		w.linger()
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	batch, l.queue = l.queue, w.spare[:0]
	l.inflight = len(batch)
	tail, l.pending = l.pending, nil
	if w.spare = batch[:0]; cap(batch) > keepQueue {
		w.spare = nil
	}
	return batch, tail, !l.closed
}

// linger waits for more records to come together, unless there is a reason not to.
func (w *writer) linger() {
	if w.log.hurried() {
		return
	}
	w.patience.Reset(lingerFor)
	for {
		select {
		case <-w.patience.C:
			return
		case <-w.log.wake:
			if w.log.hurried() {
				w.patience.Stop()
				return
			}
		}
	}
}

// write encodes and writes a batch, however often that fails. It returns false when Close gave
// up.
func (w *writer) write(batch []entry, tail *gap) bool {
	records := 0 // in buf
	for i := range batch {
		if w.log.observe != nil {
			w.log.observe(batch[i].record)
		}
		w.appendGap(batch[i].before)
		w.buf = append(batch[i].record.AppendJSON(w.buf), '\n')
		records++
		if len(w.buf) >= batchBytes {
			if !w.flush(records) {
				return false
			}
			records = 0
		}
	}
	w.appendGap(tail)
	clear(batch) // lets go of what the records refer to
	return w.flush(records)
}

func (w *writer) appendGap(g *gap) {
	if g != nil {
		w.buf = append(g.appendJSON(w.buf), '\n')
	}
}

// flush writes what is encoded: so many records, and gaps.
func (w *writer) flush(records int) bool {
	done := 0
	for w.renew(&done); done < len(w.buf); w.renew(&done) {
		n, err := w.sink.Write(w.buf[done:])
		done += max(0, min(n, len(w.buf)-done))
		if err == nil && done < len(w.buf) {
			err = io.ErrShortWrite
		}
		if err == nil {
			w.recovered()
		} else if w.report(err); !w.pause() {
			w.settle(min(records, bytes.Count(w.buf[:done], []byte{'\n'})))
			return false
		}
	}
	w.buf = w.buf[:0]
	w.settle(records)
	return true
}

// settle takes written records off the account.
func (w *writer) settle(records int) {
	w.log.mu.Lock()
	w.log.inflight -= records
	w.log.mu.Unlock()
}

// renew opens the sink anew when that was asked for; when it cannot, the old one still serves
// and the attempt is repeated. The part of a line that went into the old one is taken back from
// done, so that the new one begins with a whole line.
func (w *writer) renew(done *int) {
	if w.log.takeReopen() {
		w.stale, w.nextOpen = true, time.Time{}
	}
	if !w.stale || time.Now().Before(w.nextOpen) {
		return
	}
	sink, err := w.log.open()
	if err != nil {
		w.nextOpen = time.Now().Add(lastRetry)
		w.report(err)
		return
	}
	w.sink.Close()
	w.sink, w.stale = sink, false
	*done = bytes.LastIndexByte(w.buf[:*done], '\n') + 1
	if len(w.buf) == 0 {
		w.recovered()
	}
}

// pause waits before the next attempt, longer each time. It returns false when Close gave up.
func (w *writer) pause() bool {
	w.wait = min(max(2*w.wait, firstRetry), lastRetry)
	t := time.NewTimer(w.wait)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-w.log.quit:
			return false
		case <-w.log.wake:
			if w.log.urgent() {
				return true
			}
		}
	}
}

// report tells the first of a row of errors.
func (w *writer) report(err error) {
	if !w.troubled {
		w.troubled = true
		w.log.trouble(err)
	}
}

// recovered ends it.
func (w *writer) recovered() {
	w.wait = 0
	if w.troubled && !w.stale {
		w.troubled = false
		w.log.trouble(nil)
	}
}
