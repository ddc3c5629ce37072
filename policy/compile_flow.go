package policy

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"cordon/policy/file"
	"cordon/protocols/hl7"
)

// flowFile is a flow on its way from its files to the policy.
type flowFile struct {
	*Flow
	y file.Flow
	d *deviceFile
}

// flow compiles one flow. What is wrong with it is reported, and the flow left out.
func (c *compiler) flow(d *deviceFile, name string, y file.Flow, base deviceFlows) {
	f := &flowFile{y: y, d: d, Flow: &Flow{
		Name: name, Device: d.Device, id: d.Name + "/" + name, Origin: origin(y.At),
		Mode: modes[or(y.Mode, or(d.y.Mode, "shadow"))], PassOnFail: or(y.OnFailure, d.y.OnFailure.Value) == "pass",
		Timers: c.timers(base.timers, y.Timers), Limits: c.limits(base.limits, y.Limits),
	}}
	if y.MaxPDU.Set() {
		f.Limits = c.limits(f.Limits, file.Limits{MaxPDU: y.MaxPDU})
		if y.Limits.MaxPDU.Set() && y.Limits.MaxPDU.At != y.MaxPDU.At {
			c.Errorf(y.MaxPDU.At, file.DuplicateKey, "keep one of the two", "max_pdu and limits.max_pdu are both there")
		}
	}
	f.allowRule, f.goneRule = f.rule(y.At, ""), f.rule(y.At, "")+" (no longer there)"
	if y.Allow.Set() {
		f.allowRule = f.rule(y.Allow.At, ".allow")
	}
	f.stateRule = fmt.Sprintf("%s state", d.y.State.At)
	ok := c.protocol(f)
	c.affordable(f)
	f.Usage = c.flowUsage(f)
	ok = c.ends(f) && ok
	ok = c.allow(f) && ok
	if !ok {
		return
	}
	if f.Listener = c.listener(f); f.Listener == nil {
		return
	}
	if !c.evidence(f) {
		return
	}
	f.CertFile, f.KeyFile = d.CertFile, d.KeyFile
	if f.CertFile == "" || f.FromServer {
		f.CertFile, f.KeyFile = c.identity(f.To.Tunnel, d.Name)
	}
	c.policy.Flows = append(c.policy.Flows, f.Flow)
	c.policy.flows[f.id] = f.Flow
	c.flowPlace[f.Flow] = places{flow: y.At, identify: d.known(f.FromServer)}
}

// affordable notes units that a device cannot hold: it has at most half of the budget.
func (c *compiler) affordable(f *flowFile) {
	key, most, at := "hold", int64(f.Limits.Hold), f.y.Limits.Hold.At
	if f.Protocol == HL7 {
		key, most, at = "message", int64(f.Limits.Message), f.y.Limits.Message.At
	}
	if !at.Set() {
		at = f.y.At
	}
	if half := c.policy.Box.Budget / 2; most > half {
		c.Notef(at, file.Remark, fmt.Sprintf("raise limits.budget in %s above %s", configName, sizeText(2*most)),
			"limits.%s is %s, and a device may hold half of the budget, %s", key, sizeText(most), sizeText(half))
	}
}

var modes = map[string]Mode{"learn": Learn, "shadow": Shadow, "enforce": Enforce}

// rule names a place as verdicts do: "devices/ct-3.yaml:14:9 flows.archive.allow[1]".
func (f *flowFile) rule(at file.Pos, path string) string {
	return fmt.Sprintf("%s flows.%s%s", at, f.Name, path)
}

// ends finds what the flow leads to, or comes from.
func (c *compiler) ends(f *flowFile) bool {
	y := &f.y
	switch {
	case y.To.Set() && y.From.Set():
		c.Errorf(y.From.At, file.BadValue, "write two flows, one for each direction", "flow %q has both to and from", f.Name)
		return false
	case y.From.Set():
		return c.fromServer(f)
	case !y.To.Set():
		c.Errorf(y.At, file.MissingKey, "write to: and the name of an upstream", "flow %q does not say where it leads", f.Name)
		return false
	}
	if f.To = c.upstream(y.To); f.To == nil {
		return false
	}
	u := c.src.upstreams[f.To.Name]
	f.calling, f.sender, f.receiver = f.Device.AETitles, f.Device.HL7, names(y.Receiver)
	f.identityRule, f.targetRule = c.identityRule(f), f.allowRule
	if f.Protocol == DICOM {
		if f.To.AE == "" {
			c.Errorf(u.At, file.MissingKey, "write ae: and its AE title", "upstream %q has no AE title, and flow %q is DICOM", f.To.Name, f.Name)
			return false
		}
		f.called = []string{f.To.AE}
		if f.To.WasAE != "" {
			f.called = append(f.called, f.To.WasAE)
		}
		f.targetRule = fmt.Sprintf("%s upstreams.%s.ae", u.AE.At, f.To.Name)
	} else if y.Receiver.At.Set() {
		f.targetRule = f.rule(y.Receiver.At, ".receiver")
	}
	return true
}

