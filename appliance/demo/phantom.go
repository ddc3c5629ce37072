package demo

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"time"
)

// The SOP classes that the demo's devices propose (PS3.4 §B.5, §C.6, §A.4).
const (
	verification     = "1.2.840.10008.1.1"
	ctImageStorage   = "1.2.840.10008.5.1.4.1.1.2"
	secondaryCapture = "1.2.840.10008.5.1.4.1.1.7"
	studyRootFind    = "1.2.840.10008.5.1.4.1.2.2.1"
)

// ellipsoid is one part of the Shepp-Logan head phantom: half axes and centre in units of half
// the field of view, a rotation about the z axis in degrees, and what it adds to the Hounsfield
// units of what lies in it.
type ellipsoid struct {
	hu              float64
	a, b, c         float64
	x0, y0, z0, phi float64
}

// headPhantom is the phantom of Shepp and Logan (1974) with the contrast of its well-known
// modified form, extended to three dimensions. Its densities are given as what a CT would show:
// air -1000 HU, bone 1000, brain 40, fluid 0, lesions 60.
var headPhantom = []ellipsoid{
	{2000, 0.69, 0.92, 0.81, 0, 0, 0, 0},
	{-960, 0.6624, 0.874, 0.78, 0, -0.0184, 0, 0},
	{-40, 0.11, 0.31, 0.22, 0.22, 0, 0, -18},
	{-40, 0.16, 0.41, 0.28, -0.22, 0, 0, 18},
	{20, 0.21, 0.25, 0.41, 0, 0.35, -0.15, 0},
	{20, 0.046, 0.046, 0.05, 0, 0.1, 0.25, 0},
	{20, 0.046, 0.046, 0.05, 0, -0.1, 0.25, 0},
	{20, 0.046, 0.023, 0.05, -0.08, -0.605, 0, 0},
	{20, 0.023, 0.023, 0.02, 0, -0.606, 0, 0},
	{20, 0.023, 0.046, 0.02, 0.06, -0.605, 0, 0},
}

const (
	airHU     = -1000
	intercept = -1024 // stored value 0, in Hounsfield units
	matrix    = 256   // rows and columns
	fieldMM   = 240.0 // edge of the image
	headMM    = 180.0 // covered from the first slice to the last
)

// hounsfield computes one axial slice at height z (-1 to 1, head first), rows from anterior to
// posterior, columns from the patient's right to left.
func hounsfield(z float64) []int16 {
	out := make([]int16, matrix*matrix)
	for i := range out {
		out[i] = airHU
	}
	for _, e := range headPhantom {
		dz := (z - e.z0) / e.c
		if dz*dz > 1 {
			continue
		}
		sin, cos := math.Sincos(e.phi * math.Pi / 180)
		for row := range matrix {
			y := 1 - (2*float64(row)+1)/matrix - e.y0
			for col := range matrix {
				x := (2*float64(col)+1)/matrix - 1 - e.x0
				u, v := (x*cos+y*sin)/e.a, (y*cos-x*sin)/e.b
				if u*u+v*v+dz*dz <= 1 {
					out[row*matrix+col] += int16(e.hu)
				}
			}
		}
	}
	return out
}

// Study is a study of the phantom, made by one device of the demo. All its UIDs follow from its
// seed, so that each run has its own and a run can be repeated.
type Study struct {
	seed    string
	when    time.Time
	patient string // PN; obviously invented
	id      string
	slices  int
}

// NewStudy returns a study of so many slices.
func NewStudy(seed string, when time.Time, slices int) *Study {
	return &Study{seed: seed, when: when, patient: "Phantom^Shepp-Logan", id: "PHANTOM-1", slices: slices}
}

// Another returns a study like s with UIDs of its own.
func (s *Study) Another(name string) *Study { return NewStudy(s.seed+" "+name, s.when, s.slices) }

// Object is a SOP instance ready to be sent.
type Object struct {
	Class    string
	Instance string
	Syntax   string
	Data     []byte // data set
}

// UID derives a UID from the study's seed (PS3.5 §B.2: 2.25. and a UUID in decimal).
func (s *Study) UID(name string) string {
	sum := sha256.Sum256([]byte(s.seed + "\x00" + name))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80 // version 8: made by its own rule (RFC 9562 §5.8)
	u[8] = u[8]&0x3f | 0x80 // its variant
	return "2.25." + new(big.Int).SetBytes(u).String()
}

// Slices returns how many CT images the study has.
func (s *Study) Slices() int { return s.slices }

// CT returns slice i as a CT Image (PS3.3 §A.3), complete with the mandatory modules.
func (s *Study) CT(i int, syntax string) Object {
	o := Object{Class: ctImageStorage, Instance: s.UID(fmt.Sprint("ct ", i)), Syntax: syntax}
	o.Data = s.encodeCT(i, syntax, o.Instance, s.UID("study"))
	return o
}

// StudyOutside returns a CT Image whose Study Instance UID would leave the folder of a server
// that uses it as a name.
func (s *Study) StudyOutside(syntax string) Object {
	o := Object{Class: ctImageStorage, Instance: s.UID("outside"), Syntax: syntax}
	o.Data = s.encodeCT(0, syntax, o.Instance, "..")
	return o
}

// InstanceOutside is the same with the SOP Instance UID, in command and data set alike.
func (s *Study) InstanceOutside(syntax string) Object {
	o := Object{Class: ctImageStorage, Instance: "../../evil", Syntax: syntax}
	o.Data = s.encodeCT(0, syntax, o.Instance, s.UID("study"))
	return o
}

