package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/protocols/dicom/endpoint"
)

// UIDs of the study that servers hold here.
const (
	studyUID     = "2.25.2000.1"
	studyObjects = 3
)

// study writes the files of a generated study: CT images of 16 × 16 pixels.
func study(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	for i := range studyObjects {
		instance := fmt.Sprintf("2.25.2000.3.%d", i+1)
		var b bytes.Buffer
		err := endpoint.WriteFileMeta(&b, endpoint.FileMeta{SOPClass: ctImageStorage, SOPInstance: instance, Transfer: explicitLE})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(ctImage(instance, i+1))
		path := filepath.Join(dir, fmt.Sprintf("%d.dcm", i+1))
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	return dir, files
}

// ctImage is a data set in Explicit VR Little Endian that an archive can index and a workstation
// can show.
func ctImage(instance string, number int) (b []byte) {
	const side = 16
	short := func(v uint16) string { return string(binary.LittleEndian.AppendUint16(nil, v)) }
	for _, e := range []struct {
		tag       uint32
		vr, value string
	}{
		{0x00080016, "UI", ctImageStorage}, {0x00080018, "UI", instance}, {0x00080020, "DA", "20260102"},
		{0x00080030, "TM", "101112"}, {0x00080050, "SH", "A1"}, {0x00080060, "CS", "CT"}, {0x00100010, "PN", "Phantom"},
		{0x00100020, "LO", "P1"}, {0x0020000D, "UI", studyUID}, {0x0020000E, "UI", "2.25.2000.2"}, {0x00200010, "SH", "S1"},
		{0x00200011, "IS", "1"}, {0x00200013, "IS", fmt.Sprint(number)}, {0x00280002, "US", short(1)},
		{0x00280004, "CS", "MONOCHROME2"}, {0x00280010, "US", short(side)}, {0x00280011, "US", short(side)},
		{0x00280100, "US", short(16)}, {0x00280101, "US", short(12)}, {0x00280102, "US", short(11)}, {0x00280103, "US", short(0)},
		{0x7FE00010, "OW", strings.Repeat(short(uint16(number)), side*side)},
	} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e.tag>>16))
		b = binary.LittleEndian.AppendUint16(b, uint16(e.tag))
		value := e.value
		if len(value)%2 == 1 {
			value += map[bool]string{true: "\x00", false: " "}[e.vr == "UI"]
		}
		if b = append(b, e.vr...); e.vr == "OW" {
			b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(value)))
		} else {
			b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		}
		b = append(b, value...)
	}
	return b
}
