package policy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"cordon/policy/file"
	"cordon/policy/quirks"
)

// deviceFile is a device on its way from its file to the policy.
type deviceFile struct {
	*Device
	y   file.Device
	doc *document
}

func (c *compiler) device(doc *document) {
	d := &deviceFile{doc: doc}
	file.Decode(doc.merged, &d.y, c.Problems)
	y := &d.y
	d.Device = &Device{
		Name: doc.name.Value, Tier: doc.tier, About: map[string]string{},
		MAC: strings.ToLower(y.Identify.MAC.Value), CertName: strings.ToLower(y.Identify.Certificate.Value),
		AETitles: y.AE.Titles.Strings(), AEPort: y.AE.Port.Value, Knows: y.AE.Knows.Strings(),
		Quirks: quirks.Of(y.Fingerprint.Strings()),
		State:  or(y.State, Active), Origin: origin(doc.name.At), Vanished: doc.kept,
		HL7: HL7Name{y.Identify.HL7.Application.Strings(), y.Identify.HL7.Facility.Strings()},
	}
	for k, v := range y.About {
		d.About[k] = v.Value
	}
	c.policy.Devices = append(c.policy.Devices, d.Device)
	c.policy.devices[d.Name] = d.Device
	c.identify(d)
	c.notActedOn(d)
	if y.Identity.Certificate.Set() && y.Identity.Key.Set() {
		d.CertFile, d.KeyFile = c.src.path(y.Identity.Certificate.Path), c.src.path(y.Identity.Key.Path)
	}
	if d.State == Retired {
		// Its flows are kept, so that sessions under way learn why they end. What they name may
		// be gone long since.
		quiet := *c
		quiet.Problems, quiet.checked = new(file.Problems), map[string]bool{}
		quiet.flows(d)
		return
	}
	c.there(y.Identity.Certificate, y.Identity.Certificate.Path, "the certificate of "+d.Name)
	c.there(y.Identity.Key, y.Identity.Key.Path, "the key of "+d.Name)
	c.flows(d)
}

func (c *compiler) flows(d *deviceFile) {
	d.Usage = deviceUsage(&d.y.Limits)
	before := len(c.policy.Flows)
	base := deviceFlows{
		timers: c.timers(c.defaults.timers, d.y.Timers),
		limits: c.limits(c.defaults.limits, d.y.Limits),
	}
	for _, name := range sortedKeys(d.y.Flows) {
		y := d.y.Flows[name]
		if !isName(name) {
			c.Errorf(y.At, file.BadValue, nameHint, "%q cannot be the name of a flow", name)
			continue
		}
		c.flow(d, name, y, base)
	}
	c.reverse(d, base)
	c.callsItself(d, c.policy.Flows[before:])
}

// callsItself notes a device that may call itself anything where it connects by DICOM.
func (c *compiler) callsItself(d *deviceFile, flows []*Flow) {
	if len(d.AETitles) > 0 || !slices.ContainsFunc(flows, func(f *Flow) bool { return f.Protocol == DICOM && !f.FromServer }) {
		return
	}
	at, hint := d.doc.name.At, "add the line ae: {titles: [TITLE]}, with the title that the device calls itself"
	if d.y.AE.At.Set() {
		at, hint = d.y.AE.At, "add titles: [TITLE] to ae, with the title that the device calls itself"
	}
	c.Notef(at, file.Remark, hint, "device %q may call itself by any AE title: it has no ae.titles", d.Name)
}

// known is where the device says what it is known by: when it connects itself, or when a server
// calls it.
func (d *deviceFile) known(called bool) file.Pos {
	places := []file.Pos{d.y.Identify.IP.At, d.y.Identify.Certificate.At, d.y.Identify.At}
	if called {
		places = slices.Insert(places, 0, d.y.AE.Titles.At, d.y.Identify.HL7.At)
	}
	for _, at := range places {
		if at.Set() {
			return at
		}
	}
	return d.y.At
}

// deviceFlows are the defaults of a device's flows.
type deviceFlows struct {
	timers Timers
	limits Limits
}

