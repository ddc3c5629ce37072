package dict

import "math/bits"

// VR is a Value Representation of PS3.5 §6.2.
type VR uint8

// The VRs of PS3.5 Table 6.2-1.
const (
	NoVR VR = iota // not one of the standard's
	AE
	AS
	AT
	CS
	DA
	DS
	DT
	FD
	FL
	IS
	LO
	LT
	OB
	OD
	OF
	OL
	OV
	OW
	PN
	SH
	SL
	SQ
	SS
	ST
	SV
	TM
	UC
	UI
	UL
	UN
	UR
	US
	UT
	UV
)

// vrNames has the two letters of each VR at twice its number.
const vrNames = "..AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV"

func (v VR) String() string {
	if v == NoVR || int(v) >= len(vrNames)/2 {
		return "no VR"
	}
	return vrNames[2*v : 2*v+2]
}

// Long tells whether an element of this VR has two reserved bytes and a length of 32 bits in the
// explicit transfer syntaxes; the others have one of 16 bits (PS3.5 §7.1.2).
func (v VR) Long() bool { return longVRs.Has(v) }

var longVRs = Set(OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV)

// letters finds a VR by its two letters.
var letters = func() (t [26][26]VR) {
	for v := AE; v <= UV; v++ {
		t[v.String()[0]-'A'][v.String()[1]-'A'] = v
	}
	return t
}()

// VROf returns the VR that two bytes name.
func VROf(a, b byte) VR {
	if a -= 'A'; a > 25 {
		return NoVR
	}
	if b -= 'A'; b > 25 {
		return NoVR
	}
	return letters[a][b]
}

// VRs is a set of VRs.
type VRs uint64

// Set makes a set.
func Set(vrs ...VR) (s VRs) {
	for _, v := range vrs {
		s |= 1 << v
	}
	return s
}

// Has tells whether v is in the set.
func (s VRs) Has(v VR) bool { return s>>v&1 != 0 }

// First returns one VR of the set, UN when it is empty.
func (s VRs) First() VR {
	if s == 0 {
		return UN
	}
	return VR(bits.TrailingZeros64(uint64(s)))
}
