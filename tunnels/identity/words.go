package identity

import (
	"crypto/x509"
	"fmt"
	"strconv"
	"time"
)

// longestName is how much of a name from a certificate stands in a message; whoever made the
// certificate chose its length.
const longestName = 80 // bytes

// Name is what a certificate calls its subject, quoted and cut so that it can stand in a message.
func Name(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	return Quote(name)
}

// Quote makes a text from a peer fit to stand in a message.
func Quote(s string) string {
	if len(s) > longestName {
		s = s[:longestName] + "…"
	}
	return strconv.QuoteToASCII(s)
}

// Names are the names a certificate carries: its DNS names, its common name last.
func Names(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	if c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	return names
}

// InForce says why a certificate is not valid at a time; "" when it is. It names the time it
// went by, since a clock that jumped looks just like a certificate that ran out.
func InForce(c *x509.Certificate, now time.Time) string {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case now.After(c.NotAfter):
		return fmt.Sprintf("%s expired on %s (the clock here says %s)", Name(c), stamp(c.NotAfter), stamp(now))
	case now.Before(c.NotBefore):
		return fmt.Sprintf("%s is not valid before %s (the clock here says %s)", Name(c), stamp(c.NotBefore), stamp(now))
	}
	return ""
}
