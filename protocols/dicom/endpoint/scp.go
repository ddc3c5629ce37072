package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// Server is an SCP. The zero value answers C-ECHO. One Server serves any number of connections.
type Server struct {
	// AE is the title that it must be called by; "" for any.
	AE string
	// Contexts are what it accepts. nil stands for Verification and StandardStorage, in any
	// transfer syntax.
	Contexts []Context
	// MaxLength is the longest P-DATA-TF that it accepts; 0 stands for DefaultMaxLength.
	MaxLength uint32
	// SendLength is the longest P-DATA-TF that it sends; 0 stands for DefaultMaxLength.
	SendLength uint32
	// Store takes an object and returns the status of the response. What it leaves of data is
	// read and discarded. An error of data means that the object did not come whole.
	Store func(s *Stored, data io.Reader) (status uint16)
	// Find answers a C-FIND-RQ with matches, which are sent as pending responses, and the status
	// of the final one.
	Find func(q *Stored, identifier []byte) (matches [][]byte, status uint16)
	// Retrieve answers a C-GET-RQ or C-MOVE-RQ with the objects to send, and the status of the
	// final response should all arrive.
	Retrieve func(q *Stored, identifier []byte) (objects []Object, status uint16)
	// Dial connects to the destination of a C-MOVE, an AE title. An error means that there is none
	// of that name.
	Dial func(destination string) (io.ReadWriteCloser, error)
	// Operate answers a request of the DIMSE-N services with the data set of the response, nil for
	// none, and its status. It may name the instance that an N-CREATE-RQ does not.
	Operate func(o *Operation) (reply []byte, status uint16)
	// Report, when set, is asked after the response to each of those was sent. What it returns, if
	// not nil, goes out as an N-EVENT-REPORT-RQ on the same association.
	Report func(o *Operation) *Operation
}

// Stored holds the facts of a C-STORE-RQ, or of a query.
type Stored struct {
	Called, Calling string // AE titles, trimmed
	SOPClass        string
	SOPInstance     string
	Transfer        string // syntax of the data set
	MessageID       uint16
}

var defaultContexts = []Context{{Abstract: "1.2.840.10008.1.1"}, {Abstract: StandardStorage}}

func (s *Server) contexts() []Context {
	if s.Contexts == nil {
		return defaultContexts
	}
	return s.Contexts
}