func (s *Study) encodeCT(i int, syntax, instance, study string) []byte {
	spacing := headMM / float64(s.slices)
	z := (float64(i)+0.5)*spacing - headMM/2
	corner := -fieldMM/2 + fieldMM/matrix/2 // centre of the first pixel
	elements := s.general(general{ctImageStorage, instance, study, "CT", 1, i + 1,
		[]string{"ORIGINAL", "PRIMARY", "AXIAL"}, "Head phantom, axial"})
	elements = append(elements,
		decimals(0x00180050, spacing),  // Slice Thickness
		decimals(0x00180060, 120),      // KVP
		text(0x00181020, "LO", "demo"), // Software Versions
		text(0x00185100, "CS", "HFS"),  // Patient Position
		decimals(0x00200032, corner, corner, z),
		decimals(0x00200037, 1, 0, 0, 0, 1, 0),
		text(0x00200052, "UI", s.UID("frame of reference")),
		text(0x00201040, "LO"), // Position Reference Indicator
		decimals(0x00201041, z),
		decimals(0x00280030, fieldMM/matrix, fieldMM/matrix),
		decimals(0x00281050, 40), // Window Center: brain
		decimals(0x00281051, 200),
		decimals(0x00281052, intercept),
		decimals(0x00281053, 1),
		text(0x00281054, "LO", "HU"),
	)
	elements = append(elements, pixelModule(16, 12)...)
	values := hounsfield(2 * z / fieldMM)
	pixels := make([]byte, 0, 2*len(values))
	for _, v := range values {
		pixels = binary.LittleEndian.AppendUint16(pixels, uint16(v-intercept))
	}
	return appendElements(nil, syntax, inOrder(append(elements, element{0x7FE00010, "OW", pixels})))
}

// Capture returns a Secondary Capture Image (PS3.3 §A.8): a middle slice as it looks on screen.
func (s *Study) Capture(syntax string) Object {
	o := Object{Class: secondaryCapture, Instance: s.UID("capture"), Syntax: syntax}
	elements := s.general(general{o.Class, o.Instance, s.UID("study"), "OT", 2, 1,
		[]string{"DERIVED", "SECONDARY"}, "Screen"})
	elements = append(elements,
		text(0x00080064, "CS", "WSD"), // Conversion Type: workstation
		text(0x00200020, "CS"),        // Patient Orientation
	)
	elements = append(elements, pixelModule(8, 8)...)
	pixels := make([]byte, 0, matrix*matrix)
	for _, v := range hounsfield(0) {
		pixels = append(pixels, byte(min(max(int(v)+60, 0)*255/200, 255)))
	}
	o.Data = appendElements(nil, syntax, inOrder(append(elements, element{0x7FE00010, "OW", pixels})))
	return o
}

// general is what differs between the objects of a study in the modules that all images share.
type general struct {
	class, instance, study string
	modality               string
	series, number         int
	imageType              []string
	title                  string
}

// general makes the Patient, General Study, General Series, General Equipment, General Image and
// SOP Common modules (PS3.3 §C.7.1.1, §C.7.2.1, §C.7.3.1, §C.7.5.1, §C.7.6.1, §C.12.1).
func (s *Study) general(g general) []element {
	date, clock := s.when.Format("20060102"), s.when.Format("150405")
	return []element{
		text(0x00080008, "CS", g.imageType...),
		text(0x00080016, "UI", g.class),
		text(0x00080018, "UI", g.instance),
		text(0x00080020, "DA", date), // study, series, acquisition, content
		text(0x00080021, "DA", date),
		text(0x00080022, "DA", date),
		text(0x00080023, "DA", date),
		text(0x00080030, "TM", clock),
		text(0x00080031, "TM", clock),
		text(0x00080032, "TM", clock),
		text(0x00080033, "TM", clock),
		text(0x00080050, "SH"), // Accession Number
		text(0x00080060, "CS", g.modality),
		text(0x00080070, "LO", "Cordon"), // Manufacturer
		text(0x00080090, "PN"),           // Referring Physician's Name
		text(0x00081030, "LO", "Cordon demo: computed head phantom"),
		text(0x0008103E, "LO", g.title),
		text(0x00081090, "LO", "Shepp-Logan"), // Manufacturer's Model Name
		text(0x00100010, "PN", s.patient),
		text(0x00100020, "LO", s.id),
		text(0x00100030, "DA"),
		text(0x00100040, "CS", "O"),
		text(0x00180015, "CS", "HEAD"), // Body Part Examined: not paired, so no Laterality
		text(0x0020000D, "UI", g.study),
		text(0x0020000E, "UI", s.UID(fmt.Sprint("series ", g.series))),
		text(0x00200010, "SH", "1"),
		integer(0x00200011, g.series),
		integer(0x00200012, 1), // Acquisition Number
		integer(0x00200013, g.number),
	}
}

// pixelModule makes the Image Pixel module (PS3.3 §C.7.6.3) without the pixels.
func pixelModule(allocated, stored uint16) []element {
	return []element{
		short(0x00280002, 1), // Samples per Pixel
		text(0x00280004, "CS", "MONOCHROME2"),
		short(0x00280010, matrix),
		short(0x00280011, matrix),
		short(0x00280100, allocated),
		short(0x00280101, stored),
		short(0x00280102, stored-1),
		short(0x00280103, 0), // unsigned
	}
}
