package dicom

import (
	"encoding/binary"
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/protocols/wire"
)

const (
	pdvLengthLen = 4 // bytes of a PDV item's length field
	pdvHeaderLen = 6 // length field, context ID and message control header

	controlCommand = 1 << 0 // the fragment is of a command set, else of a data set
	controlLast    = 1 << 1 // it is the last one
)

// PDV is one presentation data value item of a P-DATA-TF PDU (PS3.8 §9.3.5.1, Annex E). Data
// aliases the PDU.
type PDV struct {
	ContextID uint8
	Command   bool // a fragment of a command set, else of a data set
	Last      bool // the last one of it
	Data      []byte
	Off, Len  int // where the whole item lies in the PDU: its length field up to its last byte
}

// PDVs iterates over the PDVs of a P-DATA-TF PDU.
type PDVs struct {
	rest wire.Cursor
	off  int
}

// ParsePDataTF checks a whole P-DATA-TF PDU (header included) and all its PDVs, so that iterating
// cannot fail and nothing of a malformed PDU is judged. Command and data set PDVs in one PDU are
// legal (D4).
func ParsePDataTF(pdu []byte) (PDVs, error) {
	if err := whole(pdu, TypePDataTF); err != nil {
		return PDVs{}, err
	}
	for off := PDUHeaderLen; off < len(pdu); {
		n, id, control, ok := ParsePDVHeader(pdu[off:])
		if !ok {
			return PDVs{}, pdvFault(off, "%d bytes after the last PDV; a PDV has at least %d", len(pdu)-off, pdvHeaderLen)
		}
		if err := CheckPDV(n, id, control, uint32(len(pdu)-off), off); err != nil {
			return PDVs{}, err
		}
		off += pdvLengthLen + int(n)
	}
	return PDVs{rest: pdu[PDUHeaderLen:], off: PDUHeaderLen}, nil
}

// Next reads the next PDV; it returns false after the last one.
func (p *PDVs) Next(v *PDV) bool {
	var n uint32
	var control uint8
	if !p.rest.Uint32(&n) || !p.rest.Uint8(&v.ContextID) || !p.rest.Uint8(&control) || !p.rest.Take(&v.Data, int(n)-2) {
		return false
	}
	v.Command, v.Last = control&controlCommand != 0, control&controlLast != 0
	v.Off, v.Len = p.off, pdvLengthLen+int(n)
	p.off += v.Len
	return true
}

// ParsePDVHeader reads the header of a PDV item of which the fragment may not have come yet; ok
// is false where b is too short for the header. itemLen counts the bytes after the length field,
// so the fragment has itemLen-2 bytes. CheckPDV judges what it returns.
func ParsePDVHeader(b []byte) (itemLen uint32, contextID, control uint8, ok bool) {
	c := wire.Cursor(b)
	if !c.Uint32(&itemLen) || !c.Uint8(&contextID) || !c.Uint8(&control) {
		return 0, 0, 0, false
	}
	return itemLen, contextID, control, true
}

// ControlBits reads a message control header (PS3.8 §E.2). Its bits 2 to 7 are sent as 0 and
// "never checked by the receiver".
func ControlBits(control uint8) (command, last bool) {
	return control&controlCommand != 0, control&controlLast != 0
}

// CheckPDV judges the header of a PDV item for which the PDU has room bytes, length field
// included, from its offset off on (D3, D5, D7). control is not tested, see ControlBits.
func CheckPDV(itemLen uint32, contextID, control uint8, room uint32, off int) error {
	switch {
	case itemLen < 2:
		return pdvFault(off, "PDV item of length %d; context ID and message control header alone have 2 bytes", itemLen)
	case room < pdvLengthLen || itemLen > room-pdvLengthLen:
		return pdvFault(off, "PDV item of length %d where the PDU has %d bytes left", itemLen, max(room, pdvLengthLen)-pdvLengthLen)
	case itemLen%2 != 0:
		return pdvFault(off, "PDV item of odd length %d; fragments have an even number of bytes", itemLen)
	case contextID%2 == 0:
		return pdvFault(off+pdvLengthLen, "presentation context ID %d; they are odd", contextID)
	}
	return nil
}

func pdvFault(off int, format string, args ...any) *protocols.Malformed {
	return &protocols.Malformed{Reason: reason.DICOMPDV, Section: "PS3.8 §9.3.5.1", Offset: off, Detail: fmt.Sprintf(format, args...)}
}

// AppendPDataHeader appends the header of a P-DATA-TF PDU whose PDV items have length bytes.
func AppendPDataHeader(dst []byte, length uint32) []byte {
	return AppendPDUHeader(dst, TypePDataTF, length)
}

// AppendPDV appends a PDV item. data has an even number of bytes.
func AppendPDV(dst []byte, contextID uint8, command, last bool, data []byte) []byte {
	var control uint8
	if command {
		control |= controlCommand
	}
	if last {
		control |= controlLast
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(2+len(data)))
	return append(append(dst, contextID, control), data...)
}
