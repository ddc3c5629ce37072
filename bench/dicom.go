package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
)

// AE titles and UIDs of the generated traffic. The instances are under the root that stands for
// generated UUIDs (PS3.5 §B.2), so they can be nobody's.
const (
	loadAE       = "LOAD"
	sinkAE       = "SINK"
	homeAE       = "HOME" // where a C-MOVE has objects sent
	verification = "1.2.840.10008.1.1"
	ctImage      = "1.2.840.10008.5.1.4.1.1.2"
	usMultiFrame = "1.2.840.10008.5.1.4.1.1.3.1"
	textReport   = "1.2.840.10008.5.1.4.1.1.88.11"
	studyFind    = "1.2.840.10008.5.1.4.1.2.2.1"
	studyMove    = "1.2.840.10008.5.1.4.1.2.2.2"
	studyGet     = "1.2.840.10008.5.1.4.1.2.2.3"
	implicitLE   = "1.2.840.10008.1.2"
	explicitLE   = "1.2.840.10008.1.2.1"
	uidRoot      = "2.25.2000"
)

// object is a data set with what C-STORE says about it.
type object struct {
	class, instance, transfer string
	data                      []byte
}

// corpus reads the studies of a directory: its Part 10 files, in all folders below it.
func corpus(dir string) (objects []object, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		meta, err := endpoint.ReadFileMeta(f)
		if err != nil || meta.SOPClass == "" || strings.HasPrefix(meta.SOPClass, "1.2.840.10008.1.3.") {
			return nil // no object: a DICOMDIR, a text beside the files
		}
		at, err := f.Seek(0, 1)
		if err != nil {
			return err
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if data := whole[at:]; len(data)%2 == 0 {
			objects = append(objects, object{meta.SOPClass, meta.SOPInstance, meta.Transfer, data})
		}
		return nil
	})
	if err == nil && len(objects) == 0 {
		err = fmt.Errorf("%s holds no DICOM Part 10 file", dir)
	}
	return objects, err
}

// contexts are the presentation contexts that objects need, one for each SOP class and transfer
// syntax.
func contexts(objects []object) (list []endpoint.Context) {
	seen := map[[2]string]bool{}
	for _, o := range objects {
		if k := [2]string{o.class, o.transfer}; !seen[k] {
			seen[k] = true
			list = append(list, endpoint.Context{Abstract: o.class, Transfer: []string{o.transfer}})
		}
	}
	return list
}

// storeRQ is the C-STORE-RQ of an object in fragments.
func storeRQ(dst []byte, context uint8, id uint16, o *object, pdu uint32) []byte {
	c := dicom.Command{Field: dicom.CStoreRQ, MessageID: id, HasDataSet: true,
		SOPClass: []byte(o.class), SOPInstance: []byte(o.instance)}
	return dicom.AppendFragments(dst, context, true, dicom.AppendCommand(nil, &c), pdu)
}

// huge is one multi-frame object as it goes over the wire, whatever its size: only its first PDUs,
// one batch of its middle and its last PDUs are held.
type huge struct {
	first, middle, last []byte
	repeat              int   // how often middle goes out
	size                int64 // bytes in all
}

// writeSize is the least that one write of middle hands the kernel.
const writeSize = 256 << 10

// newHuge forms an object whose data set has size bytes, rounded down to even, in PDUs of that
// length. It has at least a header, and at most 4 GiB: the length of native Pixel Data has 32 bits.
func newHuge(size int64, pdu uint32) *huge {
	room := int64(pdu-6) &^ 1 // bytes of data in a PDU with one PDV
	instance := uidRoot + ".4.1"
	head, size := hugeHead(instance, size&^1)
	header := int64(len(head))
	fill := make([]byte, room)
	for i := range fill {
		fill[i] = byte(i * 7)
	}
	o := object{ctImage, instance, explicitLE, nil}
	h := &huge{first: storeRQ(nil, 1, 1, &o, pdu)}
	if size <= room {
		h.first = fragment(h.first, append(head, fill[:size-header]...), true)
		h.size = int64(len(h.first))
		return h
	}
	h.first = fragment(h.first, append(head, fill[header:]...), false)
	batch := (writeSize + room - 1) / room
	full := (size - 1) / room // fragments but the last
	for range batch {
		h.middle = fragment(h.middle, fill, false)
	}
	h.repeat = int((full - 1) / batch)
	for range (full - 1) % batch {
		h.last = fragment(h.last, fill, false)
	}
	h.last = fragment(h.last, fill[:size-full*room], true)
	h.size = int64(len(h.first)+len(h.last)) + int64(h.repeat)*int64(len(h.middle))
	return h
}

// hugeHead is the header of an image whose data set has size bytes, or a few more where there is no
// room for a pixel; its frames are as many as fit in them.
func hugeHead(instance string, size int64) ([]byte, int64) {
	s := ct
	var head []byte
	frames := size / frameSize
	for range 2 { // the number of frames is a text, and takes from their room
		head = s.header(instance, int(max(1, frames)), 0)
		size = max(size, int64(len(head))+2)
		frames = (size - int64(len(head))) / frameSize
	}
	pixels := size - int64(len(head))
	if frames == 0 {
		s.columns = uint16(min(512, pixels/2))
		s.rows = uint16(pixels / 2 / int64(s.columns))
	}
	return s.header(instance, int(max(1, frames)), uint32(pixels)), size
}

// send writes the object.
func (h *huge) send(w io.Writer) error {
	if _, err := w.Write(h.first); err != nil {
		return err
	}
	for range h.repeat {
		if _, err := w.Write(h.middle); err != nil {
			return err
		}
	}
	if len(h.last) == 0 {
		return nil
	}
	_, err := w.Write(h.last)
	return err
}

// fragment appends a P-DATA-TF of one fragment of a data set on presentation context 1.
func fragment(dst, data []byte, last bool) []byte {
	dst = dicom.AppendPDataHeader(dst, uint32(len(data)+6))
	return dicom.AppendPDV(dst, 1, false, last, data)
}
