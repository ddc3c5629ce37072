package dicom

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

const testInstance = "1.2.826.0.1.3680043.8.498.1"

// testElement encodes an element in Implicit VR Little Endian.
func testElement(group, elem uint16, value string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, group)
	b = binary.LittleEndian.AppendUint16(b, elem)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

func testShort(v uint16) string { return string([]byte{byte(v), byte(v >> 8)}) }

// testCommand puts a group length before elements.
func testCommand(elements ...[]byte) []byte {
	all := bytes.Join(elements, nil)
	return append(testElement(0, 0, string(binary.LittleEndian.AppendUint32(nil, uint32(len(all))))), all...)
}

// storeElements are those of a C-STORE-RQ.
func storeElements() [][]byte {
	return [][]byte{
		testElement(0, 0x0002, uidCT+"\x00"),
		testElement(0, 0x0100, testShort(CStoreRQ)),
		testElement(0, 0x0110, testShort(7)),
		testElement(0, 0x0700, testShort(0)),
		testElement(0, 0x0800, testShort(1)),
		testElement(0, 0x1000, testInstance+"\x00"),
	}
}

func TestEveryCommandIsReadAsItIsWritten(t *testing.T) {
	uid := []byte(uidCT)
	instance := []byte(testInstance)
	for field, f := range forms {
		c := Command{Field: field, MessageID: 0x1234, HasDataSet: f.data == required, InstanceSafe: true}
		if f.demands&(affectedClass|requestedClass) != 0 {
			c.SOPClass = uid
		}
		if f.demands&(affectedInstance|requestedInstance) != 0 {
			c.SOPInstance = instance
		}
		if f.demands&moveDestination != 0 {
			c.MoveAE = []byte("WS1")
		}
		if f.demands&priority != 0 {
			c.Priority = 2
		}
		if f.demands&status != 0 {
			c.Status = 0xB000
		}
		if f.demands&(eventType|actionType) != 0 {
			c.TypeID = 1
		}
		if field == CStoreRQ {
			c.Originator, c.OriginatorID = []byte("PACS"), 9
		}
		set := AppendCommand(nil, &c)
		var got Command
		if err := got.Parse(set); err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if again := AppendCommand(nil, &got); !bytes.Equal(again, set) {
			t.Errorf("%s: written as\n% x, read and written again as\n% x", f.name, set, again)
		}
		if got.Name() != f.name || got.MessageID != 0x1234 || got.HasDataSet != c.HasDataSet || got.Status != c.Status || got.TypeID != c.TypeID {
			t.Errorf("%s: read as %+v", f.name, got)
		}
		if got.Response() != strings.HasSuffix(f.name, "-RSP") {
			t.Errorf("%s: Response() is %v", f.name, got.Response())
		}
	}
}

func TestCommandFacts(t *testing.T) {
	set := testCommand(append(storeElements(),
		testElement(0, 0x1030, "  WS1\x00"), testElement(0, 0x1031, testShort(3)), testElement(0, 0x5110, "retired "))...)
	c := Command{From: protocols.Far, ContextID: 3, Abstract: uidCT, Transfer: uidImplicit}
	if err := c.Parse(set); err != nil {
		t.Fatal(err)
	}
	if c.From != protocols.Far || c.ContextID != 3 || c.Abstract != uidCT || c.Transfer != uidImplicit {
		t.Errorf("where it came from is lost: %+v", c)
	}
	if string(c.SOPClass) != uidCT || string(c.SOPInstance) != testInstance || !c.InstanceSafe ||
		string(c.Originator) != "WS1" || c.OriginatorID != 3 || !c.HasDataSet || c.MessageID != 7 {
		t.Errorf("read as %+v", c)
	}
}

func TestUnsafeInstanceUIDIsAFact(t *testing.T) {
	e := storeElements()
	e[5] = testElement(0, 0x1000, "../../x.")
	var c Command
	if err := c.Parse(testCommand(e...)); err != nil || c.InstanceSafe {
		t.Errorf("InstanceSafe is %v (%v)", c.InstanceSafe, err)
	}
}

func TestResponsesMayLeaveOutWhatTheyEcho(t *testing.T) {
	set := testCommand(testElement(0, 0x0002, ""), testElement(0, 0x0100, testShort(CStoreRSP)), testElement(0, 0x0120, testShort(7)),
		testElement(0, 0x0800, testShort(noDataSet)), testElement(0, 0x0900, testShort(0)), testElement(0, 0x0902, "why "))
	var c Command
	if err := c.Parse(set); err != nil || c.SOPClass != nil || c.SOPInstance != nil || !c.InstanceSafe {
		t.Errorf("%+v, %v", c, err)
	}
}

