package policy

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"cordon/policy/file"
)

const (
	plain = "plain"
	mtls  = "mtls"
)

// later are kinds of tunnels that are planned.
var later = map[string]bool{"wireguard": true, "ipsec": true}

func (c *compiler) allTunnels() {
	c.tunnels[plain] = &Tunnel{Name: plain, Kind: plain}
	for _, name := range sortedKeys(c.src.cordon.Tunnels) {
		y := c.src.cordon.Tunnels[name]
		kind, variant, named := strings.Cut(name, "/")
		switch {
		case kind == plain:
			c.Errorf(y.At, file.BadValue, "take it out; where a tunnel is named, plain is always there", "plain needs no definition")
		case later[kind]:
			c.Errorf(y.At, file.NotAvailable, "use mtls", "%s tunnels are not available in this version", kind)
		case kind != mtls:
			c.Errorf(y.At, file.UnknownName, "name it mtls, or mtls/ and a name of your own", "unknown kind of tunnel %q", kind)
		case named && !isName(variant):
			c.Errorf(y.At, file.BadValue, nameHint, "%q cannot be the name of a tunnel", variant)
		default:
			c.tunnels[name] = c.mtls(name, y)
		}
	}
}

func (c *compiler) mtls(name string, y file.Tunnel) *Tunnel {
	t := &Tunnel{Name: name, Kind: mtls, MinVersion: or(y.MinVersion, "1.3")}
	for _, r := range y.CA.Values {
		t.CAFiles = append(t.CAFiles, c.src.path(r.Path))
		c.there(r, r.Path, "a certificate of the authority")
	}
	if y.Certificate.Set() {
		t.CertFile = c.src.path(y.Certificate.Path)
	}
	if y.Key.Set() {
		t.KeyFile = c.src.path(y.Key.Path)
	}
	return t
}

// there reports a file that a reference points to and that is not there.
func (c *compiler) there(r file.Ref, path, what string) {
	if !r.Set() || c.checked[path] {
		return
	}
	c.checked[path] = true
	c.policy.refs[c.src.path(path)] = r.At
	if err := c.src.disk.stat(c.src.path(path)); err != nil {
		c.Errorf(r.At, file.MissingFile, "make it, or correct the path; relative paths start at "+configName, "%s: file %s: %s", what, filepath.ToSlash(path), reasonOf(err))
	}
}

// identity returns the files of what a tunnel shows for name, after looking for them.
func (c *compiler) identity(t *Tunnel, name string) (cert, key string) {
	if t.Kind != mtls {
		return "", ""
	}
	y := c.src.cordon.Tunnels[t.Name]
	fill := strings.NewReplacer("{device}", name)
	if y.Certificate.Set() {
		c.there(y.Certificate, fill.Replace(y.Certificate.Path), "the certificate of "+name)
	}
	if y.Key.Set() {
		c.there(y.Key, fill.Replace(y.Key.Path), "the key of "+name)
	}
	return fill.Replace(t.CertFile), fill.Replace(t.KeyFile)
}

// tunnel finds a tunnel by the name that a file gives it.
func (c *compiler) tunnel(name file.Text) *Tunnel {
	if t := c.tunnels[name.Value]; t != nil || !name.Set() {
		return t
	}
	kind, _, _ := strings.Cut(name.Value, "/")
	if _, tried := c.src.cordon.Tunnels[name.Value]; tried {
		return nil // what is wrong with it was said where it is defined
	}
	switch {
	case later[kind]:
		c.Errorf(name.At, file.NotAvailable, "use mtls", "%s tunnels are not available in this version", kind)
	case name.Value == mtls:
		c.Errorf(name.At, file.UnknownName, "define mtls under tunnels in "+configName, "there is no tunnel \"mtls\"")
	default:
		c.Errorf(name.At, file.UnknownName, file.DidYouMean(name.Value, sortedKeys(c.tunnels)), "there is no tunnel %q", name.Value)
	}
	return nil
}

