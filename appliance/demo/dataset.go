package demo

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"cordon/protocols/dicom"
)

// The transfer syntaxes in which the demo writes data sets (PS3.5 §A.1, §A.2).
const (
	implicitLE = "1.2.840.10008.1.2"
	explicitLE = "1.2.840.10008.1.2.1"
)

// element is one data element (PS3.5 §7.1) with its value already encoded, little endian.
type element struct {
	tag   dicom.Tag
	vr    string
	value []byte
}

// text makes an element of a string VR; several values are joined with backslashes (PS3.5 §6.4).
func text(tag dicom.Tag, vr string, values ...string) element {
	pad := byte(' ')
	if vr == "UI" {
		pad = 0
	}
	v := []byte(strings.Join(values, `\`))
	if len(v)%2 == 1 {
		v = append(v, pad)
	}
	return element{tag, vr, v}
}

// decimals makes a DS element.
func decimals(tag dicom.Tag, values ...float64) element {
	s := make([]string, len(values))
	for i, v := range values {
		s[i] = fmt.Sprintf("%g", v)
	}
	return text(tag, "DS", s...)
}

// integer makes an IS element.
func integer(tag dicom.Tag, v int) element { return text(tag, "IS", fmt.Sprint(v)) }

// short makes a US element.
func short(tag dicom.Tag, v uint16) element {
	return element{tag, "US", binary.LittleEndian.AppendUint16(nil, v)}
}

// inOrder sorts elements by their tags, as a data set must have them (PS3.5 §7.1).
func inOrder(e []element) []element {
	slices.SortFunc(e, func(a, b element) int { return cmp.Compare(a.tag, b.tag) })
	return e
}

// appendElements encodes elements, which are in ascending order of their tags, in one of the two
// little endian transfer syntaxes.
func appendElements(b []byte, syntax string, elements []element) []byte {
	le := binary.LittleEndian
	for _, e := range elements {
		b = le.AppendUint16(b, uint16(e.tag>>16))
		b = le.AppendUint16(b, uint16(e.tag))
		switch {
		case syntax == implicitLE:
			b = le.AppendUint32(b, uint32(len(e.value)))
		case longVR(e.vr):
			b = append(b, e.vr[0], e.vr[1], 0, 0)
			b = le.AppendUint32(b, uint32(len(e.value)))
		default:
			b = append(b, e.vr[0], e.vr[1])
			b = le.AppendUint16(b, uint16(len(e.value)))
		}
		b = append(b, e.value...)
	}
	return b
}

// longVR tells whether a VR that the demo writes has a 32-bit length (PS3.5 §7.1.2).
func longVR(vr string) bool { return vr == "OW" || vr == "OB" }
