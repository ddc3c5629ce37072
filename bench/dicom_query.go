package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
)

const (
	matchesOfFind = 100 // pending responses to a C-FIND
	objectsOfGet  = 20  // that a C-GET returns
)

// Presentation contexts of a C-GET, in the order in which the load proposes them.
const (
	getContext  = 1
	backContext = 3
)

// identifier is what a query asks for: the studies of a day.
func identifier() []byte {
	return appendElements(nil, []element{
		{0x00080020, "DA", "20260101"}, {0x00080050, "SH", ""}, {0x00080052, "CS", "STUDY"}, {0x00080061, "CS", ""},
		{0x00081030, "LO", ""}, {0x00100010, "PN", ""}, {0x00100020, "LO", ""}, {dicom.TagStudyInstanceUID, "UI", ""},
	})
}

// wanted names the study to retrieve, as PS3.4 §C.4.2.1.4 asks of an identifier.
func wanted() []byte {
	return appendElements(nil, []element{{0x00080052, "CS", "STUDY"}, {dicom.TagStudyInstanceUID, "UI", uidRoot + ".1"}})
}

// matching is one match, of about 200 bytes.
var matching = appendElements(nil, []element{
	{0x00080020, "DA", "20260101"}, {0x00080050, "SH", "BENCH-0001"}, {0x00080052, "CS", "STUDY"}, {0x00080061, "CS", "CT"},
	{0x00081030, "LO", "Generated for a load"}, {0x00100010, "PN", "Load^Generated"}, {0x00100020, "LO", "BENCH"},
	{dicom.TagStudyInstanceUID, "UI", uidRoot + ".1"},
})

// match sends the matches of the C-FIND-RQ that just ended, each on its own, as archives do.
func (p *scp) match() error {
	rsp := dicom.Command{Field: dicom.CFindRSP, MessageID: p.cmd.MessageID, SOPClass: []byte(studyFind),
		Status: dicom.StatusPending, HasDataSet: true}
	for range matchesOfFind {
		if err := p.respond(p.part.context, &rsp, matching); err != nil {
			return err
		}
	}
	return nil
}

// finds is an association on which C-FIND goes to and fro.
type finds struct {
	conn net.Conn
	a    *endpoint.Association
	ask  []byte
}

func newFinds(ctx context.Context, l *Load) (exchanger, error) {
	conn, a, err := associate(ctx, l, []endpoint.Context{{Abstract: studyFind, Transfer: []string{explicitLE}}}, smallPDU)
	if err != nil {
		return nil, err
	}
	c := dicom.Command{Field: dicom.CFindRQ, MessageID: 1, HasDataSet: true, SOPClass: []byte(studyFind)}
	ask := dicom.AppendFragments(nil, 1, true, dicom.AppendCommand(nil, &c), smallPDU)
	return &finds{conn, a, dicom.AppendFragments(ask, 1, false, identifier(), smallPDU)}, nil
}

func (f *finds) send() (int, error) { return f.conn.Write(f.ask) }

// await reads the responses up to the final one and counts them.
func (f *finds) await() error {
	for n := 0; ; {
		_, pdu, err := f.a.Read()
		if err != nil {
			return err
		}
		pdvs, err := dicom.ParsePDataTF(pdu)
		if err != nil {
			return err
		}
		var v dicom.PDV
		var c dicom.Command
		if !pdvs.Next(&v) || !v.Command {
			continue // a match
		}
		switch err := c.Parse(v.Data); {
		case err != nil:
			return err
		case c.Field == dicom.CFindRSP && c.Status == dicom.StatusPending:
			n++
		case c.Field != dicom.CFindRSP || c.Status != dicom.StatusSuccess || n != matchesOfFind:
			return fmt.Errorf("%s with status %04XH after %d matches", c.Name(), c.Status, n)
		default:
			return nil
		}
	}
}

func (f *finds) close() error { return f.a.Release() }

// returned are the C-STOREs of a C-GET as they go over the wire.
var returned = sync.OnceValue(func() (messages [][]byte) {
	for i, o := range ctStudy(objectsOfGet) {
		m := storeRQ(nil, backContext, uint16(i+1), &o, smallPDU)
		messages = append(messages, dicom.AppendFragments(m, backContext, false, o.data, smallPDU))
	}
	return messages
})

