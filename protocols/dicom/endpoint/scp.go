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
}

// Stored holds the facts of a C-STORE-RQ or C-FIND-RQ.
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
	if err := p.limitSend(p.SendLength, rq.User.MaxLength); err != nil {
		return err
	}
	return p.write(appendAccept(nil, &rq, announced(p.MaxLength), p.answers))
}

// context returns an accepted presentation context.
func (p *provider) context(id uint8) (*Negotiated, error) {
	for i := range p.answers {
		if n := &p.answers[i]; n.ID == id && n.Result == dicom.Acceptance {
			return n, nil
		}
	}
	return nil, fmt.Errorf("presentation context %d was not accepted", id)
}

// message answers the next message.
func (p *provider) message() error {
	var c dicom.Command
	if err := p.command(&c); err != nil {
		return err
	}
	pc, err := p.context(c.ContextID)
	if err != nil {
		return err
	}
	facts := &Stored{Called: p.called, Calling: p.calling, SOPClass: string(c.SOPClass),
		SOPInstance: string(c.SOPInstance), Transfer: pc.Transfer, MessageID: c.MessageID}
	rsp := dicom.Command{ContextID: c.ContextID, Field: c.Field | 0x8000, MessageID: c.MessageID,
		SOPClass: []byte(facts.SOPClass), Status: StatusUnrecognized}
	if len(c.SOPInstance) > 0 {
		rsp.SOPInstance = []byte(facts.SOPInstance)
	}
	data := &dataReader{l: p.link, context: c.ContextID, err: io.EOF}
	if c.HasDataSet {
		data.err = nil
	}
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
	}
	if err := data.drain(); err != nil {
		return err
	}
	return p.send(&rsp, nil, 0)
}

// find sends the matches of a C-FIND-RQ and returns the status of the final response.
func (p *provider) find(q *Stored, rsp dicom.Command, data io.Reader) (uint16, error) {
	identifier, err := io.ReadAll(data)
	if err != nil {
		return 0, err
	}
	matches, status := p.Find(q, identifier)
	rsp.Status, rsp.HasDataSet = dicom.StatusPending, true
	for _, m := range matches {
		if err := p.send(&rsp, bytes.NewReader(m), int64(len(m))); err != nil {
			return 0, err
		}
	}
	return status, nil
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