func names(y file.HL7Name) HL7Name { return HL7Name{y.Application.Strings(), y.Facility.Strings()} }

// identityRule is where the device says what it calls itself.
func (c *compiler) identityRule(f *flowFile) string {
	y := &f.d.y
	switch {
	case f.Protocol == DICOM && y.AE.Titles.Set():
		return fmt.Sprintf("%s ae.titles", y.AE.Titles.At)
	case f.Protocol == HL7 && y.Identify.HL7.At.Set():
		return fmt.Sprintf("%s identify.hl7", y.Identify.HL7.At)
	}
	return fmt.Sprintf("%s identify", y.Identify.At)
}

// fromServer makes the ends of a flow toward the device: Cordon dials the device itself.
func (c *compiler) fromServer(f *flowFile) bool {
	y, d := &f.y, f.d
	f.FromServer = true
	if f.From = c.upstream(y.From); f.From == nil {
		return false
	}
	port := d.AEPort
	if len(d.Prefixes) != 1 || !d.Prefixes[0].IsSingleIP() || port == 0 {
		c.Errorf(y.From.At, file.MissingKey, "give the device one address under identify.ip, and its own port under ae.port",
			"flow %q connects to the device, and nothing says where that listens", f.Name)
		return false
	}
	f.To = &Upstream{
		Name: d.Name, Address: net.JoinHostPort(d.Prefixes[0].Addr().String(), strconv.Itoa(port)), Tunnel: c.tunnels[plain],
	}
	u := c.src.upstreams[f.From.Name]
	f.identityRule = fmt.Sprintf("%s upstreams.%s", u.At, f.From.Name)
	f.targetRule = c.identityRule(f)
	if f.Protocol == DICOM {
		f.called = d.AETitles
		if len(d.AETitles) == 0 {
			c.Errorf(y.From.At, file.MissingKey, "write ae: {titles: [...]} in the device file", "flow %q is called by the device's AE title, and it has none", f.Name)
			return false
		}
		f.To.AE = d.AETitles[0]
		if f.From.AE != "" {
			f.calling = []string{f.From.AE}
		}
		if f.From.WasAE != "" {
			f.calling = append(f.calling, f.From.WasAE)
		}
	} else {
		f.receiver = names(y.Receiver)
		if !y.Receiver.At.Set() {
			f.receiver = d.HL7
		}
	}
	return true
}

func (c *compiler) upstream(t file.Text) *Upstream {
	u := c.policy.Upstreams[t.Value]
	if u == nil && !c.src.brokenSite {
		c.Errorf(t.At, file.UnknownName, file.DidYouMean(t.Value, sortedKeys(c.policy.Upstreams)), "there is no upstream %q in %s", t.Value, c.src.siteFile())
	}
	if u != nil && u.Tunnel == nil {
		return nil // what is wrong with it was said where it is defined
	}
	return u
}

// evidence says how a connection of the flow is known, before its first unit.
func (c *compiler) evidence(f *flowFile) bool {
	y, secure := &f.y, f.Listener.Tunnel.Kind == mtls
	switch {
	case f.FromServer && secure:
		f.peerNames = []string{f.From.ServerName}
		if !containsFold(f.Listener.Peers, f.From.ServerName) {
			c.Errorf(f.place(), file.Unprotected, fmt.Sprintf("add %s to its peers", f.From.ServerName),
				"listener %q does not let upstream %q in: its peers are %s", f.Listener.Name, f.From.Name, strings.Join(f.Listener.Peers, ", "))
			return false
		}
	case f.FromServer:
		host, _, _ := net.SplitHostPort(f.From.Address)
		p, ok := addressOf(host)
		if !ok || f.From.Tunnel.Kind != plain {
			c.Errorf(y.From.At, file.Unprotected, "let it connect to a listener with a tunnel", "listener %q has no tunnel, so nothing proves that who connects is upstream %q", f.Listener.Name, f.From.Name)
			return false
		}
		f.peerPrefixes = append(f.peerPrefixes, p)
	case secure && f.Device.CertName != "":
		f.peerNames = []string{f.Device.CertName}
	case len(f.Device.Prefixes) > 0:
		f.peerPrefixes = f.Device.Prefixes
	case secure:
		return true // identify said what is missing
	case f.Device.CertName != "":
		c.Errorf(f.place(), file.BadValue, "let it be heard on a listener with a tunnel, or give the device an address under identify.ip",
			"device %q is known by its certificate, and listener %q has no tunnel", f.Device.Name, f.Listener.Name)
		return false
	}
	return true
}

