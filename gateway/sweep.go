package gateway

import (
	"runtime/debug"
	"time"

	"cordon/protocols"
)

// sweepEvery is how often timers are looked at. One sweeper for all sessions, once a second, is
// what lets a unit pass without arming a timer of its own.
const sweepEvery = time.Second

// progressStep is how many bytes a message must move for its timer to start anew.
const progressStep = 4 << 10

// watch is what the sweeper remembers of a session.
type watch struct {
	epoch    uint32 // of the timer it watches
	since    time.Time
	progress int64 // bytes read by then
	told     bool  // that the timer expired
}

// sweep runs until the gateway's context ends.
func (g *Gateway) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var lull lull
	for {
		select {
		case <-g.stopped:
			return
		case now := <-tick.C:
			g.clock.Add(1)
			var moved int64
			live := g.live()
			for _, s := range live {
				s.sweep(now)
				moved += s.progress.Load()
			}
			reloaded, _ := g.reloads.get()
			if lull.due(moved+int64(len(live)), reloaded) {
				debug.FreeOSMemory()
			}
		}
	}
}

// lull says when memory is to be given back: when nothing moves. A handshake leaves garbage and
// grown stacks behind, and a reload the old policy and all that reading the new one took, which the
// collector, running as memory is asked for, would leave there as long as all is quiet. A stack is
// halved by each collection, hence several.
type lull struct {
	moved    int64     // bytes, by the last look
	reloaded time.Time // last, by then
	given    int
}

const giveBacks = 3

func (l *lull) due(moved int64, reloaded time.Time) bool {
	if moved != l.moved || reloaded != l.reloaded {
		*l = lull{moved: moved, reloaded: reloaded}
		return false
	}
	l.given = min(l.given+1, giveBacks+1)
	return l.given <= giveBacks
}

// sweep looks at a session's timer. It is called by the sweeper alone.
func (s *session) sweep(now time.Time) {
	if t := s.tracing.Load(); t != nil {
		s.mu.Lock()
		t.flush()
		s.mu.Unlock()
	}
	w := &s.watch
	epoch, moved := s.epoch.Load(), s.progress.Load()
	if w.since.IsZero() || epoch != w.epoch {
		*w = watch{epoch: epoch, since: now, progress: moved}
	}
	t := protocols.Timer(s.timer.Load())
	if s.stuck() {
		s.probe()
		if t == protocols.Idle {
			t = protocols.Message // bytes of a settled unit are still on their way
		}
	}
	switch {
	case t == protocols.Idle && moved != w.progress,
		t == protocols.Message && moved-w.progress >= progressStep:
		w.since, w.progress = now, moved
		return
	}
	if now.Sub(w.since) < s.wait(t) {
		return
	}
	if t == protocols.Release || w.told {
		s.kill()
		s.noteTimer(protocols.Release, 0)
		return
	}
	w.told = true
	w.since = now // what follows has the release time to end
	go func() {
		s.expired(t)
	}()
}

// expired ends the session because a timer ran out, and records that besides what the
// conversation records of the units that this cut.
func (s *session) expired(t protocols.Timer) {
	e := protocols.Event{Kind: protocols.Expired, Timer: t}
	s.mu.Lock()
	unanswered, _ := s.interrupts(e)
	s.mu.Unlock()
	s.tell(e)
	s.ensureEnding()
	s.noteTimer(t, unanswered)
}

// noteTimer records that a timer ended the session, and how many requests that left unanswered.
func (s *session) noteTimer(t protocols.Timer, unanswered int) {
	var v protocols.Verdict
	v.Reset(protocols.Near)
	v.Unit.Set(unitSession)
	v.Reason = t.Reason()
	if unanswered > 0 {
		v.Found.Set("Cordon ended it")
		appendUnanswered(&v.Found, unanswered)
	}
	s.mu.Lock()
	s.gw.record(s, &v)
	s.mu.Unlock()
}

// stuck tells whether a write or a pass-through is waiting for a peer.
func (s *session) stuck() bool {
	if s.near.streaming.Load() || s.far.streaming.Load() {
		return true
	}
	now := s.gw.clock.Load()
	for i := range s.legs {
		if since := s.legs[i].writing.Load(); since != 0 && now-since >= 2 {
			return true
		}
	}
	return false
}

// probe finds out whether a side whose direction is stuck in a write was reset meanwhile: nobody
// reads it, so nobody else would notice.
func (s *session) probe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.legs {
		if l := &s.legs[i]; l.conn != nil && l.conn.Broken() {
			go func() { s.gone(protocols.Side(i), protocols.Lost, "") }()
		}
	}
}

// wait returns how long the timer may run.
func (s *session) wait(t protocols.Timer) time.Duration {
	s.mu.Lock()
	f := s.flow
	s.mu.Unlock()
	if f == nil {
		f = s.candidates[0]
	}
	switch t {
	case protocols.Setup:
		return f.Timers.Setup
	case protocols.Message:
		return f.Timers.Message
	case protocols.Release:
		return f.Timers.Release
	default:
		return f.Timers.Idle
	}
}
