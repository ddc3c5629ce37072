package bench

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"cordon/tunnels/identity"
)

// Names in the two certificates: of whoever dials, and of whoever is dialled.
const (
	clientName = "client.bench"
	serverName = "server.bench"
)

// identities are what each name's certificate is for.
var identities = map[string]identity.Request{
	clientName: {Name: clientName, Client: true},
	serverName: {Name: serverName, Server: true, DNSNames: []string{serverName, "localhost"}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
}

// pki is a throw-away authority with its certificates, ECDSA P-256 as everywhere here.
type pki struct {
	dir       string
	authority *identity.Authority
	roots     *x509.CertPool
}

func newPKI(dir string) (*pki, error) {
	authority, err := identity.NewAuthority("Cordon bench, throw-away")
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir, authority: authority, roots: x509.NewCertPool()}
	if err := authority.WriteCA(p.ca()); err != nil {
		return nil, err
	}
	p.roots.AppendCertsFromPEM(authority.CertPEM())
	for name := range identities {
		if _, err := p.issue(name); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// issue writes a fresh key and certificate over those that a name has, and returns the
// certificate's serial number.
func (p *pki) issue(name string) (serial string, err error) {
	pair, err := p.authority.Issue(identities[name])
	if err != nil {
		return "", err
	}
	if err := pair.Write(p.cert(name), p.key(name)); err != nil {
		return "", err
	}
	// haproxy wants both in one file.
	if err := os.WriteFile(p.both(name), append(append([]byte{}, pair.Cert...), pair.Key...), 0o600); err != nil {
		return "", err
	}
	both, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return "", err
	}
	return both.Leaf.SerialNumber.Text(16), nil
}

func (p *pki) ca() string              { return filepath.Join(p.dir, "ca.pem") }
func (p *pki) cert(name string) string { return filepath.Join(p.dir, name+".pem") }
func (p *pki) key(name string) string  { return filepath.Join(p.dir, name+".key") }
func (p *pki) both(name string) string { return filepath.Join(p.dir, name+".both") }

// tlsConfig is what load and sink speak: TLS 1.3 with one suite and one group, the same for every
// gateway, so that none wins by a cheaper cipher. resume lets sessions be resumed.
func (p *pki) tlsConfig(name string, resume bool) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(p.cert(name), p.key(name))
	if err != nil {
		return nil, err
	}
	cfg := terms(pair, p.roots, resume)
	cfg.ServerName = serverName
	return cfg, nil
}

// terms are the terms of every TLS connection that load or sink take part in.
func terms(pair tls.Certificate, roots *x509.CertPool, resume bool) *tls.Config {
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: roots, ClientCAs: roots,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: !resume,
		DynamicRecordSizingDisabled: true, VerifyConnection: agreed,
	}
	if resume {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(64)
	}
	return cfg
}

// agreed refuses a connection that would not be comparable. The suites of TLS 1.3 cannot be chosen
// in crypto/tls, so what was negotiated is looked at.
func agreed(cs tls.ConnectionState) error {
	if cs.Version != tls.VersionTLS13 || cs.CipherSuite != tls.TLS_AES_128_GCM_SHA256 || cs.CurveID != tls.X25519 {
		return fmt.Errorf("negotiated %s with %s and %s; only TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519 is comparable",
			tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite), cs.CurveID)
	}
	return nil
}
