package policy

import (
	"sync/atomic"
	"time"

	"cordon/policy/usage"
)

// Store holds the policy in force. Reading it is one atomic load, so each message asks anew.
type Store struct {
	current atomic.Pointer[Policy]
	// Usage is what devices have used of their limits, whichever policy was in force then. It may
	// be replaced by one with another clock before there are sessions.
	Usage *usage.Book
}

// NewStore returns a store with p in force.
func NewStore(p *Policy) *Store {
	s := &Store{Usage: usage.NewBook(time.Now)}
	s.current.Store(p)
	return s
}

// Current returns the policy in force.
func (s *Store) Current() *Policy { return s.current.Load() }

// Swap puts p in force and returns what was. Messages that began before end under the old one.
func (s *Store) Swap(p *Policy) (old *Policy) { return s.current.Swap(p) }
