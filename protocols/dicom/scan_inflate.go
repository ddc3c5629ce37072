package dicom

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
)

// maxInflated is how much of a deflated data set is inflated at most to find the tags asked for,
// and how much of it is held deflated.
const maxInflated = 1 << 20

// inflater scans a deflated data set (PS3.5 §A.5: RFC 1951, without a zlib header). Inflating
// cannot be suspended for want of bytes, so it keeps what came and begins anew, but only when the
// bytes have doubled or are complete: the cost stays linear.
type inflater struct {
	enc   encoding
	until Tag
	held  []byte
	tried int // bytes that the last try had
	in    bytes.Reader
	out   io.ReadCloser // flate's
	chunk [4 << 10]byte
}

// firstTry is how many deflated bytes the first try waits for; most headers of interest are
// within.
const firstTry = 512

func (f *inflater) reset(e encoding, until Tag) {
	f.enc, f.until, f.held, f.tried = e, until, f.held[:0], 0
}

func (f *inflater) feed(w *walker, b []byte) {
	f.held = append(f.held, b[:min(len(b), maxInflated-len(f.held))]...)
	full := len(f.held) == maxInflated
	if full || len(f.held) >= max(firstTry, 2*f.tried) {
		f.try(w, false)
	}
	if full && !w.done {
		w.fail("§A.5", "nothing was decided in %d deflated bytes", maxInflated)
	}
}

func (f *inflater) end(w *walker) {
	if !w.done {
		f.try(w, true)
	}
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
	w.reset(f.enc, f.until)
	for total := 0; !w.done; {
		n, err := f.out.Read(f.chunk[:])
		total += n
		w.feed(f.chunk[:n])
		switch {
		case w.done:
		case total > maxInflated:
			w.fail("§A.5", "nothing was decided in %d inflated bytes", maxInflated)
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
