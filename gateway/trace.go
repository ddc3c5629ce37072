package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
)

// Trace is one line of `cordon trace`: what somebody said in a session, in the words of the
// protocol's standard, without patient data. Its zero fields say nothing.
type Trace struct {
	Time    time.Time `json:"time"`
	Device  string    `json:"device,omitempty"`
	Flow    string    `json:"flow,omitempty"`
	Session string    `json:"session,omitempty"`
	From    string    `json:"from,omitempty"` // "device", "server" or "cordon"
	To      string    `json:"to,omitempty"`
	Unit    string    `json:"unit"`
	Text    string    `json:"text,omitempty"`
	Lines   []string  `json:"lines,omitempty"` // of a negotiation: one for each presentation context

	Message uint16                `json:"message,omitempty"` // Message ID of a DIMSE request, or that a response responds to
	Status  string                `json:"status,omitempty"`  // of a response: "A700"
	Class   protocols.StatusClass `json:"class,omitempty"`
	After   float64               `json:"after_ms,omitempty"` // of a response or acknowledgment: since what it answers was seen whole

	Verdict string      `json:"verdict,omitempty"` // refuse or rewrite; what passes has none
	Would   string      `json:"would,omitempty"`   // what enforce would have decided where that differs
	Reason  reason.Code `json:"reason,omitempty"`
	Meaning string      `json:"meaning,omitempty"` // of the reason
	Rule    string      `json:"rule,omitempty"`
	Found   string      `json:"found,omitempty"`

	// More says that the message goes on; a line with Ends follows when it is over.
	More    bool    `json:"more,omitempty"`
	Ends    bool    `json:"ends,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	PDVs    int     `json:"pdvs,omitempty"`
	Elapsed float64 `json:"elapsed_ms,omitempty"` // from when its command set was judged to its end

	// Lost, alone in a line, is how many lines are missing here because they were not read in time.
	Lost uint64 `json:"lost,omitempty"`
}

// TraceQuery says what is to be traced.
type TraceQuery struct {
	Devices []string // all when empty
	Flow    string   // all when empty
}

func (q *TraceQuery) takes(f *policy.Flow) bool {
	return (len(q.Devices) == 0 || slices.Contains(q.Devices, f.Device.Name)) && (q.Flow == "" || q.Flow == f.Name)
}

const (
	maxWatchers = 8       // who may trace at once
	maxQueue    = 1 << 20 // bytes of lines that a watcher may be behind
)

// watchers are those who trace. Sessions that none of them asked for do not know of them.
type watchers struct {
	count atomic.Int32
	mu    sync.Mutex
	all   []*watcher
}

// watcher is one of them. Lines wait for it in a queue that never makes a session wait: what does
// not fit is counted, and the count takes its place in the trace.
type watcher struct {
	TraceQuery
	ready chan struct{} // has a value when there is something to take

	mu     sync.Mutex
	queue  []Trace
	queued int // bytes
	lost   uint64
}

func (w *watcher) put(line Trace) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if size := line.size(); w.queued+size <= maxQueue {
		w.queue, w.queued = append(w.queue, line), w.queued+size
	} else {
		w.lost++
	}
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// take returns the lines that wait, and after them how many did not fit.
func (w *watcher) take() []Trace {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.queue
	if w.lost > 0 {
		lines = append(lines, Trace{Time: time.Now(), Lost: w.lost})
	}
	w.queue, w.queued, w.lost = nil, 0, 0
	return lines
}

// size is about how many bytes of memory the line takes. Names, codes and rules are the policy's.
func (line *Trace) size() int {
	const itself, header = 400, 16
	n := itself + len(line.Unit) + len(line.Text) + len(line.Found)
	for _, l := range line.Lines {
		n += header + len(l)
	}
	return n
}

// watchTraffic begins a trace. stop ends it.
func (g *Gateway) watchTraffic(q TraceQuery) (w *watcher, stop func(), err error) {
	w = &watcher{TraceQuery: q, ready: make(chan struct{}, 1)}
	g.watchers.mu.Lock()
	if len(g.watchers.all) >= maxWatchers {
		g.watchers.mu.Unlock()
		return nil, nil, fmt.Errorf("%d traces are under way, and there may be no more at once; end one of them", maxWatchers)
	}
	g.watchers.all = append(g.watchers.all, w)
	g.watchers.count.Add(1)
	g.watchers.mu.Unlock()
	for _, s := range g.live() {
		s.retrace(w)
	}
	return w, func() {
		g.watchers.mu.Lock()
		g.watchers.all = slices.DeleteFunc(g.watchers.all, func(x *watcher) bool { return x == w })
		g.watchers.count.Add(-1)
		g.watchers.mu.Unlock()
		for _, s := range g.live() {
			s.retrace(nil)
		}
	}, nil
}

// tell hands a line to those who asked for the session. The caller holds s.mu.
func (ws *watchers) tell(s *session, line Trace) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.all {
		if s.concerns(w) {
			w.put(line)
		}
	}
}

// want tells whether anybody asked for the session. The caller holds s.mu.
func (ws *watchers) want(s *session) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return slices.ContainsFunc(ws.all, s.concerns)
}

// traceable says what of a query the policy does not have.
func traceable(p *policy.Policy, q TraceQuery) error {
	for _, name := range q.Devices {
		if p.Device(name) == nil {
			return NoDevice(p, name)
		}
	}
	if q.Flow == "" {
		return nil
	}
	var known []string
	for _, f := range p.Flows {
		if (len(q.Devices) == 0 || slices.Contains(q.Devices, f.Device.Name)) && !slices.Contains(known, f.Name) {
			known = append(known, f.Name)
		}
	}
	if !slices.Contains(known, q.Flow) {
		return fmt.Errorf("no flow %q; %s", q.Flow, cmp.Or(strings.Join(known, ", "), "nothing")+" can be traced there")
	}
	return nil
}

func deviceNames(p *policy.Policy) []string {
	var names []string
	for _, d := range p.Devices {
		names = append(names, d.Name)
	}
	return names
}
