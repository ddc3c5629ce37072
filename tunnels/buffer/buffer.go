// Package buffer lends memory to read into, in sizes that follow what reads bring: a message of
// 300 bytes needs little, and a study costs a tenth less when system calls are few.
package buffer

import "sync"

const (
	Small = 32 << 10  // bytes: where reading starts
	Large = 512 << 10 // bytes: larger reads save no more system calls worth having
)

// pools are of Small and each doubling of it up to 8 MiB. What is larger is rare and goes back to
// the collector.
var pools [9]sync.Pool

func init() {
	for i := range pools {
		pools[i].New = func() any { b := make([]byte, Small<<i); return &b }
	}
}

// poolOf returns the pool for buffers of a size; nil when there is none.
func poolOf(size int) *sync.Pool {
	for i := range pools {
		if size == Small<<i {
			return &pools[i]
		}
	}
	return nil
}

// Take returns a buffer of a size, in bytes. What it holds is undefined.
func Take(size int) *[]byte {
	if p := poolOf(size); p != nil {
		return p.Get().(*[]byte)
	}
	b := make([]byte, size)
	return &b
}

// Give gives a buffer back. Nobody may use it any more.
func Give(b *[]byte) {
	if p := poolOf(len(*b)); p != nil {
		p.Put(b)
	}
}

// Appetite is how much the next read should have room for. A read that fills its buffer leaves
// more behind, so the next is twice as large; a row of reads that bring little halves it: one
// alone may be the end of something large. The zero value starts with Small.
type Appetite struct {
	doublings uint8
	little    uint8 // reads in a row
}

const rowOfLittle = 8

// Size is the room for the next read, in bytes.
func (a *Appetite) Size() int { return Small << a.doublings }

// Fed notes that a read brought n bytes into room for so many.
func (a *Appetite) Fed(n, room int) {
	if n >= a.Size()/4 {
		a.little = 0
		if n == room && room >= a.Size() && a.Size() < Large {
			a.doublings++
		}
		return
	}
	if a.little++; a.little >= rowOfLittle && a.doublings > 0 {
		a.doublings--
		a.little = 0
	}
}
