package policy

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// talk is an association of a real conversation under the rules of a session: what each side sends,
// in turn, on one presentation context for each abstract syntax.
type talk struct {
	abstracts []string
	chunks    []protocols.Chunk
}

// newTalk is the negotiation: the server accepts all contexts, and the roles proposed for classes.
func newTalk(roles map[string][2]byte, abstracts ...string) *talk {
	t := &talk{abstracts: abstracts}
	t.chunks = append(t.chunks, protocols.From(protocols.Near, associatePDU(0x01, roles, abstracts)),
		protocols.From(protocols.Far, associatePDU(0x02, roles, abstracts)))
	return t
}

// says adds a message.
func (t *talk) says(from protocols.Side, c *dicom.Command, dataSet []byte) *talk {
	c.HasDataSet = dataSet != nil
	id := uint8(2*slices.Index(t.abstracts, c.Abstract) + 1)
	pdus := dicom.AppendFragments(nil, id, true, dicom.AppendCommand(nil, c), 16384)
	if dataSet != nil {
		pdus = dicom.AppendFragments(pdus, id, false, dataSet, 16384)
	}
	t.chunks = append(t.chunks, protocols.From(from, pdus))
	return t
}

func associatePDU(kind byte, roles map[string][2]byte, abstracts []string) []byte {
	item := func(kind byte, value ...[]byte) []byte {
		v := bytes.Join(value, nil)
		return append([]byte{kind, 0, byte(len(v) >> 8), byte(len(v))}, v...)
	}
	var body []byte
	body = append(body, 0, 1, 0, 0)
	body = append(body, "PACS2           CT1             "...)
	body = append(body, make([]byte, 32)...)
	body = append(body, item(0x10, []byte(applicationContext))...)
	for i, a := range abstracts {
		head, transfer := []byte{byte(2*i + 1), 0, 0, 0}, item(0x40, []byte(explicitLE))
		if kind == 0x01 {
			body = append(body, item(0x20, head, item(0x30, []byte(a)), transfer)...)
		} else {
			body = append(body, item(0x21, head, transfer)...)
		}
	}
	user := [][]byte{item(0x51, []byte{0, 0, 0x40, 0}), item(0x52, []byte("1.2.3")), item(0x53, make([]byte, 4))} // any number of operations
	for class, r := range roles {
		user = append(user, item(0x54, []byte{0, byte(len(class))}, []byte(class), r[:]))
	}
	body = append(body, item(0x50, user...)...)
	return append(binary.BigEndian.AppendUint32([]byte{kind, 0}, uint32(len(body))), body...)
}

// element encodes an element of Explicit VR Little Endian with a length of 16 bits, or of 32 for OW
// and UN.
func element(tag dicom.Tag, vr string, value []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	b = append(binary.LittleEndian.AppendUint16(b, uint16(tag)), vr...)
	if len(value)%2 != 0 {
		value = append(value, ' ')
	}
	if vr == "OW" || vr == "UN" {
		b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(value)))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	}
	return append(b, value...)
}

// image is a CT image of some pixels, with so many bytes of Pixel Data and of a maker's own.
func image(pixels, own int) []byte {
	short := func(n uint16) []byte { return binary.LittleEndian.AppendUint16(nil, n) }
	return bytes.Join([][]byte{
		element(0x00080016, "UI", []byte(ctImage+"\x00")), element(0x00080018, "UI", []byte("1.2.3\x00")),
		element(0x0020000D, "UI", []byte("1.2\x00")), element(0x0020000E, "UI", []byte("1.2.1\x00")),
		element(0x00280002, "US", short(1)), element(0x00280010, "US", short(8)), element(0x00280011, "US", short(8)),
		element(0x00280100, "US", short(16)), element(0x00280101, "US", short(12)), element(0x00280102, "US", short(11)),
		element(0x00290010, "LO", []byte("MAKER")), element(0x00291010, "UN", make([]byte, own)),
		element(0x7FE00010, "OW", make([]byte, pixels)),
	}, nil)
}

