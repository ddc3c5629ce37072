package audit

import (
	"bytes"
	"io"
	"time"
)

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// writer is the one goroutine that writes. It holds no lock while it does.
type writer struct {
	log  *Log
	sink io.WriteCloser

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
		lines, n, more := w.take()
		if !w.write(lines, n) {
			return // Close gave up
		}
		if !more {
			w.sink.Close()
			return
		}
	}
}

// take waits for lines and takes what has come together of one piece of the log: so many records,
// and gaps. more is false when nothing will follow.
func (w *writer) take() (lines []byte, records int, more bool) {
	l := w.log
	l.mu.Lock()
	for l.fresh == 0 && l.pending == nil && !l.closed && !l.reopen {
		l.mu.Unlock()
		<-l.wake
		w.linger()
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	if l.fresh == 0 && l.pending != nil { // nothing followed what was lost
		c := l.lines.last()
		before := len(c.b)
		l.appendGap(c)
		l.fresh += len(c.b) - before
	}
	lines, records = l.lines.take()
	l.fresh -= len(lines)
	l.lines.forget()
	return lines, records, !l.closed || l.fresh > 0 || l.pending != nil
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

// write writes lines, so many records and gaps, however often that fails. It returns false when
// Close gave up.
func (w *writer) write(lines []byte, n int) bool {
	if w.log.observe != nil {
		for _, r := range records(lines) {
			w.log.observe(r)
		}
	}
	done := 0
	for w.renew(lines, &done); done < len(lines); w.renew(lines, &done) {
		k, err := w.sink.Write(lines[done:])
		done += max(0, min(k, len(lines)-done))
		if err == nil && done < len(lines) {
			err = io.ErrShortWrite
		}
		if err == nil {
			w.recovered()
		} else if w.report(err); !w.pause() {
			w.settle(min(n, bytes.Count(lines[:done], []byte{'\n'})))
			return false
		}
	}
	w.settle(n)
	return true
}

// settle takes written records off the account.
func (w *writer) settle(records int) {
	w.log.mu.Lock()
	w.log.waiting -= records
	w.log.mu.Unlock()
}

// renew opens the sink anew when that was asked for; when it cannot, the old one still serves
// and the attempt is repeated. The part of a line that went into the old one is taken back from
// done, so that the new one begins with a whole line.
func (w *writer) renew(lines []byte, done *int) {
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
	*done = bytes.LastIndexByte(lines[:*done], '\n') + 1
	if len(lines) == 0 {
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
	w.log.fails(err)
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
		w.log.fails(nil)
		w.log.trouble(nil)
	}
}
