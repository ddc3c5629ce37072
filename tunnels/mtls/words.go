package mtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"cordon/tunnels"
	"cordon/tunnels/identity"
)

// refusal is a reason of our own why a peer is not believed.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// failure is a handshake that failed: of which kind, with whom, and why, in words for whoever has
// to mend it. The cause can be asked for but is not printed: it repeats, or dumps.
type failure struct {
	kind   error // tunnels.ErrIdentity, tunnels.ErrRefused or tunnels.ErrUnreachable
	tunnel string
	peer   string // address
	why    string
	cause  error
}

func (f *failure) Error() string {
	return fmt.Sprintf("tunnel %s: %s: peer %s: %s", f.tunnel, f.kind, f.peer, f.Why())
}

// Why is the error without its kind, tunnel and peer.
func (f *failure) Why() string {
	if len(f.why) > longestWhy {
		return strings.ToValidUTF8(f.why[:longestWhy], "") + "…"
	}
	return f.why
}

// longestWhy is longer than all that is said of certificates that nobody made to be long.
const longestWhy = 400 // bytes

func (f *failure) Unwrap() []error { return []error{f.kind, f.cause} }

// explain says why a handshake failed. A peer that answered wrongly did not prove who it is, unless
// it says that it is our certificate which it does not believe; one that did not answer, or went
// away, was not reached.
func (t *Tunnel) explain(c *Conn, err error) error {
	f := &failure{kind: tunnels.ErrIdentity, tunnel: t.cfg.Name, peer: c.RemoteAddr().String(), cause: err}
	var (
		refused *refusal
		cert    *tls.CertificateVerificationError
		header  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &refused):
		f.why = refused.why
	case errors.As(err, &cert):
		f.why = t.disbelief(cert)
	case refusedIdentity(err):
		f.kind = tunnels.ErrRefused
		f.why = fmt.Sprintf("it refused our certificate %s with the TLS alert %q", identity.Name(t.source.Current().Leaf()), remoteAlert(err))
	case remoteAlert(err) != "":
		f.why = fmt.Sprintf("it ended the handshake with the TLS alert %q", remoteAlert(err))
	case errors.As(err, &header):
		f.why = "it does not speak TLS; its first bytes look like " + looksLike(header.RecordHeader)
	case gone(err):
		f.kind, f.why = tunnels.ErrUnreachable, "it closed the connection during the TLS handshake; does it expect TLS there?"
	case late(err):
		f.kind, f.why = tunnels.ErrUnreachable, "the TLS handshake did not end in time; does it expect TLS there?"
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		f.kind, f.why = tunnels.ErrUnreachable, "the TLS handshake was given up"
	default:
		f.why = strings.TrimPrefix(err.Error(), "tls: ")
	}
	if strings.Contains(f.why, "version") {
		f.why += fmt.Sprintf("; this tunnel speaks %s and newer", tls.VersionName(t.min))
	}
	return f
}

// disbelief says why a certificate was not believed: whose, and by which authorities or dates.
func (t *Tunnel) disbelief(e *tls.CertificateVerificationError) string {
	leaf := e.UnverifiedCertificates[0]
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(e.Err, &unknown):
		return fmt.Sprintf("certificate %s was not issued by an authority in %s (its issuer calls itself %s)",
			identity.Name(leaf), t.source.Current().CANames, identity.Quote(leaf.Issuer.CommonName))
	case errors.As(e.Err, &host):
		return fmt.Sprintf("certificate %s is not for %s but for %s", identity.Name(leaf), identity.Quote(host.Host), proves(leaf))
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate " + identity.InForce(invalid.Cert, time.Now())
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return fmt.Sprintf("certificate %s is not meant for this end of a connection (extended key usage)", identity.Name(leaf))
	}
	return fmt.Sprintf("certificate %s: %s", identity.Name(leaf), strings.TrimPrefix(e.Err.Error(), "x509: "))
}

// proves lists what names a certificate proves, a few of them.
func proves(c *x509.Certificate) string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, identity.Quote(n))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no DNS name or address at all (a common name alone does not count for servers)"
	}
	return identity.List(names)
}

// remoteAlert is the text of the alert that the peer sent; "" for any other error.
func remoteAlert(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

// identityAlerts are those by which a peer says that it does not believe our certificate (RFC
// 8446 §6.2). In TLS 1.3 they may come after the client's handshake ended.
var identityAlerts = func() map[string]bool {
	m := map[string]bool{}
	for _, code := range []tls.AlertError{42, 43, 44, 45, 46, 48, 49, 116} {
		m[strings.TrimPrefix(code.Error(), "tls: ")] = true
	}
	return m
}()

func refusedIdentity(err error) bool { return identityAlerts[remoteAlert(err)] }

// toldWhy tells whether a failed handshake left the peer an alert to read: not one that speaks
// something else, or that is gone.
func toldWhy(err error) bool {
	var header tls.RecordHeaderError
	return !errors.As(err, &header) && remoteAlert(err) == "" && !gone(err) && !errors.Is(err, net.ErrClosed)
}

func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func late(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// openings are first bytes of what else is spoken on hospital networks.
var openings = []struct{ prefix, what string }{
	{"\x01\x00\x00", "a DICOM association request"},
	{"\x02\x00\x00", "a DICOM association acceptance"},
	{"\x03\x00\x00", "a DICOM association rejection"},
	{"\x07\x00\x00", "a DICOM abort"},
	{"\x0bMSH", "an HL7 message"},
	{"HTTP", "HTTP"}, {"GET ", "HTTP"}, {"POST", "HTTP"}, {"PUT ", "HTTP"}, {"HEAD", "HTTP"}, {"OPTIO", "HTTP"},
	{"SSH-", "SSH"},
}

// looksLike names what the peer seems to speak, never what it said.
func looksLike(header [5]byte) string {
	for _, o := range openings {
		if strings.HasPrefix(string(header[:]), o.prefix) {
			return o.what + " in the clear"
		}
	}
	return "nothing known"
}
