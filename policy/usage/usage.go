// Package usage counts what devices use up, so that a policy can hold them to limits: associations
// at once and per minute, objects and bytes per association, per study and per day, operations
// outstanding.
//
//	Limits       what limits: of a device, or of one of its flows, compiled to; never changes
//	Book         the counters of a gateway; outlives associations and reloads, not the process
//	Association  what one association has used; counts on the accounts of its device and its flow
//
// What is counted is what the limits let through, in every mode: where a mode lets more pass, the
// counters stand where they would stand in enforce. Only what is limited is counted, so that a
// policy without limits costs nothing; a limit that a reload brings counts from then on.
//
// A day begins at midnight, local time, and not 24 hours ago: people can foresee when a device may
// go on, and compare the count with what the archive says of today.
//
// No counter holds patient data: studies are known by a hash with a key of this process.
package usage

import (
	"strconv"

	"cordon/protocols/reason"
)

// Kind is what a limit is about.
type Kind uint8

const (
	Sessions              Kind = iota // associations at once
	AssociationsPerMinute             // in the last sixty seconds
	InstancesPerAssociation
	BytesPerAssociation
	InstancesPerStudy
	BytesPerStudy
	InstancesPerDay // since midnight, local time
	BytesPerDay
	Outstanding // operations of one side of an association without a final response
	kinds
)

// kindRows says of each kind its key in a policy, what it counts in words, and what exceeding it
// is called.
var kindRows = [kinds]struct {
	key, counts string
	bytes       bool
	reason      reason.Code
}{
	Sessions:                {"sessions", "sessions", false, reason.SessionLimit},
	AssociationsPerMinute:   {"associations_per_minute", "associations per minute", false, reason.CapRate},
	InstancesPerAssociation: {"instances_per_association", "instances per association", false, reason.CapInstances},
	BytesPerAssociation:     {"bytes_per_association", "per association", true, reason.CapBytes},
	InstancesPerStudy:       {"instances_per_study", "instances per study", false, reason.CapInstances},
	BytesPerStudy:           {"bytes_per_study", "per study", true, reason.CapBytes},
	InstancesPerDay:         {"instances_per_day", "instances per day", false, reason.CapInstances},
	BytesPerDay:             {"bytes_per_day", "per day", true, reason.CapBytes},
	Outstanding:             {"outstanding", "outstanding operations", false, reason.CapOutstanding},
}

// Key is the key that sets the limit: "instances_per_day".
func (k Kind) Key() string { return kindRows[k].key }

// Counts says what the number before it is of: "instances per day"; for bytes "per day".
func (k Kind) Counts() string { return kindRows[k].counts }

// Bytes tells whether bytes are counted.
func (k Kind) Bytes() bool { return kindRows[k].bytes }

// Total tells whether the kind is counted over all associations of a device or a flow.
func (k Kind) Total() bool {
	return k == Sessions || k == AssociationsPerMinute || k == InstancesPerDay || k == BytesPerDay
}

// Limit is one limit.
type Limit struct {
	Kind Kind
	Most int64  // 0: no limit
	Text string // in words: "5000 instances per day", "20GiB per day"
	Rule string // where it stands: "devices/ct-3.yaml:9:30 limits.instances_per_day"
}

// Say says how much of the limit is used: "1200 of 5000 instances per day", "1.2GiB of 20GiB per day".
func (l *Limit) Say(used int64) string {
	n := strconv.FormatInt(used, 10)
	if l.Kind.Bytes() {
		n = bytesText(used)
	}
	return n + " of " + l.Text
}

// bytesText writes a number of bytes as people read it.
func bytesText(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	value, unit := float64(n)/(1<<10), 0
	for units := "KMGT"; value >= 1<<10 && unit < len(units)-1; unit++ {
		value /= 1 << 10
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + "KMGT"[unit:unit+1] + "iB"
}

// All returns the limits that are set.
func (l *Limits) All() (all []Limit) {
	if l == nil {
		return nil
	}
	for k := range l {
		if l[k].Most != 0 {
			all = append(all, l[k])
		}
	}
	return all
}

// Reason is the code for what would exceed the limit.
func (l *Limit) Reason() reason.Code { return kindRows[l.Kind].reason }

// Limits are what a device, or one flow of it, is held to, by kind.
type Limits [kinds]Limit

// exceeded returns the limit that n is beyond, nil for none.
func (l *Limits) exceeded(k Kind, n int64) *Limit {
	if l == nil || l[k].Most == 0 || n <= l[k].Most {
		return nil
	}
	return &l[k]
}

// has tells whether one of the kinds is limited.
func (l *Limits) has(a, b Kind) bool { return l != nil && l[a].Most|l[b].Most != 0 }

// Pair are the limits of a device and of one of its flows, nil where nothing is limited. Both
// hold: the device's flows share what the device has.
type Pair [2]*Limits

// Most returns the stricter of the two limits of a kind; 0 for none.
func (p Pair) Most(k Kind) int64 {
	var most int64
	for _, l := range p {
		if l != nil && l[k].Most != 0 && (most == 0 || l[k].Most < most) {
			most = l[k].Most
		}
	}
	return most
}
