package endpoint

import (
	"bytes"
	"errors"
	"io"

	"cordon/protocols/hl7"
)

// maxBlock caps what is read as one block, in bytes.
const maxBlock = 64 << 20

// readSize is how much a read asks for.
const readSize = 16 << 10

// blocks reads MLLP blocks from a stream. Memory grows with what arrived, not with what a length
// says, for a block declares none.
type blocks struct {
	r      io.Reader
	finder hl7.Finder
	buf    []byte
	begin  int // where the next block starts in buf
}

// next returns the message inside the next block. It lives until the call after. At the end of
// the stream the error is io.EOF between blocks and io.ErrUnexpectedEOF inside one.
func (b *blocks) next() ([]byte, error) {
	b.buf = b.buf[:copy(b.buf, b.buf[b.begin:])]
	b.begin = 0
	for {
		if b.finder == (hl7.Finder{}) { // not inside a block
			strays := len(b.buf) - len(bytes.TrimLeft(b.buf, "\r\n "))
			b.buf = b.buf[:copy(b.buf, b.buf[strays:])]
		}
		n, err := b.finder.Next(b.buf, maxBlock)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			b.begin = n
			return hl7.Content(b.buf[:n]), nil
		}
		if err := b.fill(); err != nil {
			if errors.Is(err, io.EOF) && len(b.buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// fill reads more into buf.
func (b *blocks) fill() error {
	if cap(b.buf)-len(b.buf) < readSize {
		b.buf = append(make([]byte, 0, 2*cap(b.buf)+readSize), b.buf...)
	}
	n, err := b.r.Read(b.buf[len(b.buf) : len(b.buf)+readSize])
	b.buf = b.buf[:len(b.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}