func (c *compiler) identify(d *deviceFile) {
	for _, t := range d.y.Identify.IP.Values {
		if p, ok := c.prefix(t); ok {
			d.Prefixes = append(d.Prefixes, p)
		}
	}
	for _, t := range slices.Concat(d.y.AE.Titles.Values, d.y.AE.Knows.Values) {
		c.aeTitle(t)
	}
	if p := d.y.AE.Port; p.Set() && (p.Value == 0 || p.Value > 65535) {
		c.Errorf(p.At, file.BadValue, "write a number from 1 to 65535", "%d is not a port", p.Value)
	}
	if m := d.y.Identify.MAC; m.Set() {
		if hw, err := net.ParseMAC(m.Value); err != nil || len(hw) != 6 {
			c.Errorf(m.At, file.BadValue, `write six bytes, such as "00:1b:21:aa:bb:cc"`, "%q is not a hardware address", m.Value)
		}
	}
	if n := d.y.Identify.Certificate; n.Set() && strings.ContainsAny(n.Value, " \t*/") {
		c.Errorf(n.At, file.BadValue, "write the name as the certificate has it, without wildcards", "%q cannot be the name in a certificate", n.Value)
	}
	if len(d.y.Flows) > 0 && !d.y.Identify.IP.Set() && !d.y.Identify.Certificate.Set() && d.State != Retired {
		at := d.y.At
		if d.y.Identify.At.Set() {
			at = d.y.Identify.At
		}
		c.Errorf(at, file.MissingKey, "write identify: {ip: 10.20.3.15}; at a far end, identify: {certificate: name}", "nothing says how device %q is known", d.Name)
	}
}

// prefix reads an address or a prefix.
func (c *compiler) prefix(t file.Text) (netip.Prefix, bool) {
	const hint = "write an address (10.20.3.15) or a prefix (10.20.3.0/28)"
	if a, err := netip.ParseAddr(t.Value); err == nil && a.Zone() == "" {
		a = a.Unmap()
		if a.IsUnspecified() {
			c.Errorf(t.At, file.BadValue, hint, "%s is no device's address", t.Value)
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(t.Value)
	if err != nil {
		c.Errorf(t.At, file.BadValue, hint, "%q is not an address or a prefix", t.Value)
		return p, false
	}
	if m := p.Masked(); m != p {
		c.Errorf(t.At, file.BadValue, fmt.Sprintf("write %s, or the address alone", m), "%s has bits beyond its length", t.Value)
		return p, false
	}
	if p.Addr().Is4In6() {
		c.Errorf(t.At, file.BadValue, "write it as an IPv4 prefix", "%s is an IPv4 prefix written as IPv6", t.Value)
		return p, false
	}
	return p, true
}

// notActedOn says, of each key that is known to the design and has no effect yet, that it has
// none. What a policy says must never be silently ignored.
func (c *compiler) notActedOn(d *deviceFile) {
	y := &d.y
	for _, k := range []struct {
		at        file.Pos
		key, does string
	}{
		{y.Patches.At, "patches", "no virtual patch is applied"},
		{y.OnDrift.At, "on_drift", "changes of software are not noticed"},
		{y.WhenDown.At, "when_down", "nothing passes while Cordon is down"},
		{y.Identify.MAC.At, "identify.mac", "devices are known by address or certificate"},
	} {
		if k.at.Set() && !(k.key == "patches" && y.Patches.Word == "none") {
			c.Notef(k.at, file.NotActedOn, "", "this version does not act on %s: %s", k.key, k.does)
		}
	}
	if at := y.Fingerprint.At; at.Set() {
		c.Notef(at, file.Remark, "", "fingerprint selects known quirks; what the device says of its software is not compared with it")
	}
	for i := range y.Network {
		c.pinhole(&y.Network[i])
	}
}

func (c *compiler) pinhole(n *file.NetworkPinhole) {
	if n.From.Set() == n.To.Set() {
		c.Errorf(n.At, file.MissingKey, "write from: or to: with an address", "an allowance has either from or to")
	}
	for _, t := range []file.Text{n.From, n.To} {
		if t.Set() {
			c.prefix(t)
		}
	}
	if n.Port.Set() {
		transport, port, _ := strings.Cut(n.Port.Value, "/")
		if number, err := net.LookupPort(transport, port); transport != "tcp" && transport != "udp" || err != nil || number == 0 || !allDigits(port) {
			c.Errorf(n.Port.At, file.BadValue, "write tcp/3389 or udp/123", "%q is not a transport and a port", n.Port.Value)
		}
	}
	if !n.Until.Value.IsZero() && !n.Until.Value.After(c.src.now) {
		c.Notef(n.Until.At, file.Remark, "take it out", "this allowance has ended")
		return
	}
	c.Notef(n.At, file.NotActedOn, "", "this version does not act on network: the allowance stands in reports and opens nothing")
}
