package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

// hostilePDU is what a peer sends that it must not send, or not then.
type hostilePDU struct {
	name  string
	bytes []byte
}

// recorder keeps what is written to it, and answers nothing.
type recorder struct{ bytes.Buffer }

func (*recorder) Read([]byte) (int, error) { return 0, io.EOF }
func (*recorder) Close() error             { return nil }

// requestOf is the A-ASSOCIATE-RQ for contexts in Explicit VR Little Endian.
func requestOf(called string, classes ...string) []byte {
	var r recorder
	rq := endpoint.Request{Called: called, Calling: "US1"}
	for _, c := range classes {
		rq.Contexts = append(rq.Contexts, endpoint.Context{Abstract: c, Transfer: []string{explicitVRLittle}})
	}
	endpoint.Associate(&r, rq)
	return r.Bytes()
}

// answerTo is the A-ASSOCIATE-AC that accepts all of a request.
func answerTo(rq []byte) []byte {
	var r dicom.AssociateRQ
	if err := r.Parse(rq); err != nil {
		panic(err)
	}
	s := endpoint.Server{Contexts: []endpoint.Context{{Abstract: studyFind}, {Abstract: endpoint.StandardStorage}}}
	return s.AppendAccept(nil, &r)
}

// pData is a P-DATA-TF with one PDV.
func pData(context uint8, command, last bool, data []byte) []byte {
	return dicom.AppendPDV(dicom.AppendPDataHeader(nil, uint32(len(data)+6)), context, command, last, data)
}

// storeOf is a C-STORE-RQ with its data set in fragments of 200 bytes, each in a PDU.
func storeOf() (pdus [][]byte) {
	c := dicom.Command{ContextID: 1, Field: dicom.CStoreRQ, MessageID: 7, HasDataSet: true,
		SOPClass: []byte(ctImage), SOPInstance: []byte("1.2.3.4")}
	pdus = append(pdus, pData(1, true, true, dicom.AppendCommand(nil, &c)))
	set := []byte(image(ctImage, "1.2.3.4", "1.2.3", "X", 1000))
	for part := range slices.Chunk(set, 200) {
		pdus = append(pdus, pData(1, false, false, part))
	}
	return append(pdus, pData(1, false, true, nil))
}

// matchesOf are two pending C-FIND-RSPs, their data sets in two fragments, and the final one, to
// message 1.
func matchesOf() (pdus [][]byte) {
	c := dicom.Command{ContextID: 1, Field: dicom.CFindRSP, MessageID: 1, HasDataSet: true, SOPClass: []byte(studyFind), Status: dicom.StatusPending}
	for range 2 {
		match := studyIdentifier(explicitVRLittle, 1)
		pdus = append(pdus, pData(1, true, true, dicom.AppendCommand(nil, &c)), pData(1, false, false, match[:10]), pData(1, false, true, match[10:]))
	}
	c.HasDataSet, c.Status = false, dicom.StatusSuccess
	return append(pdus, pData(1, true, true, dicom.AppendCommand(nil, &c)))
}

