package usage

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Book holds the counters of a gateway: an account for each device and each flow that has limits
// and was heard, and the studies seen last. It is kept in memory alone; after a restart all counts
// begin anew.
type Book struct {
	now     func() time.Time
	began   time.Time
	studies func() *studies // made when first asked for

	mu       sync.Mutex
	accounts map[string]*Account
}

// NewBook returns an empty book that goes by a clock.
func NewBook(now func() time.Time) *Book {
	return &Book{now: now, began: now(), studies: sync.OnceValue(newStudies), accounts: map[string]*Account{}}
}

// account returns the account of a device ("ct-3") or of a flow ("ct-3/archive").
func (b *Book) account(name string) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[name]
	if a == nil {
		a = &Account{salt: rand.Uint64()}
		b.accounts[name] = a
	}
	return a
}

// second counts the seconds since the book was opened. It does not follow corrections of the
// system's clock.
func (b *Book) second() int64 { return int64(b.now().Sub(b.began) / time.Second) }

// today is a number for the day on this host's calendar.
func (b *Book) today() int {
	y, m, d := b.now().Date()
	return (y*100+int(m))*100 + d
}

// Used returns what a device, or a flow, has used of a limit that is counted over all its
// associations; 0 for the other kinds.
func (b *Book) Used(name string, k Kind) int64 {
	b.mu.Lock()
	a := b.accounts[name]
	b.mu.Unlock()
	if a == nil {
		return 0
	}
	second, today := b.second(), b.today()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch k {
	case Sessions:
		return a.sessions
	case AssociationsPerMinute:
		return a.minute.sum(second)
	case InstancesPerDay:
		a.day.begin(today)
		return a.day.instances
	case BytesPerDay:
		a.day.begin(today)
		return a.day.bytes
	}
	return 0
}

// Account is what one device, or one flow of it, has used.
type Account struct {
	salt uint64 // its part in the keys of studies

	mu       sync.Mutex
	sessions int64
	minute   minute
	day      day
}

// associate counts an association unless a limit is used up, which it returns.
func (a *Account) associate(l *Limits, second int64) *Limit {
	a.mu.Lock()
	defer a.mu.Unlock()
	if over := l.exceeded(Sessions, a.sessions+1); over != nil {
		return over
	}
	if over := l.exceeded(AssociationsPerMinute, a.minute.sum(second)+1); over != nil {
		return over
	}
	a.sessions++
	a.minute.n[a.minute.at%60]++
	return nil
}

// unassociate takes back what associate has just counted.
func (a *Account) unassociate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions--
	if n := &a.minute.n[a.minute.at%60]; *n > 0 {
		*n--
	}
}

// leave ends an association.
func (a *Account) leave() {
	a.mu.Lock()
	a.sessions--
	a.mu.Unlock()
}

// store counts an object unless a limit is used up, which it returns.
func (a *Account) store(l *Limits, today int) *Limit {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.day.begin(today)
	if over := l.exceeded(InstancesPerDay, a.day.instances+1); over != nil {
		return over
	}
	if over := l.exceeded(BytesPerDay, a.day.bytes+1); over != nil {
		return over
	}
	a.day.instances++
	return nil
}

// count corrects what was counted today.
func (a *Account) count(instances, bytes int64, today int) {
	a.mu.Lock()
	a.day.begin(today)
	a.day.instances = max(0, a.day.instances+instances)
	a.day.bytes += bytes
	a.mu.Unlock()
}

// day is what was used in one day.
type day struct {
	number           int
	instances, bytes int64
}

// begin makes a day of that number begin, unless it has.
func (d *day) begin(number int) {
	if d.number != number {
		*d = day{number: number}
	}
}

// minute counts what happened in the last sixty seconds, to a second.
type minute struct {
	at int64 // the second that is under way
	n  [60]uint32
}

// sum lets the time go on to a second, and returns the count then.
func (m *minute) sum(second int64) (total int64) {
	if second-m.at >= 60 {
		m.n = [60]uint32{}
		m.at = second
	}
	for m.at < second {
		m.at++
		m.n[m.at%60] = 0
	}
	for _, n := range m.n {
		total += int64(n)
	}
	return total
}
