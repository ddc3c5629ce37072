package endpoint

import (
	"bytes"
	"fmt"
	"io"

	"cordon/protocols/dicom"
)

// Operation is a request of the DIMSE-N services (PS3.7 §10).
type Operation struct {
	Field    uint16 // dicom.NCreateRQ and its like
	Context  string // abstract syntax of the presentation context; "" where it is Class, as it is but for print
	Class    string // SOP class
	Instance string // SOP instance; "" in an N-CREATE-RQ leaves it to the SCP
	TypeID   uint16 // Event Type ID or Action Type ID
	Data     []byte // data set; nil when there is none
}

// normalized tells whether a Command Field is that of a DIMSE-N request.
func normalized(field uint16) bool {
	switch field {
	case dicom.NCreateRQ, dicom.NSetRQ, dicom.NGetRQ, dicom.NDeleteRQ, dicom.NActionRQ, dicom.NEventRQ:
		return true
	}
	return false
}

func (o *Operation) command(context uint8) dicom.Command {
	c := dicom.Command{ContextID: context, Field: o.Field, SOPClass: []byte(o.Class), TypeID: o.TypeID, HasDataSet: o.Data != nil}
	if o.Instance != "" {
		c.SOPInstance = []byte(o.Instance)
	}
	return c
}

// readOperation makes an operation of a command set that was just read, with its data set.
func (l *link) readOperation(abstract string, c *dicom.Command) (o Operation, err error) {
	o = Operation{Field: c.Field, Context: abstract, Class: string(c.SOPClass), Instance: string(c.SOPInstance), TypeID: c.TypeID}
	if c.HasDataSet {
		o.Data, err = io.ReadAll(l.dataSet(c))
	}
	return o, err
}

// Operate sends a request of the DIMSE-N services and returns its response.
func (a *Association) Operate(o *Operation) (Response, error) {
	abstract := o.Context
	if abstract == "" {
		abstract = o.Class
	}
	id, ok := a.Accepted(abstract, "")
	if !ok {
		return Response{}, errNoContext(abstract, "")
	}
	c := o.command(id)
	if err := a.Send(&c, bytes.NewReader(o.Data), int64(len(o.Data))); err != nil {
		return Response{}, err
	}
	return a.response(&c)
}

// AwaitReport waits for an N-EVENT-REPORT-RQ from the SCP and answers it with a status.
func (a *Association) AwaitReport(status uint16) (o Operation, err error) {
	var c dicom.Command
	if err := a.command(&c); err != nil {
		return o, cut(err)
	}
	if c.Field != dicom.NEventRQ {
		return o, fmt.Errorf("%s where an N-EVENT-REPORT-RQ was expected", c.Name())
	}
	pc, err := accepted(a.Contexts, c.ContextID)
	if err != nil {
		return o, err
	}
	rsp := responseTo(&c)
	rsp.Status = status
	if o, err = a.readOperation(pc.Abstract, &c); err != nil {
		return o, err
	}
	return o, a.send(&rsp, nil, 0)
}

// operate answers a request of the DIMSE-N services, and reports on it.
func (p *provider) operate(pc *Negotiated, c *dicom.Command) error {
	rsp := responseTo(c)
	o, err := p.readOperation(pc.Abstract, c)
	if err != nil {
		return err
	}
	reply, status := p.Operate(&o)
	rsp.Status, rsp.HasDataSet = status, reply != nil
	if o.Instance != "" {
		rsp.SOPInstance = []byte(o.Instance)
	}
	if err := p.send(&rsp, bytes.NewReader(reply), int64(len(reply))); err != nil || p.Report == nil {
		return err
	}
	report := p.Report(&o)
	if report == nil {
		return nil
	}
	return p.report(pc, report)
}

// report sends an N-EVENT-REPORT-RQ and reads its response.
func (p *provider) report(pc *Negotiated, o *Operation) error {
	p.sub++
	rq := o.command(pc.ID)
	rq.Field, rq.MessageID = dicom.NEventRQ, p.sub
	if err := p.send(&rq, bytes.NewReader(o.Data), int64(len(o.Data))); err != nil {
		return err
	}
	var rsp dicom.Command
	if err := p.command(&rsp); err != nil {
		return err
	}
	if rsp.Field != dicom.NEventRSP || rsp.MessageID != rq.MessageID {
		return fmt.Errorf("%s %d where the response to N-EVENT-REPORT-RQ %d was expected", rsp.Name(), rsp.MessageID, rq.MessageID)
	}
	return p.dataSet(&rsp).drain()
}