func (c *compiler) allListeners() {
	for _, name := range sortedKeys(c.src.cordon.Listeners) {
		y := c.src.cordon.Listeners[name]
		if !isName(name) {
			c.Errorf(y.At, file.BadValue, nameHint, "%q cannot be the name of a listener", name)
			continue
		}
		l := &Listener{Name: name, Address: y.Address.Value, Protocol: Protocol(y.Protocol.Value), Peers: y.Peers.Strings(), Origin: origin(y.At)}
		c.listeners[name] = l // also when it is wrong, so that flows find it
		c.places[l] = y.At
		l.Tunnel = c.tunnels[plain]
		if y.Tunnel.Set() {
			l.Tunnel = c.tunnel(y.Tunnel)
		}
		if l.Tunnel != nil {
			c.checkPeers(l, y)
			l.CertFile, l.KeyFile = c.identity(l.Tunnel, c.policy.Box.Name)
		}
		if y.Address.Set() {
			if _, ok := c.address(y.Address, false); ok {
				c.hear(l, y.Address.At)
			}
		}
	}
}

func (c *compiler) checkPeers(l *Listener, y file.Listener) {
	switch {
	case l.Tunnel.Kind == plain && y.Peers.Set():
		c.Errorf(y.Peers.At, file.BadValue, "name a tunnel, or take peers out", "peers are known by their certificates, and %q has no tunnel", l.Name)
	case l.Tunnel.Kind == mtls && !y.Peers.Set():
		c.Errorf(y.At, file.MissingKey, "write peers: [name, name] with the names in the certificates of those who may connect",
			"listener %q does not say who may connect", l.Name)
	}
}

// hear notes that a listener listens on its address, unless another does. Port 0 is for tests:
// each time it is another port.
func (c *compiler) hear(l *Listener, at file.Pos) {
	for _, other := range c.addressed {
		if sameSocket(other.Address, l.Address) {
			c.Errorf(at, file.DuplicateName, "give one of them another port", "listeners %q and %q are both on %s (the first at %s)", other.Name, l.Name, l.Address, c.places[other])
			return
		}
	}
	if http := c.policy.Box.HTTP; http != "" && sameSocket(http, l.Address) {
		c.Errorf(at, file.DuplicateName, "give one of them another port", "listener %q is on %s, where http is", l.Name, l.Address)
	}
	c.addressed[normal(l)] = l
}

// normal is the key of a listener by its address.
func normal(l *Listener) string {
	host, port, _ := net.SplitHostPort(l.Address)
	if port == "0" {
		return l.Name
	}
	return net.JoinHostPort(host, port)
}

// sameSocket tells whether two addresses cannot be listened on together.
func sameSocket(a, b string) bool {
	ha, pa, _ := net.SplitHostPort(a)
	hb, pb, _ := net.SplitHostPort(b)
	every := func(h string) bool { return h == "" || h == "0.0.0.0" || h == "::" }
	return pa == pb && pa != "0" && (every(ha) || every(hb) || localhost(ha) == localhost(hb))
}

// localhost is the address that "localhost" means.
func localhost(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	return host
}

func (c *compiler) allUpstreams() {
	for _, name := range sortedKeys(c.src.upstreams) {
		y := c.src.upstreams[name]
		u := &Upstream{
			Name: name, AE: y.AE.Value, WasAE: y.Was.AE.Value, WasAddress: y.Was.Address.Value, Address: y.Address.Value,
			Listen: y.Listen.Value, ServerName: y.ServerName.Value, Reason: y.Reason.Value, Owner: y.Owner.Value, Until: y.Until.Value,
		}
		c.policy.Upstreams[name] = u
		if !isName(name) {
			c.Errorf(y.At, file.BadValue, nameHint, "%q cannot be the name of an upstream", name)
		}
		c.aeTitle(y.AE)
		c.aeTitle(y.Was.AE)
		if y.Was.Address.Set() {
			c.address(y.Was.Address, true)
		}
		u.Tunnel = c.tunnel(y.Tunnel)
		if !y.Address.Set() {
			continue
		}
		host, ok := c.address(y.Address, true)
		if u.ServerName == "" {
			u.ServerName = host
		}
		if ok && u.Tunnel != nil {
			c.checkTunnel(u, y, host)
		}
		if y.Listen.Set() {
			c.checkListen(u, y.Listen)
		}
	}
}