// Serve speaks with one SCU until the association ends, and closes the connection. It returns nil
// after a release, *Aborted after an abort, and aborts itself where the peer breaks the standard.
func (s *Server) Serve(conn io.ReadWriteCloser) error {
	defer conn.Close()
	p := &provider{Server: s, link: newLink(conn)}
	p.maxRecv = announced(s.MaxLength)
	err := p.associate()
	for err == nil {
		err = p.message()
	}
	var abort *Aborted
	switch {
	case errors.Is(err, errRelease):
		return p.release()
	case errors.Is(err, errRejected):
		return p.await(err)
	case errors.As(err, &abort), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return errors.Join(err, p.abort(abortFor(err)))
}

// abortFor says which A-ABORT an error deserves (PS3.8 §9.3.8).
func abortFor(err error) reason.Abort {
	var bad *protocols.Malformed
	var state *outOfState
	switch {
	case errors.As(err, &bad):
		return reason.Lookup(bad.Reason).Abort
	case errors.As(err, &state):
		return reason.Lookup(reason.DICOMPDUState).Abort
	}
	return reason.Abort{Source: dicom.AbortSourceProvider} // reason-not-specified
}

// provider is a Server's end of one association.
type provider struct {
	*Server
	*link
	called, calling string
	answers         []Negotiated
	serves          map[string]bool // SOP classes that the SCU is the SCP of
	sub             uint16          // Message ID of the last request of this end
}

// errRejected says that the association was rejected by this end.
var errRejected = errors.New("association rejected by this end")

func (p *provider) associate() error {
	t, err := p.readPDU()
	if err != nil {
		return err
	}
	if t != dicom.TypeAssociateRQ {
		return p.unexpected(t)
	}
	var rq dicom.AssociateRQ
	if err := rq.Parse(p.pdu); err != nil {
		return err
	}
	p.called, p.calling = string(dicom.TrimAE(rq.CalledAE)), string(dicom.TrimAE(rq.CallingAE))
	if p.AE != "" && p.called != p.AE {
		rj := reason.RJ{Result: dicom.RejectedPermanent, Source: dicom.RejectSourceUser, Reason: 7} // called-AE-title-not-recognized
		return errors.Join(errRejected, p.write(dicom.AppendRJ(nil, rj)))
	}
	p.answers = p.negotiate(&rq)
	p.serves = map[string]bool{}
	for _, r := range rq.User.Roles {
		p.serves[string(r.SOPClass)] = r.SCP
	}
	if err := p.limitSend(p.SendLength, rq.User.MaxLength); err != nil {
		return err
	}
	return p.write(appendAccept(nil, &rq, announced(p.MaxLength), p.answers))
}

// message answers the next message.
func (p *provider) message() error {
	var c dicom.Command
	if err := p.command(&c); err != nil {
		return err
	}
	pc, err := accepted(p.answers, c.ContextID)
	if err != nil {
		return err
	}
	facts := &Stored{Called: p.called, Calling: p.calling, SOPClass: string(c.SOPClass),
		SOPInstance: string(c.SOPInstance), Transfer: pc.Transfer, MessageID: c.MessageID}
	rsp := responseTo(&c)
	data := p.dataSet(&c)
	switch {
	case c.Field == dicom.CancelRQ:
		return nil // what it would end was answered already
	case c.Response():
		return fmt.Errorf("%s that answers nothing", c.Name())
	case c.Field == dicom.CEchoRQ:
		rsp.Status = StatusSuccess
	case c.Field == dicom.CStoreRQ && p.Store != nil:
		rsp.Status = p.Store(facts, data)
	case c.Field == dicom.CFindRQ && p.Find != nil:
		if rsp.Status, err = p.find(facts, rsp, data); err != nil {
			return err
		}
	case c.Field == dicom.CGetRQ && p.Retrieve != nil, c.Field == dicom.CMoveRQ && p.Retrieve != nil && p.Dial != nil:
		return p.retrieve(facts, &c, data)
	case normalized(c.Field) && p.Operate != nil:
		return p.operate(pc, &c)
	}
	if err := data.drain(); err != nil {
		return err
	}
	return p.send(&rsp, nil, 0)
}

// responseTo begins the response to a request: what it echoes, and the status of an operation that
// nobody answers.
func responseTo(c *dicom.Command) dicom.Command {
	rsp := dicom.Command{ContextID: c.ContextID, Field: c.Field | 0x8000, MessageID: c.MessageID,
		SOPClass: bytes.Clone(c.SOPClass), Status: StatusUnrecognized}
	if len(c.SOPInstance) > 0 {
		rsp.SOPInstance = bytes.Clone(c.SOPInstance)
	}
	return rsp
}

// find sends the matches of a C-FIND-RQ until it is cancelled, and returns the status of the final
// response.
func (p *provider) find(q *Stored, rsp dicom.Command, data io.Reader) (uint16, error) {
	identifier, err := io.ReadAll(data)
	if err != nil {
		return 0, err
	}
	matches, status := p.Find(q, identifier)
	rsp.Status, rsp.HasDataSet = dicom.StatusPending, true
	for _, m := range matches {
		if cancelled, err := p.cancelled(q.MessageID); err != nil || cancelled {
			return StatusCancelled, err
		}
		if err := p.send(&rsp, bytes.NewReader(m), int64(len(m))); err != nil {
			return 0, err
		}
	}
	return status, nil
}

// cancelled listens for a C-CANCEL-RQ, which is all that an SCU may say meanwhile.
func (p *provider) cancelled(id uint16) (bool, error) {
	p.listen()
	if !p.interrupted() {
		return false, nil
	}
	var c dicom.Command
	if err := p.command(&c); err != nil {
		return false, err
	}
	if c.Field != dicom.CancelRQ || c.MessageID != id {
		return false, fmt.Errorf("%s %d while message %d is answered", c.Name(), c.MessageID, id)
	}
	return true, nil
}

// release answers an A-RELEASE-RQ and waits for the peer to close, as PS3.8 §9.2 (AR-4) has it.
func (p *provider) release() error {
	if err := p.write(dicom.AppendReleaseRP(nil)); err != nil {
		return err
	}
	return p.await(nil)
}

// await reads until the peer closes the connection; how it does that no longer matters.
func (p *provider) await(err error) error {
	_, _ = io.Copy(io.Discard, p.in)
	return err
}
