package policy

import (
	"fmt"

	"cordon/policy/file"
	"cordon/policy/usage"
)

// deviceUsage compiles what all flows of a device together are held to.
func deviceUsage(y *file.Limits) *usage.Limits { return usageLimits(usageKeys(y), "") }

// flowUsage compiles what a flow is held to, by its device and by itself.
func (c *compiler) flowUsage(f *flowFile) usage.Pair {
	keys := usageKeys(&f.y.Limits)
	for _, k := range keys {
		if k.kind != usage.Sessions && f.Protocol == HL7 {
			c.Errorf(k.at, file.BadValue, "take it out", "limits.%s is for %s flows, and flow %q is %s", k.kind.Key(), DICOM, f.Name, f.Protocol)
		}
	}
	return usage.Pair{f.d.Usage, usageLimits(keys, "flows."+f.Name+".")}
}

// usageKey is a key of limits that is about use.
type usageKey struct {
	kind   usage.Kind
	most   int64
	amount string
	at     file.Pos
}

// usageKeys returns those that are there.
func usageKeys(y *file.Limits) (keys []usageKey) {
	for k, n := range map[usage.Kind]file.Int{
		usage.Sessions:                y.Sessions,
		usage.AssociationsPerMinute:   y.AssociationsPerMinute,
		usage.InstancesPerAssociation: y.InstancesPerAssociation,
		usage.InstancesPerStudy:       y.InstancesPerStudy,
		usage.InstancesPerDay:         y.InstancesPerDay,
		usage.Outstanding:             y.Outstanding,
	} {
		if n.Set() {
			keys = append(keys, usageKey{k, int64(n.Value), fmt.Sprint(n.Value), n.At})
		}
	}
	for k, n := range map[usage.Kind]file.Size{
		usage.BytesPerAssociation: y.BytesPerAssociation,
		usage.BytesPerStudy:       y.BytesPerStudy,
		usage.BytesPerDay:         y.BytesPerDay,
	} {
		if n.Set() {
			keys = append(keys, usageKey{k, n.Value, sizeText(n.Value), n.At})
		}
	}
	return keys
}

// usageLimits compiles keys; path is what stands before limits in the device. It returns nil where
// nothing is limited.
func usageLimits(keys []usageKey, path string) (l *usage.Limits) {
	for _, k := range keys {
		if k.most == 0 {
			continue
		}
		if l == nil {
			l = new(usage.Limits)
		}
		l[k.kind] = usage.Limit{
			Kind: k.kind, Most: k.most, Text: k.amount + " " + k.kind.Counts(),
			Rule: fmt.Sprintf("%s %slimits.%s", k.at, path, k.kind.Key()),
		}
	}
	return l
}
