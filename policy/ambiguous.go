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
		for i, f := range flows {
			for _, g := range flows[:i] {
				if f != g && !distinct(g, f) {
					c.ambiguous(l, g, f)
				}
			}
		}
	}
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