// TestRulesInAConversation plays whole associations, at several cuts of their bytes.
func TestRulesInAConversation(t *testing.T) {
	const near, far = protocols.Near, protocols.Far
	good, short, large := image(128, 100), image(126, 100), image(128, 3<<20)
	day := bytes.Join([][]byte{element(0x00080020, "DA", []byte("20260301")), element(0x00080052, "CS", []byte("STUDY "))}, nil)
	all := bytes.Join([][]byte{element(0x00080020, "DA", nil), element(0x00080052, "CS", []byte("STUDY ")), element(0x00100010, "PN", []byte("*"))}, nil)
	study := bytes.Join([][]byte{element(0x00080052, "CS", []byte("STUDY ")), element(0x0020000D, "UI", []byte("1.2\x00"))}, nil)
	store := func() *dicom.Command { return command(dicom.CStoreRQ, ctImage) }
	find := func() *dicom.Command { return nameless(command(dicom.CFindRQ, studyFind)) }
	move := nameless(command(dicom.CMoveRQ, studyMove))
	move.MoveAE = []byte("THIEF")
	match := find()
	match.Field, match.Status = dicom.CFindRSP, dicom.StatusPending
	returned := store()
	returned.MessageID = 1
	for _, tt := range []struct {
		name, allow string
		talk        *talk
		codes       []reason.Code // of the messages that are not allowed
		answered    string        // the status that the device is told, as bytes
		arrives     [2][]byte     // by side that is sent it
	}{
		{"an image", "store: [CT Image Storage]", newTalk(nil, ctImage).says(near, store(), good), nil, "", [2][]byte{far: good}},
		{"an image cut short", "store: [CT Image Storage]", newTalk(nil, ctImage).says(near, store(), short),
			[]reason.Code{reason.DICOMGeometry}, "\x00\xC0", [2][]byte{}},
		{"an image with more of its maker's own than is held", "store: [CT Image Storage]", newTalk(nil, ctImage).says(near, store(), large), nil, "", [2][]byte{far: large}},
		{"a query by day", "find: {model: Study Root}", newTalk(nil, studyFind).says(near, find(), day), nil, "", [2][]byte{far: day}},
		{"a query for everything", "find: {model: Study Root}", newTalk(nil, studyFind).says(near, find(), all),
			[]reason.Code{reason.DICOMQueryEverything}, "\x24\x01", [2][]byte{}},
		{"D26: a match that cannot be read", "find: {model: Study Root}", newTalk(nil, studyFind).says(near, find(), day).says(far, match, day[:len(day)-2]),
			[]reason.Code{reason.DICOMDataSet}, "", [2][]byte{far: day}},
		{"D26: a match", "find: {model: Study Root}", newTalk(nil, studyFind).says(near, find(), day).says(far, match, all), nil, "", [2][]byte{near: all, far: day}},
		{"D19: a move to somebody else", "move: {to: self}", newTalk(nil, studyMove).says(near, move, study),
			[]reason.Code{reason.DICOMMoveDestination}, "\x01\xA8", [2][]byte{}},
		{"D12: an object that a get returns", "get: {returns: [CT Image Storage]}",
			newTalk(map[string][2]byte{ctImage: {0, 1}}, studyGet, ctImage).says(near, nameless(command(dicom.CGetRQ, studyGet)), study).says(far, returned, good),
			nil, "", [2][]byte{near: good, far: study}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{1 << 30, 4096, 7} {
				if n == 7 && len(tt.arrives[far]) > 1<<20 {
					continue // cut so small it is slow, and shows nothing new
				}
				store := NewStore(site(t, "device: d\nmode: enforce\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\nflows: {x: {to: pacs, allow: ["+tt.allow+"]}}"))
				p := protocols.Play(dicom.New(dicom.Config{}, connect(t, store, "imaging", "10.0.0.1")), protocols.Cut(n, tt.talk.chunks...)...)
				if p.Err != nil {
					t.Fatal(p.Err)
				}
				var codes []reason.Code
				for i := range p.Verdicts {
					if p.Verdicts[i].Refused() {
						codes = append(codes, p.Verdicts[i].Reason)
					}
				}
				if !slices.Equal(codes, tt.codes) {
					t.Errorf("cut at %d: refused %v, want %v", n, codes, tt.codes)
				}
				if tt.answered != "" && !strings.Contains(string(p.Toward[near]), "\x00\x00\x00\x09\x02\x00\x00\x00"+tt.answered) {
					t.Errorf("cut at %d: the status is not %x", n, tt.answered)
				}
				for _, side := range []protocols.Side{near, far} {
					if want := tt.arrives[side]; !bytes.Contains(dataSets(t, p.Toward[side]), want) || want == nil && len(dataSets(t, p.Toward[side])) > 0 {
						t.Errorf("cut at %d: %d bytes of data sets arrive at the %s side, not the %d that were sent", n, len(dataSets(t, p.Toward[side])), side, len(want))
					}
				}
			}
		})
	}
}

