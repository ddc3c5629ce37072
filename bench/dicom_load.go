package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
)

// associate dials and asks for an association, on which the load is the SCP of some classes.
func associate(ctx context.Context, l *Load, contexts []endpoint.Context, pdu uint32, serves ...string) (net.Conn, *endpoint.Association, error) {
	conn, err := l.Target.Dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := endpoint.Associate(conn, endpoint.Request{Called: sinkAE, Calling: loadAE, Contexts: contexts, Serves: serves, SendLength: pdu, MaxLength: pdu})
	if err != nil {
		return nil, nil, err
	}
	if a.PeerMax != 0 && a.PeerMax < pdu {
		conn.Close()
		return nil, nil, fmt.Errorf("PDUs of at most %d bytes are accepted, %d are to be measured", a.PeerMax, pdu)
	}
	for _, c := range a.Contexts {
		if c.Result != dicom.Acceptance {
			conn.Close()
			return nil, nil, fmt.Errorf("presentation context of %s is answered with %v", c.Abstract, c.Result)
		}
	}
	return conn, a, nil
}

// succeeded reads a response and wants its status to be a success.
func succeeded(a *endpoint.Association) error {
	t, pdu, err := a.Read()
	if err != nil {
		return err
	}
	if t != dicom.TypePDataTF {
		return fmt.Errorf("%s where a response was expected", t)
	}
	pdvs, err := dicom.ParsePDataTF(pdu)
	if err != nil {
		return err
	}
	var v dicom.PDV
	var c dicom.Command
	if !pdvs.Next(&v) || !v.Command || !v.Last {
		return fmt.Errorf("a response that is not one fragment of a command set")
	}
	if err := c.Parse(v.Data); err != nil {
		return err
	}
	if !c.Response() || c.Status != dicom.StatusSuccess {
		return fmt.Errorf("%s with status %04XH where a success was expected", c.Name(), c.Status)
	}
	return nil
}

// bulk sends one huge object on one association.
func bulk(pdu uint32) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (Sample, error) {
		one := *l
		one.Count = 1
		return again(pdu)(ctx, &one)
	}
}

// again sends one object again and again on one association, each time after the response to the
// time before.
func again(pdu uint32) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (s Sample, err error) {
		h := newHuge(l.Bytes, pdu)
		conn, a, err := associate(ctx, l, []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitLE}}}, pdu)
		if err != nil {
			return s, err
		}
		defer conn.Close()
		began := time.Now()
		for range l.Count {
			if err := h.send(conn); err != nil {
				return s, err
			}
			if err := succeeded(a); err != nil {
				return s, err
			}
			s.Units, s.Bytes = s.Units+1, s.Bytes+h.size
		}
		s.Wall = time.Since(began)
		return s, a.Release()
	}
}

// study generates objects and sends them one after the other on one association, each after the
// response to the one before, as modalities do.
func study(generate func(n int) []object) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (Sample, error) {
		if l.Objects != nil {
			return send(ctx, l, l.Objects)
		}
		return send(ctx, l, generate(l.Count))
	}
}

func send(ctx context.Context, l *Load, objects []object) (s Sample, err error) {
	const pdu = 16384 // what dcmtk and most of the field use
	list := contexts(objects)
	conn, a, err := associate(ctx, l, list, pdu)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	var messages [][]byte
	for i := range objects {
		o := &objects[i]
		id, _ := a.Accepted(o.class, o.transfer)
		m := storeRQ(nil, id, uint16(i+1), o, pdu)
		messages = append(messages, dicom.AppendFragments(m, id, false, o.data, pdu))
	}
	h := newHistogram()
	began := time.Now()
	for _, m := range messages {
		sent := time.Now()
		if _, err := conn.Write(m); err != nil {
			return s, err
		}
		if err := succeeded(a); err != nil {
			return s, err
		}
		h.record(time.Since(sent))
		s.Bytes += int64(len(m))
		s.Units++
	}
	s.Wall, s.Latency = time.Since(began), h
	return s, a.Release()
}

// echoes is an association on which C-ECHO goes to and fro.
type echoes struct {
	conn    net.Conn
	a       *endpoint.Association
	request []byte
}

func newEchoes(ctx context.Context, l *Load) (exchanger, error) {
	conn, a, err := associate(ctx, l, []endpoint.Context{{Abstract: verification, Transfer: []string{implicitLE}}}, 16384)
	if err != nil {
		return nil, err
	}
	c := dicom.Command{Field: dicom.CEchoRQ, MessageID: 1, SOPClass: []byte(verification)}
	return &echoes{conn, a, dicom.AppendFragments(nil, 1, true, dicom.AppendCommand(nil, &c), 16384)}, nil
}

func (e *echoes) send() (int, error) { return e.conn.Write(e.request) }
func (e *echoes) await() error       { return succeeded(e.a) }
func (e *echoes) close() error       { return e.a.Release() }
