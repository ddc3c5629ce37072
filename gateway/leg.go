package gateway

import (
	"sync"
	"sync/atomic"

	"cordon/protocols"
	"cordon/tunnels"
)

// leg is one side of a session: its connection and the order in which plans write to it. A plan
// takes a ticket while the session's lock is held and writes when its turn comes. Tickets of all
// legs are taken under one lock, so the oldest plan under way always has its turn everywhere and
// nobody waits in a circle.
type leg struct {
	conn    tunnels.Conn // nil until connected
	issued  uint64       // next ticket; guarded by session.mu
	closing protocols.Closing
	gone    bool // told as Closed or Lost; guarded by session.mu, like closing

	serving atomic.Uint64 // the ticket whose turn it is
	waiting atomic.Int32
	mu      sync.Mutex
	turn    sync.Cond
	dead    atomic.Bool  // a write failed: output is discarded from here on
	writing atomic.Int64 // since when a write is under way, by the coarse clock; 0: none
}

func (l *leg) init() { l.turn.L = &l.mu }

// ticket takes the next place in the order. The caller holds session.mu.
func (l *leg) ticket() uint64 {
	l.issued++
	return l.issued - 1
}

// await returns when it is the ticket's turn.
func (l *leg) await(ticket uint64) {
	if l.serving.Load() == ticket {
		return
	}
	l.mu.Lock()
	l.waiting.Add(1)
	for l.serving.Load() != ticket {
		l.turn.Wait()
	}
	l.waiting.Add(-1)
	l.mu.Unlock()
}

// done ends the ticket's turn.
func (l *leg) done(ticket uint64) {
	l.serving.Store(ticket + 1)
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		l.turn.Broadcast()
		l.mu.Unlock()
	}
}

// job is a plan on its way out, with its tickets.
type job struct {
	plan   protocols.Plan
	ticket [2]uint64
	holds  [2]bool
}

// reserve takes tickets for what the plan, made for bytes of the given side, writes or shuts.
// The caller holds session.mu.
func (j *job) reserve(s *session, from protocols.Side) {
	var ending [2]protocols.Closing
	ending[protocols.Near], ending[protocols.Far] = j.plan.Ending()
	for side := range s.legs {
		l := &s.legs[side]
		writes := j.plan.Sends(protocols.Side(side), from)
		if writes || ending[side] != protocols.Open {
			j.ticket[side], j.holds[side] = l.ticket(), true
		}
		l.closing = max(l.closing, ending[side])
	}
}

// release gives back all turns the job still has.
func (j *job) release(s *session) {
	for side := range s.legs {
		if j.holds[side] {
			s.legs[side].await(j.ticket[side])
			s.legs[side].done(j.ticket[side])
			j.holds[side] = false
		}
	}
}

var jobs = sync.Pool{New: func() any { return new(job) }}
