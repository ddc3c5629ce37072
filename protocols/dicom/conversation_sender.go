package dicom

import (
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// fate is what becomes of a message, and with it of each of its PDVs.
type fate uint8

const (
	undecided fate = iota
	passed
	dropped
	replaced // dropped, and bytes of ours take its place
)

// sender follows what one side sends on an established association: an index of the PDVs in its
// window, the one message that is under way, and the requests it waits on.
//
// PDVs are decided in the order they came, and all undecided ones are of the message under way.
// A PDU is settled when all its PDVs are decided, so what is held begins with the PDU that has
// the first undecided one.
type sender struct {
	limit  uint32 // of its P-DATA-TF PDUs, as its receiver accepts them: bytes after the header
	window int    // how many requests it may leave unanswered, as negotiated; 0: no limit

	pieces []piece // PDVs of the window
	first  int     // of them, the first that is not settled
	sure   int     // of them, how many are decided, counted from the start of the slice
	parsed int     // bytes from the start of the window that pieces cover
	unseen int     // bytes of the last piece that the scan was not shown; parsed may be beyond the window
	final  bool    // the last piece is the last of its message, scanned as it comes
	walked int     // bytes of the piece under way that were looked at for their form, after its message was decided
	rest   int     // bytes of a message's last PDU that are still to come, settled as they do

	msg   message
	open  bool                // a part of a message was forwarded
	ended []protocols.Verdict // of messages whose last piece is not settled
	anew  []byte              // PDUs that take the place of replaced pieces, in order

	requests []request // of this side, unanswered, in order
	asked    uint64    // counts them all
	owed     []owed    // responses of ours to this side that wait for their turn, in order
	made     []byte    // their bytes

	err error // found behind what was settled: the next Step returns it
}

// piece is one PDV item of the window, or several that share their fate.
type piece struct {
	n    int32 // bytes of it, length field included
	pdu  int32 // of the first of a PDU: bytes of the PDU, header included
	more int32 // of the first of a PDU: how many others the PDU has
	anew int32 // of a replaced one: bytes of sender.anew that go out where it stood
	fate fate
	ends bool // it completes its message
	set  bool // it is of a command set, else of a data set
}

// One PDV is held for each heldByPiece bytes that may be, and leastPieces in any case. The index takes
// a third of those bytes for it; with PDVs far smaller than any peer sends, it would outgrow what it is
// about.
const (
	heldByPiece = 64
	leastPieces = 256
)

// endedPieces is how many pieces take the memory of a verdict in sender.ended.
const endedPieces = 12

// How long the lists of a sender may be to be kept for the next message, and how many bytes a command
// set and what was made of it. Messages come in a few PDVs, so an odd one costs nothing later.
const (
	keptPieces = 256
	keptEnded  = 16
	keptMade   = 8 << 10
)

// emptied returns s without what is in it, and without memory where it has room for more than kept.
func emptied[T any](s []T, kept int) []T {
	if cap(s) > kept {
		return nil
	}
	return s[:0]
}

// busy tells whether the side is inside a message.
func (s *sender) busy() bool { return s.msg.state != between }

// decide sets the fate of the message under way and of its pieces.
func (s *sender) decide(f fate) {
	s.msg.fate = f
	for i := s.sure; i < len(s.pieces); i++ {
		if s.pieces[i].fate != replaced {
			s.pieces[i].fate = f
		}
	}
	s.sure = len(s.pieces)
}

// forget empties the index. What follows in the window is parsed anew.
func (s *sender) forget() {
	s.pieces, s.first, s.sure = emptied(s.pieces, keptPieces), 0, 0
	s.parsed, s.unseen, s.final = 0, 0, false
}

// turn is one Step under way.
type turn struct {
	c    *Conversation
	s    *sender
	from protocols.Side
	win  []byte // what is not settled yet
	p    *protocols.Plan
	need int // bytes that win should have; 0: any more
	head int // the piece that began the PDU under way
	size int // of that PDU
}

// pass and drop settle the next n bytes, also beyond the window.
func (t *turn) pass(n int) { t.p.Pass(n); t.shift(n) }
func (t *turn) drop(n int) { t.p.Drop(n); t.shift(n) }

func (t *turn) shift(n int) { t.win = t.win[min(n, len(t.win)):] }

// settle passes or drops the next n bytes.
func (t *turn) settle(f fate, n int) {
	if f == passed {
		t.s.open = true
		t.pass(n)
	} else {
		t.drop(n)
	}
}

// data takes a P-DATA-TF PDU. It returns false when more bytes are needed.
//
// A PDU that holds nothing but data of the message under way is the ordinary case of a large
// object: it is acted on from its header. Any other must have come whole.
func (t *turn) data(length uint32) (bool, error) {
	s := t.s
	pdu := t.win[s.parsed:]
	t.size = PDUHeaderLen + int(length)
	if len(pdu) < PDUHeaderLen+pdvHeaderLen {
		return t.wait(s.parsed + PDUHeaderLen + pdvHeaderLen), nil
	}
	n, id, control, _ := ParsePDVHeader(pdu[PDUHeaderLen:])
	if err := CheckPDV(n, id, control, length, PDUHeaderLen); err != nil {
		return false, err
	}
	command, last := ControlBits(control)
	if !command && pdvLengthLen+n == length && s.msg.state == inData && s.msg.ctx.id == id {
		if s.msg.fate == undecided {
			return true, t.look(last)
		}
		return t.stream(last)
	}
	if s.busy() && s.msg.fate == undecided && s.parsed+t.size > t.c.cfg.HoldCap {
		return true, t.full()
	}
	if len(pdu) < t.size {
		return t.wait(s.parsed + t.size), nil
	}
	return true, t.mixed(pdu[:t.size])
}

// stream settles a PDU of a message whose fate is known. What lies beyond the window passes
// unseen, except in the last one: that message must not count as complete before it is.
func (t *turn) stream(last bool) (bool, error) {
	s := t.s
	if !t.follow(PDUHeaderLen+pdvHeaderLen, t.size-PDUHeaderLen-pdvHeaderLen, last) {
		return false, nil
	}
	s.msg.bytes += int64(t.size)
	s.msg.pdvs++
	if last {
		s.rest = t.size
		return true, t.finish()
	}
	whole := t.size <= len(t.win)
	t.settle(s.msg.fate, t.size)
	return whole, nil
}

// finish settles what has come of the last PDU of a message.
func (t *turn) finish() error {
	s, m := t.s, &t.s.msg
	k := min(s.rest, len(t.win))
	s.rest -= k
	if t.settle(m.fate, k); s.rest > 0 {
		return nil
	}
	t.record(&m.verdict, m.bytes)
	return t.complete()
}

// record reports the verdict of a message that is settled.
func (t *turn) record(v *protocols.Verdict, bytes int64) {
	t.s.open = false
	v.Bytes, v.Settled = bytes, true
	t.p.Record(v)
}

// look takes a PDU of the undecided message as far as it has come, for the scan.
func (t *turn) look(last bool) error {
	s := t.s
	if t.crowded() {
		return t.full()
	}
	t.add(t.size-PDUHeaderLen, true)
	s.parsed += t.size
	s.unseen, s.final = t.size-PDUHeaderLen-pdvHeaderLen, last
	return t.scan()
}

// scan shows the scan what it was not shown of the last piece.
func (t *turn) scan() error {
	s := t.s
	if s.msg.fate != undecided {
		return t.looked()
	}
	read, capped := &s.msg.read, t.c.cfg.HoldCap
	at := s.parsed - s.unseen
	if upTo := min(s.parsed, len(t.win), capped); at < upTo {
		s.unseen -= read.feed(t.win[at:upTo])
	}
	if s.unseen == 0 && s.final {
		read.end()
	}
	if !read.done() && s.parsed > capped && len(t.win) >= capped {
		return t.full()
	}
	if !read.done() {
		return nil
	}
	return t.judged()
}

// judged has the rules judge what the scan read.
func (t *turn) judged() error {
	if err := t.dataSet(); err != nil || t.c.over {
		return err
	}
	return t.looked()
}

// looked settles what was held for the scan, with the rest of its last piece.
func (t *turn) looked() error {
	s := t.s
	if !t.follow(s.parsed-s.unseen, s.unseen, s.final) {
		return nil
	}
	if s.unseen = 0; s.final && s.parsed <= len(t.win) {
		s.final = false
		if err := t.complete(); err != nil {
			return err
		}
	}
	return t.release()
}

// full decides a message of which as much is held as may be.
func (t *turn) full() error {
	if t.s.msg.state != inData {
		return t.overheld()
	}
	t.s.msg.read.stop(t.overheld())
	return t.judged()
}

// overheld says of which as much is held as may be.
func (t *turn) overheld() *protocols.Malformed {
	most, what := t.c.cfg.HoldCap, "bytes"
	if t.crowded() {
		most, what = t.c.cfg.maxPieces(), "PDVs"
	}
	return &protocols.Malformed{Reason: reason.CapHold, Section: "limits.hold", Offset: min(t.s.parsed, t.c.cfg.HoldCap),
		Detail: fmt.Sprintf("nothing could be decided in the %d %s that may be held", most, what)}
}

// crowded tells whether the index has as many PDVs as may be held, or as many messages.
func (t *turn) crowded() bool {
	return len(t.s.pieces)+endedPieces*len(t.s.ended) >= t.c.cfg.maxPieces()
}

// mixed takes a whole PDU with PDVs of any kind: fragments of command sets, or several PDVs, which
// may end one message and begin the next (D4).
func (t *turn) mixed(pdu []byte) error {
	pdvs, err := ParsePDataTF(pdu)
	if err != nil {
		return err
	}
	t.s.parsed += t.size
	for v := (PDV{}); pdvs.Next(&v); {
		if err := t.fragment(&v); err != nil || t.c.over {
			return err
		}
	}
	return t.release()
}

// add puts a PDV item of n bytes of the message under way into the index. Those of a message that is
// decided become one piece in each PDU: nothing in them is to be told apart any longer.
func (t *turn) add(n int, begins bool) {
	s := t.s
	s.msg.bytes += int64(n)
	s.msg.pdvs++
	pc := piece{n: int32(n), fate: s.msg.fate, set: s.msg.state == inCommand}
	if begins {
		s.msg.bytes += PDUHeaderLen
		pc.pdu, t.head = int32(t.size), len(s.pieces)
	} else if before := &s.pieces[len(s.pieces)-1]; pc.fate != undecided && pc.fate == before.fate {
		before.n += pc.n
		return
	} else {
		s.pieces[t.head].more++
	}
	s.pieces = append(s.pieces, pc)
}

// release settles the PDUs at the start of the window whose pieces are all decided.
func (t *turn) release() error {
	s := t.s
	if s.msg.state == between || s.msg.fate != undecided {
		s.sure = len(s.pieces)
	}
	for s.first < len(s.pieces) {
		head := &s.pieces[s.first]
		end := s.first + 1 + int(head.more)
		if end > s.sure {
			if s.first > len(s.pieces)/2 { // what is settled does not count as held
				n := copy(s.pieces, s.pieces[s.first:])
				s.pieces, s.sure, s.first = s.pieces[:n], s.sure-s.first, 0
			}
			return nil
		}
		whole := int(head.pdu)
		if s.final && whole > len(t.win) {
			s.forget()
			s.rest = whole
			return t.finish()
		}
		t.pdu(s.pieces[s.first:end], whole)
		s.first, s.parsed = end, s.parsed-whole
	}
	s.forget()
	return nil
}

// pdu settles a PDU whose pieces are decided: as it is when all of them pass, not at all when none
// does, with a header of our own before those that do when some do. PDUs that take the place of
// pieces go between.
func (t *turn) pdu(pieces []piece, whole int) {
	headed := passing(pieces) == whole-PDUHeaderLen
	if headed {
		t.pass(PDUHeaderLen)
	} else {
		t.drop(PDUHeaderLen)
	}
	ended := 0
	for i := range pieces {
		switch pieces[i].fate {
		case replaced:
			t.sendAnew(int(pieces[i].anew))
			headed = false
		case passed:
			if !headed {
				var b [PDUHeaderLen]byte
				t.p.Send(t.from.Other(), AppendPDataHeader(b[:0], uint32(passing(pieces[i:]))))
			}
			headed = true
		}
		t.settle(pieces[i].fate, int(pieces[i].n))
		if pieces[i].ends {
			v := &t.s.ended[ended]
			t.record(v, v.Bytes)
			ended++
		}
	}
	if t.s.ended = append(t.s.ended[:0], t.s.ended[ended:]...); len(t.s.ended) == 0 {
		t.s.ended = emptied(t.s.ended, keptEnded)
	}
}

// passing returns how many bytes of pieces pass, up to the first that is replaced.
func passing(pieces []piece) (n int) {
	for i := range pieces {
		switch pieces[i].fate {
		case passed:
			n += int(pieces[i].n)
		case replaced:
			return n
		}
	}
	return n
}