// give sends the next object of a C-GET, after a pending response, or the final response.
func (p *scp) give() error {
	rsp := dicom.Command{Field: dicom.CGetRSP, MessageID: p.getting, SOPClass: []byte(studyGet)}
	all := returned()
	if p.left == 0 {
		return p.respond(getContext, &rsp, nil)
	}
	if p.left < len(all) {
		rsp.Status = dicom.StatusPending
		if err := p.respond(getContext, &rsp, nil); err != nil {
			return err
		}
	}
	p.left--
	return p.write(all[len(all)-1-p.left])
}

// move answers a C-MOVE-RQ: it sends the objects home, each followed by a pending response.
func (p *scp) move() error {
	ctx, context := context.Background(), p.part.context
	rsp := dicom.Command{Field: dicom.CMoveRSP, MessageID: p.cmd.MessageID, SOPClass: []byte(studyMove), Status: endpoint.StatusNoDestination}
	if p.tally.home == nil {
		return p.respond(context, &rsp, nil)
	}
	conn, a, err := associate(ctx, &Load{Target: *p.tally.home}, []endpoint.Context{
		{Abstract: verification, Transfer: []string{implicitLE}}, {Abstract: ctImage, Transfer: []string{explicitLE}},
	}, smallPDU)
	if err != nil {
		return fmt.Errorf("return of a C-MOVE: %w", err)
	}
	defer conn.Close()
	rsp.Status = dicom.StatusPending
	all := returned()
	for i, m := range all {
		if _, err := conn.Write(m); err != nil {
			return err
		}
		if err := succeeded(a); err != nil {
			return err
		}
		p.tally.object()
		if i < len(all)-1 {
			if err := p.respond(context, &rsp, nil); err != nil {
				return err
			}
		}
	}
	if err := a.Release(); err != nil {
		return err
	}
	rsp.Status = dicom.StatusSuccess
	return p.respond(context, &rsp, nil)
}

// retrieve asks for objects by one C-GET or C-MOVE after the other on one association, until there
// were at least as many as the load has.
func retrieve(field uint16) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (s Sample, err error) {
		class, serves := studyMove, []string(nil)
		contexts := []endpoint.Context{{Abstract: class, Transfer: []string{explicitLE}}}
		if field == dicom.CGetRQ {
			class, serves = studyGet, []string{ctImage}
			contexts = []endpoint.Context{{Abstract: class, Transfer: []string{explicitLE}}, {Abstract: ctImage, Transfer: []string{explicitLE}}}
		}
		conn, a, err := associate(ctx, l, contexts, smallPDU, serves...)
		if err != nil {
			return s, err
		}
		defer conn.Close()
		r := &retrieved{latency: newHistogram(), last: time.Now()}
		q := endpoint.Query{Class: class, Identifier: wanted(), Destination: homeAE, Store: r.store}
		if field == dicom.CMoveRQ {
			q.Pending = func(*endpoint.Response) bool { r.object(int64(len(returned()[0]))); return true }
		}
		began := r.last
		for r.units < int64(l.Count) {
			final, err := a.Query(field, &q)
			if err != nil {
				return s, err
			}
			if final.Status != endpoint.StatusSuccess {
				return s, fmt.Errorf("final response with status %04XH", final.Status)
			}
			if field == dicom.CMoveRQ {
				r.object(int64(len(returned()[0])))
			}
		}
		s = Sample{Units: r.units, Bytes: r.bytes, Wall: time.Since(began), Latency: r.latency}
		return s, a.Release()
	}
}

// retrieved is what came back.
type retrieved struct {
	units, bytes int64
	latency      *histogram
	last         time.Time // when the object before came
}

func (r *retrieved) object(bytes int64) {
	now := time.Now()
	r.latency.record(now.Sub(r.last))
	r.last, r.units, r.bytes = now, r.units+1, r.bytes+bytes
}

// store takes an object of a C-GET.
func (r *retrieved) store(_ *endpoint.Stored, data io.Reader) uint16 {
	n, err := io.Copy(io.Discard, data)
	if err != nil {
		return endpoint.StatusOutOfResources
	}
	r.object(n)
	return endpoint.StatusSuccess
}
