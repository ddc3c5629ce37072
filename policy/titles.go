package policy

import (
	"slices"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// titles holds what the renamed servers of a site are called: devices go on using the title that a
// server had, servers use what they have now. What could mean two servers means "".
type titles struct {
	now map[string]string // by the title that a server had
	was map[string]string // by the title that it has now
}

// newTitles makes the table of a site. A title that a server has now means that server, also
// where another had it before.
func newTitles(upstreams map[string]*Upstream) *titles {
	t := &titles{now: map[string]string{}, was: map[string]string{}}
	for _, u := range upstreams {
		if u.renamed() {
			only(t.now, u.WasAE, u.AE)
			only(t.was, u.AE, u.WasAE)
		}
	}
	for _, u := range upstreams {
		if t.now[u.AE] != "" {
			t.now[u.AE] = ""
		}
	}
	for has, had := range t.was {
		if t.now[had] == "" {
			t.was[has] = ""
		}
	}
	return t
}

// only sets m[key], to "" when it has another value.
func only(m map[string]string, key, value string) {
	if other, twice := m[key]; twice && other != value {
		value = ""
	}
	m[key] = value
}

// renamed tells whether devices may call the server by another title than it has.
func (u *Upstream) renamed() bool { return u.AE != "" && u.WasAE != "" && u.AE != u.WasAE }

// both returns a title with the other one that the same server has or had, if there is one.
func (t *titles) both(title string) []string {
	all := []string{title}
	for _, other := range []string{t.now[title], t.was[title]} {
		if other != "" {
			all = append(all, other)
		}
	}
	return all
}

// server is the upstream at the other end of the flow than the device.
func (f *Flow) server() *Upstream {
	if f.FromServer {
		return f.From
	}
	return f.To
}

// knows tells whether the device was set to a title that a server has now.
func (f *Flow) knows(title []byte) bool {
	return slices.ContainsFunc(f.Device.Knows, func(t string) bool { return t == string(title) })
}

// toServer returns the title of a server that a device means by a title it had; "" where that is
// none, or the same. The server of the flow comes before all others.
func (f *Flow) toServer(title []byte) string {
	if u := f.server(); u.renamed() && string(title) == u.WasAE {
		return u.AE
	}
	return f.titles.now[string(title)]
}

// toDevice returns the title that the device knows a server by; "" where that is the same.
func (f *Flow) toDevice(title []byte) string {
	if f.knows(title) {
		return ""
	}
	if u := f.server(); u.renamed() && string(title) == u.AE {
		return u.WasAE
	}
	return f.titles.was[string(title)]
}

// Renames tells whether there is a renamed server at the site.
func (s *Session) Renames() bool {
	f := s.Flow()
	return f != nil && len(f.titles.now)+len(f.titles.was) > 0
}

// Title returns the AE title that the other side knows an application entity by. A device that
// called the server by its new title knows that one.
func (s *Session) Title(from protocols.Side, title []byte) string {
	f := s.last[from]
	if f == nil {
		f = s.Flow()
	}
	switch {
	case f == nil:
		return ""
	case (from == protocols.Far) == f.FromServer:
		return f.toServer(title)
	case s.current && string(title) == f.server().AE:
		return ""
	}
	return f.toDevice(title)
}

// rename has the server called by the title it has now where the device uses the one it had, and
// the device told that one where the server calls. It happens in every mode: without it the other
// end would refuse what was always sent.
func (s *Session) rename(a *dicom.Association, v *protocols.Verdict) {
	f := s.flow
	u, title, rule := f.server(), a.CalledAE, f.targetRule
	if f.FromServer {
		title, rule = a.CallingAE, f.identityRule
	}
	var with string
	switch {
	case !u.renamed():
		return
	case f.FromServer && string(title) == u.AE && !f.knows(title):
		with = u.WasAE
		a.CallingAs = with
	case !f.FromServer && string(title) == u.WasAE:
		with = u.AE
		a.CallAs = with
	default:
		s.current = !f.FromServer && string(title) == u.AE
		return
	}
	v.Action = protocols.Rewrite
	if v.Would == protocols.Allow {
		v.Found.Set("")
		v.Found.AppendBytes(title)
		v.Found.Append(" as " + with)
		v.Would, v.Reason, v.Rule = protocols.Rewrite, reason.PolicyRewrite, rule
	}
}
