package dicom

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
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
		t.Skipf("LEFT OUT, no corpus: real files of %s", strings.Join(folders, ", "))
	}
	return out
}

// reference reads what another parser reads. It panics on some inputs and fails on others.
func reference(b []byte) (class, instance, study string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	set, err := suyash.Parse(bytes.NewReader(b), int64(len(b)), nil, suyash.SkipPixelData(), suyash.AllowMismatchPixelDataLength(),
		suyash.AllowMissingMetaElementGroupLength())
	if err != nil {
		return "", "", "", false
	}
	read := func(t tag.Tag) string {
		e, err := set.FindElementByTag(t)
		if err != nil {
			return ""
		}
		if v, ok := e.Value.GetValue().([]string); ok && len(v) > 0 {
			return string(TrimUID([]byte(strings.Join(v, `\`))))
		}
		return ""
	}
	return read(tag.SOPClassUID), read(tag.SOPInstanceUID), read(tag.StudyInstanceUID), true
}

// implicitInJPEG is written in implicit VR although its transfer syntax is an encapsulated one.
const implicitInJPEG = "SC_rgb_jpeg.dcm"

func TestScanReadsRealFilesAsOthersDo(t *testing.T) { // D25
	compared, faults := 0, 0
	for name, b := range corpusFiles(t, "dicom", "hostile") {
		set, transfer, ok := part10(b)
		if !ok {
			continue
		}
		got := scanIn(transfer, TagStudyInstanceUID, set)
		var pieces [][]byte
		for rest := set[:min(len(set), 1<<16)]; len(rest) > 0; rest = rest[1:] {
			pieces = append(pieces, rest[:1])
		}
		if cut := scanIn(transfer, TagStudyInstanceUID, pieces...); len(pieces) == len(set) && cut != got {
			t.Errorf("%s: cut: %+v\nwhole: %+v", name, cut, got)
		}
		if got.fault != "" {
			if strings.HasPrefix(name, "dicom") && !strings.HasSuffix(name, implicitInJPEG) {
				t.Errorf("%s (%s): %s", name, transfer, got.fault)
			}
			faults++
			continue
		}
		class, instance, study, ok := reference(b)
		if !ok || class == "" && instance == "" && study == "" {
			continue // it could not
		}
		compared++
		if got.class != class || got.instance != instance || got.study != study {
			t.Errorf("%s (%s): read %q %q %q, another parser %q %q %q", name, transfer, got.class, got.instance, got.study, class, instance, study)
		}
	}
	if t.Logf("%d files compared, %d with faults", compared, faults); compared < 100 {
		t.Errorf("only %d files could be compared", compared)
	}
}
