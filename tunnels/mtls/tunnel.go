// Package mtls is the tunnel in which both ends prove who they are by certificate: TLS 1.3 (1.2
// where it is configured), the server verified by authority and name, the client by authority
// and by a list of names. There is no way from it to plaintext.
//
// It listens as well as dials, so the same binary is the far end in front of a server that
// speaks no TLS.
//
//	Conn      tunnels.Conn for the pump; many records a read, all records of a write in one call
//	crypto/tls
//	record    gathers writes, reads in bulk, waits without a buffer
//	tcp.Conn  the socket
package mtls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cordon/tunnels"
	"cordon/tunnels/identity"
	"cordon/tunnels/tcp"
)

// Config says who we are and whom we believe.
type Config struct {
	Name     string   // of the tunnel, for messages and State
	CAFiles  []string // authorities that peers' certificates may come from; the system's never count
	CertFile string   // our certificate and its intermediates
	KeyFile  string
	// ServerName is the name that a dialled server's certificate must carry; the host of the
	// address when empty.
	ServerName string
	// Peers are names of which a peer's certificate must carry one, as DNS name or common name,
	// compared exactly. Listening needs them; for dialling they narrow further when given.
	Peers      []string
	MinVersion string // "1.3" when empty, or "1.2"
	Sessions   int    // servers whose sessions are kept for resumption; 16 when 0, none below
	// Problem is told when changed files cannot be used, and nil when they can again. It may be
	// nil.
	Problem func(error)
}

// Tunnel dials and listens with one identity. Its files are looked at before a handshake, at
// most once a second.
type Tunnel struct {
	cfg    Config
	min    uint16
	source *identity.Source
	peers  atomic.Pointer[[]string]

	mu  sync.Mutex
	now ends

	seen verified
}

// ends are what crypto/tls is given for one state of the files. Sessions and ticket keys belong
// to it, so that after a rotation no handshake resumes what the old certificate began.
type ends struct {
	material       *identity.Material
	client, server *tls.Config
	named          map[string]*tls.Config // client, by the server's name; guarded by Tunnel.mu
}

// verified remembers which certificates were verified lately, and by which authorities, so that
// resumed sessions do not cost a signature check each. Names, dates and lists of peers are checked
// on every handshake all the same.
type verified struct {
	mu   sync.Mutex
	by   *identity.Material
	when map[[sha256.Size]byte]time.Time
}

const (
	verifiedFor = time.Minute
	maxVerified = 1024
)

// lately tells whether a certificate was verified less than verifiedFor ago and is in force.
func (v *verified) lately(leaf *x509.Certificate, by *identity.Material, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, ok := v.when[sha256.Sum256(leaf.Raw)]
	return ok && v.by == by && now.Sub(at) < verifiedFor && !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter)
}

func (v *verified) note(leaf *x509.Certificate, by *identity.Material, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by != by || len(v.when) >= maxVerified {
		v.by, v.when = by, map[[sha256.Size]byte]time.Time{}
	}
	v.when[sha256.Sum256(leaf.Raw)] = now
}

var _ tunnels.Tunnel = (*Tunnel)(nil)

var versions = map[string]uint16{"": tls.VersionTLS13, "1.3": tls.VersionTLS13, "1.2": tls.VersionTLS12}

// suites12 are those of TLS 1.2 that authenticate what they encrypt and keep past sessions
// secret when a key is lost. Those of TLS 1.3 all do.
var suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// New reads the files. Without them there is no tunnel.
func New(cfg Config) (*Tunnel, error) {
	if cfg.Name == "" {
		cfg.Name = "mtls"
	}
	vers, ok := versions[cfg.MinVersion]
	if !ok {
		return nil, fmt.Errorf("tunnel %s: TLS version %q is not 1.3 or 1.2", cfg.Name, cfg.MinVersion)
	}
	files := identity.Files{CertFile: cfg.CertFile, KeyFile: cfg.KeyFile, CAFiles: cfg.CAFiles}
	source, err := identity.Open(files, cfg.Problem)
	if err != nil {
		return nil, fmt.Errorf("tunnel %s: %w", cfg.Name, err)
	}
	t := &Tunnel{cfg: cfg, min: vers, source: source}
	t.SetPeers(cfg.Peers)
	return t, nil
}

// SetPeers replaces the names that peers may have. It holds for handshakes from now on, resumed
// ones too.
func (t *Tunnel) SetPeers(names []string) {
	names = slices.Clone(names)
	t.peers.Store(&names)
}

// Reload looks at the files now. Its error says why what is there now is not in force.
func (t *Tunnel) Reload() error { return t.source.Reload() }

// Identity says how the certificate and its authorities are.
func (t *Tunnel) Identity() identity.State { return t.source.State() }

// Dial connects and completes the handshake.
func (t *Tunnel) Dial(ctx context.Context, address string) (tunnels.Conn, error) {
	name := t.cfg.ServerName
	if name == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("%w: tunnel %s: %w", tunnels.ErrUnreachable, t.cfg.Name, err)
		}
		name = host
	}
	if name == "" {
		return nil, fmt.Errorf("%w: tunnel %s: neither a server name nor a host in %q to verify the certificate by",
			tunnels.ErrIdentity, t.cfg.Name, address)
	}
	sock, err := tcp.Dial(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("tunnel %s: %w", t.cfg.Name, err)
	}
	rec := &record{Conn: sock, handshaking: true}
	c := &Conn{tunnel: t, rec: rec, tls: tls.Client(rec, t.clientFor(name)), dialed: true}
	if err := c.Handshake(ctx); err != nil {
		sock.Close()
		return nil, err
	}
	return c, nil
}

