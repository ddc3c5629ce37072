package dicom

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/protocols/dicom/dict"

	suyash "github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// part10 strips what a file has before its data set (PS3.10 §7.1) and returns the transfer syntax
// that it names; ok is false for what is not a Part 10 file with a readable meta group.
func part10(b []byte) (set []byte, transfer string, ok bool) {
	if len(b) < 132 || string(b[128:132]) != "DICM" {
		return nil, "", false
	}
	b = b[132:]
	for len(b) >= 8 && binary.LittleEndian.Uint16(b) == 2 {
		elem, header, n := binary.LittleEndian.Uint16(b[2:]), 8, int(binary.LittleEndian.Uint16(b[6:]))
		switch v := dict.VROf(b[4], b[5]); {
		case v == dict.NoVR:
			return nil, "", false
		case v.Long() && len(b) >= 12:
			header, n = 12, int(binary.LittleEndian.Uint32(b[8:]))
		}
		if n > len(b)-header {
			return nil, "", false
		}
		if elem == 0x0010 {
			transfer = string(TrimUID(b[header : header+n]))
		}
		b = b[header+n:]
	}
	return b, transfer, transfer != ""
}

// corpusFiles returns the files below folders of the test data, by path.
func corpusFiles(t testing.TB, folders ...string) map[string][]byte {
	t.Helper()
	root := os.Getenv("CORDON_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	out := map[string][]byte{}
	for _, folder := range folders {
		filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				b, _ := os.ReadFile(path)
				name, _ := filepath.Rel(root, path)
				out[name] = b
			}
			return nil
		})
	}
	if len(out) == 0 && os.Getenv("CORDON_REQUIRE_CORPUS") != "" {
		t.Fatalf("the corpus is required: nothing under %s", root)
	} else if len(out) == 0 {
		t.Skipf("LEFT OUT: no corpus: real files of %s", strings.Join(folders, ", "))
	}
	return out
}

// facts lists what a scan of a whole data set read of an image and its identity, by keyword. What
// is absent, 0, or 1 frame is left out.
func facts(d *DataSet) map[string]string {
	f := map[string]string{}
	for keyword, v := range map[string][]byte{
		"SpecificCharacterSet": d.CharacterSet, "SOPClassUID": d.SOPClass, "SOPInstanceUID": d.SOPInstance, "Modality": d.Modality,
		"StudyInstanceUID": d.StudyInstance, "SeriesInstanceUID": d.SeriesInstance, "PhotometricInterpretation": d.Image.Photometric,
	} {
		f[keyword] = string(v)
	}
	im := &d.Image
	for keyword, n := range map[string]uint16{
		"SamplesPerPixel": im.SamplesPerPixel, "PlanarConfiguration": im.Planar, "Rows": im.Rows, "Columns": im.Columns,
		"BitsAllocated": im.BitsAllocated, "BitsStored": im.BitsStored, "HighBit": im.HighBit, "PixelRepresentation": im.Representation,
	} {
		f[keyword] = fmt.Sprint(n)
	}
	f["NumberOfFrames"] = fmt.Sprint(im.Frames)
	switch {
	case im.Encapsulated:
		f["PixelData"] = "encapsulated"
	case im.HasPixels:
		f["PixelData"] = fmt.Sprint(im.PixelLength)
	}
	prune(f)
	return f
}

// prune leaves out what says nothing.
func prune(f map[string]string) {
	maps.DeleteFunc(f, func(keyword, v string) bool {
		return v == "" || v == "0" && keyword != "PixelData" || v == "1" && keyword == "NumberOfFrames"
	})
}

