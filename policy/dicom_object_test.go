package policy

import (
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// TestGeometry covers images whose Pixel Data cannot be what they say of it.
func TestGeometry(t *testing.T) {
	ct := dicom.Image{
		Rows: 512, Columns: 512, SamplesPerPixel: 1, BitsAllocated: 16, BitsStored: 12, HighBit: 11,
		Frames: 1, HasPixels: true, PixelLength: 512 * 512 * 2,
	}
	wrong := refused(reason.DICOMGeometry)
	for _, tt := range []struct {
		name     string
		change   func(*dicom.Image)
		transfer string
		want     expect
	}{
		{"right", func(*dicom.Image) {}, explicitLE, allowed},
		{"padded", func(m *dicom.Image) { m.PixelLength += 2 }, explicitLE, allowed},
		{"too short", func(m *dicom.Image) { m.PixelLength -= 2 }, explicitLE, wrong.about("Pixel Data (7FE0,0010) too short", "PS3.3 §C.7.6.3")},
		{"more frames than there are", func(m *dicom.Image) { m.Frames = 2 }, explicitLE, wrong},
		{"the most frames and pixels that can be said", func(m *dicom.Image) {
			m.Rows, m.Columns, m.SamplesPerPixel, m.BitsAllocated, m.Frames = 65535, 65535, 65535, 65535, 1<<32-1
		}, explicitLE, wrong},
		{"Number of Frames is no number", func(m *dicom.Image) { m.FramesBad = true }, explicitLE, wrong.about("Number of Frames (0028,0008)", "")},
		{"more bits stored than allocated", func(m *dicom.Image) { m.BitsStored = 17 }, explicitLE, wrong},
		{"a high bit beyond the pixel", func(m *dicom.Image) { m.HighBit = 16 }, explicitLE, wrong},
		{"a bit per pixel, to the last bit", func(m *dicom.Image) {
			m.Rows, m.Columns, m.BitsAllocated, m.BitsStored, m.HighBit, m.PixelLength = 13, 11, 1, 1, 0, 18
		}, explicitLE, allowed},
		{"a bit per pixel, a byte short", func(m *dicom.Image) {
			m.Rows, m.Columns, m.BitsAllocated, m.BitsStored, m.HighBit, m.PixelLength = 13, 11, 1, 1, 0, 17
		}, explicitLE, wrong},
		{"colour", func(m *dicom.Image) { m.SamplesPerPixel, m.Photometric = 3, []byte("RGB") }, explicitLE, wrong},
		{"colour that shares chrominance", func(m *dicom.Image) {
			m.SamplesPerPixel, m.Photometric, m.PixelLength = 3, []byte("YBR_FULL_422"), 512*512*2*2
		}, explicitLE, allowed},
		{"no Pixel Data", func(m *dicom.Image) { m.HasPixels, m.PixelLength = false, 0 }, explicitLE, allowed},
		{"says nothing of its size", func(m *dicom.Image) { *m = dicom.Image{HasPixels: true, PixelLength: 4} }, explicitLE, allowed},
		{"in fragments", func(m *dicom.Image) { m.Encapsulated, m.PixelLength = true, 0 }, "1.2.840.10008.1.2.4.50", allowed},
		{"RLE", func(m *dicom.Image) {
			m.Encapsulated, m.PixelLength, m.FirstFragment, m.Segments, m.RLESane = true, 0, 1000, 2, true
		}, rleLossless, allowed},
		{"RLE whose offsets lead out of the fragment", func(m *dicom.Image) {
			m.Encapsulated, m.PixelLength, m.FirstFragment, m.Segments = true, 0, 1000, 2
		}, rleLossless, wrong.about("RLE header", "")},
	} {
		for _, tolerate := range []bool{false, true} {
			name := tt.name
			if tolerate {
				name += ", tolerated"
			}
			t.Run(name, func(t *testing.T) {
				s := storing(t, tolerate)
				c := command(dicom.CStoreRQ, ctImage)
				c.Transfer = tt.transfer
				var v protocols.Verdict
				s.Command(c, &v)
				d := object()
				d.Image = ct
				tt.change(&d.Image)
				v.Reset(protocols.Near)
				s.DataSet(c, &d, &v)
				want, needs := tt.want, tagPixelData
				if tolerate {
					want, needs = allowed, tagSeries
				}
				want.check(t, &v)
				if got := s.Needs(c); got != needs {
					t.Errorf("looks as far as %08X, want %08X", got, needs)
				}
			})
		}
	}
}

// storing is a session that may store, and tolerates any geometry or none.
func storing(t *testing.T, tolerate bool) *Session {
	device := ct1
	if tolerate {
		device = strings.Replace(ct1, "archive: {to: pacs,", "archive: {to: pacs, tolerate: {geometry: true},", 1)
	}
	return begun(t, NewStore(site(t, device)), "10.0.0.1", "PACS2", "CT1")
}

func object() dicom.DataSet {
	return dicom.DataSet{
		SOPClass: []byte(ctImage), SOPInstance: []byte("1.2.3"), StudyInstance: []byte("1.2"), SeriesInstance: []byte("1.2.1"),
		InstanceSafe: true, StudySafe: true, SeriesSafe: true,
	}
}

// TestLargeHeaders: an object that has more before its Pixel Data than may be held passes by what
// names it. Without that it does not.
func TestLargeHeaders(t *testing.T) {
	s := storing(t, false)
	c := command(dicom.CStoreRQ, ctImage)
	var v protocols.Verdict
	s.Command(c, &v)
	d := object()
	d.Fault = &protocols.Malformed{Reason: reason.CapHold}
	v.Reset(protocols.Near)
	s.DataSet(c, &d, &v)
	allowed.check(t, &v)
	d.SeriesInstance = nil
	v.Reset(protocols.Near)
	s.DataSet(c, &d, &v)
	refused(reason.CapHold).check(t, &v)
}

// TestHowFarDataSetsAreRead: objects and pages are not held for pixels that nothing asks about,
// everything else is read to its end.
func TestHowFarDataSetsAreRead(t *testing.T) {
	page := func(class string) *dicom.Command {
		c := command(dicom.NSetRQ, printMetaBW)
		c.SOPClass = []byte(class)
		return c
	}
	s := allowing(t, "store: all, find: {model: Study Root, everything: true}, commit, print")
	for _, tt := range []struct {
		c    *dicom.Command
		want dicom.Tag
	}{
		{command(dicom.CStoreRQ, "1.2.840.10008.5.1.4.1.1.481.3"), tagSeries},  // RT Structure Set Storage
		{command(dicom.CStoreRQ, "1.2.840.10008.5.1.4.1.1.104.1"), tagSeries},  // Encapsulated PDF Storage
		{command(dicom.CStoreRQ, "1.2.840.10008.5.1.4.1.1.6.1"), tagPixelData}, // Ultrasound Image Storage
		{command(dicom.CFindRQ, studyFind), dicom.Whole},
		{sent(protocols.Far, dicom.CFindRSP, studyFind, 0), dicom.Whole},
		{sent(protocols.Near, dicom.NActionRQ, commitPush, 1), dicom.Whole},
		{page("1.2.840.10008.5.1.1.4"), tagBoxPosition},
		{page(filmSession), dicom.Whole},
	} {
		var v protocols.Verdict
		s.Command(tt.c, &v)
		if got := s.Needs(tt.c); got != tt.want || v.Refused() {
			t.Errorf("%s of %s: %s, looks as far as %08X, want %08X", tt.c.Name(), tt.c.SOPClass, v.Reason, got, tt.want)
		}
	}
}

// TestDataSetsThatAreNoObjects: what does not parse passes neither way, also where no rule asks for
// anything in it.
func TestDataSetsThatAreNoObjects(t *testing.T) {
	s := allowing(t, "find: {model: Study Root}, commit")
	for _, c := range []*dicom.Command{sent(protocols.Far, dicom.CFindRSP, studyFind, 0), sent(protocols.Near, dicom.NActionRQ, commitPush, 1)} {
		for code, want := range map[reason.Code]expect{
			"":                  allowed,
			reason.DICOMDataSet: refused(reason.DICOMDataSet),
			reason.CapDataSet:   refused(reason.CapDataSet),
			reason.CapHold:      allowed, // a list of thousands of instances
		} {
			var v protocols.Verdict
			v.Reset(c.From)
			s.Command(c, &v)
			var d dicom.DataSet
			if code != "" {
				d.Fault = &protocols.Malformed{Reason: code}
			}
			s.DataSet(c, &d, &v)
			want.check(t, &v)
		}
	}
	s = storing(t, false)
	for _, tolerate := range []bool{false, true} {
		if tolerate {
			device := strings.Replace(ct1, "archive: {to: pacs,", "archive: {to: pacs, tolerate: {remainder: true},", 1)
			s = begun(t, NewStore(site(t, device)), "10.0.0.1", "PACS2", "CT1")
		}
		c := sent(protocols.Far, dicom.CFindRSP, studyFind, 0)
		var v protocols.Verdict
		v.Reset(c.From)
		s.Command(c, &v)
		s.DataSet(c, &dicom.DataSet{Fault: &protocols.Malformed{Reason: reason.DICOMDataSet}}, &v)
		if v.Refused() == tolerate {
			t.Errorf("tolerated: %v, refused: %v", tolerate, v.Refused())
		}
	}
}

// TestToleratedBreaches: a flow may live with some of what the standard forbids, and with no other.
func TestToleratedBreaches(t *testing.T) {
	codes := []reason.Code{reason.DICOMRole, reason.DICOMDataSet, reason.DICOMCommandRemainder, reason.DICOMCommandSet, reason.CapDataSet, reason.DICOMUnaskedResponse}
	for tolerate, passes := range map[string][]reason.Code{
		"roles": {reason.DICOMRole}, "remainder": {reason.DICOMDataSet, reason.DICOMCommandRemainder}, "geometry": nil,
	} {
		device := strings.Replace(ct1, "archive: {to: pacs,", "archive: {to: pacs, tolerate: {"+tolerate+": true},", 1)
		s := begun(t, NewStore(site(t, device)), "10.0.0.1", "PACS2", "CT1")
		for _, code := range codes {
			var v protocols.Verdict
			s.Breach(code, &v)
			if v.Refused() == slices.Contains(passes, code) {
				t.Errorf("tolerate %s: %s refused: %v", tolerate, code, v.Refused())
			}
		}
	}
}
