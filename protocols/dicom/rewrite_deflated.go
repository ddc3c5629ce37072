package dicom

import (
	"bytes"
	"compress/flate"
	"io"
)

// inflated returns what a deflated data set holds (PS3.5 §A.5), as far as that can be read and is at
// most so many bytes, and whether that is all of it.
func inflated(set []byte, most int) (b []byte, whole bool) {
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(set)), int64(most)+1))
	return b, err == nil && len(b) <= most
}

// storedBlock is the longest that a stored block may be (RFC 1951 §3.2.4).
const storedBlock = 1<<16 - 1

// deflated returns a data set deflated, padded to even length. What fits into a block is stored, not
// compressed: a compressor takes 800 KB of memory and 0.4 ms for each match of a query, and a match
// has some hundred bytes. What is larger must not leave with a multiple of the bytes it came with.
func deflated(set []byte) []byte {
	b := new(bytes.Buffer)
	if n := len(set); n <= storedBlock {
		b.Write([]byte{1, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)})
		b.Write(set)
	} else {
		w, _ := flate.NewWriter(b, flate.BestSpeed) // which is a valid level, and a buffer takes all
		w.Write(set)
		w.Close()
	}
	if b.Len()%2 != 0 {
		b.WriteByte(0)
	}
	return b.Bytes()
}
