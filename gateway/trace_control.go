package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"cordon/gateway/audit"
)

// serveTrace streams a trace, one JSON object a line, until its client goes:
//
//	GET /trace?device=ct-3&device=us-2&flow=archive
//
// Without a device all are traced. Who watched what is recorded in the audit.
func (g *Gateway) serveTrace(w http.ResponseWriter, r *http.Request) {
	q := TraceQuery{Devices: r.URL.Query()["device"], Flow: r.URL.Query().Get("flow")}
	if err := traceable(g.store.Current(), q); err != nil {
		answer(w, nil, err)
		return
	}
	lines, stop, err := g.watchTraffic(q)
	if err != nil {
		answer(w, nil, err)
		return
	}
	defer stop()
	g.recordTrace(r.Context(), q)
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	for err = out.Flush(); err == nil; err = out.Flush() {
		select {
		case <-r.Context().Done():
			return
		case <-g.stopped:
			return
		case <-lines.ready:
		}
		encode := json.NewEncoder(w)
		for _, line := range lines.take() {
			if encode.Encode(line) != nil {
				return
			}
		}
	}
}

// recordTrace writes down who watches what.
func (g *Gateway) recordTrace(ctx context.Context, q TraceQuery) {
	who := "unknown user"
	if uid, ok := ctx.Value(userKey{}).(uint32); ok {
		who = fmt.Sprintf("uid %d", uid)
	}
	g.log.Info("trace begun", "by", who, "devices", q.Devices, "flow", q.Flow)
	devices := q.Devices
	if len(devices) == 0 {
		devices = []string{""}
	}
	for _, d := range devices {
		r := audit.Record{Time: time.Now(), Source: audit.Source{Device: d, Flow: q.Flow, Peer: who, Policy: g.store.Current().Version}}
		r.Unit.Set("trace")
		g.audit.Put(&r)
	}
}

// Trace asks for a trace. The stream ends with ctx.
func (c Client) Trace(ctx context.Context, q TraceQuery) (*TraceStream, error) {
	v := url.Values{"device": q.Devices}
	if q.Flow != "" {
		v.Set("flow", q.Flow)
	}
	resp, err := c.open(ctx, "/trace?"+v.Encode(), 0)
	if err != nil {
		return nil, err
	}
	return &TraceStream{resp.Body, json.NewDecoder(resp.Body)}, nil
}

// TraceStream is a trace under way.
type TraceStream struct {
	body io.ReadCloser
	dec  *json.Decoder
}

// ErrTraceOver says that the gateway ended a trace: it stops.
var ErrTraceOver = errors.New("the gateway stopped, and the trace with it")

// Next waits for the next line.
func (s *TraceStream) Next() (line Trace, err error) {
	if err = s.dec.Decode(&line); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTraceOver
	}
	return line, err
}

// Close ends the trace.
func (s *TraceStream) Close() { s.body.Close() }