// nameless is a command of a service whose requests name no instance.
func nameless(c *dicom.Command) *dicom.Command { c.SOPInstance = nil; return c }

// dataSets returns the fragments of data sets in a stream, joined.
func dataSets(t *testing.T, stream []byte) (all []byte) {
	t.Helper()
	for len(stream) >= 6 {
		end := 6 + int(binary.BigEndian.Uint32(stream[2:]))
		if stream[0] == 0x04 {
			for pdv := stream[6:end]; len(pdv) > 0; {
				n := 4 + int(binary.BigEndian.Uint32(pdv))
				if pdv[5]&1 == 0 {
					all = append(all, pdv[6:n]...)
				}
				pdv = pdv[n:]
			}
		}
		stream = stream[end:]
	}
	return all
}

// TestOutstandingOperations: one operation too many is refused in its turn, after the answer to the
// one that is under way, and the next may come then.
func TestOutstandingOperations(t *testing.T) {
	const near, far = protocols.Near, protocols.Far
	echo := func(id uint16) *dicom.Command {
		c := command(dicom.CEchoRQ, verification)
		c.MessageID = id
		return c
	}
	answer := func(id, status uint16) *dicom.Command {
		c := echo(id)
		c.Field, c.Status = dicom.CEchoRSP, status
		return c
	}
	talk := newTalk(nil, verification).says(near, echo(1), nil).says(near, echo(2), nil).says(far, answer(1, 0), nil).
		says(near, echo(3), nil).says(far, answer(3, 0), nil)
	for _, n := range []int{1 << 30, 7} {
		p := protocols.Play(dicom.New(dicom.Config{}, connect(t, NewStore(site(t, limited("", "outstanding: 1"))), "imaging", "10.0.0.1")), protocols.Cut(n, talk.chunks...)...)
		if p.Err != nil {
			t.Fatal(p.Err)
		}
		var got []string
		for i := range p.Verdicts {
			if v := &p.Verdicts[i]; v.Unit.String() != "A-ASSOCIATE-RQ" {
				got = append(got, v.Unit.String()+" "+string(v.Reason))
			}
		}
		if want := []string{"C-ECHO-RQ ", "C-ECHO-RQ cap.outstanding", "C-ECHO-RSP ", "C-ECHO-RQ ", "C-ECHO-RSP "}; !slices.Equal(got, want) {
			t.Errorf("cut at %d: %q", n, got)
		}
		var order []uint16
		for rest := p.Toward[near]; len(rest) > 0; rest = rest[dicom.PDUHeaderLen+binary.BigEndian.Uint32(rest[2:]):] {
			if rest[0] == 0x04 {
				var c dicom.Command
				if err := c.Parse(rest[12 : dicom.PDUHeaderLen+binary.BigEndian.Uint32(rest[2:])]); err != nil {
					t.Fatal(err)
				}
				order = append(order, c.MessageID, c.Status)
			}
		}
		if want := []uint16{1, 0, 2, echo(2).Failure(reason.CapOutstanding).Status, 3, 0}; !slices.Equal(order, want) {
			t.Errorf("cut at %d: the device is told %04X", n, order)
		}
	}
}
