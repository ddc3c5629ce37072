package interop

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
)

// facts is what a reader says of a data set, by keyword: identity, image, and how many elements
// there are and how deep sequences nest. What is absent, 0, or 1 frame is left out.
type facts map[string]string

func (f facts) prune() facts {
	maps.DeleteFunc(f, func(keyword, v string) bool {
		return v == "" || v == "0" && keyword != "PixelData" || v == "1" && keyword == "NumberOfFrames"
	})
	return f
}

// scanned is a file as Cordon's scanner reads it.
type scanned struct {
	path  string
	facts facts
	fault string // "": none
}

// scan reads the whole data set of a Part 10 file.
func scan(path string, file []byte) (s scanned, ok bool) {
	set, transfer, ok := part10(file)
	if !ok {
		return s, false
	}
	var scanner dicom.Scanner
	scanner.Reset(transfer, 0xFFFFFFFF)
	scanner.Feed(set)
	scanner.End()
	d := scanner.DataSet()
	if s.path = path; d.Fault != nil {
		s.fault = d.Fault.Error()
	}
	im := &d.Image
	s.facts = facts{
		"SpecificCharacterSet": string(d.CharacterSet), "SOPClassUID": string(d.SOPClass), "SOPInstanceUID": string(d.SOPInstance),
		"Modality": string(d.Modality), "StudyInstanceUID": string(d.StudyInstance), "SeriesInstanceUID": string(d.SeriesInstance),
		"PhotometricInterpretation": string(im.Photometric), "NumberOfFrames": fmt.Sprint(im.Frames),
		"elements": fmt.Sprint(d.Elements), "depth": fmt.Sprint(d.Depth),
	}
	for keyword, n := range map[string]uint16{
		"SamplesPerPixel": im.SamplesPerPixel, "PlanarConfiguration": im.Planar, "Rows": im.Rows, "Columns": im.Columns,
		"BitsAllocated": im.BitsAllocated, "BitsStored": im.BitsStored, "HighBit": im.HighBit, "PixelRepresentation": im.Representation,
	} {
		s.facts[keyword] = fmt.Sprint(n)
	}
	switch {
	case im.Encapsulated:
		s.facts["PixelData"] = fmt.Sprintf("encapsulated %d %d", im.OffsetTable, im.FirstFragment)
	case im.HasPixels:
		s.facts["PixelData"] = fmt.Sprint(im.PixelLength)
	}
	s.facts.prune()
	return s, true
}

// part10 returns the data set of a file and its transfer syntax. Unlike splitPart10 it does not
// want a group length: files made to harm have none.
func part10(file []byte) (set []byte, transfer string, ok bool) {
	if len(file) < 132 || string(file[128:132]) != "DICM" {
		return nil, "", false
	}
	le, b := binary.LittleEndian, file[132:]
	for len(b) >= 8 && le.Uint16(b) == 2 {
		header, n := 8, int64(le.Uint16(b[6:]))
		if dict.VROf(b[4], b[5]).Long() && len(b) >= 12 {
			header, n = 12, int64(le.Uint32(b[8:]))
		}
		if n > int64(len(b)-header) {
			return nil, "", false
		}
		if le.Uint16(b[2:]) == 0x0010 {
			transfer = string(dicom.TrimUID(b[header : header+int(n)]))
		}
		b = b[header+int(n):]
	}
	return b, transfer, transfer != ""
}