// hostilePDUs is every type of PDU with wrong lengths, cut, repeated; types that do not exist; PDVs
// and command sets that are wrong in themselves (D3, D5, D7, D21, D22); other protocols (D10); and
// garbage. Which of them are out of state depends on when they come (D9).
func hostilePDUs(random *rand.Rand) (all []hostilePDU) {
	add := func(b []byte, format string, args ...any) {
		all = append(all, hostilePDU{fmt.Sprintf(format, args...), bytes.Clone(b)})
	}
	rq := requestOf("PACS", ctImage)
	valid := [][]byte{rq, answerTo(rq), dicom.AppendRJ(nil, reason.RJ{Result: 1, Source: 1, Reason: 1}), storeOf()[0],
		dicom.AppendReleaseRQ(nil), dicom.AppendReleaseRP(nil), dicom.AppendAbort(nil, reason.Abort{Source: 2, Reason: 1})}
	for _, t := range []byte{0, 8, 0xFF} {
		valid = append(valid, append([]byte{t, 0, 0, 0, 0, 4}, 0, 0, 0, 0))
	}
	for _, pdu := range valid {
		length := binary.BigEndian.Uint32(pdu[2:])
		for _, n := range []uint32{0, 1, 3, 5, length - 2, length - 1, length + 1, length + 2, 1<<20 + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			wrong := binary.BigEndian.AppendUint32(bytes.Clone(pdu[:2]), n)
			add(append(wrong, pdu[6:]...), "%02XH of length %d for %d", pdu[0], n, length)
		}
		for _, n := range []int{1, 3, 6, len(pdu) / 2, len(pdu) - 1} {
			add(pdu[:n], "%02XH cut to %d bytes", pdu[0], n)
		}
		add(pdu, "%02XH as it is", pdu[0])
		add(slices.Repeat(pdu, 3), "%02XH three times", pdu[0])
	}
	for n := range 6 {
		add(append([]byte{4, 0, 0, 0, 0, byte(n)}, make([]byte, n)...), "P-DATA-TF of %d bytes", n)
	}
	for _, n := range []uint32{0, 1, 3, 7, 1 << 16, 1<<32 - 1} {
		add(append(binary.BigEndian.AppendUint32([]byte{4, 0, 0, 0, 0, 8}, n), 1, 3, 0, 0), "PDV of length %d for 4", n)
	}
	for _, id := range []uint8{0, 2, 3, 255} {
		add(pData(id, true, true, dicom.AppendCommand(nil, &dicom.Command{Field: dicom.CEchoRQ})), "PDV for context %d", id)
	}
	add(pData(1, false, true, []byte("data set")), "data set without a command")
	add(slices.Repeat(pData(1, true, false, make([]byte, 1<<14)), 1<<6), "command set of 1 MiB")
	add(slices.Repeat(pData(1, true, false, nil), 2000), "command set of empty fragments")
	set := dicom.AppendCommand(nil, &dicom.Command{ContextID: 1, Field: dicom.CEchoRQ, MessageID: 1, SOPClass: []byte(verification)})
	add(pData(1, true, true, append(set, set[12:]...)), "elements of a command set twice")
	add(pData(1, true, true, set[12:]), "command set without its group length")
	add(pData(1, true, true, append([]byte{0, 0, 0, 0, 4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}, set[12:]...)), "command set of group length FFFFFFFFH")
	add(pData(1, true, true, append(set[:12:12], 0, 0, 2, 0, 0xFF, 0xFF, 0xFF, 0xFF)), "command element of length FFFFFFFFH")
	for _, field := range []uint16{0, 0x0FFF, 0x7FFF, 0x8001, 0x8020, 0x8021, 0x8010, 0xFFFF} {
		add(pData(1, true, true, dicom.AppendCommand(nil, &dicom.Command{ContextID: 1, Field: field, MessageID: 999})), "command %04XH", field)
	}
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "\x0bMSH|^~\\&|", "SSH-2.0-x\r\n"} {
		add([]byte(text), "%q", text)
	}
	for n := range 20 {
		garbage := make([]byte, 1+random.IntN(4000))
		for i := range garbage {
			garbage[i] = byte(random.Uint32())
		}
		add(garbage, "garbage %d", n)
		add(append([]byte{4, 0, 0, 0, byte(len(garbage) >> 8), byte(len(garbage))}, garbage...), "garbage %d in a P-DATA-TF", n)
	}
	return all
}

// play is a whole behaviour of a peer: what it sends at once, and what after it was answered.
type play struct {
	name   string
	parts  [][]byte
	silent bool // it says nothing more and stays, instead of ending what it sends
}

// plays puts each hostile PDU where an association begins, in its middle and inside a message, and
// flips bits of a stream that was good.
func plays(open []byte, message [][]byte) (all []play) {
	random := rand.New(rand.NewPCG(3, 8))
	whole := bytes.Join(message, nil)
	inside := bytes.Join(message[:2], nil)
	for _, p := range hostilePDUs(random) {
		all = append(all, play{name: p.name + " at once", parts: [][]byte{p.bytes}},
			play{name: p.name + " between messages", parts: [][]byte{open, p.bytes}},
			play{name: p.name + " after a message", parts: [][]byte{open, append(bytes.Clone(whole), p.bytes...)}},
			play{name: p.name + " inside a message", parts: [][]byte{open, append(bytes.Clone(inside), p.bytes...)}})
	}
	for range 300 {
		if bit := random.IntN(8 * (len(open) + len(whole))); bit < 8*len(open) {
			flipped := flip(open, bit)
			all = append(all, play{name: fmt.Sprintf("bit %d flipped", bit), parts: [][]byte{append(flipped, whole...)}})
		} else {
			all = append(all, play{name: fmt.Sprintf("bit %d flipped", bit), parts: [][]byte{open, flip(whole, bit-8*len(open))}})
		}
	}
	return all
}

func flip(b []byte, bit int) []byte {
	b = bytes.Clone(b)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}

// quiet are those plays that leave something unfinished and wait.
func quiet(open []byte, message [][]byte) (all []play) {
	stop := func(name string, parts ...[]byte) {
		all = append(all, play{name: name + ", then silence", parts: parts, silent: true})
	}
	stop("nothing", nil)
	stop("a byte", open[:1])
	stop("half a request or answer", open[:len(open)/2])
	for _, n := range []int{1, 5, 6, 20} {
		stop(fmt.Sprintf("%d bytes of a message", n), open, message[0][:n])
	}
	stop("a command without its data set", open, message[0])
	stop("half a message", open, bytes.Join(message[:2], nil))
	stop("whole messages", open, bytes.Join(message[:len(message)-1], nil)) // of a C-FIND the final response is awaited
	stop("half a message and a cut PDU", open, append(bytes.Join(message[:2], nil), message[0][:9]...))
	return all
}

