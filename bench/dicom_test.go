package bench

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

// all is Rules that look as far as rules of storage do, and let all pass that the standard lets.
type all struct{}

func (all) Associate(*dicom.Association, *protocols.Verdict)                                   {}
func (all) Context(*dicom.Association, *dicom.PresentationContext, []bool, *protocols.Verdict) {}
func (all) Command(*dicom.Command, *protocols.Verdict)                                         {}
func (all) Renames() bool                                                                      { return false }
func (all) Title(protocols.Side, []byte) string                                                { return "" }
func (all) Needs(*dicom.Command) dicom.Tag                                                     { return dicom.TagStudyInstanceUID }
func (all) Breach(code reason.Code, v *protocols.Verdict)                                      { v.Refuse(code, "") }
func (all) DataSet(_ *dicom.Command, d *dicom.DataSet, v *protocols.Verdict) {
	if !d.InstanceSafe {
		v.Refuse(reason.DICOMUID, "")
	}
}

// associateRQ is what a load asks for.
func associateRQ(t *testing.T, objects []object) []byte {
	t.Helper()
	near, far := net.Pipe()
	go endpoint.Associate(near, endpoint.Request{Called: sinkAE, Calling: loadAE, Contexts: contexts(objects),
		SendLength: largePDU, MaxLength: largePDU})
	defer far.Close()
	buf := make([]byte, 64<<10)
	n, err := far.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// judge plays what a load sends and what the sink answers, and wants all of it allowed.
func judge(t *testing.T, objects []object, sent []byte, units int) {
	t.Helper()
	rq := associateRQ(t, objects)
	var facts dicom.AssociateRQ
	if err := facts.Parse(rq); err != nil {
		t.Fatal(err)
	}
	p := protocols.Play(dicom.New(dicom.Config{}, all{}), protocols.From(protocols.Near, rq),
		protocols.From(protocols.Far, accept(&facts)), protocols.From(protocols.Near, sent))
	if p.Err != nil {
		t.Fatal(p.Err)
	}
	if !bytes.HasSuffix(p.Toward[protocols.Far], sent) {
		t.Error("what was sent did not pass as it was")
	}
	stored := 0
	for _, v := range p.Verdicts {
		if v.Refused() {
			t.Errorf("%s is refused: %s", v.Unit.String(), v.Reason)
		}
		if v.Unit.String() == "C-STORE-RQ" && v.Settled {
			stored++
		}
	}
	if stored != units {
		t.Errorf("%d objects arrived whole, not %d", stored, units)
	}
}

func (h *huge) bytes() []byte {
	b := bytes.Clone(h.first)
	for range h.repeat {
		b = append(b, h.middle...)
	}
	return append(b, h.last...)
}

func TestHugeObjectIsOneObject(t *testing.T) {
	for _, pdu := range []uint32{smallPDU, largePDU} {
		h := newHuge(1<<20, pdu)
		b := h.bytes()
		if int64(len(b)) != h.size {
			t.Errorf("%d bytes, said to be %d", len(b), h.size)
		}
		if len(h.middle) < writeSize {
			t.Errorf("one write has %d bytes", len(h.middle))
		}
		judge(t, []object{{class: ctImage, transfer: explicitLE}}, b, 1)
		var s dicom.Scanner
		s.Reset(explicitLE, dicom.TagStudyInstanceUID)
		if data := dataSet(t, b); len(data) != 0 {
			s.Feed(data)
			if d := s.DataSet(); !d.InstanceSafe {
				t.Error("the SOP Instance UID was not read")
			}
		}
	}
}

// dataSet puts together the fragments of data sets.
func dataSet(t *testing.T, b []byte) (data []byte) {
	t.Helper()
	for len(b) > 0 {
		_, n, _ := dicom.ParsePDUHeader(b)
		pdvs, err := dicom.ParsePDataTF(b[:dicom.PDUHeaderLen+int(n)])
		if err != nil {
			t.Fatal(err)
		}
		for v := (dicom.PDV{}); pdvs.Next(&v); {
			if !v.Command {
				data = append(data, v.Data...)
			}
		}
		b = b[dicom.PDUHeaderLen+int(n):]
	}
	return data
}

func studyBytes(objects []object) (b []byte) {
	for i := range objects {
		b = storeRQ(b, 1, uint16(i+1), &objects[i], smallPDU)
		b = dicom.AppendFragments(b, 1, false, objects[i].data, smallPDU)
	}
	return b
}

func TestStudyIsObjects(t *testing.T) {
	objects := ctStudy(3)
	b := studyBytes(objects)
	if got := dataSet(t, b); len(got) != 3*len(objects[0].data) {
		t.Errorf("%d bytes of data sets", len(got))
	}
	if n := len(objects[0].data); n < 524_000 || n > 526_000 {
		t.Errorf("an object has %d bytes", n)
	}
	// Each object waits for the response to the one before, so they are judged one by one.
	for i := range objects {
		judge(t, objects[i:i+1], studyBytes(objects[i:i+1]), 1)
	}
}

// The sink reads a stream wherever it is cut.
func TestSinkWalksAnyPieces(t *testing.T) {
	objects := ctStudy(1)
	objects[0].data = append(bytes.Clone(objects[0].data[:len(objects[0].data)-frameSize-12]), appendElement(nil, 0x00280104, "US", "xx")...)
	stream := append(associateRQ(t, objects), studyBytes(objects)...)
	stream = append(stream, dicom.AppendReleaseRQ(nil)...)
	for _, step := range []int{1, 2, 3, 5, 7, 64, len(stream)} {
		near, far := net.Pipe()
		var tally Tally
		served := make(chan error, 1)
		go func() { defer far.Close(); served <- serveDICOM(far, &tally) }()
		answers := make(chan []byte, 1)
		go func() {
			var got []byte
			buf := make([]byte, 4096)
			for {
				n, err := near.Read(buf)
				got = append(got, buf[:n]...)
				if err != nil {
					answers <- got
					return
				}
			}
		}()
		for b := stream; len(b) > 0; b = b[min(step, len(b)):] {
			if _, err := near.Write(b[:min(step, len(b))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-served; err != nil || tally.Units != 1 || tally.Bytes != int64(len(stream)) {
			t.Errorf("in pieces of %d: %+v, %v", step, tally, err)
		}
		if got := <-answers; !bytes.HasSuffix(got, dicom.AppendReleaseRP(nil)) || got[0] != byte(dicom.TypeAssociateAC) {
			t.Errorf("in pieces of %d the answers are %d bytes", step, len(got))
		}
	}
}

func TestSinkRefusesWhatIsNoLoad(t *testing.T) {
	for name, b := range map[string][]byte{
		"an abort":         dicom.AppendAbort(nil, reason.Abort{}),
		"a PDV too long":   {4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 1, 3},
		"a long PDU":       {1, 0, 0xff, 0xff, 0xff, 0xff},
		"an empty command": {4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 3},
	} {
		near, far := net.Pipe()
		go func() { near.Write(b); near.Close() }()
		if err := serveDICOM(far, &Tally{}); err == nil {
			t.Errorf("%s was taken", name)
		}
		far.Close()
	}
}

func TestCorpusIsPart10Files(t *testing.T) {
	dir := t.TempDir()
	want := ctStudy(1)[0]
	var b bytes.Buffer
	if err := endpoint.WriteFileMeta(&b, endpoint.FileMeta{SOPClass: want.class, SOPInstance: want.instance, Transfer: want.transfer}); err != nil {
		t.Fatal(err)
	}
	b.Write(want.data)
	os.Mkdir(filepath.Join(dir, "study"), 0o755)
	os.WriteFile(filepath.Join(dir, "README"), []byte("no object"), 0o644)
	if _, err := corpus(dir); err == nil {
		t.Error("a directory without objects was taken")
	}
	os.WriteFile(filepath.Join(dir, "study", "1.dcm"), b.Bytes(), 0o644)
	got, err := corpus(dir)
	if err != nil || len(got) != 1 || got[0].class != want.class || got[0].instance != want.instance || !bytes.Equal(got[0].data, want.data) {
		t.Errorf("%d objects, %v", len(got), err)
	}
}
