package usage

import "cordon/protocols"

// Association is what one association uses. The zero value has not begun, and nothing is counted
// on one that has not, or that was refused. It is used by one goroutine at a time; the accounts
// behind it are shared.
type Association struct {
	book             *Book       // nil: not under way
	names            [2]string   // of the accounts of the device and of the flow
	accounts         [2]*Account // nil until something is counted there
	inside           [2]bool     // counted there as one of those at once
	instances, bytes int64
	outstanding      [2]int64 // operations, by the side that invoked them
}

// nameless is the charge of an object whose study is not counted; any other is a study's hash.
const nameless = 1

// Begin counts an association. When a limit is used up it is not counted, and the limit is
// returned. The names are those of the accounts, "ct-3" and "ct-3/archive".
func (a *Association) Begin(b *Book, device, flow string, l Pair) *Limit {
	*a = Association{book: b, names: [2]string{device, flow}}
	for i, own := range l {
		if own == nil {
			continue
		}
		if over := a.on(i).associate(own, b.second()); over != nil {
			if a.inside[0] {
				a.accounts[0].unassociate()
			}
			*a = Association{}
			return over
		}
		a.inside[i] = true
	}
	return nil
}

// on returns the account of the device (0) or of the flow (1).
func (a *Association) on(i int) *Account {
	if a.accounts[i] == nil {
		a.accounts[i] = a.book.account(a.names[i])
	}
	return a.accounts[i]
}

// End ends the association. It may be called again.
func (a *Association) End() {
	for i, in := range a.inside {
		if in {
			a.accounts[i].leave()
		}
	}
	*a = Association{}
}

// Request counts an operation that a side invokes, unless it has as many outstanding as it may.
func (a *Association) Request(from protocols.Side, l Pair) *Limit {
	if a.book == nil {
		return nil
	}
	n := &a.outstanding[from]
	for _, own := range l {
		if over := own.exceeded(Outstanding, *n+1); over != nil {
			return over
		}
	}
	*n++
	return nil
}

// Answered takes an operation back that got its final response, or was refused after all.
func (a *Association) Answered(from protocols.Side) {
	if n := &a.outstanding[from]; *n > 0 {
		*n--
	}
}

// Store counts an object that begins. When a limit is used up it is not counted, and the limit is
// returned. Otherwise charge goes with the object to Study and Settle; it is 0 when nothing is
// limited that objects use.
//
// How large an object is shows when it has passed. So one more may begin while there are bytes
// left, and what is under way then may exceed the limit.
func (a *Association) Store(l Pair) (charge uint64, over *Limit) {
	if a.book == nil || l == (Pair{}) {
		return 0, nil
	}
	for _, own := range l {
		if over = own.exceeded(InstancesPerAssociation, a.instances+1); over != nil {
			return 0, over
		}
		if over = own.exceeded(BytesPerAssociation, a.bytes+1); over != nil {
			return 0, over
		}
	}
	for i, own := range l {
		if !own.has(InstancesPerDay, BytesPerDay) {
			continue
		}
		if over = a.on(i).store(own, a.book.today()); over != nil {
			if i > 0 {
				a.daily(l[:i], -1, 0)
			}
			return 0, over
		}
	}
	a.instances++
	return nameless, nil
}

// Study counts an object that has begun on its study. When a limit is used up the object is not
// counted any longer, not on its association either, and the limit is returned.
func (a *Association) Study(charge uint64, uid []byte, l Pair) (uint64, *Limit) {
	if charge != nameless || !l[0].has(InstancesPerStudy, BytesPerStudy) && !l[1].has(InstancesPerStudy, BytesPerStudy) {
		return charge, nil
	}
	hash := a.book.studies().hash(uid)
	for i, own := range l {
		if !own.has(InstancesPerStudy, BytesPerStudy) {
			continue
		}
		if over := a.book.studies().store(hash^a.on(i).salt, own); over != nil {
			if i > 0 && l[0].has(InstancesPerStudy, BytesPerStudy) {
				a.book.studies().count(hash^a.on(0).salt, -1, 0)
			}
			a.Settle(charge, 0, false, l)
			return 0, over
		}
	}
	return hash, nil
}

// Settle counts the bytes of an object that passed. One that is not whole is taken back as an
// object: what was cut short will come again.
func (a *Association) Settle(charge uint64, bytes int64, whole bool, l Pair) {
	if charge == 0 || a.book == nil {
		return
	}
	var instances int64
	if !whole {
		instances = -1
	}
	a.instances += instances
	a.bytes += bytes
	a.daily(l[:], instances, bytes)
	if charge == nameless {
		return
	}
	for i, own := range l {
		if own.has(InstancesPerStudy, BytesPerStudy) {
			a.book.studies().count(charge^a.on(i).salt, instances, bytes)
		}
	}
}

// daily corrects what was counted today on the accounts whose days are limited.
func (a *Association) daily(l []*Limits, instances, bytes int64) {
	for i, own := range l {
		if own.has(InstancesPerDay, BytesPerDay) {
			a.on(i).count(instances, bytes, a.book.today())
		}
	}
}
