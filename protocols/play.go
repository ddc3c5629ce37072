package protocols

import "fmt"

// Chunk is what Play hands a conversation next: bytes from a side, or an event.
type Chunk struct {
	From  Side
	Bytes []byte
	Event *Event // when set, Bytes is ignored
}

// From makes a chunk of bytes.
func From(s Side, b []byte) Chunk { return Chunk{From: s, Bytes: b} }

// Told makes a chunk of an event.
func Told(e Event) Chunk { return Chunk{Event: &e} }

// Played is what came out of a conversation.
type Played struct {
	Toward   [2][]byte // bytes toward each side, in order
	Verdicts []Verdict
	Held     [2]int     // bytes of each side left unsettled
	Ending   [2]Closing // how each leg was ended
	Timer    Timer      // the timer in force at the end
	Taken    bool       // a plan said that the dialled end took what it was sent
	Err      error      // the first error of Step; what follows it is not played
}

// Play drives a conversation the way the pump does, without sockets: windows grow until they are
// settled, needs are honoured, what is settled beyond a window streams by, and a side is not shown
// any longer once both legs were ended. It ends at the first error of Step, after telling the
// conversation about it.
func Play(c Conversation, chunks ...Chunk) Played {
	pl := player{c: c}
	for _, ch := range chunks {
		if ch.Event != nil {
			pl.tell(*ch.Event)
			continue
		}
		if !pl.feed(ch.From, ch.Bytes) {
			break
		}
	}
	for s := range pl.win {
		pl.out.Held[s] = len(pl.win[s])
	}
	return pl.out
}

// Cut cuts every chunk of bytes into pieces of n bytes, so that a test can play a stream again
// with all the places where a read may end.
func Cut(n int, chunks ...Chunk) []Chunk {
	var out []Chunk
	for _, ch := range chunks {
		if ch.Event != nil {
			out = append(out, ch)
			continue
		}
		for b := ch.Bytes; len(b) > 0; {
			k := min(n, len(b))
			out = append(out, From(ch.From, b[:k]))
			b = b[k:]
		}
	}
	return out
}

type player struct {
	c    Conversation
	plan Plan
	win  [2][]byte
	need [2]int
	todo [2][]step // what a side's last plan still has to do, in order
	far  bool      // there is a far leg: something was sent to it, or came from it
	out  Played
}

// step is an Op that owns its bytes.
type step struct {
	Op
	made      []byte
	near, far Closing // of the last step
}

func (pl *player) feed(from Side, b []byte) bool {
	// The window is a fresh copy each time, so that a conversation that keeps an alias of an
	// earlier one reads stale bytes and fails its test.
	pl.win[from] = append(append([]byte(nil), pl.win[from]...), b...)
	pl.far = pl.far || from == Far
	for {
		pl.work(from)
		win := pl.win[from]
		if pl.draining(from) {
			pl.win[from] = nil
			return true
		}
		if len(pl.todo[from]) > 0 || len(win) == 0 || len(win) < pl.need[from] {
			return true
		}
		pl.plan.Reset()
		if err := pl.c.Step(from, win, &pl.plan); err != nil {
			pl.out.Err = err
			pl.tell(Event{Kind: Failed, Side: from, Reason: ReasonOf(err), Err: err})
			return false
		}
		pl.need[from], _ = pl.plan.Waiting()
		pl.adopt(from)
		if pl.plan.Settled() == 0 {
			pl.work(from)
			return true
		}
	}
}

// draining tells whether what a side sends is nobody's any longer.
func (pl *player) draining(from Side) bool {
	own, other := pl.out.Ending[from], pl.out.Ending[from.Other()]
	switch own {
	case FIN:
		return other != Open || !pl.far
	case RST:
		return true
	}
	return false
}

func (pl *player) tell(e Event) {
	pl.plan.Reset()
	pl.c.Tell(e, &pl.plan)
	if n := pl.plan.Settled(); n != 0 {
		panic(fmt.Sprintf("protocols: Tell settled %d bytes; only Step may", n))
	}
	pl.adopt(e.Side)
	pl.work(e.Side)
}

// adopt takes over what the plan says.
func (pl *player) adopt(from Side) {
	for _, o := range pl.plan.Ops() {
		st := step{Op: o}
		pl.far = pl.far || o.Kind == OpPass && from == Near || o.Kind == OpSend && o.To == Far
		if o.Kind == OpSend {
			st.made = append(st.made, pl.plan.Made(o)...)
		}
		pl.todo[from] = append(pl.todo[from], st)
	}
	if near, far := pl.plan.Ending(); near != Open || far != Open {
		pl.todo[from] = append(pl.todo[from], step{near: near, far: far})
	}
	pl.out.Verdicts = append(pl.out.Verdicts, pl.plan.Records()...)
	pl.out.Taken = pl.out.Taken || pl.plan.IsTaken()
	if _, t := pl.plan.Waiting(); t != NoTimer {
		pl.out.Timer = t
	}
}

// work does as much of what a side's plan wants as that side has bytes for.
func (pl *player) work(from Side) {
	for len(pl.todo[from]) > 0 {
		st := &pl.todo[from][0]
		switch {
		case st.Kind == OpSend:
			pl.out.Toward[st.To] = append(pl.out.Toward[st.To], st.made...)
		case st.N > 0:
			k := min(int64(len(pl.win[from])), st.N)
			if st.Kind == OpPass {
				pl.out.Toward[from.Other()] = append(pl.out.Toward[from.Other()], pl.win[from][:k]...)
			}
			pl.win[from] = pl.win[from][k:]
			if st.N -= k; st.N > 0 {
				return
			}
		}
		pl.out.Ending[Near] = max(pl.out.Ending[Near], st.near)
		pl.out.Ending[Far] = max(pl.out.Ending[Far], st.far)
		pl.todo[from] = pl.todo[from][1:]
	}
}
