package hl7

import (
	"bytes"

	"cordon/protocols"
)

// maxWaiting caps a queue. With control IDs of at most maxControlID bytes that is about 64 KiB
// for each side, taken only as far as a sender runs ahead of its acknowledgments.
const maxWaiting = 256

// waiting says what is still to come for a message that was passed on.
type waiting uint8

const (
	// nothing more: the message is forgotten.
	nothing waiting = iota
	// optional: an acknowledgment may come, and nobody waits for it. MSH-15 and MSH-16 say so,
	// but many receivers acknowledge whatever they say.
	optional
	// later: the message was committed (CA), and its application acknowledgment is to come, in
	// the time that the application takes (HL7 v2 §2.9.3). No timer runs for it.
	later
	// due: an acknowledgment is owed.
	due
	// made: not a message but a refusal of ours, held back while one before it is due.
	made

	waitings
)

// entry is a message that waits for its acknowledgment, or a made acknowledgment that waits for
// its turn.
type entry struct {
	id    []byte // MSH-10; reused with the entry
	unit  protocols.Label
	state waiting
	then  waiting // the state after a commit accept, CA
	would bool    // enforce would have refused it
	reply int     // made: how many bytes of queue.replies
}

// queue holds what one side sent and has not been answered, in the order in which it was sent.
// Its memory is reused.
type queue struct {
	entries []entry
	count   [waitings]int
	replies []byte // of the made entries, in order
}

// wait adds a message, and returns false when all places are taken by messages that are owed an
// acknowledgment. A message that nobody waits for yields its place.
func (q *queue) wait(m *Message, v *protocols.Verdict, state, then waiting) bool {
	if len(q.entries) == maxWaiting && !q.yield() {
		return false
	}
	e := q.add(state)
	e.id, e.unit, e.then = append(e.id[:0], m.ControlID...), v.Unit, then
	e.would = v.Would == protocols.Refuse
	return true
}

// owe adds a made acknowledgment that must wait for its turn.
func (q *queue) owe(reply []byte) bool {
	if len(q.entries) == maxWaiting && !q.yield() {
		return false
	}
	q.add(made).reply = len(reply)
	q.replies = append(q.replies, reply...)
	return true
}

func (q *queue) add(state waiting) *entry {
	n := len(q.entries)
	if n < cap(q.entries) {
		q.entries = q.entries[:n+1] // with the memory that an earlier entry's ID left there
	} else {
		q.entries = append(q.entries, entry{})
	}
	e := &q.entries[n]
	e.state, e.then, e.reply = state, nothing, 0
	q.count[state]++
	return e
}

// yield gives up the oldest message that nobody waits for.
func (q *queue) yield() bool {
	for i := range q.entries {
		if q.entries[i].state == optional {
			q.remove(i)
			return true
		}
	}
	return false
}

// find returns the place of the message with that control ID, the oldest that an acknowledgment
// is owed for before others, or -1.
func (q *queue) find(id []byte) int {
	found := -1
	for i := range q.entries {
		e := &q.entries[i]
		if e.state == made || !bytes.Equal(e.id, id) {
			continue
		}
		if e.state == due {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// expects says what is to come for m: state at once, then after a commit accept. In original mode
// an acknowledgment is owed; in enhanced mode where MSH-15 or MSH-16 promises one (HL7 v2 §2.9).
func expects(m *Message) (state, then waiting) {
	state, then = optional, optional
	if m.Batch {
		return state, then // answered by who knows how many acknowledgments
	}
	if !m.enhanced() || wantedAlways(m.AcceptAck) || wantedAlways(m.ApplicationAck) {
		state = due
	}
	if wantedAlways(m.ApplicationAck) {
		then = later
	}
	return state, then
}

// settle takes note of an acknowledgment with that code for the message at place i. A commit
// accept leaves the application acknowledgment to come; all others end the exchange.
func (q *queue) settle(i int, code []byte) {
	e := &q.entries[i]
	if string(code) != "CA" || e.then == nothing {
		q.remove(i)
		return
	}
	q.become(e, e.then)
	e.then = nothing
}

// forget lets the messages that are owed an acknowledgment go without one.
func (q *queue) forget() {
	for i := range q.entries {
		if e := &q.entries[i]; e.state == due {
			q.become(e, optional)
		}
	}
}

// clear forgets everything.
func (q *queue) clear() {
	q.entries, q.count, q.replies = q.entries[:0], [waitings]int{}, nil
}

// turn returns the next made acknowledgment whose turn it is, nil when there is none. It dies
// with the next call.
func (q *queue) turn() []byte {
	if q.count[made] == 0 {
		return nil
	}
	for i := range q.entries {
		switch e := &q.entries[i]; e.state {
		case due:
			return nil
		case made:
			n := e.reply
			q.remove(i)
			reply := q.replies[:n]
			q.replies = q.replies[n:]
			if q.count[made] == 0 {
				q.replies = nil
			}
			return reply
		}
	}
	return nil
}

// pending tells whether an acknowledgment is to come that somebody waits for.
func (q *queue) pending() bool { return q.count[due]+q.count[later] > 0 }

func (q *queue) become(e *entry, state waiting) {
	q.count[e.state]--
	e.state = state
	q.count[state]++
}

func (q *queue) remove(i int) {
	q.count[q.entries[i].state]--
	id := q.entries[i].id
	n := copy(q.entries[i:], q.entries[i+1:]) + i
	q.entries[n].id = id // its memory is the next entry's
	q.entries = q.entries[:n]
}
