package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cordon/policy"
	"cordon/policy/file"
	"cordon/tunnels/identity"
	"cordon/tunnels/mtls"
)

// Soon is how long before its end a certificate is noted.
const Soon = 30 * 24 * time.Hour

// CheckTunnels makes the tunnels of a policy and gives them up again. It says what is wrong with their
// certificates and keys, each at the place that names the file: files that do not hold any, a key that
// is another's, a time that is over; and notes what ends soon, and what the caller may not read.
func CheckTunnels(p *policy.Policy) policy.Diagnostics {
	t := newTunnelSet(slog.New(slog.DiscardHandler))
	defer t.close()
	c := checker{policy: p, now: time.Now()}
	for _, l := range p.Listeners {
		c.check(t, wantOfListener(l), "listener "+l.Name, "")
	}
	for _, f := range p.Flows {
		if f.Device.State != policy.Retired {
			of := f.Device.Name
			if f.CertFile == f.To.Tunnel.CertFile {
				of = "" // all devices show it
			}
			c.check(t, wantOfFlow(f), "flow "+f.ID(), of)
		}
	}
	return p.Locate(c.found)
}

// checker collects what is found in the files of tunnels.
type checker struct {
	policy *policy.Policy
	now    time.Time
	found  []policy.FileProblem
}

func (c *checker) add(severity file.Severity, path, hint, format string, args ...any) {
	c.found = append(c.found, policy.FileProblem{Path: path, Severity: severity, Code: file.Certificate, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// check looks at the files of one tunnel, which a listener or a flow asks for; device is the one whose
// certificate it is, "" where it is that of many.
func (c *checker) check(t *tunnelSet, w want, where, device string) {
	made, err := t.get(w)
	if err != nil {
		c.unusable(w, where, err)
		return
	}
	m, ok := made.(*mtls.Tunnel)
	if !ok {
		return
	}
	id, path := m.Identity(), w.config.CertFile
	switch {
	case c.now.After(id.NotAfter):
		c.add(file.Error, path, "renew it; a running gateway takes the new one without a restart", "the certificate in %s ended on %s", path, id.NotAfter.Format(time.DateTime))
	case c.now.Before(id.NotBefore):
		c.add(file.Error, path, "wait for it, or correct the clock of this host", "the certificate in %s is not valid before %s", path, id.NotBefore.Format(time.DateTime))
	case c.now.After(id.NotAfter.Add(-Soon)):
		c.add(file.Note, path, "renew it; a running gateway takes the new one without a restart", "the certificate in %s ends on %s", path, id.NotAfter.Format(time.DateTime))
	}
	if other := c.other(id.Names, device); other != "" {
		c.add(file.Note, path, "show the certificate of "+device+", if that is a slip", "the certificate in %s, which is shown for %s, has the name of device %s", path, device, other)
	}
	for _, ca := range id.CAs {
		ends := ca.NotAfter.Format(time.DateTime)
		switch in := strings.Join(w.config.CAFiles, ", "); {
		case c.now.After(ca.NotAfter):
			c.add(file.Note, w.config.CAFiles[0], "add the authority that came after it, and take it out", "authority %s in %s ended on %s", ca.Subject, in, ends)
		case c.now.After(ca.NotAfter.Add(-Soon)):
			c.add(file.Note, w.config.CAFiles[0], "add the authority that comes after it", "authority %s in %s ends on %s", ca.Subject, in, ends)
		}
	}
}

// unusable says why a tunnel could not be made.
func (c *checker) unusable(w want, where string, err error) {
	path, hint := "", ""
	if bad := (*identity.FileError)(nil); errors.As(err, &bad) {
		path = bad.Path
	}
	switch {
	case errors.Is(err, fs.ErrPermission): // who keeps the policies need not have the keys
		c.found = append(c.found, policy.FileProblem{Path: path, Severity: file.Note, Code: file.Unread, Message: fmt.Sprintf("%v: not yours to read, so nothing is known of it", err)})
		return
	case slices.Contains(w.config.CAFiles, path):
		hint = "put the certificates of the authorities there, in PEM form"
	case path == w.config.CertFile:
		hint = "put the certificate there in PEM form, then its intermediates; the key file must hold the key that it was made with"
	case path == w.config.KeyFile:
		hint = "put the private key of the certificate there, in PEM form"
	}
	if path == "" {
		err = fmt.Errorf("%s: %w", where, err)
	}
	c.add(file.Error, path, hint, "%v", err)
}

// other is the device whose name a certificate carries that is shown for another one; "" where the
// device's own name is among the names, or none of them is a device's.
func (c *checker) other(names []string, device string) (other string) {
	if device == "" {
		return ""
	}
	for _, n := range names {
		if strings.EqualFold(n, device) {
			return ""
		}
		if other == "" && c.policy.Device(n) != nil {
			other = n
		}
	}
	return other
}

// certificates collects when the certificates in use end.
type certificates struct {
	g    *Gateway
	desc *prometheus.Desc
}

func (c *certificates) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *certificates) Collect(ch chan<- prometheus.Metric) {
	type shown struct{ tunnel, device string }
	ends, soonest := map[string]time.Time{}, map[shown]time.Time{}
	note := func(w want, device string) {
		key := w.key()
		at, known := ends[key]
		if !known {
			at = c.g.tunnels.notAfter(key)
			ends[key] = at
		}
		by := shown{w.config.Name, device}
		if first, twice := soonest[by]; !at.IsZero() && (!twice || at.Before(first)) {
			soonest[by] = at
		}
	}
	p := c.g.store.Current()
	for _, l := range p.Listeners {
		note(wantOfListener(l), "")
	}
	for _, f := range p.Flows {
		note(wantOfFlow(f), f.Device.Name)
	}
	for by, at := range soonest {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(at.Unix()), by.tunnel, by.device)
	}
}
