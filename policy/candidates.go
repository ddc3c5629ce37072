package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// index finds the flows of a listener by what a connection shows before its first unit.
type index struct {
	single   map[netip.Addr][]*Flow // identify.ip given as one address
	prefixes []prefixFlows          // identify.ip given as a prefix, longest first
	names    map[string][]*Flow     // names in client certificates, lower case
}

type prefixFlows struct {
	prefix netip.Prefix
	flows  []*Flow
}

// Candidates returns the flows that a connection may belong to, by the strongest evidence there
// is: the names in its client certificate, then its source address, where the longest prefix
// wins across devices. No flow fits an unknown peer. What several flows share is told apart by
// the first unit; see [NewSession]. The slice is the listener's own; do not change it.
func (l *Listener) Candidates(addr netip.Addr, certNames []string) []*Flow {
	for _, name := range certNames {
		if flows := l.index.names[strings.ToLower(name)]; flows != nil {
			return flows
		}
	}
	addr = addr.Unmap().WithZone("")
	if flows := l.index.single[addr]; flows != nil {
		return flows
	}
	for i := range l.index.prefixes {
		if l.index.prefixes[i].prefix.Contains(addr) {
			return l.index.prefixes[i].flows
		}
	}
	return nil
}

// Retired returns the retired device that a connection would be from if no other device has its
// address or a name of its certificate; nil when there is none.
func (p *Policy) Retired(addr netip.Addr, certNames []string) (gone *Device) {
	addr = addr.Unmap().WithZone("")
	for _, d := range p.retired {
		if d.shows(addr, certNames) {
			gone = d
			break
		}
	}
	if gone == nil || slices.ContainsFunc(p.Devices, func(d *Device) bool { return d.State != Retired && d.shows(addr, certNames) }) {
		return nil
	}
	return gone
}

// shows tells whether a connection shows what the device is known by.
func (d *Device) shows(addr netip.Addr, certNames []string) bool {
	return slices.ContainsFunc(d.Prefixes, func(p netip.Prefix) bool { return p.Contains(addr) }) ||
		d.CertName != "" && containsFold(certNames, d.CertName)
}

// build fills the index from the flows of the listener. A flow of a retired device is not heard.
func (x *index) build(flows []*Flow) {
	*x = index{single: map[netip.Addr][]*Flow{}, names: map[string][]*Flow{}}
	byPrefix := map[netip.Prefix][]*Flow{}
	for _, f := range flows {
		for _, p := range f.peerPrefixes {
			if p.IsSingleIP() {
				x.single[p.Addr()] = append(x.single[p.Addr()], f)
			} else {
				byPrefix[p] = append(byPrefix[p], f)
			}
		}
		for _, n := range f.peerNames {
			n = strings.ToLower(n)
			x.names[n] = append(x.names[n], f)
		}
	}
	for p, flows := range byPrefix {
		x.prefixes = append(x.prefixes, prefixFlows{p, flows})
	}
	slices.SortFunc(x.prefixes, func(a, b prefixFlows) int {
		if a.prefix.Bits() != b.prefix.Bits() {
			return b.prefix.Bits() - a.prefix.Bits()
		}
		return a.prefix.Addr().Compare(b.prefix.Addr())
	})
}
