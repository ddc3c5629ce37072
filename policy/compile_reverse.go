package policy

import (
	"fmt"
	"slices"
	"strings"

	"cordon/policy/file"
)

// reverse is what a server brings back to a device because flows of the device ask it to: the
// objects of a C-MOVE to the device itself, and reports of storage commitment. It becomes a flow
// toward the device that no file holds.
type reverse struct {
	flow  string // that it follows from: the first of them by name
	to    file.Text
	at    file.Pos // of the first operation that asks for something
	must  file.Pos // of the first that says what comes back, so that it must be able to
	lists string   // the flow that holds that one
	moves bool
	mode  string   // of the strictest flow that it follows from
	said  file.Pos // where that is said, when the flow itself says it
	allow []*file.Node
}

// application is a server as it shows itself when it connects.
type application struct{ certificate, ae string }

func (u *Upstream) application() application {
	return application{strings.ToLower(u.ServerName), u.AE}
}

// reverse compiles the flows toward the device that follow from its flows to servers: one for each
// server, since nothing but certificate and AE titles tells its connections apart. A flow that is
// written with from: stands for what would follow.
func (c *compiler) reverse(d *deviceFile, base deviceFlows) {
	d.doc.follows = nil
	found := map[application]*reverse{}
	var ways []*reverse
	for _, name := range sortedKeys(d.y.Flows) {
		y := d.y.Flows[name]
		u := c.policy.Upstreams[y.To.Value]
		if u == nil || u.Tunnel == nil || y.From.Set() {
			continue
		}
		r := found[u.application()]
		if r == nil {
			r = &reverse{flow: name, to: y.To}
		}
		if r.follow(name, &y, or(y.Mode, or(d.y.Mode, "shadow"))) && found[u.application()] == nil {
			found[u.application()] = r
			ways = append(ways, r)
		}
	}
	for _, r := range ways {
		if written := c.written(d, c.policy.Upstreams[r.to.Value]); len(written) > 0 {
			c.replaced(d, r, written)
		} else if c.reachable(d, r) {
			c.back(d, r, base)
		}
	}
}

// written names the DICOM flows from that server that the device's files have.
func (c *compiler) written(d *deviceFile, u *Upstream) (flows []string) {
	for _, name := range sortedKeys(d.y.Flows) {
		y := d.y.Flows[name]
		from := c.policy.Upstreams[y.From.Value]
		if from != nil && from.application() == u.application() && y.Protocol.Value != string(HL7) &&
			!slices.ContainsFunc(y.Allow.Verbs, func(v file.Verb) bool { return protocolOf(v.Name) != DICOM }) {
			flows = append(flows, name)
		}
	}
	return flows
}

// replaced notes what would come back if no flow from the server were written, and does not now.
func (c *compiler) replaced(d *deviceFile, r *reverse, written []string) {
	if _, _, why := c.obstacle(d, c.policy.Upstreams[r.to.Value]); why != "" {
		return // nothing would
	}
	var flows []*Flow
	for _, name := range written {
		f := c.policy.flows[d.Name+"/"+name]
		if f == nil {
			return // that it is wrong is said already
		}
		flows = append(flows, f)
	}
	takes := func(class, unit string) bool {
		return slices.ContainsFunc(flows, func(f *Flow) bool { return f.Allows(Wanted{Class: class, Unit: unit}) })
	}
	var gone []string
	add := func(what string) {
		if !slices.Contains(gone, what) {
			gone = append(gone, what)
		}
	}
	for _, n := range r.allow {
		switch stored := n.Get("store"); {
		case n.Value == "commit" && !takes(commitPush, "N-EVENT-REPORT-RQ"), n.Value == "echo" && !takes("1.2.840.10008.1.1", "C-ECHO-RQ"):
			add(n.Value)
		case stored == nil:
		case stored.Kind == file.Word && !slices.ContainsFunc(flows, func(f *Flow) bool { return f.dicom.storage != nil }):
			add("other objects")
		case stored.Kind == file.List:
			for _, name := range stored.Items {
				if uid, known := asUID(name.Value); known && !takes(uid, "C-STORE-RQ") {
					add(name.Value)
				}
			}
		}
	}
	if len(gone) == 0 {
		return
	}
	const most = 4
	if n := len(gone) - most; n > 1 {
		gone = append(gone[:most], fmt.Sprintf("%d more", n))
	}
	c.Notef(d.y.Flows[written[0]].From.At, file.Remark, "add it to allow, unless the device can do without",
		"this flow replaces %s.return; what flow %s asks for no longer comes back: %s", r.flow, r.flow, strings.Join(gone, ", "))
}