// place is where a flow says on which listener it is heard.
func (f *flowFile) place() file.Pos {
	if f.y.Listen.Set() {
		return f.y.Listen.At
	}
	return f.y.At
}

// listener finds where the flow is heard: where it says, else where only one listener fits.
func (c *compiler) listener(f *flowFile) *Listener {
	t := f.y.Listen
	if !t.Set() {
		return c.onlyListener(f)
	}
	if !strings.Contains(t.Value, ":") {
		l := c.listeners[t.Value]
		switch {
		case l == nil:
			c.Errorf(t.At, file.UnknownName, file.DidYouMean(t.Value, sortedKeys(c.listeners)), "there is no listener %q in %s", t.Value, configName)
		case l.Protocol != f.Protocol && l.Protocol != "":
			c.Errorf(t.At, file.BadValue, "name a listener of its protocol", "flow %q is %s and listener %q is %s", f.Name, f.Protocol, l.Name, l.Protocol)
			return nil
		}
		return c.whole(l)
	}
	if _, ok := c.address(t, false); !ok {
		return nil
	}
	l := &Listener{Name: t.Value, Address: t.Value, Protocol: f.Protocol, Tunnel: c.tunnels[plain], Origin: origin(t.At)}
	if f.FromServer {
		l.Tunnel = f.From.Tunnel
		l.Peers = []string{f.From.ServerName}
	}
	if old := c.addressed[normal(l)]; old != nil {
		return c.shared(f, old, l)
	}
	c.places[l] = t.At
	if l.CertFile, l.KeyFile = c.identity(l.Tunnel, c.policy.Box.Name); l.Tunnel.Kind == plain {
		l.Peers = nil
	}
	before := len(c.addressed)
	if c.hear(l, t.At); len(c.addressed) == before {
		return nil
	}
	return l
}

// shared lets a flow be heard on an address where others are heard already.
func (c *compiler) shared(f *flowFile, old, l *Listener) *Listener {
	switch {
	case old.Protocol != f.Protocol:
		c.Errorf(f.y.Listen.At, file.BadValue, "give it another address", "flow %q is %s, and what listens on %s is %s (%s)", f.Name, f.Protocol, l.Address, old.Protocol, c.places[old])
		return nil
	case c.listeners[old.Name] != old && f.FromServer && old.Tunnel == l.Tunnel:
		for _, name := range l.Peers {
			if !containsFold(old.Peers, name) {
				old.Peers = append(old.Peers, name)
			}
		}
	}
	return old
}

func containsFold(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

// onlyListener finds the one listener that a flow can mean without saying so: of its protocol,
// with a tunnel for who comes through one (servers, and devices known by a certificate at a far
// end), without for the devices' own segment.
func (c *compiler) onlyListener(f *flowFile) *Listener {
	if f.FromServer {
		l, hint, why := c.hears(f.From, f.Protocol)
		if why != "" {
			c.Errorf(f.y.At, file.MissingKey, hint+", or write listen:", "nothing says where flow %q is heard: upstream %q comes to it, and %s", f.Name, f.From.Name, why)
		}
		return c.whole(l)
	}
	want, with := plain, "without a tunnel"
	if len(f.Device.Prefixes) == 0 && f.Device.CertName != "" {
		want, with = mtls, "with a tunnel"
	}
	var found []string
	var one *Listener
	for _, name := range sortedKeys(c.listeners) {
		if l := c.listeners[name]; l.Protocol == f.Protocol && l.Tunnel != nil && l.Tunnel.Kind == want {
			found, one = append(found, name), l
		}
	}
	switch {
	case len(found) == 0:
		c.Errorf(f.y.At, file.MissingKey, fmt.Sprintf("add one under listeners in %s, or write listen: and an address", configName),
			"there is no %s listener %s for flow %q", f.Protocol, with, f.Name)
		return nil
	case len(found) > 1:
		c.Errorf(f.y.At, file.MissingKey, "write listen: and one of "+strings.Join(found, ", "),
			"there are %d %s listeners %s, and flow %q does not say which", len(found), f.Protocol, with, f.Name)
		return nil
	}
	return c.whole(one)
}

// whole is a listener, or nil when something is wrong with it, which was said where it is defined.
func (c *compiler) whole(l *Listener) *Listener {
	if l == nil || l.Tunnel == nil || c.addressed[normal(l)] != l {
		return nil
	}
	return l
}

// tolerance is what a flow tolerates.
func (f *flowFile) tolerance() hl7.Tolerance {
	t := f.y.Tolerate
	return hl7.Tolerance{Strays: t.Strays.Value, SegmentEnds: t.SegmentEnds.Value, MaxMessage: f.Limits.Message}
}
