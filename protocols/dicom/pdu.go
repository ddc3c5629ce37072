package dicom

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/protocols/wire"
)

// PDUType is the first byte of a PDU (PS3.8 §9.3.1).
type PDUType uint8

// The PDU types.
const (
	TypeAssociateRQ PDUType = 0x01
	TypeAssociateAC PDUType = 0x02
	TypeAssociateRJ PDUType = 0x03
	TypePDataTF     PDUType = 0x04
	TypeReleaseRQ   PDUType = 0x05
	TypeReleaseRP   PDUType = 0x06
	TypeAbort       PDUType = 0x07
)

const (
	// PDUHeaderLen is the length of a PDU's type, reserved byte and length, in bytes.
	PDUHeaderLen = 6
	// MaxAssociatePDU is the longest A-ASSOCIATE-RQ or -AC that is read, in bytes after the PDU
	// header. Honest ones stay below 64 KiB; the field's own parsers stop at the same limit.
	MaxAssociatePDU = 1 << 20
	// fixedPDU is what the length of an A-ASSOCIATE-RJ, A-RELEASE-RQ, -RP and A-ABORT must be.
	fixedPDU = 4
)

// pduLengths bounds the length field by PDU type. The upper bound of P-DATA-TF is negotiated.
var pduLengths = [...]struct {
	name     string
	section  string
	min, max uint32
}{
	TypeAssociateRQ: {"A-ASSOCIATE-RQ", "PS3.8 §9.3.2", associateFixed, MaxAssociatePDU},
	TypeAssociateAC: {"A-ASSOCIATE-AC", "PS3.8 §9.3.3", associateFixed, MaxAssociatePDU},
	TypeAssociateRJ: {"A-ASSOCIATE-RJ", "PS3.8 §9.3.4", fixedPDU, fixedPDU},
	TypePDataTF:     {"P-DATA-TF", "PS3.8 §9.3.5", pdvHeaderLen, 1<<32 - 1},
	TypeReleaseRQ:   {"A-RELEASE-RQ", "PS3.8 §9.3.6", fixedPDU, fixedPDU},
	TypeReleaseRP:   {"A-RELEASE-RP", "PS3.8 §9.3.7", fixedPDU, fixedPDU},
	TypeAbort:       {"A-ABORT", "PS3.8 §9.3.8", fixedPDU, fixedPDU},
}

// Known tells whether PS3.8 defines the type.
func (t PDUType) Known() bool { return t >= TypeAssociateRQ && t <= TypeAbort }

func (t PDUType) String() string {
	if t.Known() {
		return pduLengths[t].name
	}
	return fmt.Sprintf("PDU type %02XH", uint8(t))
}

// ParsePDUHeader reads the header of a PDU; ok is false where b is too short for it. The reserved
// byte is not tested, as the standard says.
func ParsePDUHeader(b []byte) (t PDUType, length uint32, ok bool) {
	c := wire.Cursor(b)
	var typ uint8
	if !c.Uint8(&typ) || !c.Skip(1) || !c.Uint32(&length) {
		return 0, 0, false
	}
	return PDUType(typ), length, true
}

// CheckPDUHeader judges a header before anything is read or allocated for what it declares (D7):
// the type is known, the length possible for it, and that of a P-DATA-TF at most maxData, which
// is what its receiver accepts (0: no limit).
func CheckPDUHeader(t PDUType, length, maxData uint32) error {
	if !t.Known() {
		return &protocols.Malformed{Reason: reason.DICOMPDUType, Section: "PS3.8 §9.3.1",
			Detail: fmt.Sprintf("%s; there are 01H to 07H", t)}
	}
	l := pduLengths[t]
	if t == TypePDataTF && maxData != 0 {
		l.max = maxData
	}
	switch {
	case length < l.min:
		return &protocols.Malformed{Reason: reason.DICOMPDU, Section: l.section, Offset: 2,
			Detail: fmt.Sprintf("%s of length %d; it has at least %d bytes", l.name, length, l.min)}
	case length > l.max && l.max == fixedPDU:
		return &protocols.Malformed{Reason: reason.DICOMPDU, Section: l.section, Offset: 2,
			Detail: fmt.Sprintf("%s of length %d; it has %d bytes", l.name, length, l.max)}
	case length > l.max:
		return &protocols.Malformed{Reason: reason.DICOMPDUTooLong, Section: l.section, Offset: 2,
			Detail: fmt.Sprintf("%s of length %d; at most %d bytes are accepted", l.name, length, l.max)}
	}
	return nil
}