// reference reads what another parser reads. It panics on some inputs and fails on others.
func reference(b []byte) (f map[string]string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	set, err := suyash.Parse(bytes.NewReader(b), int64(len(b)), nil, suyash.SkipPixelData(), suyash.AllowMismatchPixelDataLength(),
		suyash.AllowMissingMetaElementGroupLength(), suyash.AllowUnknownSpecificCharacterSet())
	if err != nil {
		return nil, false
	}
	f = map[string]string{}
	for keyword, t := range map[string]tag.Tag{
		"SpecificCharacterSet": tag.SpecificCharacterSet, "SOPClassUID": tag.SOPClassUID, "SOPInstanceUID": tag.SOPInstanceUID,
		"Modality": tag.Modality, "StudyInstanceUID": tag.StudyInstanceUID, "SeriesInstanceUID": tag.SeriesInstanceUID,
		"SamplesPerPixel": tag.SamplesPerPixel, "PhotometricInterpretation": tag.PhotometricInterpretation,
		"PlanarConfiguration": tag.PlanarConfiguration, "NumberOfFrames": tag.NumberOfFrames, "Rows": tag.Rows, "Columns": tag.Columns,
		"BitsAllocated": tag.BitsAllocated, "BitsStored": tag.BitsStored, "HighBit": tag.HighBit, "PixelRepresentation": tag.PixelRepresentation,
		"PixelData": tag.PixelData,
	} {
		e, err := set.FindElementByTag(t)
		if err != nil {
			continue
		}
		switch v := e.Value.GetValue().(type) {
		case []string:
			f[keyword] = string(TrimAE([]byte(strings.Join(v, `\`))))
		case []byte: // of VR UN
			f[keyword] = string(TrimAE(v))
		case []int:
			f[keyword] = strings.Trim(fmt.Sprint(v), "[]")
		case suyash.PixelDataInfo:
			if f[keyword] = fmt.Sprint(e.ValueLength); e.ValueLength == undefinedLength {
				f[keyword] = "encapsulated"
			}
		}
	}
	prune(f)
	return f, true
}

// disagreements lists the files that the other parser accepts and reads otherwise, with what the
// scan says of them and why.
var disagreements = map[string]struct{ fault, why string }{
	"badVR.dcm": {"", "its Number of Frames is 1A, which is no number: a fact of ours, a text of the other's"},
	"emri_small_jpeg_2k_lossless_too_short.dcm": {"before a sequence", "it was cut in its last fragment; the other drops what it cannot read"},
	"2026-05-06-Deeply-Nested-Sequence.dcm":     {"deeper than 32", "our cap; the other recurses"},
	"TC0263_depth_50.dcm":                       {"deeper than 32", "our cap; the other recurses"},
	"TC0265_depth_100.dcm":                      {"deeper than 32", "our cap; the other recurses"},
	"TC0131_sopinstanceuid_over_2x.dcm":         {"has 120 bytes", "the other does not limit a UID to 64 bytes"},
	"TC0135_sopinstanceuid_over_64KB.dcm":       {"has 65536 bytes", "the other does not limit a UID to 64 bytes"},
	"TC0161_seriesinstanceuid_over_10x.dcm":     {"has 636 bytes", "the other does not limit a UID to 64 bytes"},
	"TC0231_sopinstanceuid_UI_as_LO.dcm":        {"another VR: LO", "a UID that is written as text is text to the other"},
	"TC0279_stray_seq_delim.dcm":                {"cannot stand", "the other takes a delimiter at the top level for an element"},
	"TC0357_stray_item_tag.dcm":                 {"cannot stand", "the other takes an item at the top level for an element"},
	"TC0359_stray_item_delim.dcm":               {"cannot stand", "the other takes a delimiter at the top level for an element"},
	"TC0363_tag_order_violation.dcm":            {"ascending", "the other takes elements in any order"},
	"TC0323_encap_zero_frag.dcm":                {"ascending", "Pixel Data comes twice, and the other reads the first"},
	"TC0963_undef_len_no_delim.dcm":             {"ascending", "the other takes elements in any order"},
	"TC0965_cmd_group_in_dataset.dcm":           {"commands and files", "the other knows no command sets"},
	"TC0709_encap_frag_len_maxuint.dcm":         {"cannot stand", "a fragment of undefined length, where the other stops without an error"},
	"TC0711_encap_frag_len_maxuint_minus1.dcm":  {"before the value", "a fragment longer than the file, where the other stops without an error"},
	"TC0721_encap_frag_len_int_max.dcm":         {"before the value", "a fragment longer than the file, where the other stops without an error"},
	"TC0717_encap_frag_len_1_data_64.dcm":       {"where an item", "a fragment longer than it says, where the other stops without an error"},
	"TC0727_encap_no_delim.dcm":                 {"before a sequence", "fragments without delimiter, where the other stops without an error"},
}

func TestScanReadsRealFilesAsOthersDo(t *testing.T) { // D25
	log.SetOutput(io.Discard) // the other parser's
	defer log.SetOutput(os.Stderr)
	compared, faults, seen := 0, 0, map[string]bool{}
	for name, b := range corpusFiles(t, "dicom", "hostile") {
		set, transfer, ok := part10(b)
		if !ok {
			continue
		}
		got := scanIn(transfer, Whole, set)
		if len(set) < 1<<16 {
			if cut := scanIn(transfer, Whole, slices.Collect(slices.Chunk(set, 1))...); cut != got {
				t.Errorf("%s: byte by byte: %+v\nwhole: %+v", name, cut, got)
			}
		}
		var s Scanner
		s.Reset(transfer, Whole)
		s.Feed(set)
		s.End()
		d := s.DataSet()
		if d.Fault != nil {
			faults++
		}
		other, ok := reference(b)
		if !ok || len(other) == 0 {
			continue // it could not
		}
		compared++
		mine, row := facts(d), filepath.Base(name)
		known, explained := disagreements[row]
		switch agree := d.Fault == nil && maps.Equal(mine, other); {
		case agree && explained:
			t.Errorf("%s is read alike; its row says: %s", name, known.why)
		case !agree && (!explained || (d.Fault != nil) != (known.fault != "") || d.Fault != nil && !strings.Contains(d.Fault.Detail, known.fault)):
			t.Errorf("%s (%s): %v\nread           %v\nanother parser %v", name, transfer, d.Fault, mine, other)
		}
		seen[row] = true
	}
	for row := range disagreements {
		if !seen[row] {
			t.Errorf("%s has a row, but no such file was compared", row)
		}
	}
	if t.Logf("%d files compared, %d with faults", compared, faults); compared < 100 {
		t.Errorf("only %d files could be compared", compared)
	}
}
