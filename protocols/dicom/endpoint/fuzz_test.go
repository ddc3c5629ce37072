package endpoint

import (
	"bytes"
	"io"
	"testing"

	"cordon/protocols/dicom"
)

// said is a connection whose peer has said all it will say.
type said struct{ io.Reader }

func (said) Write(b []byte) (int, error) { return len(b), nil }
func (said) Close() error                { return nil }

// A server survives any bytes.
func FuzzServe(f *testing.F) {
	rq := appendRequest(nil, ct(explicitLE))
	store := dicom.Command{ContextID: 3, Field: dicom.CStoreRQ, MessageID: 1, HasDataSet: true, SOPClass: []byte(ctImage), SOPInstance: []byte("1.2.3")}
	set := dicom.AppendPDV(nil, 3, true, true, dicom.AppendCommand(nil, &store))
	set = dicom.AppendPDV(set, 3, false, true, []byte("data"))
	data := append(dicom.AppendPDataHeader(nil, uint32(len(set))), set...)
	f.Add(rq)
	f.Add(append(bytes.Clone(rq), data...))
	f.Add(dicom.AppendReleaseRQ(append(bytes.Clone(rq), data...)))
	for _, field := range []uint16{dicom.CFindRQ, dicom.CGetRQ, dicom.CMoveRQ, dicom.NCreateRQ, dicom.CancelRQ} {
		c := dicom.Command{ContextID: 1, Field: field, MessageID: 1, HasDataSet: field != dicom.CancelRQ, SOPClass: []byte(studyGet), MoveAE: []byte("WS1")}
		set := dicom.AppendFragments(nil, 1, true, dicom.AppendCommand(nil, &c), 0)
		f.Add(append(appendRequest(nil, getting(ctImage)), dicom.AppendFragments(set, 1, false, oneStudy(), 0)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := archive(2)
		s.Store = func(_ *Stored, r io.Reader) uint16 { _, _ = io.Copy(io.Discard, r); return 0 }
		s.Find = func(_ *Stored, identifier []byte) ([][]byte, uint16) { return [][]byte{identifier, identifier}, 0 }
		s.Dial = func(string) (io.ReadWriteCloser, error) { return said{bytes.NewReader(b)}, nil }
		s.Operate = func(o *Operation) ([]byte, uint16) { return o.Data, 0 }
		_ = s.Serve(said{bytes.NewReader(b)})
	})
}

func FuzzReadFileMeta(f *testing.F) {
	var b bytes.Buffer
	_ = WriteFileMeta(&b, FileMeta{ctImage, "1.2.3", explicitLE})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = ReadFileMeta(bytes.NewReader(b)) })
}