// scannedCorpus scans all Part 10 files of the corpus.
func scannedCorpus(t *testing.T) (all []scanned) {
	for _, kind := range []string{"dicom", "hostile"} {
		err := filepath.WalkDir(corpus(t, kind), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			file, err := os.ReadFile(path)
			if s, ok := scan(path, file); ok {
				all = append(all, s)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// disagreement is what the scan says of a file that another reader accepts and reads otherwise,
// and why.
type disagreement struct{ fault, why string }

// compare wants each file read as a peer reads it, unless it does not accept the file (nil) or
// the file has a row.
func compare(t *testing.T, all []scanned, peer func(path string) facts, rows map[string]disagreement) {
	t.Helper()
	compared, seen := 0, map[string]bool{}
	for _, s := range all {
		other := peer(s.path)
		if other == nil {
			continue
		}
		compared++
		name := filepath.Base(s.path)
		row, explained := rows[name]
		agree := s.fault == "" && maps.Equal(s.facts, other)
		seen[name] = true
		switch {
		case agree && explained:
			t.Errorf("%s is read alike; its row says: %s", s.path, row.why)
		case !agree && (!explained || (s.fault == "") != (row.fault == "") || !strings.Contains(s.fault, row.fault)):
			t.Errorf("%s: %s\n%s", s.path, s.fault, differences(s.facts, other))
		}
	}
	for name, row := range rows {
		if !seen[name] {
			t.Errorf("%s has a row (%s), but the peer accepted no such file", name, row.why)
		}
	}
	if t.Logf("%d files compared", compared); compared < 100 {
		t.Errorf("only %d files could be compared", compared)
	}
}

func differences(mine, other facts) string {
	var b strings.Builder
	for keyword, v := range mine {
		if other[keyword] != v {
			fmt.Fprintf(&b, "%s: %q, the peer %q\n", keyword, v, other[keyword])
		}
	}
	for keyword, v := range other {
		if _, ok := mine[keyword]; !ok {
			fmt.Fprintf(&b, "%s: not read, the peer %q\n", keyword, v)
		}
	}
	return b.String()
}

func TestScannerReadsWhatPydicomReads(t *testing.T) { // D25
	all := scannedCorpus(t)
	peer := ask(t, "pydicom", python(t, "dicom_facts.py"))
	compare(t, all, func(path string) facts {
		var f facts
		answer := peer.ask(t, path)
		if err := json.Unmarshal([]byte(answer), &f); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		if f.prune(); f["error"] != "" || len(f) == 0 {
			return nil // also where it read nothing, and said nothing
		}
		return f
	}, pydicomDisagrees)
}

func TestScannerReadsWhatDcmdumpReads(t *testing.T) { // D25
	all, dcmdump := scannedCorpus(t), program(t, "dcmdump")
	read := make([]facts, len(all))
	var workers sync.WaitGroup
	for w := range 2 {
		workers.Go(func() {
			for i := w; i < len(all); i += 2 {
				out, err := exec.Command(dcmdump, "-q", "-Un", "-M", "+L", all[i].path).Output()
				if err == nil {
					read[i] = dumped(string(out))
				}
			}
		})
	}
	workers.Wait()
	of := map[string]facts{}
	for i := range all {
		of[all[i].path] = read[i]
	}
	compare(t, all, func(path string) facts { return of[path] }, dcmdumpDisagrees)
}

// dumpLine begins an element in what dcmdump says: indent, tag, VR. dumpValue is the rest of its
// line, unless the value has line ends: value, length, keyword.
var (
	dumpLine  = regexp.MustCompile(`^( *)\(([0-9a-f]{4}),[0-9a-f]{4}\) (..) (.*)`)
	dumpValue = regexp.MustCompile(`^(.*?) *# *(u/l|\d+), *\d+ (\w+)`)
)

// dumped reads what dcmdump says.
func dumped(out string) facts {
	f := facts{}
	elements, depth, items := 0, 0, -1 // of Pixel Data, -1 before it
	for line := range strings.Lines(out) {
		m := dumpLine.FindStringSubmatch(line)
		if m == nil || m[2] == "0002" {
			continue
		}
		value, length, keyword := "", "", ""
		if v := dumpValue.FindStringSubmatch(m[4]); v != nil {
			value, length, keyword = v[1], v[2], v[3]
		}
		level := len(m[1]) / 4 // two spaces for an item, two for what is in it
		switch {
		case m[2] == "fffe" && m[3] == "pi" && len(m[1]) == 2 && 0 <= items && items < 2:
			f["PixelData"] += " " + length
			items++
		case m[2] == "fffe":
		default:
			elements++
			if m[3] == "SQ" && length != "0" {
				depth = max(depth, level+1)
			}
			if level > 0 || !compared[keyword] {
				continue
			}
			if f[keyword] = dumpedValue(m[3], value); keyword == "PixelData" {
				f[keyword] = length
			}
			if keyword == "PixelData" && length == "u/l" {
				f[keyword], items = "encapsulated", 0
			}
		}
	}
	if items >= 0 {
		f["PixelData"] += strings.Repeat(" 0", 2-items)
	}
	f["elements"], f["depth"] = strconv.Itoa(elements), strconv.Itoa(depth)
	return f.prune()
}

// dumpedValue takes a value out of how dcmdump writes it: texts in brackets, bytes of VR UN in hex.
func dumpedValue(vr, value string) string {
	switch {
	case strings.HasPrefix(value, "("): // no value available
		return ""
	case vr == "UN":
		b, _ := hex.DecodeString(strings.ReplaceAll(value, `\`, ""))
		value = string(b)
	case strings.HasPrefix(value, "["):
		value = strings.TrimSuffix(value[1:], "]")
	}
	return strings.Trim(value, " \x00")
}

// compared are the keywords of facts that are read from elements.
var compared = func() map[string]bool {
	m := map[string]bool{}
	for _, k := range strings.Fields(`SpecificCharacterSet SOPClassUID SOPInstanceUID Modality StudyInstanceUID SeriesInstanceUID
		SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns BitsAllocated BitsStored HighBit
		PixelRepresentation PixelData`) {
		m[k] = true
	}
	return m
}()

// Why a peer accepts what the scan does not.
const (
	anyUID    = "the peer does not hold a UID to 64 bytes"
	asText    = "the peer takes a UID that is written as text"
	deeper    = "our cap; the peer recurses"
	anyOrder  = "the peer takes elements in any order"
	toTheEnd  = "a value that ends behind the file's end is cut there by the peer"
	noStop    = "a delimiter at the top level ends the data set for the peer, without an error"
	noCommand = "the peer takes elements of a command set"
	noBound   = "the peer does not hold an item to its sequence"
	anyFrames = "1A is no number of frames: a fact of ours, a text of the peer's"
	noVR      = "the peer guesses what an element without VR is"
)

// pydicomDisagrees and dcmdumpDisagrees list the files that the two read otherwise.
var (
	pydicomDisagrees = map[string]disagreement{
		"badVR.dcm":                                {"", anyFrames},
		"DICOMDIR-nooffset":                        {"past the end", noBound},
		"MR_truncated.dcm":                         {"before the value", toTheEnd},
		"rtplan_truncated.dcm":                     {"before the value", toTheEnd},
		"SC_rgb_jpeg.dcm":                          {"no VR", "it is in implicit VR in spite of its transfer syntax, and the peer guesses that"},
		"GH179B.dcm":                               {"no VR", noVR},
		"3gb-bulk-data-truncated":                  {"a number of 16 bits, has 4 bytes", "the peer reads two numbers where there is to be one"},
		"TC0131_sopinstanceuid_over_2x.dcm":        {"has 120 bytes", anyUID},
		"TC0135_sopinstanceuid_over_64KB.dcm":      {"has 65536 bytes", anyUID},
		"TC0161_seriesinstanceuid_over_10x.dcm":    {"has 636 bytes", anyUID},
		"TC0231_sopinstanceuid_UI_as_LO.dcm":       {"another VR", asText},
		"TC0263_depth_50.dcm":                      {"deeper than 32", deeper},
		"TC0265_depth_100.dcm":                     {"deeper than 32", deeper},
		"TC0323_encap_zero_frag.dcm":               {"ascending", "Pixel Data comes twice, and the peer keeps the second"},
		"TC0359_stray_item_delim.dcm":              {"cannot stand", noStop},
		"TC0405_latin1_utf8_payload.dcm":           {"ascending", anyOrder},
		"TC0711_encap_frag_len_maxuint_minus1.dcm": {"before the value", toTheEnd},
		"TC0717_encap_frag_len_1_data_64.dcm":      {"where an item", "the peer looks for the delimiter of the sequence and not at fragments"},
		"TC0721_encap_frag_len_int_max.dcm":        {"before the value", toTheEnd},
		"TC0723_encap_wrapping_lengths.dcm":        {"before the value", toTheEnd},
		"TC0965_cmd_group_in_dataset.dcm":          {"commands and files", noCommand},
		"TC1141_oob_len_len_2GB.dcm":               {"before the value", toTheEnd},
		"TC1147_oob_len_len_64KB.dcm":              {"before the value", toTheEnd},
		"TC1153_odd_len_len7.dcm":                  {"no VR", noVR},
		"TC1157_sq_item_huge_len.dcm":              {"past the end", noBound},
	}
	dcmdumpDisagrees = map[string]disagreement{
		"badVR.dcm":                             {"", anyFrames},
		"DICOMDIR-nooffset":                     {"past the end", noBound},
		"TC0131_sopinstanceuid_over_2x.dcm":     {"has 120 bytes", anyUID},
		"TC0135_sopinstanceuid_over_64KB.dcm":   {"has 65536 bytes", anyUID},
		"TC0161_seriesinstanceuid_over_10x.dcm": {"has 636 bytes", anyUID},
		"TC0231_sopinstanceuid_UI_as_LO.dcm":    {"another VR", asText},
		"TC0263_depth_50.dcm":                   {"deeper than 32", deeper},
		"TC0265_depth_100.dcm":                  {"deeper than 32", deeper},
		"TC0323_encap_zero_frag.dcm":            {"ascending", "Pixel Data comes twice, and the peer keeps the first"},
		"TC0359_stray_item_delim.dcm":           {"cannot stand", noStop},
		"TC0963_undef_len_no_delim.dcm":         {"ascending", anyOrder},
		"TC0965_cmd_group_in_dataset.dcm":       {"commands and files", noCommand},
		"TC1157_sq_item_huge_len.dcm":           {"past the end", noBound},
	}
)
