package hl7

import (
	"bytes"
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// The bytes that frame a block: VT, the message, FS, CR (MLLP release 1 §2).
const (
	startBlock     = 0x0B // VT
	endBlock       = 0x1C // FS
	carriageReturn = 0x0D // CR
)

// defaultMaxMessage caps a block, in bytes, where no cap is given.
const defaultMaxMessage = 1 << 20

const mllp = "MLLP release 1 §2"

// Finder finds the end of a block in a window that only grows. It remembers how far it looked,
// so a block that arrives in a thousand reads is scanned once.
type Finder struct {
	scanned int // bytes of the block that hold no framing byte after the first
}

// Next returns the length of the block that win starts with, framing included, or 0 while more
// bytes are needed. max caps it; 0 takes 1 MiB. After a length was returned, the next window
// must start behind that block. An error is a *protocols.Malformed, and the same wherever the
// window was cut.
func (f *Finder) Next(win []byte, max int) (int, error) {
	if max <= 0 {
		max = defaultMaxMessage
	}
	if len(win) == 0 {
		return 0, nil
	}
	if win[0] != startBlock {
		return 0, unframed(win[0])
	}
	seen := win[:min(len(win), max)]
	from := min(f.scanned+1, len(seen))
	fresh := seen[from:]
	end := bytes.IndexByte(fresh, endBlock)
	if end >= 0 {
		fresh, end = fresh[:end], from+end
	}
	if vt := bytes.IndexByte(fresh, startBlock); vt >= 0 {
		at := from + vt
		return 0, &protocols.Malformed{Reason: reason.HL7Framing, Section: mllp, Offset: at,
			Detail: fmt.Sprintf("VT at %d in a block: %s; FS CR must end it before the next begins", at, framingBytes(win[:at+1]))}
	}
	switch {
	case end < 0 && len(win) < max:
		f.scanned = len(win) - 1
		return 0, nil
	case end < 0 || end+1 >= max:
		return 0, &protocols.Malformed{Reason: reason.HL7TooLong, Section: mllp, Offset: max,
			Detail: fmt.Sprintf("no end of block within %d bytes, the largest block that is allowed", max)}
	case end+1 >= len(win): // FS is here, its CR is not yet
		f.scanned = end - 1
		return 0, nil
	case win[end+1] != carriageReturn:
		return 0, &protocols.Malformed{Reason: reason.HL7Framing, Section: mllp, Offset: end,
			Detail: fmt.Sprintf("FS at %d in a block: %s; CR must follow it", end, framingBytes(win[:end+2]))}
	}
	f.scanned = 0
	return end + 2, nil
}

// unframed says that a block should start with another byte than first.
func unframed(first byte) error {
	return &protocols.Malformed{Reason: reason.HL7Framing, Section: mllp,
		Detail: "no block begins here but " + framingBytes([]byte{first}) + "; VT (0B) must start a block"}
}

// framingBytes shows the last four bytes of b in hex as far as they are control characters. All
// else may be a patient's and is masked.
func framingBytes(b []byte) string {
	var out []byte
	for i, c := range b[max(0, len(b)-4):] {
		if i > 0 {
			out = append(out, ' ')
		}
		if c < 0x20 {
			out = fmt.Appendf(out, "%02X", c)
		} else {
			out = append(out, ".."...)
		}
	}
	return string(out)
}

// AppendBlock appends message as an MLLP block.
func AppendBlock(dst, message []byte) []byte {
	dst = append(dst, startBlock)
	dst = append(dst, message...)
	return append(dst, endBlock, carriageReturn)
}

// Content returns the message inside a block that Next found.
func Content(block []byte) []byte { return block[1 : len(block)-2] }

// isStray tells whether a byte between blocks is one that senders are known to leave there (H3).
func isStray(c byte) bool { return c == '\r' || c == '\n' || c == ' ' }

// strays counts the stray bytes that win starts with.
func strays(win []byte) int {
	n := 0
	for n < len(win) && isStray(win[n]) {
		n++
	}
	return n
}

// isCommit tells whether a message is the content of an MLLP release 2 commit block: ACK (06) or
// NAK (15) alone (MLLP release 2 §2.2).
func isCommit(message []byte) bool {
	return len(message) == 1 && (message[0] == 0x06 || message[0] == 0x15)
}
