package policy

import (
	"bytes"
	"slices"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/hl7"
	"cordon/protocols/reason"

	"net/netip"
)

// program is what a flow's rules compiled to. It is immutable and knows nothing of modes: it
// says what enforce says, and [Session] wraps the mode around it.
type program struct {
	// Who may connect: the listener's index is made of these.
	peerPrefixes []netip.Prefix
	peerNames    []string

	// What the first unit must say. An empty list takes anything.
	calling, called  []string // AE titles
	sender, receiver HL7Name

	titles *titles // of the site's renamed servers

	// The rules that verdicts point to.
	identityRule string // where the device says what it calls itself
	targetRule   string // where the upstream, or the flow's receiver, says what it is called
	allowRule    string // the allow list as a whole: what default deny points to
	stateRule    string // where the device says that it is quarantined
	goneRule     string // for a session whose flow is no longer in the policy

	dicom dicomRules
	caps  dicom.Config // of its associations
	hl7   hl7Rules
}

// Rules that no file holds.
const (
	ruleUID        = "built-in PS3.5 §9.1"
	ruleMismatch   = "built-in PS3.4 §B.2.3"
	ruleImage      = "built-in PS3.3 §C.7.6.3"
	ruleDataSet    = "built-in PS3.5 §7"
	ruleVersion    = "built-in PS3.8 §9.3.2"
	ruleContext    = "built-in PS3.7 §A.2.1"
	ruleStandard   = "built-in"
	ruleOneMessage = "built-in HL7 v2 §2.10.3"
	ruleSegmentEnd = "built-in HL7 v2 §2.5.1"
)

// fit says how much of a first unit agrees with a flow. The order is the order of preference:
// to know who calls is worth more than to know who is called.
type fit uint8

const (
	fitsNothing fit = iota
	fitsTarget
	fitsIdentity
	fitsAll
)

func fitOf(identity, target bool) (f fit) {
	if target {
		f |= fitsTarget
	}
	if identity {
		f |= fitsIdentity
	}
	return f
}

func (p *program) fitsAssociation(a *dicom.Association) fit {
	return fitOf(titled(p.calling, a.CallingAE), titled(p.called, a.CalledAE))
}

func titled(titles []string, title []byte) bool {
	return len(titles) == 0 || slices.ContainsFunc(titles, func(t string) bool { return t == string(title) })
}

func (p *program) fitsMessage(m *hl7.Message) fit {
	return fitOf(
		p.sender.names(m.SendingApplication, m.SendingFacility, m.Delimiters[1]),
		p.receiver.names(m.ReceivingApplication, m.ReceivingFacility, m.Delimiters[1]))
}

func (n *HL7Name) names(application, facility []byte, component byte) bool {
	return named(n.Applications, application, component) && named(n.Facilities, facility, component)
}

// named tells whether an HD field (HL7 v2 §2A.3.36) is one of names: as it stands, or by its
// first component, the namespace ID.
func named(names []string, field []byte, component byte) bool {
	if len(names) == 0 {
		return true
	}
	first := field
	if i := bytes.IndexByte(field, component); i >= 0 {
		first = field[:i]
	}
	for _, n := range names {
		if n == string(field) || n == string(first) {
			return true
		}
	}
	return false
}

// refuseMisfit refuses a first unit, or a later HL7 message, that does not fit the flow.
func (p *program) refuseMisfit(got fit, identity, target reason.Code, v *protocols.Verdict) {
	if got&fitsIdentity == 0 {
		v.Refuse(identity, p.identityRule)
	} else {
		v.Refuse(target, p.targetRule)
	}
}