// perform plays a part: heard waits for what a peer says before it goes on.
func perform(c net.Conn, p play, heard func(io.Reader) error) error {
	for i, part := range p.parts {
		if i > 0 {
			if err := heard(c); err != nil {
				return hung(err)
			}
		}
		if _, err := c.Write(part); err != nil {
			break // it was ended already
		}
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && !p.silent {
		half.CloseWrite()
	}
	_, err := io.Copy(io.Discard, c)
	return hung(err)
}

// readPDU reads one PDU of a peer that keeps to the standard.
func readPDU(c io.Reader) ([]byte, error) {
	pdu := make([]byte, dicom.PDUHeaderLen)
	if _, err := io.ReadFull(c, pdu); err != nil {
		return nil, err
	}
	pdu = append(pdu, make([]byte, min(1<<20, binary.BigEndian.Uint32(pdu[2:])))...)
	_, err := io.ReadFull(c, pdu[dicom.PDUHeaderLen:])
	return pdu, err
}

func oneAnswer(c io.Reader) error {
	_, err := readPDU(c)
	return err
}

// oneQuery reads a message with a data set.
func oneQuery(c io.Reader) error {
	for {
		pdu, err := readPDU(c)
		if err != nil {
			return err
		}
		pdvs, err := dicom.ParsePDataTF(pdu)
		if err != nil {
			return err
		}
		for v := (dicom.PDV{}); pdvs.Next(&v); {
			if v.Last && !v.Command {
				return nil
			}
		}
	}
}

// D1, D3, D5 to D10, D17, D21, D22: whatever a device sends, its session ends.
func TestHostilePDUsFromTheDevice(t *testing.T) {
	h := newHostileWorld(t, ample, func(net.Conn) {})
	open := requestOf("PACS", ctImage)
	h.playDevice(plays(open, storeOf()), 4)
	h.judged("A-ASSOCIATE-RQ", 300)
}

func (h *hostileWorld) playDevice(all []play, atOnce int) {
	h.each(len(all), atOnce, func(i int) error {
		c, err := h.dialUS()
		if err != nil {
			return err
		}
		defer c.Close()
		if err := perform(c, all[i], oneAnswer); err != nil {
			return fmt.Errorf("%s: %w", all[i].name, err)
		}
		return nil
	})
}

// D1, D3, D5 to D10, D17, D21, D22, D26: whatever a server sends, the device is answered or its
// association ends.
func TestHostilePDUsFromTheServer(t *testing.T) {
	all := plays(answerTo(requestOf("ROGUE", studyFind)), matchesOf())
	h := newRogueWorld(t, ample, all)
	h.queryRogue(len(all), 4)
	h.judged("C-FIND-RQ", 300)
}

// newRogueWorld has a rogue server that plays one of all on each connection.
func newRogueWorld(t *testing.T, timers string, all []play) *hostileWorld {
	next := make(chan play, len(all))
	for _, p := range all {
		next <- p
	}
	return newHostileWorld(t, timers, func(c net.Conn) {
		p := <-next
		if _, err := readPDU(c); err != nil {
			if !p.silent { // else a busy machine may meet a timer before
				t.Errorf("%s: no request came: %v", p.name, err)
			}
			return
		}
		if err := perform(c, p, oneQuery); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	})
}

// queryRogue asks the rogue server n times.
func (h *hostileWorld) queryRogue(n, atOnce int) {
	h.each(n, atOnce, func(i int) error {
		a, err := h.ask("ROGUE", nil, endpoint.Context{Abstract: studyFind, Transfer: []string{explicitVRLittle}})
		if err != nil {
			return hung(err)
		}
		defer a.Abort()
		_, err = a.Find(studyFind, studyIdentifier(explicitVRLittle, 1))
		return hung(err)
	})
}

// D6, D8: a peer that stops half-way and stays is ended by a timer, wherever it stops, on either
// side.
func TestPeersThatFallSilentAreEnded(t *testing.T) {
	device := quiet(requestOf("PACS", ctImage), storeOf())
	server := quiet(answerTo(requestOf("ROGUE", studyFind)), matchesOf())
	h := newRogueWorld(t, short, server)
	var both sync.WaitGroup
	both.Go(func() { h.playDevice(device, len(device)) })
	both.Go(func() { h.queryRogue(len(server), len(server)) })
	both.Wait()
	for _, code := range []reason.Code{reason.TimerSetup, reason.TimerMessage, reason.TimerIdle} {
		h.heard(`"device":"us-1"`, string(code))
	}
}
