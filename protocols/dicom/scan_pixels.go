package dicom

import (
	"encoding/binary"
	"math/bits"
)

// pixels takes the header of Pixel Data of the top level. Nothing more is needed of native pixels.
func (w *walker) pixels(length uint32) {
	im := &w.facts.Image
	im.HasPixels = true
	if length == undefinedLength {
		im.Encapsulated = true
		return
	}
	im.PixelLength = length
	w.done = w.stopAt
}

// The first items of encapsulated Pixel Data (PS3.5 §A.4).
const (
	offsetTable = iota
	firstFragment
)

// rleHeader is what keeps the start of an RLE fragment.
var rleHeader = &sought{tag: tagPixelData, form: &valueForm{name: "RLE header"}}

// fragmentBegins takes the header of an item of encapsulated Pixel Data, of the top level or of an
// icon.
func (w *walker) fragmentBegins(length uint32) {
	if len(w.levels) > 1 {
		return
	}
	switch w.fragment {
	case offsetTable:
		w.facts.Image.OffsetTable = length
	case firstFragment:
		w.facts.Image.FirstFragment = length
		if w.enc.rle && length > 0 {
			w.kept, w.from = rleHeader, len(w.text)
			w.skip = min(length, rleHeaderLen)
			w.rest = length - w.skip
		} else if w.stopAt {
			w.done = true
		}
	}
	w.fragment++
}

// An RLE header has sixteen numbers of 32 bits: how many segments there are, and where each
// begins, counted from the header; those not used are 0 (PS3.5 §G.5).
const (
	rleHeaderLen   = 64
	maxRLESegments = 15
)

// rle reads the header of the first fragment.
func (im *Image) rle(header []byte) {
	if len(header) >= 4 {
		im.Segments = binary.LittleEndian.Uint32(header)
	}
	if len(header) < rleHeaderLen || im.Segments < 1 || im.Segments > maxRLESegments {
		return
	}
	last := uint32(rleHeaderLen - 1)
	for i := range im.Segments {
		offset := binary.LittleEndian.Uint32(header[4+4*i:])
		if i == 0 && offset != rleHeaderLen || offset <= last || offset >= im.FirstFragment {
			return
		}
		last = offset
	}
	im.RLESane = true
}

// frames reads Number of Frames, a decimal integer as text (PS3.5 §6.2).
func (im *Image) frames(v []byte) {
	if len(v) == 0 {
		return
	}
	if v[0] == '+' && len(v) > 1 {
		v = v[1:]
	}
	n := uint64(0)
	for _, c := range v {
		if c < '0' || c > '9' || n > 1<<32 {
			im.Frames, im.FramesBad = 0, true
			return
		}
		n = 10*n + uint64(c-'0')
	}
	if im.Frames = uint32(n); uint64(im.Frames) != n {
		im.Frames, im.FramesBad = 0, true
	}
}

// Expected returns the bytes that native Pixel Data has by its geometry, the byte that makes it
// even not counted: rows × columns × samples × bits × frames. It is false when the data set does
// not say that, or when it is too much for 64 bits. Of 4:2:2 photometric interpretations two
// pixels share the chrominance, so each has two samples.
func (im *Image) Expected() (bytes uint64, ok bool) {
	samples := uint64(im.SamplesPerPixel)
	switch string(im.Photometric) {
	case "YBR_FULL_422", "YBR_PARTIAL_422":
		samples = min(samples, 2)
	}
	n := uint64(im.Rows) * uint64(im.Columns) * samples // at most 48 bits
	high, n := bits.Mul64(n, uint64(im.BitsAllocated))
	over, n := bits.Mul64(n, uint64(im.Frames))
	if n == 0 || high != 0 || over != 0 {
		return 0, false
	}
	return (n-1)/8 + 1, true
}
