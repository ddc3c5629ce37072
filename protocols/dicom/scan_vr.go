package dicom

// vr is what the walk must know of a Value Representation (PS3.5 §6.2, §7.1.2).
type vr uint8

const (
	notVR     vr = iota // not one of the standard's
	shortVR             // 16-bit length
	longVR              // two reserved bytes, 32-bit length
	vrUI                // short; a UID
	vrSQ                // long; may have undefined length
	unknownVR           // long; UN, and what implicit VR does not say: may have undefined length
	vrOB                // long; OB and OW may have undefined length where they are pixel data
)

// long tells whether the length has 32 bits after two reserved bytes.
func (v vr) long() bool { return v != shortVR && v != vrUI }

// vrs lists the VRs of PS3.5 Table 6.2-1.
var vrs = func() (t [26][26]vr) {
	for class, names := range map[vr]string{
		shortVR:   "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UL US",
		longVR:    "OD OF OL OV SV UC UR UT UV",
		vrUI:      "UI",
		vrSQ:      "SQ",
		unknownVR: "UN",
		vrOB:      "OB OW",
	} {
		for i := 0; i < len(names); i += 3 {
			t[names[i]-'A'][names[i+1]-'A'] = class
		}
	}
	return t
}()

// vrOf returns the VR that two bytes of an element header name.
func vrOf(a, b byte) vr {
	if a -= 'A'; a > 25 {
		return notVR
	}
	if b -= 'A'; b > 25 {
		return notVR
	}
	return vrs[a][b]
}
