package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"cordon/protocols/dicom"
)

// Object is a composite object that a Server returns.
type Object struct {
	Class, Instance string
	Transfer        string // syntax of Data
	Data            []byte // data set
}

// retrieval is a C-GET or C-MOVE under way.
type retrieval struct {
	*provider
	request   dicom.Command // its response, as it begins
	counts    Counts
	cancelled bool
	store     func(*Object) (status uint16, err error)
}

// retrieve answers a C-GET-RQ or C-MOVE-RQ: each object is a sub-operation, a C-STORE on the same
// association or on one to the destination, and each is followed by a pending response.
func (p *provider) retrieve(q *Stored, c *dicom.Command, data io.Reader) error {
	rsp, destination, field := responseTo(c), string(c.MoveAE), c.Field
	identifier, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	objects, status := p.Retrieve(q, identifier)
	r := &retrieval{provider: p, request: rsp, counts: Counts{Remaining: uint16(len(objects))}}
	r.store = r.here
	if field == dicom.CMoveRQ {
		conn, err := p.Dial(destination)
		if err != nil {
			return r.respond(StatusNoDestination)
		}
		away, err := r.open(conn, destination, objects)
		if err != nil {
			return r.respond(StatusOutOfResources)
		}
		defer away.Abort() // what was released is closed already
		r.store = func(o *Object) (uint16, error) { return r.there(away, o), nil }
		if err := r.run(objects); err != nil {
			return err
		}
		_ = away.Release() // each object was answered
	} else if err := r.run(objects); err != nil {
		return err
	}
	switch {
	case r.cancelled:
		status = StatusCancelled
	case status == StatusSuccess && r.counts.Failed > 0:
		status = StatusIncomplete
	}
	return r.respond(status)
}

// run performs the sub-operations until the request is cancelled.
func (r *retrieval) run(objects []Object) error {
	for i := range objects {
		status, err := r.store(&objects[i])
		if err != nil {
			return err
		}
		r.counts.add(status)
		if err := r.heed(); err != nil || r.cancelled {
			return err
		}
		if i == len(objects)-1 {
			return nil // the final response counts them all
		}
		if err := r.respond(dicom.StatusPending); err != nil {
			return err
		}
	}
	return nil
}

// heed looks for a C-CANCEL-RQ.
func (r *retrieval) heed() error {
	if r.cancelled {
		return nil
	}
	cancelled, err := r.provider.cancelled(r.request.MessageID)
	r.cancelled = cancelled
	return err
}

func (r *retrieval) respond(status uint16) error {
	rsp := r.request
	rsp.Status = status
	return r.sendSet(&rsp, r.counts.append(dicom.AppendCommand(nil, &rsp)), nil, 0)
}

// here sends an object on the association of its C-GET-RQ.
func (r *retrieval) here(o *Object) (status uint16, err error) {
	for _, n := range r.answers {
		if n.Result != dicom.Acceptance || n.Abstract != o.Class || n.Transfer != o.Transfer || !r.serves[o.Class] {
			continue
		}
		r.sub++
		c := dicom.Command{ContextID: n.ID, Field: dicom.CStoreRQ, MessageID: r.sub, HasDataSet: true,
			SOPClass: []byte(o.Class), SOPInstance: []byte(o.Instance)}
		if err := r.send(&c, bytes.NewReader(o.Data), int64(len(o.Data))); err != nil {
			return 0, err
		}
		return r.stored(&c)
	}
	return StatusNoSuchClass, nil // no context for it: a sub-operation that failed
}

// stored reads the response to a sub-operation; a C-CANCEL-RQ may come before it.
func (r *retrieval) stored(c *dicom.Command) (status uint16, err error) {
	for {
		var rsp dicom.Command
		if err := r.command(&rsp); err != nil {
			return 0, err
		}
		switch {
		case rsp.Field == dicom.CStoreRSP && rsp.MessageID == c.MessageID:
			return rsp.Status, r.dataSet(&rsp).drain()
		case rsp.Field != dicom.CancelRQ || rsp.MessageID != r.request.MessageID:
			return 0, fmt.Errorf("%s %d where the response to C-STORE-RQ %d was expected", rsp.Name(), rsp.MessageID, c.MessageID)
		}
		r.cancelled = true
	}
}

// open asks the destination of a C-MOVE for an association that fits the objects.
func (r *retrieval) open(conn io.ReadWriteCloser, destination string, objects []Object) (*Association, error) {
	rq := Request{Called: destination, Calling: r.called, SendLength: r.SendLength, MaxLength: r.MaxLength}
	seen := map[[2]string]bool{}
	for _, o := range objects {
		if k := [2]string{o.Class, o.Transfer}; !seen[k] {
			seen[k] = true
			rq.Contexts = append(rq.Contexts, Context{Abstract: o.Class, Transfer: []string{o.Transfer}})
		}
	}
	if len(rq.Contexts) == 0 {
		return nil, errors.Join(errors.New("a C-MOVE without an object"), conn.Close())
	}
	return Associate(conn, rq)
}

// there sends an object to the destination of a C-MOVE and says who asked for it.
func (r *retrieval) there(away *Association, o *Object) (status uint16) {
	id, ok := away.Accepted(o.Class, o.Transfer)
	if !ok {
		return StatusNoSuchClass
	}
	c := dicom.Command{ContextID: id, Field: dicom.CStoreRQ, HasDataSet: true, SOPClass: []byte(o.Class),
		SOPInstance: []byte(o.Instance), Originator: []byte(r.calling), OriginatorID: r.request.MessageID}
	status, err := away.request(&c, bytes.NewReader(o.Data), int64(len(o.Data)))
	if err != nil {
		return StatusOutOfResources
	}
	return status
}
