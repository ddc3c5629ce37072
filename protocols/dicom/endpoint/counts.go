package endpoint

import (
	"encoding/binary"

	"cordon/protocols/dicom"
)

// Counts are the sub-operations of a C-MOVE or C-GET, as its responses tell them (PS3.7 §9.3.3.2,
// §9.3.4.2).
type Counts struct{ Remaining, Completed, Failed, Warning uint16 }

// append puts the counts at the end of a command set, where their tags belong: (0000,1020) and the
// three that follow.
func (n Counts) append(set []byte) []byte {
	le := binary.LittleEndian
	for i, v := range []uint16{n.Remaining, n.Completed, n.Failed, n.Warning} {
		set = le.AppendUint16(append(set, 0, 0), 0x1020+uint16(i))
		set = le.AppendUint16(append(set, 2, 0, 0, 0), v)
	}
	le.PutUint32(set[8:], uint32(len(set)-12)) // the group length
	return set
}

// countsOf reads the counts of a command set that was parsed before.
func countsOf(set []byte) (n Counts) {
	le := binary.LittleEndian
	for len(set) >= 8 {
		elem, length := le.Uint16(set[2:]), le.Uint32(set[4:])
		value := set[8 : 8+length]
		if to := n.field(elem); to != nil && length == 2 {
			*to = le.Uint16(value)
		}
		set = set[8+length:]
	}
	return n
}

func (n *Counts) field(elem uint16) *uint16 {
	switch elem {
	case 0x1020:
		return &n.Remaining
	case 0x1021:
		return &n.Completed
	case 0x1022:
		return &n.Failed
	case 0x1023:
		return &n.Warning
	}
	return nil
}

// add counts a sub-operation by the status of its C-STORE.
func (n *Counts) add(status uint16) {
	n.Remaining--
	switch {
	case status == dicom.StatusSuccess:
		n.Completed++
	case status>>12 == 0xB:
		n.Warning++
	default:
		n.Failed++
	}
}