// whole checks that pdu is one whole PDU of type t.
func whole(pdu []byte, t PDUType) error {
	got, length, ok := ParsePDUHeader(pdu)
	switch {
	case !ok:
		return &protocols.Malformed{Reason: reason.DICOMPDU, Section: "PS3.8 §9.3.1", Offset: len(pdu),
			Detail: fmt.Sprintf("%d bytes; a PDU header has %d", len(pdu), PDUHeaderLen)}
	case got != t:
		return &protocols.Malformed{Reason: reason.DICOMPDU, Section: pduLengths[t].section,
			Detail: fmt.Sprintf("%s where %s was to be read", got, t)}
	}
	if err := CheckPDUHeader(t, length, 0); err != nil {
		return err
	}
	if int64(length) != int64(len(pdu)-PDUHeaderLen) {
		return &protocols.Malformed{Reason: reason.DICOMPDU, Section: pduLengths[t].section, Offset: 2,
			Detail: fmt.Sprintf("%s of length %d in %d bytes", t, length, len(pdu)-PDUHeaderLen)}
	}
	return nil
}

// AppendPDUHeader appends the header of a PDU whose length bytes follow.
func AppendPDUHeader(dst []byte, t PDUType, length uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(t), 0), length)
}

// strangers are the beginnings by which other protocols are known. A beginning that came only in
// part counts, the first that fits wins.
var strangers = []struct{ begin, name string }{
	{"PRI * HTTP/2", "HTTP/2"},
	{"HTTP/", "an HTTP response"},
	{"GET ", "HTTP"}, {"POST ", "HTTP"}, {"PUT ", "HTTP"}, {"HEAD ", "HTTP"}, {"DELETE ", "HTTP"},
	{"OPTIONS ", "HTTP"}, {"CONNECT ", "HTTP"}, {"TRACE ", "HTTP"}, {"PATCH ", "HTTP"}, {"PROPFIND ", "HTTP"},
	{"SSH-", "SSH"},
	{"\x16\x03", "TLS"},
	{"\x0bMSH", "HL7 over MLLP"}, {"MSH|", "HL7 without MLLP"},
	{"\x00\x00\x00", "SMB or NetBIOS"},
}

// Sniff looks at the first bytes of a connection and says at once, from the very first byte on,
// that they are not the beginning of an association (D10): another protocol, a PDU out of turn,
// or an A-ASSOCIATE-RQ of impossible length. It returns nil while b may become one; the length is
// judged as far as it has come, so that no giant one is waited for.
func Sniff(b []byte) *protocols.Malformed {
	if len(b) == 0 {
		return nil
	}
	t := PDUType(b[0])
	if t.Known() && t != TypeAssociateRQ {
		return &protocols.Malformed{Reason: reason.DICOMPDUState, Section: "PS3.8 §9.2",
			Detail: fmt.Sprintf("the connection begins with %s; it must begin with A-ASSOCIATE-RQ", t)}
	}
	if t != TypeAssociateRQ {
		return &protocols.Malformed{Reason: reason.DICOMNotDICOM, Section: "PS3.8 §9.3.2",
			Detail: fmt.Sprintf("the first byte is %02XH, which looks like %s; an association begins with 01H", b[0], resembles(b))}
	}
	// Missing length bytes count as 0: what is too long now stays too long.
	var head [PDUHeaderLen]byte
	n := copy(head[:], b)
	length := binary.BigEndian.Uint32(head[2:])
	if length > MaxAssociatePDU || n == PDUHeaderLen {
		if err, _ := CheckPDUHeader(t, length, 0).(*protocols.Malformed); err != nil {
			return err
		}
	}
	return nil
}

func resembles(b []byte) string {
	for _, s := range strangers {
		n := min(len(b), len(s.begin))
		if bytes.EqualFold(b[:n], []byte(s.begin[:n])) {
			return s.name
		}
	}
	if b[0] >= 0x20 && b[0] < 0x7f || b[0] == '\r' || b[0] == '\n' || b[0] == '\t' {
		return "text"
	}
	return "binary data of another protocol"
}
