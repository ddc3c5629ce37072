package bench

import (
	"errors"
	"fmt"
	"io"
	"net"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
)

// accept answers an association request for the sink: whatever is proposed, no limit on PDUs.
func accept(rq *dicom.AssociateRQ) []byte {
	s := endpoint.Server{MaxLength: endpoint.Unlimited}
	for i := range rq.Contexts {
		s.Contexts = append(s.Contexts, endpoint.Context{Abstract: string(rq.Contexts[i].Abstract)})
	}
	return s.AppendAccept(nil, rq)
}

// scp is the receiving end of an association. It reads in large pieces and walks over the heads
// of PDUs and PDVs; of data sets it looks at nothing.
type scp struct {
	conn  net.Conn
	tally *Tally
	pdu   []byte // a PDU other than P-DATA-TF, or the heads of one, as far as they came
	room  uint32 // bytes of the current P-DATA-TF that were not walked over yet
	skip  uint32 // of these, bytes of the current fragment
	head  bool   // the current fragment's head was read
	set   []byte // command set, as far as it came
	part  part
	cmd   dicom.Command
	rsp   []byte // command set of a response
	out   []byte

	getting uint16 // Message ID of the C-GET-RQ under way
	left    int    // objects of it that were not sent yet
}

// part is what the current fragment is a part of.
type part struct {
	context       uint8
	command, last bool
}

// errReleased says that the association ended in good order.
var errReleased = errors.New("association released")

func serveDICOM(conn net.Conn, t *Tally) error {
	p := &scp{conn: conn, tally: t}
	buf := make([]byte, writeSize)
	for {
		n, err := conn.Read(buf)
		t.Bytes += int64(n)
		for b := buf[:n]; len(b) > 0; {
			var walkErr error
			if b, walkErr = p.walk(b); walkErr != nil {
				if errors.Is(walkErr, errReleased) {
					return nil
				}
				return walkErr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// walk takes a step over b and returns the rest.
func (p *scp) walk(b []byte) ([]byte, error) {
	switch {
	case p.room == 0:
		return p.header(b)
	case !p.head:
		return p.fragment(b)
	}
	n := min(len(b), int(p.skip))
	if p.part.command {
		if p.set = append(p.set, b[:n]...); len(p.set) > dicom.MaxCommandSet {
			return nil, errors.New("a command set that does not end")
		}
	}
	p.room -= uint32(n)
	p.skip -= uint32(n)
	if p.skip == 0 {
		return b[n:], p.arrived()
	}
	return b[n:], nil
}

// gather appends to p.pdu until it has n bytes.
func (p *scp) gather(b []byte, n int) (rest []byte, whole bool) {
	k := min(n-len(p.pdu), len(b))
	p.pdu = append(p.pdu, b[:k]...)
	return b[k:], len(p.pdu) == n
}

// header reads the head of a PDU, and all of one that is no P-DATA-TF.
func (p *scp) header(b []byte) ([]byte, error) {
	whole := false
	if len(p.pdu) < dicom.PDUHeaderLen {
		if b, whole = p.gather(b, dicom.PDUHeaderLen); !whole {
			return b, nil
		}
	}
	t, length, _ := dicom.ParsePDUHeader(p.pdu)
	if t == dicom.TypePDataTF {
		p.room, p.head, p.pdu = length, false, p.pdu[:0]
		return b, nil
	}
	if length > dicom.MaxAssociatePDU {
		return nil, fmt.Errorf("%s of %d bytes", t, length)
	}
	if b, whole = p.gather(b, dicom.PDUHeaderLen+int(length)); !whole {
		return b, nil
	}
	defer func() { p.pdu = p.pdu[:0] }()
	return b, p.control(t)
}

// control answers a PDU that is no P-DATA-TF.
func (p *scp) control(t dicom.PDUType) error {
	switch t {
	case dicom.TypeAssociateRQ:
		var rq dicom.AssociateRQ
		if err := rq.Parse(p.pdu); err != nil {
			return err
		}
		return p.write(accept(&rq))
	case dicom.TypeReleaseRQ:
		if err := p.write(dicom.AppendReleaseRP(nil)); err != nil {
			return err
		}
		return errReleased
	}
	return fmt.Errorf("%s from the load", t)
}

// fragment reads the head of a PDV.
func (p *scp) fragment(b []byte) ([]byte, error) {
	const head = 6 // length, context ID, message control header (PS3.8 §9.3.5.1)
	b, whole := p.gather(b, head)
	if !whole {
		return b, nil
	}
	length, context, control, _ := dicom.ParsePDVHeader(p.pdu)
	p.pdu = p.pdu[:0]
	if err := dicom.CheckPDV(length, context, control, p.room, 0); err != nil {
		return nil, err
	}
	p.part.context = context
	p.part.command, p.part.last = dicom.ControlBits(control)
	p.head, p.skip = true, length-2
	p.room -= head
	if p.skip == 0 {
		return b, p.arrived()
	}
	return b, nil
}

// arrived deals with a fragment that came whole, and answers the message that it ends.
func (p *scp) arrived() error {
	p.head = false
	if !p.part.last {
		return nil
	}
	if p.part.command {
		err := p.cmd.Parse(p.set)
		p.set = p.set[:0]
		if err != nil || p.cmd.HasDataSet {
			return err
		}
	}
	switch p.cmd.Field {
	case dicom.CGetRQ:
		p.getting, p.left = p.cmd.MessageID, len(returned())
		return p.give()
	case dicom.CMoveRQ:
		return p.move()
	case dicom.CStoreRSP:
		p.tally.object()
		return p.give()
	case dicom.CFindRQ:
		if err := p.match(); err != nil {
			return err
		}
	}
	p.tally.object()
	rsp := dicom.Command{Field: p.cmd.Field | 0x8000, MessageID: p.cmd.MessageID, SOPClass: p.cmd.SOPClass, SOPInstance: p.cmd.SOPInstance}
	return p.respond(p.part.context, &rsp, nil)
}

// respond sends a response and its data set, if any.
func (p *scp) respond(context uint8, rsp *dicom.Command, data []byte) error {
	p.rsp = dicom.AppendCommand(p.rsp[:0], rsp)
	p.out = dicom.AppendFragments(p.out[:0], context, true, p.rsp, endpoint.DefaultMaxLength)
	if data != nil {
		p.out = dicom.AppendFragments(p.out, context, false, data, endpoint.DefaultMaxLength)
	}
	return p.write(p.out)
}

func (p *scp) write(b []byte) error {
	_, err := p.conn.Write(b)
	return err
}
