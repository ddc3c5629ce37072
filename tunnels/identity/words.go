package identity

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// Few lists names of a certificate as [Quote] makes them, the first of them where there are many.
func Few(names []string) string {
	quoted := make([]string, 0, len(names))
	for _, n := range names {
		quoted = append(quoted, Quote(n))
	}
	return List(quoted)
}

// List is Few of what is fit to stand in a message as it is.
func List(words []string) string {
	const few = 4
	if len(words) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:few], ", "), len(words)-few)
	}
	return strings.Join(words, ", ")
}

// Names are the names a certificate carries, each once: its DNS names, its common name last.
func Names(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	if c.Subject.CommonName != "" && !slices.Contains(names, c.Subject.CommonName) {
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
