package policy

import (
	"slices"

	"cordon/policy/file"
)

// tellApart reports flows of a listener that nothing tells apart: the same source address or
// certificate, and a first unit that could be meant for either. A longer prefix wins over a
// shorter one, so only equal ones meet.
func (c *compiler) tellApart(l *Listener) {
	groups := [][]*Flow{}
	for _, flows := range l.index.single {
		groups = append(groups, flows)
	}
	for _, p := range l.index.prefixes {
		groups = append(groups, p.flows)
	}
	for _, flows := range l.index.names {
		groups = append(groups, flows)
	}
	for _, flows := range groups {
		near := newCrowd(flows)
		for i, f := range flows {
			for _, g := range near.alike(flows[:i], f) {
				if f != g && !distinct(g, f) {
					c.ambiguous(l, g, f)
				}
			}
			near.add(f)
		}
	}
}

// crowd finds the flows of a group that share a name with another, so that the flows of a server
// toward ten thousand devices are not all compared with each other.
type crowd struct {
	names  func(*Flow) []string // by which most of them differ
	byName map[string][]*Flow
	any    []*Flow // that take any name
}

func newCrowd(flows []*Flow) *crowd {
	c := &crowd{byName: map[string][]*Flow{}}
	most := -1
	for _, names := range []func(*Flow) []string{
		func(f *Flow) []string { return f.calling },
		func(f *Flow) []string { return f.called },
		func(f *Flow) []string { return f.sender.Applications },
		func(f *Flow) []string { return f.receiver.Applications },
	} {
		different := map[string]bool{}
		for _, f := range flows {
			for _, n := range names(f) {
				different[n] = true
			}
		}
		if len(different) > most {
			c.names, most = names, len(different)
		}
	}
	return c
}

func (c *crowd) add(f *Flow) {
	names := c.names(f)
	if len(names) == 0 {
		c.any = append(c.any, f)
	}
	for _, n := range names {
		c.byName[n] = append(c.byName[n], f)
	}
}

// alike returns those of the flows added so far that have a name of f's, or take any.
func (c *crowd) alike(added []*Flow, f *Flow) []*Flow {
	names := c.names(f)
	if len(names) == 0 {
		return added
	}
	found := slices.Clone(c.any)
	for _, n := range names {
		found = append(found, c.byName[n]...)
	}
	return found
}

// distinct tells whether no first unit fits both flows.
func distinct(f, g *Flow) bool {
	if f.Protocol == DICOM {
		return apart(f.calling, g.calling) || apart(f.called, g.called)
	}
	return f.sender.apart(g.sender) || f.receiver.apart(g.receiver)
}

func (n HL7Name) apart(o HL7Name) bool {
	return apart(n.Applications, o.Applications) || apart(n.Facilities, o.Facilities)
}

// apart tells whether two lists have nothing in common. An empty one takes anything.
func apart(a, b []string) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func (c *compiler) ambiguous(l *Listener, first, second *Flow) {
	at, other := c.flowPlace[second], c.flowPlace[first]
	if first.FromServer && second.FromServer && first.Device != second.Device {
		c.Errorf(at.identify, file.Ambiguous, "give the two different "+identityHint(second)+", or their flows different listeners (listen)",
			"upstream %q reaches devices %q and %q by the same name through listener %q, and nothing tells flows %q and %q apart (the other is at %s)",
			second.From.Name, first.Device.Name, second.Device.Name, l.Name, first.Name, second.Name, other.identify)
		return
	}
	evidence := "the same address"
	if len(second.peerNames) > 0 {
		evidence = "the same certificate name"
	}
	words := "calling and called AE title"
	if second.Protocol == HL7 {
		words = "sending and receiving application and facility"
	}
	if first.Device == second.Device {
		c.Errorf(at.flow, file.Ambiguous, "give one of them a listener of its own (listen), or another upstream"+receiverHint(second),
			"flows %q and %q of device %q are heard on listener %q with the same %s; nothing tells them apart (the other is at %s)",
			first.Name, second.Name, second.Device.Name, l.Name, words, other.flow)
		return
	}
	c.Errorf(at.identify, file.Ambiguous, "correct the address, or give the two different "+identityHint(second),
		"devices %q and %q have %s on listener %q, and %s of flows %q and %q do not tell them apart (the other is at %s)",
		first.Device.Name, second.Device.Name, evidence, l.Name, words, first.Name, second.Name, other.identify)
}

func receiverHint(f *Flow) string {
	if f.Protocol == HL7 {
		return ", or another receiver"
	}
	return ""
}

func identityHint(f *Flow) string {
	if f.Protocol == HL7 {
		return "names under identify.hl7"
	}
	return "AE titles"
}