// Orthanc 1.10 answers a C-GET of which something failed with Failed SOP Instance UID List behind the
// command set, as here. It is a fact, in responses alone, and nothing of it is read.
func TestRemainderOfACommandSet(t *testing.T) {
	get := func(field uint16) []byte {
		return AppendCommand(nil, &Command{Field: field, MessageID: 7, Status: 0xC000, SOPClass: []byte(uidGet), SubOperations: SubOperations{Told: true, Failed: 1}})
	}
	failed := testElement(8, 0x0058, "1.2.840.113619.2.55.3.60\x00\x00")
	var c Command
	for _, behind := range [][]byte{nil, failed, append(failed[:len(failed):len(failed)], testElement(9, 0x0001, "")...)} {
		if err := c.Parse(append(get(CGetRSP), behind...)); err != nil || c.Remainder != (behind != nil) || c.Status != 0xC000 || c.SubOperations.Failed != 1 {
			t.Errorf("%q behind: %+v, %v", behind, c, err)
		}
	}
	for name, set := range map[string][]byte{
		"of a request":        append(get(CGetRQ), failed...),
		"of the same group":   append(get(CGetRSP), testElement(0, 0x0900, testShort(0))...),
		"descending":          append(append(get(CGetRSP), failed...), testElement(8, 0x0018, "1.2.")...),
		"cut":                 append(get(CGetRSP), failed[:len(failed)-1]...),
		"no element":          append(get(CGetRSP), 8, 0, 0x58, 0),
		"of undefined length": append(get(CGetRSP), 8, 0, 0x99, 0x11, 0xFF, 0xFF, 0xFF, 0xFF),
	} {
		if err := c.Parse(set); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			wantMalformed(t, err, reason.DICOMCommandSet, set)
		}
	}

	asked := pdu(AppendPDV(nil, ctxGet, true, true, AppendCommand(nil, &Command{Field: CGetRQ, MessageID: 7, SOPClass: []byte(uidGet), HasDataSet: true})),
		AppendPDV(nil, ctxGet, false, true, make([]byte, 8)))
	answer := pdu(AppendPDV(nil, ctxGet, true, true, append(get(CGetRSP), failed...)))
	for _, lenient := range []bool{false, true} {
		rules := func() *script { return &script{lenient: lenient} }
		p := playEveryWay(t, Config{}, rules, workstation(nil, near(asked), far(answer))...)
		if passed := bytes.Contains(p.Toward[protocols.Near], answer); passed != lenient {
			t.Errorf("tolerated: %v, passed: %v; %q", lenient, passed, verdicts(p))
		}
		if last := p.Verdicts[len(p.Verdicts)-1]; !lenient && last.Reason != reason.DICOMCommandRemainder {
			t.Errorf("%+v", last)
		}
	}
}

func TestMalformedCommandSets(t *testing.T) {
	// swap replaces one element of a C-STORE-RQ; nothing removes it.
	swap := func(i int, with ...[]byte) []byte {
		e := storeElements()
		return testCommand(append(append(append([][]byte{}, e[:i]...), with...), e[i+1:]...)...)
	}
	length := func(n uint32, set []byte) []byte { binary.LittleEndian.PutUint32(set[8:], n); return set }
	whole := testCommand(storeElements()...)
	for name, set := range map[string][]byte{
		"nothing":                              {},
		"no group length (D22)":                bytes.Join(storeElements(), nil),
		"group length too small (D22)":         length(uint32(len(whole)-14), bytes.Clone(whole)),
		"group length too large (D22)":         length(uint32(len(whole)), bytes.Clone(whole)),
		"group length huge (D22)":              length(1<<32-1, bytes.Clone(whole)),
		"group length of two bytes (D22)":      append(testElement(0, 0, "\x00\x00"), whole[12:]...),
		"explicit VR (D22)":                    append([]byte("\x00\x00\x00\x00UL\x04\x00\x00\x00\x00\x00"), whole[12:]...),
		"duplicate Affected Instance (D21)":    swap(5, storeElements()[5], testElement(0, 0x1000, "1.2.")),
		"duplicate group length (D21)":         testCommand(append([][]byte{testElement(0, 0, "\x00\x00\x00\x00")}, storeElements()...)...),
		"descending elements (D21)":            swap(2, storeElements()[3], storeElements()[2]),
		"element of another group":             swap(5, storeElements()[5], testElement(8, 0x0018, "1.2.")),
		"odd value":                            swap(0, testElement(0, 2, "1.2")),
		"value beyond the set":                 append(whole[:len(whole):len(whole)], testElement(0, 0x1030, "AE")...)[:len(whole)+9],
		"element header cut":                   length(uint32(len(whole)-8), append(whole[:len(whole):len(whole)], 0, 0, 0, 0x20)),
		"Message ID of four bytes":             swap(2, testElement(0, 0x0110, "\x01\x00\x00\x00")),
		"empty Message ID":                     swap(2, testElement(0, 0x0110, "")),
		"no SOP class":                         swap(0),
		"no command field":                     swap(1),
		"no Message ID":                        swap(2),
		"no priority":                          swap(3),
		"no data set type":                     swap(4),
		"no instance":                          swap(5),
		"empty instance":                       swap(5, testElement(0, 0x1000, "\x00\x00")),
		"unknown command field":                swap(1, testElement(0, 0x0100, testShort(0x0002))),
		"C-STORE-RQ without data set":          swap(4, testElement(0, 0x0800, testShort(noDataSet))),
		"Originator longer than an AE title":   swap(5, storeElements()[5], testElement(0, 0x1030, "ABCDEFGHIJKLMNOPQR")),
		"Requested instance unlike Affected":   swap(5, storeElements()[5], testElement(0, 0x1001, "1.2.")),
		"larger than a command set may be":     testCommand(append(storeElements(), testElement(0, 0x9000, strings.Repeat("x", MaxCommandSet)))...),
		"C-ECHO-RQ with data set":              testCommand(testElement(0, 2, uidVerification+"\x00"), testElement(0, 0x0100, testShort(CEchoRQ)), testElement(0, 0x0110, testShort(1)), testElement(0, 0x0800, testShort(1))),
		"response without Message ID answered": testCommand(testElement(0, 0x0100, testShort(CEchoRSP)), testElement(0, 0x0800, testShort(noDataSet)), testElement(0, 0x0900, testShort(0))),
	} {
		t.Run(name, func(t *testing.T) {
			var c Command
			wantMalformed(t, c.Parse(set), reason.DICOMCommandSet, set)
		})
	}
}

