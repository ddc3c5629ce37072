package dicom

import (
	"bytes"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// sentWith is a C-STORE of a data set, alone in PDUs of some size or with all that fits after its command
// set in one PDU, and the answer to it.
func sentWith(set []byte, size uint32, together bool) []protocols.Chunk {
	if !together {
		return established(near(store(1, set, size)), far(pdu(cmdPDV(ctxCT, storeRSP(1, 0)))))
	}
	first := min(len(set), 40)
	return established(near(pdu(cmdPDV(ctxCT, storeRQ(1)), dataPDV(ctxCT, false, set[:first]), dataPDV(ctxCT, true, set[first:]))), far(pdu(cmdPDV(ctxCT, storeRSP(1, 0)))))
}

// identified is the start of an object: what the rules of these tests look at.
func identified() *dataSet {
	return new(dataSet).put(TagSOPClassUID, "UI", uidCT+"\x00").put(TagSOPInstanceUID, "UI", goodInstance).put(TagStudyInstanceUID, "UI", testStudy+"\x00")
}

func nested(depth int) *dataSet {
	d := identified()
	for range depth {
		d.open(0x0040A730, "SQ").item()
	}
	for range depth {
		d.endItem().end()
	}
	return d
}

// completes tells whether a stream has the last fragment of a data set.
func completes(t *testing.T, stream []byte) bool {
	t.Helper()
	for ; len(stream) > 0; stream = stream[PDUHeaderLen+pduLen(stream):] {
		if stream[0] != uint8(TypePDataTF) {
			continue
		}
		pdvs, err := ParsePDataTF(stream[:PDUHeaderLen+pduLen(stream)])
		if err != nil {
			t.Fatal(err)
		}
		for v := (PDV{}); pdvs.Next(&v); {
			if !v.Command && v.Last {
				return true
			}
		}
	}
	return false
}

// An object is decided by what names it; what is wrong behind that keeps it from being complete.
func TestWhatIsMalformedBehindItsNamesNeverArrivesWhole(t *testing.T) { // D25
	filler := func(d *dataSet) *dataSet {
		return d.put(0x00290010, "LO", "MAKER ").put(0x00291010, "UN", strings.Repeat("x", 700))
	}
	for name, c := range map[string]struct {
		set  []byte
		code reason.Code
	}{
		"another instance UID at the end":     {filler(identified()).put(TagSOPInstanceUID, "UI", badInstance).b, reason.DICOMDataSet},
		"another instance UID behind pixels":  {filler(identified()).put(tagPixelData, "OW", strings.Repeat("x", 600)).put(TagSOPInstanceUID, "UI", badInstance).b, reason.DICOMDataSet},
		"pixels twice":                        {identified().put(tagPixelData, "OW", strings.Repeat("x", 600)).put(tagPixelData, "OW", "xx").b, reason.DICOMDataSet},
		"rows behind pixels":                  {identified().put(tagPixelData, "OW", strings.Repeat("x", 600)).put(0x00280010, "US", "xx").b, reason.DICOMDataSet},
		"cut in its pixels":                   {filler(identified()).head(tagPixelData, "OW", 2000).b, reason.DICOMDataSet},
		"fragments without an end":            {filler(identified()).open(tagPixelData, "OB").head(tagItem, "", 0).b, reason.DICOMDataSet},
		"sequences deeper than readers bear":  {nested(33).b, reason.CapDataSet},
		"an element that only begins":         {append(filler(identified()).b, 0xE0), reason.DICOMDataSet},
		"group of file meta information last": {filler(identified()).put(0x00020010, "UI", "1.2\x00").b, reason.DICOMDataSet},
	} {
		t.Run(name, func(t *testing.T) {
			set := c.set
			if len(set)%2 != 0 {
				set = append(set, 0x7F)
			}
			for _, together := range []bool{false, true} {
				p := playEveryWay(t, Config{}, checked, sentWith(set, 200, together)...)
				wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ refuse "+string(c.code)+"…")
				for _, side := range []protocols.Side{protocols.Near, protocols.Far} {
					if !bytes.HasSuffix(p.Toward[side], abortPDU(2, 6)) {
						t.Errorf("toward side %d there is no abort: %s", side, outline(p.Toward[side]))
					}
				}
				wantEnding(t, p, protocols.FIN, protocols.FIN)
				if completes(t, p.Toward[protocols.Far]) {
					t.Error("the message is complete")
				}
				// Where rules let it pass, it does, and the record says what enforce would have done.
				chunks := sentWith(set, 200, together)
				p = playEveryWay(t, Config{}, func() *script { s := checked(); s.lenient = true; return s }, chunks...)
				wantToward(t, p, protocols.Far, requestPDU(), chunks[2].Bytes)
				wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow "+string(c.code), "C-STORE-RSP allow")
			}
		})
	}
}

// Whatever is well-formed arrives as it was sent, and bytes of long values are not waited for.
func TestWhatIsWellFormedToItsEndPasses(t *testing.T) { // D25
	long := strings.Repeat("\x5A", 900)
	fragments := identified().open(tagPixelData, "OB").head(tagItem, "", 0)
	for _, n := range []int{2, 600, 300, 198, 0, 4} {
		fragments.head(tagItem, "", uint32(n)).b = append(fragments.b, long[:n]...)
	}
	fragments.end().put(0xFFFCFFFC, "OB", "\x00\x00")
	inItem := identified().open(0x20200110, "SQ").item().put(0x00280010, "US", "xx").put(tagPixelData, "OW", long).endItem().end()
	for name, set := range map[string][]byte{
		"ends with what names it":  identified().b,
		"native pixels":            identified().put(tagPixelData, "OW", long).b,
		"padding behind them":      identified().put(tagPixelData, "OW", long).put(0xFFFCFFFC, "OB", "\x00\x00").b,
		"an empty element last":    identified().put(tagPixelData, "OW", long).put(0xFFFCFFFC, "OB", "").b,
		"fragments":                fragments.b,
		"pixels in a sequence":     inItem.b,
		"as deep as may be":        nested(32).b,
		"items in any order":       identified().open(0x0040A730, "SQ").item().put(0x0040A168, "SH", "").put(0x0040A040, "CS", "").endItem().end().b,
		"more elements than a cap": identified().put(0x00290010, "LO", "A ").put(0x00290011, "LO", "B ").put(0x00290012, "LO", "C ").put(0x00290013, "LO", "D ").b,
	} {
		t.Run(name, func(t *testing.T) {
			for _, together := range []bool{false, true} {
				chunks := sentWith(set, 200, together)
				p := playEveryWay(t, Config{Scan: ScanLimits{Elements: 4}}, checked, chunks...)
				wantToward(t, p, protocols.Far, requestPDU(), chunks[2].Bytes)
				wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-STORE-RQ allow", "C-STORE-RSP allow")
			}
		})
	}
}

// A value that the cap cut off from what is held is no fact, also where the bytes after it are skipped.
func TestHoldCapInTheMiddleOfAFact(t *testing.T) {
	set := identified().put(0x00280010, "US", "\x01\x00").b
	rest := new(dataSet).put(0x00280011, "US", "\x01\x00").put(tagPixelData, "OW", strings.Repeat("x", 600)).b
	cmd := pdu(cmdPDV(ctxCT, storeRQ(1)))
	hold := len(cmd) + PDUHeaderLen + pdvHeaderLen + len(set) - 1
	rules := func() *script {
		return &script{needs: tagPixelData, dataSet: func(_ *Command, d *DataSet, _ *protocols.Verdict) {
			if d.Fault == nil || d.Fault.Reason != reason.CapHold {
				t.Errorf("%v", d.Fault)
			}
		}}
	}
	msg := bytes.Join([][]byte{cmd, pdu(dataPDV(ctxCT, false, set)), pdu(dataPDV(ctxCT, true, rest))}, nil)
	p := playEveryWay(t, Config{HoldCap: hold}, rules, established(near(msg))...)
	wantToward(t, p, protocols.Far, requestPDU(), msg)
}
