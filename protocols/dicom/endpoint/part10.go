package endpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cordon/protocols/dicom"
)

// Names of this implementation (PS3.7 §D.3.3.2). The UID is a UUID in decimal under 2.25
// (PS3.5 §B.2), made once for Cordon.
const (
	ImplementationClassUID    = "2.25.328362072905791168085476152262399041678"
	ImplementationVersionName = "CORDON"
)

// FileMeta is what a file's meta information says about its data set (PS3.10 §7.1).
type FileMeta struct {
	SOPClass    string
	SOPInstance string
	Transfer    string // transfer syntax UID
}

// WriteFileMeta writes what precedes the data set of a Part 10 file: preamble, prefix and group
// 0002 in Explicit VR Little Endian.
func WriteFileMeta(w io.Writer, m FileMeta) error {
	var g []byte
	g = append(g, 2, 0, 1, 0, 'O', 'B', 0, 0, 2, 0, 0, 0, 0, 1) // File Meta Information Version
	g = appendMeta(g, 0x0002, "UI", m.SOPClass)
	g = appendMeta(g, 0x0003, "UI", m.SOPInstance)
	g = appendMeta(g, 0x0010, "UI", m.Transfer)
	g = appendMeta(g, 0x0012, "UI", ImplementationClassUID)
	g = appendMeta(g, 0x0013, "SH", ImplementationVersionName)

	head := make([]byte, 128, 128+4+12+len(g))
	head = append(head, "DICM"...)
	head = append(head, 2, 0, 0, 0, 'U', 'L', 4, 0)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(g)))
	_, err := w.Write(append(head, g...))
	return err
}

// appendMeta appends an element of group 0002 with a 16-bit length.
func appendMeta(b []byte, element uint16, vr, value string) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, element)
	b = append(b, vr...)
	b = le.AppendUint16(b, uint16(len(value)+len(value)%2))
	b = append(b, value...)
	if len(value)%2 == 1 {
		pad := byte(0)
		if vr != "UI" {
			pad = ' '
		}
		b = append(b, pad)
	}
	return b
}

// errNoMeta says that a file does not begin as PS3.10 says.
var errNoMeta = errors.New("no Part 10 file: preamble, DICM and the group length of group 0002 are expected first (PS3.10 §7.1)")

// ReadFileMeta reads what precedes the data set of a Part 10 file; r stands at the data set
// afterwards.
func ReadFileMeta(r io.Reader) (m FileMeta, err error) {
	var head [128 + 4 + 12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return m, fmt.Errorf("file meta information: %w", err)
	}
	le := binary.LittleEndian
	n := le.Uint32(head[140:])
	if string(head[128:140]) != "DICM\x02\x00\x00\x00UL\x04\x00" || n > 1<<16 {
		return m, errNoMeta
	}
	g := make([]byte, n)
	if _, err := io.ReadFull(r, g); err != nil {
		return m, fmt.Errorf("file meta information: %w", err)
	}
	for len(g) >= 8 {
		tag, at, length := le.Uint16(g[2:]), 8, int(le.Uint16(g[6:]))
		if vr := string(g[4:6]); vr == "OB" || vr == "UN" {
			if len(g) < 12 {
				return m, errNoMeta
			}
			at, length = 12, int(min(le.Uint32(g[8:]), 1<<16))
		}
		if length > len(g)-at {
			return m, errNoMeta
		}
		value := string(dicom.TrimUID(g[at : at+length]))
		switch tag {
		case 0x0002:
			m.SOPClass = value
		case 0x0003:
			m.SOPInstance = value
		case 0x0010:
			m.Transfer = value
		}
		g = g[at+length:]
	}
	return m, nil
}

// Folder stores what a Storage SCP receives as Part 10 files, one to a SOP instance. Its Store
// method is a Server's.
type Folder struct {
	Dir string
	// Stored, when set, is told of each object that was stored: its file and the bytes of its
	// data set.
	Stored func(file string, s *Stored, bytes int64)
}

// Store writes an object to <Dir>/<SOP Instance UID>.dcm. The instance names the file, so
// anything but a valid UID is answered with C000 (cannot understand) and not stored; an object
// sent again replaces the file. The file appears under its name when it is complete.
func (f *Folder) Store(s *Stored, data io.Reader) (status uint16) {
	name := dicom.TrimUID([]byte(s.SOPInstance))
	if !dicom.ValidUID(name) {
		return StatusCannotUnderstand
	}
	file := filepath.Join(f.Dir, string(name)+".dcm")
	n, err := f.write(file, s, data)
	if err != nil {
		return StatusOutOfResources
	}
	if f.Stored != nil {
		f.Stored(file, s, n)
	}
	return StatusSuccess
}

func (f *Folder) write(file string, s *Stored, data io.Reader) (n int64, err error) {
	tmp, err := os.CreateTemp(f.Dir, ".incoming-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := WriteFileMeta(tmp, FileMeta{s.SOPClass, s.SOPInstance, s.Transfer}); err != nil {
		return 0, err
	}
	if n, err = io.Copy(tmp, data); err != nil {
		return n, err
	}
	if err := tmp.Close(); err != nil {
		return n, err
	}
	return n, os.Rename(tmp.Name(), file)
}
