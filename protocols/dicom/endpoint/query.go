package endpoint

import (
	"bytes"
	"fmt"
	"io"

	"cordon/protocols/dicom"
)

// Query is what a C-FIND, C-MOVE or C-GET asks (PS3.7 §9.1.2 to §9.1.4).
type Query struct {
	Class       string // SOP class
	Destination string // AE title, of a C-MOVE
	Identifier  []byte // data set in the transfer syntax of the accepted context
	// Pending, when set, is told of each pending response. When it returns false the request is
	// cancelled (C-CANCEL-RQ); what was under way is told too.
	Pending func(r *Response) bool
	// Store takes the objects that a C-GET returns on the same association, as a Server's does.
	Store func(s *Stored, data io.Reader) (status uint16)
}

// Find sends a C-FIND-RQ and collects the responses up to the final one.
func (a *Association) Find(class string, identifier []byte) (all []Response, err error) {
	q := Query{Class: class, Identifier: identifier, Pending: func(r *Response) bool { all = append(all, *r); return true }}
	final, err := a.Query(dicom.CFindRQ, &q)
	if err != nil {
		return all, err
	}
	return append(all, final), nil
}

// Query sends a C-FIND-RQ, C-MOVE-RQ or C-GET-RQ and returns the final response.
func (a *Association) Query(field uint16, q *Query) (final Response, err error) {
	id, ok := a.Accepted(q.Class, "")
	if !ok {
		return final, errNoContext(q.Class, "")
	}
	c := dicom.Command{ContextID: id, Field: field, HasDataSet: true, SOPClass: []byte(q.Class)}
	if field == dicom.CMoveRQ {
		c.MoveAE = []byte(q.Destination)
	}
	if err := a.Send(&c, bytes.NewReader(q.Identifier), int64(len(q.Identifier))); err != nil {
		return final, err
	}
	for cancelled := false; ; {
		var got dicom.Command
		if err := a.command(&got); err != nil {
			return final, cut(err)
		}
		if got.Field == dicom.CStoreRQ && field == dicom.CGetRQ {
			if err := a.take(&got, q.Store); err != nil {
				return final, err
			}
			continue
		}
		r, err := a.answerTo(&c, &got)
		if err != nil || !r.Pending() {
			return r, err
		}
		if q.Pending != nil && !q.Pending(&r) && !cancelled {
			cancelled = true
			if err := a.send(&dicom.Command{ContextID: id, Field: dicom.CancelRQ, MessageID: c.MessageID}, nil, 0); err != nil {
				return final, err
			}
		}
	}
}

// take answers a C-STORE-RQ that is a sub-operation of a C-GET.
func (a *Association) take(c *dicom.Command, store func(*Stored, io.Reader) uint16) error {
	pc, err := accepted(a.Contexts, c.ContextID)
	if err != nil {
		return err
	}
	rsp, data := responseTo(c), a.dataSet(c)
	if store != nil {
		rsp.Status = store(&Stored{Called: a.called, Calling: a.calling, SOPClass: string(c.SOPClass),
			SOPInstance: string(c.SOPInstance), Transfer: pc.Transfer, MessageID: c.MessageID}, data)
	}
	if err := data.drain(); err != nil {
		return err
	}
	return a.send(&rsp, nil, 0)
}

// accepted returns the accepted presentation context of that ID.
func accepted(contexts []Negotiated, id uint8) (*Negotiated, error) {
	for i := range contexts {
		if n := &contexts[i]; n.ID == id && n.Result == dicom.Acceptance {
			return n, nil
		}
	}
	return nil, fmt.Errorf("presentation context %d was not accepted", id)
}
