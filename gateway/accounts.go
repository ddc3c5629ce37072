package gateway

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
)

// account is what the gateway remembers of one flow, for status and metrics.
type account struct {
	device, flow string
	counters     flowCounters
	lastSeen     atomic.Int64 // unix nanoseconds
	lastGood     atomic.Int64 // when the end that the flow connects to last took something

	mu          sync.Mutex
	refused     uint64
	reports     reports
	rejections  rejections
	dialProblem string
	dialReason  reason.Code
	downSince   time.Time
	down        atomic.Bool // whether there is a dialProblem
}

// Refusal is one refusal as status and explain show it.
type Refusal struct {
	Time    time.Time   `json:"time"`
	Session string      `json:"session,omitempty"`
	Peer    string      `json:"peer,omitempty"`
	Unit    string      `json:"unit"`
	From    string      `json:"from"` // "device" or "server"
	Reason  reason.Code `json:"reason"`
	Rule    string      `json:"rule,omitempty"`
	Found   string      `json:"found,omitempty"`
	// Passed says that the mode let the unit pass all the same.
	Passed bool `json:"passed,omitempty"`
	// Do says what would allow the unit, with the rule's file and line. It is made when it is asked for.
	Do string `json:"do,omitempty"`
}

// accounts holds an account per flow, and one per device for what was refused before a flow was
// chosen (its flow is "").
type accounts struct {
	mu      sync.Mutex
	all     map[[2]string]*account
	metrics *metrics
}

func (a *accounts) init() { a.all = map[[2]string]*account{} }

func (a *accounts) of(f *policy.Flow) *account { return a.at(f.Device.Name, f.Name) }

func (a *accounts) at(device, flow string) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := [2]string{device, flow}
	if acc, ok := a.all[key]; ok {
		return acc
	}
	acc := &account{device: device, flow: flow, counters: a.metrics.forFlow(device, flow)}
	a.all[key] = acc
	return acc
}

// follow makes an account for every flow of a policy, so that status names those that have not
// said anything yet.
func (a *accounts) follow(p *policy.Policy) {
	for _, f := range p.Flows {
		a.of(f)
	}
}

func (a *accounts) sorted() []*account {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*account, 0, len(a.all))
	for _, acc := range a.all {
		all = append(all, acc)
	}
	slices.SortFunc(all, func(x, y *account) int {
		return cmp.Or(cmp.Compare(x.device, y.device), cmp.Compare(x.flow, y.flow))
	})
	return all
}

// note takes a verdict into the account. It is called with the session's lock held and must not
// wait or, for an allowed unit, allocate.
func (a *account) note(s *session, v *protocols.Verdict, now time.Time) {
	a.lastSeen.Store(now.UnixNano())
	a.counters.count(v)
	kind := Kind("")
	if v.Reason != "" {
		kind = kindOf(v, s.rules.Mode() == policy.Enforce)
	}
	if kind == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reports.note(kind, s, v, now)
	switch kind {
	case Refused, WouldRefuse:
		a.refused++
	case Rejected:
		a.counters.rejections.Inc()
		a.rejections.add(now, time.Unix(0, a.lastGood.Load()))
	}
}

// dialFailed notes that the upstream could not be reached, did not prove who it is, or ended the
// connection without a word.
func (a *account) dialFailed(code reason.Code, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dialProblem == "" {
		a.downSince = time.Now()
	}
	a.dialProblem, a.dialReason = err.Error(), code
	a.down.Store(true)
	a.counters.dialFailures.Inc()
}

// reached notes that the upstream said something, or took something. That it was dialled says little:
// in TLS 1.3 it looks at our certificate later, and who accepts connections for a server that is down,
// as a load balancer does, closes them again.
func (a *account) reached() {
	if !a.down.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dialProblem, a.dialReason, a.downSince = "", "", time.Time{}
	a.down.Store(false)
}

// unknownPeers remembers who knocked and was not let in: the last hundred or so.
type unknownPeers struct {
	mu  sync.Mutex
	all map[unknownKey]*UnknownPeer
}

type unknownKey struct {
	address, listener string
	code              reason.Code
}

// UnknownPeer is an address whose connections were closed unread.
type UnknownPeer struct {
	Address  string      `json:"address"`
	Listener string      `json:"listener"`
	Reason   reason.Code `json:"reason"`
	Found    string      `json:"found,omitempty"` // the last time: the names in its certificate, what was wrong with it
	Count    uint64      `json:"count"`
	Last     time.Time   `json:"last"`
	Do       string      `json:"do"`
}

// maxUnknown is how many are remembered; the one not seen for longest goes first.
const maxUnknown = 128

func (u *unknownPeers) note(address, listener string, code reason.Code, found, do string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = map[unknownKey]*UnknownPeer{}
	}
	k := unknownKey{address, listener, code}
	p := u.all[k]
	if p == nil {
		if len(u.all) >= maxUnknown {
			u.dropOldest()
		}
		p = &UnknownPeer{Address: address, Listener: listener, Reason: code}
		u.all[k] = p
	}
	p.Count++
	p.Last, p.Found, p.Do = time.Now(), found, do
}

func (u *unknownPeers) dropOldest() {
	var oldest unknownKey
	var when time.Time
	for k, p := range u.all {
		if when.IsZero() || p.Last.Before(when) {
			oldest, when = k, p.Last
		}
	}
	delete(u.all, oldest)
}

func (u *unknownPeers) list() []UnknownPeer {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]UnknownPeer, 0, len(u.all))
	for _, p := range u.all {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b UnknownPeer) int { return b.Last.Compare(a.Last) })
	return out
}
