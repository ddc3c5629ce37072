package policy

import (
	"strings"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// The tags that data sets are looked at up to.
const (
	tagSeries      dicom.Tag = 0x0020000E
	tagBoxPosition dicom.Tag = 0x20200010 // of an image box; its pixels come later
	tagPixelData   dicom.Tag = 0x7FE00010
)

// rleLossless is the transfer syntax whose fragments begin with a header of offsets (PS3.5 §G.5).
const rleLossless = "1.2.840.10008.1.2.5"

// needs says how far into a data set the rules look: of a stored object to what names files and
// folders, of an image on to its Pixel Data, of a page to print to the pixels in it, of anything
// else as far as it goes.
func (p *program) needs(c *dicom.Command) dicom.Tag {
	switch {
	case c.Field == dicom.CStoreRQ && !p.dicom.anyGeometry && isImage(c.Abstract):
		return tagPixelData
	case c.Field == dicom.CStoreRQ:
		return tagSeries
	case c.Field == dicom.NSetRQ && printed[string(c.SOPClass)]:
		return tagBoxPosition
	}
	return dicom.Whole
}

// printed are the SOP classes whose data sets have Pixel Data in a sequence (PS3.3 §C.13.5).
var printed = map[string]bool{"1.2.840.10008.5.1.1.4": true, "1.2.840.10008.5.1.1.4.1": true}

// isImage tells whether the objects of a SOP class have Pixel Data near their beginning: what the
// standard calls an image. Others may have megabytes before it, or none.
func isImage(class string) bool { return strings.Contains(dict.Name(class), "Image Storage") }

// dataSet judges what was read of a data set.
func (p *program) dataSet(c *dicom.Command, d *dicom.DataSet, v *protocols.Verdict) {
	switch c.Field {
	case dicom.CStoreRQ:
		p.object(c, d, v)
	case dicom.CFindRQ, dicom.CMoveRQ, dicom.CGetRQ:
		p.identifier(c, d, v)
	default: // what has come well-formed as far as it may be held goes on
		if d.Fault != nil && d.Fault.Reason != reason.CapHold && !p.dicom.tolerates(d.Fault.Reason) {
			malformed(d.Fault, v)
		}
	}
}

// malformed refuses a data set, and says what is wrong with it.
func malformed(m *protocols.Malformed, v *protocols.Verdict) {
	v.Found.Set(m.Detail)
	v.Refuse(m.Reason, ruleDataSet)
}

// object judges a stored object. Its command and it must name the same: a server may act on either.
func (p *program) object(c *dicom.Command, d *dicom.DataSet, v *protocols.Verdict) {
	switch {
	case d.Fault != nil && !heldLong(d):
		malformed(d.Fault, v)
	case !p.dicom.safe(d.InstanceSafe, d.SOPInstance) || !p.dicom.safe(d.StudySafe, d.StudyInstance) ||
		!p.dicom.safe(d.SeriesSafe, d.SeriesInstance):
		v.Refuse(reason.DICOMUID, ruleUID)
	case d.SOPClass != nil && string(d.SOPClass) != string(c.SOPClass),
		d.SOPInstance != nil && string(d.SOPInstance) != string(c.SOPInstance):
		v.Refuse(reason.DICOMUIDMismatch, ruleMismatch)
	case !p.dicom.anyGeometry:
		if what := impossible(&d.Image, c.Transfer); what != "" {
			v.Found.Set(what)
			v.Refuse(reason.DICOMGeometry, ruleImage)
		}
	}
}

// heldLong tells whether an object has more before its Pixel Data than may be held. What names it
// was read by then, so it passes without a look at its geometry: images with a description of each
// frame, or a maker's own data, are large and not wrong.
func heldLong(d *dicom.DataSet) bool {
	return d.Fault.Reason == reason.CapHold && d.SeriesInstance != nil
}

// impossible returns what an image says of itself that cannot be, "" where nothing contradicts.
// What is absent contradicts nothing.
func impossible(m *dicom.Image, transfer string) string {
	switch {
	case m.FramesBad:
		return "Number of Frames (0028,0008)"
	case m.BitsAllocated > 0 && m.BitsStored > m.BitsAllocated:
		return "Bits Stored (0028,0101) above Bits Allocated"
	case m.BitsAllocated > 0 && m.HighBit >= m.BitsAllocated:
		return "High Bit (0028,0102) above Bits Allocated"
	case !m.HasPixels:
		return ""
	case m.Encapsulated:
		if transfer == rleLossless && m.FirstFragment > 0 && !m.RLESane {
			return "RLE header"
		}
		return ""
	}
	if expected, ok := m.Expected(); ok && uint64(m.PixelLength) < expected || !ok && boundless(m) {
		return "Pixel Data (7FE0,0010) too short"
	}
	return ""
}

// boundless tells whether an image says of itself that it has more bytes than can be counted.
func boundless(m *dicom.Image) bool {
	return m.Rows > 0 && m.Columns > 0 && m.SamplesPerPixel > 0 && m.BitsAllocated > 0 && m.Frames > 0
}
