package dicom

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
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

// deflated returns a data set deflated, padded to even length. Its blocks are stored, not compressed:
// a compressor takes 800 KB of memory and 0.4 ms for each match of a query, and a match has some
// hundred bytes.
func deflated(set []byte) (b []byte) {
	for last := false; !last; {
		n := min(len(set), storedBlock)
		var final byte
		if last = n == len(set); last {
			final = 1
		}
		b = binary.LittleEndian.AppendUint16(append(b, final), uint16(n))
		b = binary.LittleEndian.AppendUint16(b, ^uint16(n))
		b, set = append(b, set[:n]...), set[n:]
	}
	if len(b)%2 != 0 {
		b = append(b, 0)
	}
	return b
}
