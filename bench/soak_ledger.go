package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"time"
)

// ledger accounts for control IDs one by one: how often each arrived, and how often it was
// acknowledged. Those that were sent are all that were given out since it was opened.
type ledger struct {
	mu           sync.Mutex
	first        int64 // the last control ID that was given out before
	arrived      []uint8
	acknowledged []uint8
	foreign      int64         // arrivals of control IDs that were not given out since
	longest      time.Duration // from sending to the acknowledgment, since longestWait was asked
}

func newLedger() *ledger { return &ledger{first: firstID + lastID.Load()} }

func (l *ledger) arrive(id int64) { l.count(&l.arrived, id) }

func (l *ledger) acknowledge(id int64, took time.Duration) {
	l.count(&l.acknowledged, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.longest = max(l.longest, took)
}

// longestWait is the longest that an acknowledgment took since this was last asked.
func (l *ledger) longestWait() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := l.longest
	l.longest = 0
	return longest
}

func (l *ledger) count(in *[]uint8, id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := id - l.first - 1
	if at < 0 || at >= firstID+lastID.Load()-l.first {
		l.foreign++
		return
	}
	for int64(len(*in)) <= at {
		*in = append(*in, 0)
	}
	if (*in)[at] < math.MaxUint8 {
		(*in)[at]++
	}
}

// Messages says what became of the messages of a run.
type Messages struct {
	Sent           int64 `json:"sent"`
	Lost           int64 `json:"lost"` // did not arrive
	Doubled        int64 `json:"doubled"`
	Unacknowledged int64 `json:"unacknowledged"`
	AckDoubled     int64 `json:"acknowledged_twice"`
	Foreign        int64 `json:"foreign"` // arrived or were acknowledged, and were not sent
}

// close adds up. All that was sent must have been answered, or given up, by then.
func (l *ledger) close() Messages {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := Messages{Sent: firstID + lastID.Load() - l.first, Foreign: l.foreign}
	m.Lost, m.Doubled = tallied(l.arrived, m.Sent)
	m.Unacknowledged, m.AckDoubled = tallied(l.acknowledged, m.Sent)
	return m
}

// tallied counts those of n that were never counted, and those that were more than once.
func tallied(counts []uint8, n int64) (never, more int64) {
	never = n - int64(len(counts))
	for _, k := range counts {
		switch {
		case k == 0:
			never++
		case k > 1:
			more++
		}
	}
	return never, more
}

// problem says what is wrong with the account; nil when each message arrived once and was
// acknowledged once.
func (m Messages) problem() error {
	if m == (Messages{Sent: m.Sent}) {
		return nil
	}
	return fmt.Errorf("of %d messages %d did not arrive, %d arrived more than once, %d were not acknowledged, %d were acknowledged more than once; %d arrived or were acknowledged that nobody sent",
		m.Sent, m.Lost, m.Doubled, m.Unacknowledged, m.AckDoubled, m.Foreign)
}

// accounted are messages of which each is put into a ledger when it is acknowledged.
type accounted struct {
	*messages
	ids  *ledger
	sent time.Time // the last one
}

func (a *accounted) send() (int, error) {
	a.sent = time.Now()
	return a.messages.send()
}

func (a *accounted) await() error {
	if err := a.messages.await(); err != nil {
		return err
	}
	id, err := strconv.ParseInt(string(a.want), 10, 64)
	if err == nil {
		a.ids.acknowledge(id, time.Since(a.sent))
	}
	return err
}

// close says that nothing more is to be sent, and wants the other end to say the same: an
// acknowledgment that nobody asked for, or a reset, is an error.
func (a *accounted) close() error {
	defer a.conn.Close()
	if err := a.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	n, err := a.conn.Read(a.buf)
	switch {
	case n > 0:
		return errors.New("something came after the last acknowledgment")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("end: %w", err)
	}
	return nil
}