// checkListen checks the listener where an upstream is heard.
func (c *compiler) checkListen(u *Upstream, name file.Text) {
	switch l := c.listeners[name.Value]; {
	case l == nil:
		c.Errorf(name.At, file.UnknownName, file.DidYouMean(name.Value, sortedKeys(c.listeners)), "there is no listener %q in %s", name.Value, configName)
	case l.Tunnel == nil: // what is wrong with it was said where it is defined
	case l.Tunnel.Kind != mtls:
		c.Errorf(name.At, file.Unprotected, "name a listener with a tunnel", "listener %q has no tunnel, so nothing proves that who connects is upstream %q", l.Name, u.Name)
	case !containsFold(l.Peers, u.ServerName):
		c.Errorf(name.At, file.Unprotected, fmt.Sprintf("add %s to its peers in %s", u.ServerName, configName), "listener %q does not let upstream %q in", l.Name, u.Name)
	}
}

// checkTunnel holds an upstream against what plaintext toward a server needs (invariant 7).
func (c *compiler) checkTunnel(u *Upstream, y file.Upstream, host string) {
	if u.Tunnel.Kind != plain {
		if y.ServerName.Set() && !hostName(u.ServerName) {
			c.Errorf(y.ServerName.At, file.BadValue, "write the DNS name or address in the server's certificate", "%q cannot be the name of a server", u.ServerName)
		}
		return
	}
	if y.ServerName.Set() {
		c.Errorf(y.ServerName.At, file.BadValue, "take server_name out, or name a tunnel", "a server that is reached plain shows no certificate")
	}
	if loopback(host) {
		return
	}
	var missing []string
	for _, k := range []struct {
		key string
		set bool
	}{{"reason", y.Reason.Set()}, {"owner", y.Owner.Set()}, {"until", y.Until.Set()}} {
		if !k.set {
			missing = append(missing, k.key)
		}
	}
	switch {
	case len(missing) > 0:
		c.Errorf(y.Tunnel.At, file.Unprotected, "name a tunnel such as mtls, or write reason, owner and until: why, who answers for it, and for how long",
			"upstream %q is reached in plaintext without %s", u.Name, strings.Join(missing, ", "))
	case u.Until.IsZero(): // reading it said why
	case !u.Until.After(c.src.now):
		c.Errorf(y.Until.At, file.Unprotected, "give the upstream a tunnel, or decide anew until when it may be reached without",
			"the exception for plaintext to upstream %q has ended", u.Name)
	default:
		c.Notef(y.Tunnel.At, file.Unprotected, "", "upstream %q is reached in plaintext until %s", u.Name, u.Until.Add(-time.Second).Format(time.DateOnly))
	}
}

// aeTitle checks an AE title (PS3.5 §6.2, VR AE).
func (c *compiler) aeTitle(t file.Text) bool {
	if !t.Set() {
		return false
	}
	if err := validAE(t.Value); err != nil {
		c.Errorf(t.At, file.BadValue, "an AE title has 1 to 16 printable characters, no backslash, no space around it", "%q is not an AE title: %v", t.Value, err)
		return false
	}
	return true
}

func validAE(s string) error {
	if len(s) > 16 {
		return fmt.Errorf("it has %d characters", len(s))
	}
	if strings.Trim(s, " ") != s {
		return errors.New("it has a space around it")
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e || s[i] == '\\' {
			return fmt.Errorf("character %d is not allowed", i+1)
		}
	}
	return nil
}

// origin is "file:line".
func origin(at file.Pos) string {
	if at.File == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", at.File.Name, at.Line)
}