// Listen hears on an address. Accept hands out *Conn before its handshake.
func (t *Tunnel) Listen(ctx context.Context, address string) (net.Listener, error) {
	if len(*t.peers.Load()) == 0 {
		return nil, fmt.Errorf("tunnel %s: listening on %s needs the names of the peers that may connect", t.cfg.Name, address)
	}
	l, err := tcp.Listen(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("tunnel %s: %w", t.cfg.Name, err)
	}
	return &listener{TCPListener: l, tunnel: t}, nil
}

type listener struct {
	*net.TCPListener
	tunnel *Tunnel
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	sock, err := tcp.New(c)
	if err != nil {
		return nil, err
	}
	rec := &record{Conn: sock, handshaking: true}
	return &Conn{tunnel: l.tunnel, rec: rec, tls: tls.Server(rec, l.tunnel.current().server)}, nil
}

// State says whether the certificate is in force, and what is wrong with its files.
func (t *Tunnel) State() tunnels.State {
	id := t.source.State()
	now := time.Now()
	s := tunnels.State{
		Name:     t.cfg.Name,
		Up:       !now.Before(id.NotBefore) && !now.After(id.NotAfter),
		NotAfter: id.NotAfter,
	}
	if id.Problem != nil {
		s.Problem = id.Problem.Error()
	}
	return s
}

// Close forgets the sessions kept for resumption.
func (t *Tunnel) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = ends{}
	return nil
}

// clientFor returns what crypto/tls is given to dial a server of that name. A configuration is
// shared by all connections that could have the same.
func (t *Tunnel) clientFor(name string) *tls.Config {
	now := t.current()
	t.mu.Lock()
	defer t.mu.Unlock()
	cfg := now.named[name]
	if cfg == nil {
		cfg = now.client.Clone()
		cfg.ServerName = name
		cfg.VerifyConnection = t.verifier(name, x509.ExtKeyUsageServerAuth)
		now.named[name] = cfg
	}
	return cfg
}

// current returns what crypto/tls is given for the files as they are now.
func (t *Tunnel) current() ends {
	m := t.source.Current()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.material != m {
		t.now = ends{material: m, client: t.clientConfig(m), server: t.serverConfig(m), named: map[string]*tls.Config{}}
	}
	return t.now
}

func (t *Tunnel) common() *tls.Config {
	return &tls.Config{
		MinVersion:                  t.min,
		CipherSuites:                suites12,
		DynamicRecordSizingDisabled: true, // bulk transfer; record.begin counts on it
	}
}

func (t *Tunnel) clientConfig(m *identity.Material) *tls.Config {
	cfg := t.common()
	cfg.RootCAs = m.Roots
	// Not Certificates: of those crypto/tls sends none when the server names other authorities,
	// and the server could then only say that there was none.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.Certificate, nil }
	if t.cfg.Sessions >= 0 {
		n := t.cfg.Sessions
		if n == 0 {
			n = 16
		}
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(n)
	}
	return cfg
}

func (t *Tunnel) serverConfig(m *identity.Material) *tls.Config {
	cfg := t.common()
	cfg.Certificates = []tls.Certificate{*m.Certificate}
	cfg.ClientCAs = m.Roots
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.VerifyConnection = t.verifier("", x509.ExtKeyUsageClientAuth)
	return cfg
}

// verifier makes the check that crypto/tls calls on every handshake. On a full one the chain was
// verified just before; on a resumed one it was when the session began, and is verified again, by
// the authorities, the clock and the names as they are now; its signatures once a minute.
func (t *Tunnel) verifier(serverName string, use x509.ExtKeyUsage) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return &refusal{"it has no certificate"}
		}
		leaf := cs.PeerCertificates[0]
		by, now := t.source.Current(), time.Now()
		switch {
		case !cs.DidResume:
			t.seen.note(leaf, by, now)
		case t.seen.lately(leaf, by, now):
			if err := named(leaf, serverName); err != nil {
				return err
			}
		default:
			opts := x509.VerifyOptions{
				Roots:         by.Roots,
				Intermediates: x509.NewCertPool(),
				DNSName:       serverName,
				KeyUsages:     []x509.ExtKeyUsage{use},
			}
			for _, c := range cs.PeerCertificates[1:] {
				opts.Intermediates.AddCert(c)
			}
			if _, err := leaf.Verify(opts); err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
			}
			t.seen.note(leaf, by, now)
		}
		return t.named(leaf, serverName == "")
	}
}

// named checks that a server's certificate carries the name it was dialled by.
func named(leaf *x509.Certificate, serverName string) error {
	if serverName == "" {
		return nil
	}
	if err := leaf.VerifyHostname(serverName); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: err}
	}
	return nil
}

// named checks the list of peers. Listening without one admits nobody.
func (t *Tunnel) named(leaf *x509.Certificate, listening bool) error {
	peers := *t.peers.Load()
	if len(peers) == 0 && !listening {
		return nil
	}
	if slices.ContainsFunc(identity.Names(leaf), func(n string) bool { return slices.Contains(peers, n) }) {
		return nil
	}
	return &refusal{fmt.Sprintf("certificate %s names none of the peers allowed here: %s", identity.Few(identity.Names(leaf)), identity.Few(peers))}
}
