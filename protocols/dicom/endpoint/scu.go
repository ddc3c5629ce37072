package endpoint

import (
	"errors"
	"fmt"
	"io"

	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// Context is a presentation context to propose or to accept.
type Context struct {
	Abstract string
	Transfer []string
}

// Request is what an SCU asks for.
type Request struct {
	Called, Calling string
	Contexts        []Context // proposed under the IDs 1, 3, 5 …
	// Serves are SOP classes of the contexts that the SCU wants to be the SCP of (PS3.7 §D.3.3.4):
	// those of the objects that a C-GET returns, and of reports that it sends itself.
	Serves []string
	// MaxLength is the longest P-DATA-TF that the SCU accepts; 0 stands for DefaultMaxLength.
	MaxLength uint32
	// SendLength is the longest P-DATA-TF that it sends, however much the peer accepts; 0 stands
	// for DefaultMaxLength.
	SendLength uint32
}

// Negotiated is the answer to one proposed presentation context (PS3.8 §9.3.3.2).
type Negotiated struct {
	ID       uint8
	Abstract string
	Result   dicom.Result
	Transfer string // of an accepted one
}

// Association is an SCU's end of an association.
type Association struct {
	*link
	Contexts []Negotiated // in the order of the request
	PeerMax  uint32       // longest P-DATA-TF that the peer accepts; 0: no limit

	called, calling string
	message         uint16
}

// Status values of the services (PS3.7 Annex C, PS3.4 §B.2.3) besides those of package dicom.
const (
	StatusSuccess          = dicom.StatusSuccess
	StatusOutOfResources   = 0xA700
	StatusCannotUnderstand = 0xC000
	StatusUnrecognized     = 0x0211
	StatusNoSuchClass      = 0x0122
	StatusNoDestination    = 0xA801 // of a C-MOVE: move destination unknown
	StatusIncomplete       = 0xB000 // of a C-MOVE or C-GET: complete but for failures
	StatusCancelled        = 0xFE00 // matching or sub-operations ended by a C-CANCEL-RQ
)

// Associate asks for an association and waits for the answer. A refusal is a *Rejected, or an
// *Aborted; the connection is closed then.
func Associate(conn io.ReadWriteCloser, r Request) (*Association, error) {
	a := &Association{link: newLink(conn), called: r.Called, calling: r.Calling}
	err := a.associate(r)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return a, nil
}

func (a *Association) associate(r Request) error {
	a.maxRecv = announced(r.MaxLength)
	if len(r.Contexts) == 0 || len(r.Contexts) > 128 {
		return fmt.Errorf("%d presentation contexts; an association has 1 to 128", len(r.Contexts))
	}
	if err := a.write(appendRequest(nil, r)); err != nil {
		return err
	}
	t, err := a.readPDU()
	if err != nil {
		return fmt.Errorf("answer to A-ASSOCIATE-RQ: %w", cut(err))
	}
	if t != dicom.TypeAssociateAC {
		return a.unexpected(t)
	}
	if err := a.accepted(r); err != nil {
		return err
	}
	return a.limitSend(r.SendLength, a.PeerMax)
}

// Accepted returns the ID of the accepted presentation context for an abstract and a transfer
// syntax; transfer "" is any.
func (a *Association) Accepted(abstract, transfer string) (id uint8, ok bool) {
	for _, c := range a.Contexts {
		if c.Result == dicom.Acceptance && c.Abstract == abstract && (transfer == "" || c.Transfer == transfer) {
			return c.ID, true
		}
	}
	return 0, false
}

// Echo sends a C-ECHO-RQ and returns the status of the response (PS3.7 §9.1.5).
func (a *Association) Echo() (status uint16, err error) {
	const verification = "1.2.840.10008.1.1"
	id, ok := a.Accepted(verification, "")
	if !ok {
		return 0, errNoContext(verification, "")
	}
	c := dicom.Command{ContextID: id, Field: dicom.CEchoRQ, SOPClass: []byte(verification)}
	return a.request(&c, nil, 0)
}

// Store sends an object and returns the status of the response (PS3.7 §9.1.1). The data set has
// size bytes in that transfer syntax, for which a presentation context must have been accepted.
func (a *Association) Store(class, instance, transfer string, data io.Reader, size int64) (status uint16, err error) {
	id, ok := a.Accepted(class, transfer)
	if !ok {
		return 0, errNoContext(class, transfer)
	}
	c := dicom.Command{ContextID: id, Field: dicom.CStoreRQ, HasDataSet: true,
		SOPClass: []byte(class), SOPInstance: []byte(instance)}
	return a.request(&c, data, size)
}

// Send sends any message, under a Message ID of its own when it is a request without one.
func (a *Association) Send(c *dicom.Command, data io.Reader, size int64) error {
	if c.MessageID == 0 {
		a.message++
		c.MessageID = a.message
	}
	return a.send(c, data, size)
}

// request sends a request and returns the status of its one response.
func (a *Association) request(c *dicom.Command, data io.Reader, size int64) (uint16, error) {
	if err := a.Send(c, data, size); err != nil {
		return 0, err
	}
	rsp, err := a.response(c)
	return rsp.Status, err
}

// Response is one response to a request.
type Response struct {
	Status   uint16
	Data     []byte // data set: identifier, attribute list or reply; nil when there is none
	Instance string // Affected SOP Instance UID
	Counts   Counts // of a C-MOVE or C-GET
}

// Pending tells whether others will follow (PS3.7 §9.1.2).
func (r *Response) Pending() bool {
	return r.Status == dicom.StatusPending || r.Status == dicom.StatusPendingWarning
}

// response reads a response to c, and its data set.
func (a *Association) response(c *dicom.Command) (Response, error) {
	var rsp dicom.Command
	if err := a.command(&rsp); err != nil {
		return Response{}, cut(err)
	}
	return a.answerTo(c, &rsp)
}

// answerTo reads what follows the command set of a response to c.
func (a *Association) answerTo(c, rsp *dicom.Command) (r Response, err error) {
	if rsp.Field != c.Field|0x8000 || rsp.MessageID != c.MessageID {
		return r, fmt.Errorf("%s for message %d where the response to %s %d was expected",
			rsp.Name(), rsp.MessageID, c.Name(), c.MessageID)
	}
	r = Response{Status: rsp.Status, Instance: string(rsp.SOPInstance), Counts: countsOf(a.set)}
	if rsp.HasDataSet {
		r.Data, err = io.ReadAll(&dataReader{l: a.link, context: rsp.ContextID})
	}
	return r, err
}

// Release ends the association in good order and closes the connection (PS3.8 §7.2). When both
// ask at once (a release collision), the peer's request is answered too.
func (a *Association) Release() error {
	defer a.conn.Close()
	if err := a.write(dicom.AppendReleaseRQ(nil)); err != nil {
		return err
	}
	for {
		t, err := a.readPDU()
		switch {
		case err != nil:
			return fmt.Errorf("answer to A-RELEASE-RQ: %w", cut(err))
		case t == dicom.TypeReleaseRP:
			return nil
		case t == dicom.TypeReleaseRQ:
			if err := a.write(dicom.AppendReleaseRP(nil)); err != nil {
				return err
			}
		case t != dicom.TypePDataTF: // what was under way may still come
			return a.unexpected(t)
		}
	}
}

// Abort ends the association at once (A-ABORT of the service-user) and closes the connection.
func (a *Association) Abort() error {
	return a.abort(reason.Abort{Source: dicom.AbortSourceUser})
}

// Write writes bytes of any form, for peers that do not keep to the standard.
func (a *Association) Write(b []byte) (int, error) { return len(b), a.write(b) }

// Read reads the next PDU as it comes; it is overwritten by the next read.
func (a *Association) Read() (dicom.PDUType, []byte, error) {
	t, err := a.readPDU()
	return t, a.pdu, err
}

// ReadRefusal waits for what a peer answers bytes that are no association with: the error is a
// *Rejected or an *Aborted, or says that neither came.
func ReadRefusal(conn io.ReadWriteCloser) error {
	l := newLink(conn)
	t, err := l.readPDU()
	if err != nil {
		return fmt.Errorf("refusal: %w", cut(err))
	}
	return l.unexpected(t)
}

func errNoContext(abstract, transfer string) error {
	if transfer != "" {
		transfer = " with transfer syntax " + transfer
	}
	return fmt.Errorf("%w for %s%s", ErrNoContext, abstract, transfer)
}

// ErrNoContext says that the peer accepted no presentation context for what is to be sent.
var ErrNoContext = errors.New("no accepted presentation context")
