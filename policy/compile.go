package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/policy/file"
	"cordon/protocols/dicom"
)

// compiler turns sources into a policy. It goes on after each problem, so that all are found.
type compiler struct {
	*file.Problems
	src    *sources
	policy *Policy

	listeners map[string]*Listener // by name
	addressed map[string]*Listener // by normal address
	tunnels   map[string]*Tunnel
	places    map[*Listener]file.Pos
	flowPlace map[*Flow]places
	titles    *titles
	defaults  defaults
	checked   map[string]bool // files looked for

	unreported []unreported
}

func compile(s *sources, p *file.Problems) *Policy {
	c := &compiler{
		Problems: p, src: s,
		policy: &Policy{
			Version: s.version, Upstreams: map[string]*Upstream{},
			devices: map[string]*Device{}, flows: map[string]*Flow{}, origins: s, refs: map[string]file.Pos{},
		},
		listeners: map[string]*Listener{}, addressed: map[string]*Listener{},
		tunnels: map[string]*Tunnel{}, places: map[*Listener]file.Pos{}, flowPlace: map[*Flow]places{},
		checked: map[string]bool{},
	}
	c.box()
	c.allTunnels()
	c.allListeners()
	c.allUpstreams()
	c.titles = newTitles(c.policy.Upstreams)
	s.merge(p)
	for _, d := range s.devices {
		c.device(d)
	}
	c.finish()
	return c.policy
}

// places are where a flow, and what its device is known by, stand.
type places struct{ flow, identify file.Pos }

