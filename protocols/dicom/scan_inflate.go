package dicom

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
)

// inflater scans a deflated data set (PS3.5 §A.5: RFC 1951, without a zlib header). Inflating
// cannot be suspended for want of bytes, so it keeps what came and begins anew, but only when the
// bytes have doubled or are complete: the cost stays linear.
type inflater struct {
	held  []byte
	tried int // bytes that the last try had
	in    bytes.Reader
	out   io.ReadCloser // flate's
	chunk [4 << 10]byte
}

// firstTry is how many deflated bytes the first try waits for; most headers of interest are
// within.
const firstTry = 512

// keptDeflated is how many bytes of memory for held ones are kept from one data set to the next.
const keptDeflated = 8 << 10

// reset forgets what is held: before a data set, and as soon as no more of it is to be read.
func (f *inflater) reset() {
	f.held, f.tried = emptied(f.held, keptDeflated), 0
	f.in.Reset(nil) // it has held, too
}

func (f *inflater) feed(w *walker, b []byte) {
	limit := w.limits.Inflated
	f.held = append(f.held, b[:min(len(b), limit-len(f.held))]...)
	full := len(f.held) == limit
	if full || len(f.held) >= max(firstTry, 2*f.tried) {
		f.try(w, false)
	}
	if full && !w.done {
		w.exceeds("§A.5", "nothing was decided in %d deflated bytes", limit)
	}
	if w.done {
		f.reset()
	}
}

func (f *inflater) end(w *walker) {
	if !w.done {
		f.try(w, true)
	}
	f.reset()
}

// try inflates what is held from its start and walks over it.
func (f *inflater) try(w *walker, complete bool) {
	f.tried = len(f.held)
	f.in.Reset(f.held)
	if f.out == nil {
		f.out = flate.NewReader(&f.in)
	} else if err := f.out.(flate.Resetter).Reset(&f.in, nil); err != nil {
		w.fail("§A.5", "inflating failed to begin")
		return
	}
	w.begin()
	for total := 0; !w.done; {
		n, err := f.out.Read(f.chunk[:min(len(f.chunk), w.limits.Inflated-total+1)])
		total += n
		w.feed(f.chunk[:n])
		switch {
		case w.done:
		case total > w.limits.Inflated:
			w.exceeds("§A.5", "nothing was decided in %d inflated bytes", w.limits.Inflated)
		case errors.Is(err, io.EOF):
			w.end()
		case errors.Is(err, io.ErrUnexpectedEOF) && !complete:
			return // more is to come
		case errors.Is(err, io.ErrUnexpectedEOF):
			w.fail("§A.5", "the deflated data set is cut short")
		case err != nil:
			w.fail("§A.5", "the data set is not deflated as RFC 1951 says")
		}
	}
}