// follow adds what a flow of that name and mode asks the server to bring back, and tells whether
// that is anything.
func (r *reverse) follow(name string, y *file.Flow, mode string) bool {
	before := len(r.allow)
	for i := range y.Allow.Verbs {
		v := &y.Allow.Verbs[i]
		switch {
		case v.Name == "commit" && v.Word != file.Reports:
			r.allow = append(r.allow, word("commit", v.At))
		case v.Name == "move" && toSelf(v):
			r.moves = true
			r.allow = append(r.allow, entries(v.At, file.Entry{Key: "store", Value: returned(v)}))
			if v.Returns.Set() && !r.must.Set() {
				r.must, r.lists = v.At, name
			}
		default:
			continue
		}
		if !r.at.Set() {
			r.at = v.At
		}
	}
	if len(r.allow) == before {
		return false
	}
	for _, v := range y.Allow.Verbs {
		if v.Name == "echo" { // a way that may be tried in one direction may be in the other
			r.allow = append(r.allow, word("echo", v.At))
		}
	}
	if r.mode == "" || modes[mode] > modes[r.mode] {
		r.mode, r.said = mode, y.Mode.At
	}
	return true
}

func toSelf(v *file.Verb) bool {
	return slices.ContainsFunc(v.To.Values, func(t file.Text) bool { return t.Value == "self" })
}

// returned is what a C-MOVE returns, as store has it.
func returned(v *file.Verb) *file.Node {
	if !v.Returns.Set() {
		return word("all", v.At)
	}
	list := &file.Node{Kind: file.List, At: v.Returns.At, Key: v.At}
	for _, t := range v.Returns.Values {
		list.Items = append(list.Items, word(t.Value, t.At))
	}
	return list
}

func word(s string, at file.Pos) *file.Node {
	return &file.Node{Kind: file.Word, Value: s, At: at, Key: at}
}

func entries(at file.Pos, e ...file.Entry) *file.Node {
	return &file.Node{Kind: file.Map, At: at, Key: at, Entries: e}
}

// reachable says why a server cannot bring anything back, if so. Where a policy says what comes
// back, it must be able to; else it is a note that it does not.
func (c *compiler) reachable(d *deviceFile, r *reverse) bool {
	u := c.policy.Upstreams[r.to.Value]
	at, hint, why := c.obstacle(d, u)
	switch {
	case why == "":
		return true
	case r.moves && len(d.AETitles) == 0: // allow says so
	case r.must.Set():
		if !at.Set() {
			at = r.must
		}
		c.Errorf(at, file.MissingKey, hint, "the objects of move come back by a connection of upstream %q, and %s", u.Name, why)
	case r.moves:
		c.Notef(r.at, file.Remark, hint, "the objects of move do not come back through this gateway: %s", why)
	default:
		c.unreported = append(c.unreported, unreported{d.Device, r.at, hint, why})
	}
	return false
}

// unreported is a flow with commit whose reports have no way back of their own.
type unreported struct {
	device    *Device
	at        file.Pos
	hint, why string
}

// reports notes where reports of commit do not come by a connection of the server's. They do where
// the server is a device of this gateway, too, whose flow reports to the device's AE title.
func (c *compiler) reports() {
	for _, n := range c.unreported {
		if slices.ContainsFunc(c.policy.Flows, func(f *Flow) bool { return f.reportsTo(n.device) }) {
			continue
		}
		if len(n.device.Prefixes) > 0 {
			n.hint += "; or commit: reports, if it is the server that reports"
		}
		c.Notef(n.at, file.Remark, n.hint, "reports of commit come on the association of their request alone: %s", n.why)
	}
}

func (f *Flow) reportsTo(d *Device) bool {
	cl := f.dicom.class(commitPush)
	return !f.FromServer && cl != nil && cl.scp && slices.Contains(d.AETitles, f.To.AE)
}