// defaults are what a flow has when nothing says otherwise.
type defaults struct {
	timers Timers
	limits Limits
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

func (c *compiler) box() {
	y, b := &c.src.cordon, &c.policy.Box
	host, _ := os.Hostname()
	*b = Box{
		Name: or(y.Box.Name, cmp.Or(host, "cordon")), Dir: c.src.dir,
		Control: c.src.controlSocket(),
		Audit:   or(y.Audit.File, "audit/audit.jsonl"),
		HTTP:    y.HTTP.Address.Value,
		Tunnels: c.tunnels,
		Budget:  pick(y.Limits.Budget.Value, 256*mib), Sessions: pick(y.Limits.Connections.Value, 10000),
		Handshakes: pick(y.Limits.Handshakes.Value, 1024),
		Grace:      pick(y.Timers.Grace.Value, 15*time.Second),
	}
	if at := y.Limits.Connections; at.Value != 0 {
		b.SessionsRule = fmt.Sprintf("%s limits.connections", at.At)
	}
	if b.Audit != "-" {
		b.Audit = c.src.path(b.Audit)
	}
	if y.Box.Name.Set() && !isName(y.Box.Name.Value) {
		c.Errorf(y.Box.Name.At, file.BadValue, nameHint, "%q cannot be the name of a box", y.Box.Name.Value)
	}
	if at := y.HTTP.Address; at.Set() {
		if a, ok := c.address(at, false); ok && !loopback(a) {
			c.Errorf(at.At, file.BadValue, "write 127.0.0.1 and a port, and let a proxy on this host do the rest", "health and metrics are for this host only")
		}
	}
	c.checkSize(y.Limits.Budget, mib, 1<<40, "budget")
	l, t := &y.Limits, &y.Timers
	c.defaults = defaults{
		timers: c.timers(Timers{Setup: 30 * time.Second, Idle: 10 * time.Minute, Message: 60 * time.Second, Release: 30 * time.Second, Dial: 5 * time.Second},
			file.Timers{Setup: t.Setup, Idle: t.Idle, Message: t.Message, Release: t.Release, Dial: t.Dial}),
		limits: c.limits(Limits{Hold: mib, Message: 16 * mib, MaxPDU: 256 * kib, Sessions: 64, DataSet: dicom.ScanLimits{}.OrDefault()},
			file.Limits{Hold: l.Hold, Message: l.Message, MaxPDU: l.MaxPDU, Sessions: l.Sessions, DataSet: l.DataSet}),
	}
}

// pick is v unless that is zero.
func pick[T cmp.Ordered](v, otherwise T) T { return cmp.Or(v, otherwise) }

func (c *compiler) timers(base Timers, y file.Timers) Timers {
	return Timers{
		Setup: pick(y.Setup.Value, base.Setup), Idle: pick(y.Idle.Value, base.Idle), Message: pick(y.Message.Value, base.Message),
		Release: pick(y.Release.Value, base.Release), Dial: pick(y.Dial.Value, base.Dial),
	}
}

func (c *compiler) limits(base Limits, y file.Limits) Limits {
	c.checkSize(y.Hold, 4*kib, 1<<30, "hold")
	c.checkSize(y.Message, kib, 1<<30, "message")
	c.checkSize(y.MaxPDU, 4*kib, 128*mib, "max_pdu")
	if y.Sessions.Set() && y.Sessions.Value == 0 {
		c.Errorf(y.Sessions.At, file.BadValue, "write at least 1; state: quarantined keeps a device from talking", "0 connections are no flow")
	}
	if y.Outstanding.Value > mostOutstanding {
		c.Errorf(y.Outstanding.At, file.BadValue, fmt.Sprintf("write at most %d", mostOutstanding), "%d outstanding operations are more than an association is kept with", y.Outstanding.Value)
	}
	rule := base.SessionsRule
	if y.Sessions.Set() {
		rule = fmt.Sprintf("%s limits.sessions", y.Sessions.At)
	}
	return Limits{
		SessionsRule: rule,
		Hold:         pick(int(y.Hold.Value), base.Hold), Message: pick(int(y.Message.Value), base.Message),
		MaxPDU: pick(int(y.MaxPDU.Value), base.MaxPDU), Sessions: pick(y.Sessions.Value, base.Sessions),
		DataSet: c.dataSet(base.DataSet, y.DataSet),
	}
}

func (c *compiler) dataSet(base dicom.ScanLimits, y file.DataSetLimits) dicom.ScanLimits {
	c.checkCount(y.Depth, dicom.MaxDepth, "data_set.depth")
	c.checkCount(y.Elements, 1<<24, "data_set.elements")
	c.checkSize(y.Value, kib, 2<<30, "data_set.value")
	c.checkSize(y.Text, kib, 2<<30, "data_set.text")
	c.checkSize(y.Inflated, kib, 1<<30, "data_set.inflated")
	return dicom.ScanLimits{
		Depth: pick(y.Depth.Value, base.Depth), Elements: pick(y.Elements.Value, base.Elements),
		Length: pick(uint32(y.Value.Value), base.Length), Text: pick(uint32(y.Text.Value), base.Text),
		Inflated: pick(int(y.Inflated.Value), base.Inflated),
	}
}

func (c *compiler) checkCount(n file.Int, most int, key string) {
	if n.Set() && (n.Value < 1 || n.Value > most) {
		c.Errorf(n.At, file.BadValue, fmt.Sprintf("write something from 1 to %d", most), "%s of %d", key, n.Value)
	}
}

// mostOutstanding is how many unanswered requests a DICOM conversation keeps account of; a side
// that leaves more loses its association, whatever the policy says.
const mostOutstanding = 1024

func (c *compiler) checkSize(s file.Size, low, high int64, key string) {
	if s.Set() && (s.Value < low || s.Value > high) {
		c.Errorf(s.At, file.BadValue, fmt.Sprintf("write something from %s to %s", sizeText(low), sizeText(high)), "%s of %s", key, sizeText(s.Value))
	}
}

func sizeText(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", mib}, {"KiB", kib}} {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// address checks host:port. The host may be empty, or a name, where that makes sense.
func (c *compiler) address(t file.Text, upstream bool) (host string, ok bool) {
	hint := "write an address of this host and a port, such as 10.20.3.1:104, or :104 for all its addresses"
	if upstream {
		hint = "write host:port, such as pacs.example:2762"
	}
	host, port, err := net.SplitHostPort(t.Value)
	n, perr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		c.Errorf(t.At, file.BadValue, hint, "%q is not host:port", t.Value)
	case perr != nil || upstream && n == 0:
		c.Errorf(t.At, file.BadValue, hint, "%q is not a port", port)
	case upstream && !hostName(host):
		c.Errorf(t.At, file.BadValue, hint, "%q is not a host", host)
	case !upstream && host != "" && host != "localhost" && !isIP(host):
		c.Errorf(t.At, file.BadValue, hint, "%q is not an address of this host", host)
	default:
		return host, true
	}
	return "", false
}

func isIP(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

// hostName tells whether s is an IP address or could be a DNS name.
func hostName(s string) bool {
	if isIP(s) {
		return true
	}
	for _, label := range strings.Split(strings.TrimSuffix(s, "."), ".") {
		if !isName(label) || strings.HasSuffix(label, "-") || strings.Contains(label, "_.") {
			return false
		}
	}
	return len(s) <= 253 && !allDigits(s[strings.LastIndexByte(s, '.')+1:])
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// finish sorts what was compiled, looks for what cannot be told apart, and builds the indexes.
func (c *compiler) finish() {
	p := c.policy
	slices.SortFunc(p.Devices, func(a, b *Device) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Flows, func(a, b *Flow) int {
		return cmp.Or(cmp.Compare(a.Device.Name, b.Device.Name), cmp.Compare(a.Name, b.Name))
	})
	for _, d := range p.Devices {
		if d.State == Retired {
			p.retired = append(p.retired, d)
		}
	}
	for _, f := range p.Flows {
		f.titles = c.titles
		if f.Device.State != Retired {
			f.Listener.Flows = append(f.Listener.Flows, f)
		}
	}
	c.reports()
	for _, l := range c.addressed {
		p.Listeners = append(p.Listeners, l)
	}
	slices.SortFunc(p.Listeners, func(a, b *Listener) int { return cmp.Compare(a.Name, b.Name) })
	for _, l := range p.Listeners {
		l.index.build(l.Flows)
		c.tellApart(l)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
