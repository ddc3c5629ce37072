// Package wire reads and writes byte layouts. A [Cursor] can only be consumed, and each read
// says whether there was enough, so that a parser that chains its reads into one condition looks
// like the diagram in the standard and cannot skip a bounds check:
//
//	c := wire.Cursor(item)
//	if !c.Uint8(&typ) || !c.Skip(1) || !c.Uint16(&n) || !c.Take(&value, int(n)) {
//		return errTruncated
//	}
//
// No read allocates: slices alias the input.
package wire

import "encoding/binary"

// Cursor is the part of a unit that is not read yet. A read that returns false consumed nothing.
type Cursor []byte

// Skip consumes n bytes.
func (c *Cursor) Skip(n int) bool {
	if n < 0 || n > len(*c) {
		return false
	}
	*c = (*c)[n:]
	return true
}

// Take consumes n bytes into out, which aliases the input and has no capacity beyond them.
func (c *Cursor) Take(out *[]byte, n int) bool {
	if n < 0 || n > len(*c) {
		return false
	}
	*out, *c = (*c)[:n:n], (*c)[n:]
	return true
}

// Sub consumes n bytes into a cursor of their own.
func (c *Cursor) Sub(out *Cursor, n int) bool {
	var b []byte
	if !c.Take(&b, n) {
		return false
	}
	*out = b
	return true
}

// Uint8 consumes one byte.
func (c *Cursor) Uint8(out *uint8) bool {
	if len(*c) < 1 {
		return false
	}
	*out, *c = (*c)[0], (*c)[1:]
	return true
}

// Uint16 consumes two bytes, big endian.
func (c *Cursor) Uint16(out *uint16) bool {
	if len(*c) < 2 {
		return false
	}
	*out, *c = binary.BigEndian.Uint16(*c), (*c)[2:]
	return true
}

// Uint32 consumes four bytes, big endian.
func (c *Cursor) Uint32(out *uint32) bool {
	if len(*c) < 4 {
		return false
	}
	*out, *c = binary.BigEndian.Uint32(*c), (*c)[4:]
	return true
}

// Uint16LE consumes two bytes, little endian.
func (c *Cursor) Uint16LE(out *uint16) bool {
	if len(*c) < 2 {
		return false
	}
	*out, *c = binary.LittleEndian.Uint16(*c), (*c)[2:]
	return true
}

// Uint32LE consumes four bytes, little endian.
func (c *Cursor) Uint32LE(out *uint32) bool {
	if len(*c) < 4 {
		return false
	}
	*out, *c = binary.LittleEndian.Uint32(*c), (*c)[4:]
	return true
}

// Empty tells whether all was read.
func (c Cursor) Empty() bool { return len(c) == 0 }

// Builder appends byte layouts to a slice that its caller may reuse.
type Builder struct{ B []byte }

// Uint8 appends one byte.
func (b *Builder) Uint8(v uint8) { b.B = append(b.B, v) }

// Uint16 appends two bytes, big endian.
func (b *Builder) Uint16(v uint16) { b.B = binary.BigEndian.AppendUint16(b.B, v) }

// Uint32 appends four bytes, big endian.
func (b *Builder) Uint32(v uint32) { b.B = binary.BigEndian.AppendUint32(b.B, v) }

// Uint16LE appends two bytes, little endian.
func (b *Builder) Uint16LE(v uint16) { b.B = binary.LittleEndian.AppendUint16(b.B, v) }

// Uint32LE appends four bytes, little endian.
func (b *Builder) Uint32LE(v uint32) { b.B = binary.LittleEndian.AppendUint32(b.B, v) }

// Bytes appends v.
func (b *Builder) Bytes(v []byte) { b.B = append(b.B, v...) }

// String appends v.
func (b *Builder) String(v string) { b.B = append(b.B, v...) }

// Zero appends n zero bytes.
func (b *Builder) Zero(n int) {
	for range n {
		b.B = append(b.B, 0)
	}
}

// Len16 appends a big-endian 16-bit length followed by what fill appends.
func (b *Builder) Len16(fill func(*Builder)) {
	at := len(b.B)
	b.Uint16(0)
	fill(b)
	binary.BigEndian.PutUint16(b.B[at:], uint16(len(b.B)-at-2))
}

// Len32 appends a big-endian 32-bit length followed by what fill appends.
func (b *Builder) Len32(fill func(*Builder)) {
	at := len(b.B)
	b.Uint32(0)
	fill(b)
	binary.BigEndian.PutUint32(b.B[at:], uint32(len(b.B)-at-4))
}
