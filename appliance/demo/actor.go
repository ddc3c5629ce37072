package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/hl7"
	mllp "cordon/protocols/hl7/endpoint"
)

// cast lists the devices that act, as the demo's policy knows them.
var cast = map[string]role{
	"ct-3":       {"127.0.0.1", "CT3"},
	"analyzer-7": {"127.0.0.2", ""},
	"us-2":       {"127.0.0.3", "US2"},
}

// role is how a device shows itself on the wire.
type role struct{ address, ae string }

// actor is a device during one scene.
type actor struct {
	*Stage
	ctx   context.Context
	who   role
	sent  [][]byte // what a server must receive, in order
	conns []net.Conn
}

// dial connects from the device's own address.
func (a *actor) dial(address string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.who.address)}}
	c, err := d.DialContext(a.ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	a.conns = append(a.conns, c)
	deadline, _ := a.ctx.Deadline()
	return c, c.SetDeadline(deadline)
}

func (a *actor) leave() {
	for _, c := range a.conns {
		c.Close()
	}
}

// associate opens an association that proposes the abstract syntaxes.
func (a *actor) associate(called, calling string, abstract ...string) (*endpoint.Association, error) {
	c, err := a.dial(a.DICOM)
	if err != nil {
		return nil, err
	}
	r := endpoint.Request{Called: called, Calling: calling}
	for _, s := range abstract {
		r.Contexts = append(r.Contexts, endpoint.Context{Abstract: s, Transfer: []string{explicitLE, implicitLE}})
	}
	return endpoint.Associate(c, r)
}

// store sends an object and returns the status of the response.
func (a *actor) store(assoc *endpoint.Association, o Object) (string, error) {
	status, err := assoc.Store(o.Class, o.Instance, o.Syntax, bytes.NewReader(o.Data), int64(len(o.Data)))
	return fmt.Sprintf("%04XH", status), err
}

func echo(a *actor) (string, error) {
	assoc, err := a.associate(a.Called, a.who.ae, verification)
	if err != nil {
		return answer(err)
	}
	status, err := assoc.Echo()
	if err != nil {
		return answer(err)
	}
	return fmt.Sprintf("%04XH", status), assoc.Release()
}

// storeSeries stores the CT series, the second half of it in Implicit VR.
func storeSeries(a *actor) (string, error) {
	assoc, err := a.associateBoth()
	if err != nil {
		return answer(err)
	}
	n := a.study.Slices()
	for i := range n {
		syntax := explicitLE
		if i >= n/2 {
			syntax = implicitLE
		}
		o := a.study.CT(i, syntax)
		sees, err := a.store(assoc, o)
		if err != nil {
			return answer(err)
		}
		if sees != "0000H" {
			return fmt.Sprintf("%s at image %d", sees, i+1), assoc.Release()
		}
		a.sent = append(a.sent, o.Data)
	}
	return fmt.Sprintf("0000H ×%d", n), assoc.Release()
}

// associateBoth proposes CT Image Storage in a presentation context for each transfer syntax, so
// that either can be sent.
func (a *actor) associateBoth() (*endpoint.Association, error) {
	c, err := a.dial(a.DICOM)
	if err != nil {
		return nil, err
	}
	return endpoint.Associate(c, endpoint.Request{Called: a.Called, Calling: a.who.ae, Contexts: []endpoint.Context{
		{Abstract: ctImageStorage, Transfer: []string{explicitLE}},
		{Abstract: ctImageStorage, Transfer: []string{implicitLE}},
	}})
}

// storeEvil stores an object that must be refused, then one that must pass on the same
// association.
func storeEvil(evil func(*Study, string) Object) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		assoc, err := a.associate(a.Called, a.who.ae, ctImageStorage)
		if err != nil {
			return answer(err)
		}
		first, err := a.store(assoc, evil(a.study, explicitLE))
		if err != nil {
			return answer(err)
		}
		good := a.study.CT(0, explicitLE)
		a.sent = append(a.sent, good.Data)
		second, err := a.store(assoc, good)
		if err != nil {
			return answer(err)
		}
		return first + " " + second, assoc.Release()
	}
}

func storeCapture(a *actor) (string, error) {
	assoc, err := a.associate(a.Called, a.who.ae, secondaryCapture)
	if err != nil {
		return answer(err)
	}
	o := a.study.Capture(explicitLE)
	a.sent = append(a.sent, o.Data)
	status, err := a.store(assoc, o)
	if err != nil {
		return answer(err)
	}
	return status, assoc.Release()
}

// associateAs asks for an association with other AE titles than the right ones.
func associateAs(called, calling string) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		return a.ask(orElse(called, a.Called), orElse(calling, a.who.ae), ctImageStorage)
	}
}

// propose asks for an association for an abstract syntax.
func propose(abstract string) func(*actor) (string, error) {
	return func(a *actor) (string, error) { return a.ask(a.Called, a.who.ae, abstract) }
}

func (a *actor) ask(called, calling, abstract string) (string, error) {
	assoc, err := a.associate(called, calling, abstract)
	if err != nil {
		return answer(err)
	}
	return "A-ASSOCIATE-AC", assoc.Release()
}

// send sends a message of the desk and returns what the acknowledgment says.
func send(message func(*Desk) Message) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		m := message(a.desk)
		a.sent = append(a.sent, m.Data)
		c, err := a.dial(a.HL7)
		if err != nil {
			return "", err
		}
		ack, err := mllp.Send(c, m.Data)
		if err != nil {
			return "", err
		}
		return acknowledged(ack)
	}
}

// acknowledged says an acknowledgment in short: MSA-1 and, where there is one, the code of ERR-3.
func acknowledged(ack []byte) (string, error) {
	var m hl7.Message
	if err := m.Parse(ack); err != nil {
		return "", err
	}
	short := string(m.AckCode)
	for _, segment := range bytes.Split(ack, []byte{'\r'}) {
		if f := bytes.Split(segment, m.Delimiters[:1]); string(f[0]) == "ERR" && len(f) > 3 {
			code, _, _ := bytes.Cut(f[3], m.Delimiters[1:2])
			short += " " + string(code)
		}
	}
	return short, nil
}

// raw sends bytes that are no DICOM and returns the PDU that comes back.
func raw(text string) func(*actor) (string, error) {
	return func(a *actor) (string, error) {
		c, err := a.dial(a.DICOM)
		if err != nil {
			return "", err
		}
		if _, err := io.WriteString(c, text); err != nil {
			return "", err
		}
		return answer(endpoint.ReadRefusal(c))
	}
}

// answer writes a refusal of the peer in short; any other error stays one.
func answer(err error) (string, error) {
	var rj *endpoint.Rejected
	var abort *endpoint.Aborted
	switch {
	case errors.As(err, &rj):
		return fmt.Sprintf("A-ASSOCIATE-RJ %d/%d/%d", rj.Result, rj.Source, rj.Reason), nil
	case errors.As(err, &abort):
		return fmt.Sprintf("A-ABORT %d/%d", abort.Source, abort.Reason), nil
	}
	return "", err
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