// obstacle says what keeps a server from connecting to a device: where in the device's file that
// is to be mended, if there, what would mend it, and what is wrong; nothing for nothing.
func (c *compiler) obstacle(d *deviceFile, u *Upstream) (at file.Pos, hint, why string) {
	own := func(at file.Pos) file.Pos {
		if at.Set() {
			return at
		}
		return d.y.At
	}
	switch {
	case len(d.AETitles) == 0:
		return own(d.y.AE.At), "write ae: {titles: [...], port: 104} in the device file", "the device has no AE title"
	case len(d.Prefixes) == 0 && d.CertName != "":
		return at, "give the server a device file of its own, with a flow to the near end (docs/far-end.md)", "the device is behind another gateway"
	case len(d.Prefixes) != 1 || !d.Prefixes[0].IsSingleIP():
		return own(d.y.Identify.At), "give the device one address under identify.ip", "the device has no single address"
	case d.AEPort == 0:
		return own(d.y.AE.At), "write the device's own port under ae.port", "nothing says on which port the device listens"
	case u.Tunnel.Kind != mtls:
		return at, "give the upstream a tunnel, or write a flow with from:",
			fmt.Sprintf("upstream %q has no tunnel, so nothing would prove that it is who connects", u.Name)
	}
	_, hint, why = c.hears(u, DICOM)
	return at, hint, why
}

// back compiles the flow. What the flow that it follows from says besides, its timers, limits,
// transfer syntaxes and so on, it says too.
func (c *compiler) back(d *deviceFile, r *reverse, base deviceFlows) {
	name := r.flow + ".return"
	if taken, there := d.y.Flows[name]; there {
		c.Errorf(taken.At, file.DuplicateName, "give it another name",
			"flow %q follows from %s of flow %q, and this one has its name", name, r.at, r.flow)
		return
	}
	if !isName(name) {
		c.Errorf(d.y.Flows[r.flow].At, file.BadValue, "give the flow a shorter name", "%q cannot be the name of the flow that follows from it", name)
		return
	}
	from, allow := word(r.to.Value, r.to.At), &file.Node{Kind: file.List, At: r.at, Key: r.at, Items: r.allow}
	n := entries(r.at, file.Entry{Key: "from", Value: from}, file.Entry{Key: "allow", Value: allow})
	if r.said.Set() {
		n.Entries = append(n.Entries, file.Entry{Key: "mode", Value: word(r.mode, r.said)})
	}
	rest := without(d.doc.merged.Get("flows").Get(r.flow), "to", "listen", "allow", "protocol", "receiver", "mode")
	n.Entries = append(n.Entries, rest.Entries...)
	d.doc.follows = append(d.doc.follows, file.Entry{Key: name, Value: n})
	var y file.Flow
	file.Decode(n, &y, c.Problems)
	c.flow(d, name, y, base)
	if f := c.policy.flows[d.Name+"/"+name]; f != nil {
		f.Follows, f.Lists, f.written = r.flow, r.lists, n
	}
}

// hears finds the listener where a server is heard that connects to devices: the one that its
// upstream names, else the only one that has its certificate's name among its peers. Without one
// it says why, and what to write; of a listener that is wrong itself it says nothing.
func (c *compiler) hears(u *Upstream, p Protocol) (l *Listener, hint, why string) {
	if u.Listen != "" {
		if l = c.listeners[u.Listen]; l == nil || l.Protocol == p {
			return l, "", ""
		}
	}
	var found, others []string
	for _, name := range sortedKeys(c.listeners) {
		switch one := c.listeners[name]; {
		case one.Protocol != p || one.Tunnel == nil || one.Tunnel.Kind != mtls:
		case containsFold(one.Peers, u.ServerName):
			found, l = append(found, name), one
		default:
			others = append(others, name)
		}
	}
	switch {
	case len(found) == 1:
		return l, "", ""
	case len(found) > 1:
		return nil, fmt.Sprintf("write listen: and one of them for the upstream in %s", c.src.siteFile()),
			fmt.Sprintf("it may connect to the listeners %s", strings.Join(found, ", "))
	}
	tunnel := u.Tunnel.Name
	if u.Tunnel.Kind == plain {
		tunnel = mtls
	}
	hint = fmt.Sprintf("add one under listeners in %s: from-%s: {address: \":2762\", protocol: %s, tunnel: %s, peers: [%s]}",
		configName, u.Name, p, tunnel, u.ServerName)
	if len(others) > 0 {
		hint = fmt.Sprintf("add %s to the peers of %s in %s", u.ServerName, strings.Join(others, " or "), configName)
	}
	return nil, hint, fmt.Sprintf("no %s listener with a tunnel has %q among its peers", p, u.ServerName)
}