func TestCutCommandSetsAreRefused(t *testing.T) {
	whole := testCommand(storeElements()...)
	for n := range whole {
		var c Command
		if c.Parse(whole[:n]) == nil {
			t.Errorf("the first %d of %d bytes are read", n, len(whole))
		}
	}
}

func TestFailureNamesTheRequest(t *testing.T) { // D24
	for _, c := range []struct {
		field  uint16
		code   reason.Code
		status uint16
	}{
		{CStoreRQ, reason.DICOMUID, 0xC000},
		{CFindRQ, reason.DICOMCommand, 0x0124},
		{NActionRQ, reason.DICOMSOPClass, 0x0122},
		{NSetRQ, reason.HL7Batch, StatusProcessing}, // has no status of its own
	} {
		rq := Command{Field: c.field, MessageID: 65535, ContextID: 5, HasDataSet: true, SOPClass: []byte(uidCT), SOPInstance: []byte(testInstance)}
		for _, maxLength := range []uint32{0, 1, 7, 8, 9, 64, 16384} {
			pdus := appendFailure(nil, &rq, c.code, maxLength)
			var set []byte
			for len(pdus) > 0 {
				_, n, _ := ParsePDUHeader(pdus)
				if maxLength >= 8 && n > maxLength {
					t.Fatalf("a PDU of %d bytes for a maximum of %d", n, maxLength)
				}
				all, err := ParsePDataTF(pdus[:PDUHeaderLen+int(n)])
				if err != nil {
					t.Fatal(err)
				}
				for v := (PDV{}); all.Next(&v); {
					set = append(set, v.Data...)
					if v.ContextID != 5 || !v.Command || v.Last != (PDUHeaderLen+int(n) == len(pdus)) {
						t.Errorf("PDV %+v", v)
					}
				}
				pdus = pdus[PDUHeaderLen+int(n):]
			}
			var got Command
			if err := got.Parse(set); err != nil {
				t.Fatal(err)
			}
			if got.Field != c.field|0x8000 || got.MessageID != 65535 || got.HasDataSet || got.Status != c.status ||
				string(got.SOPClass) != uidCT || string(got.SOPInstance) != testInstance {
				t.Errorf("answered with %+v", got)
			}
			if bytes.Contains(set, testElement(0, 0x0003, uidCT)[:4]) {
				t.Error("a Requested UID in a response")
			}
		}
	}
}

func FuzzCommandSet(f *testing.F) {
	f.Add(testCommand(storeElements()...))
	for field := range forms {
		f.Add(AppendCommand(nil, &Command{Field: field, MessageID: 1, SOPClass: []byte("1.2"), SOPInstance: []byte("1.2.3"), MoveAE: []byte("A")}))
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		var c, again Command
		if c.Parse(set) != nil {
			return
		}
		// What is read and written anew reads the same, and is stable.
		out := AppendCommand(nil, &c)
		if err := again.Parse(out); err != nil {
			t.Fatalf("% x is written as % x: %v", set, out, err)
		}
		if twice := AppendCommand(nil, &again); !bytes.Equal(out, twice) {
			t.Fatalf("% x, then % x", out, twice)
		}
	})
}
