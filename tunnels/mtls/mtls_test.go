package mtls_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/tunnels"
	"cordon/tunnels/identity"
	"cordon/tunnels/mtls"
)

// site is a throw-away PKI in a folder, with two ends that believe each other.
type site struct {
	t   testing.TB
	dir string
	ca  *identity.Authority
}

func newSite(t testing.TB) *site {
	t.Helper()
	ca, err := identity.NewAuthority("Hospital CA")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir(), ca: ca}
	if err := ca.WriteCA(s.path("ca.pem")); err != nil {
		t.Fatal(err)
	}
	s.issue("server", identity.Request{Name: "pacs.example", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, DNSNames: []string{"pacs.example"}, Server: true})
	s.issue("client", identity.Request{Name: "ct-3", Client: true})
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) issue(file string, r identity.Request) { s.issueBy(s.ca, file, r) }

func (s *site) issueBy(ca *identity.Authority, file string, r identity.Request) {
	s.t.Helper()
	p, err := ca.Issue(r)
	if err == nil {
		err = p.Write(s.path(file+".crt"), s.path(file+".key"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// end makes the tunnel of one end; change may alter its configuration.
func (s *site) end(file string, change func(*mtls.Config)) *mtls.Tunnel {
	s.t.Helper()
	cfg := mtls.Config{
		Name:     "mtls/" + file,
		CAFiles:  []string{s.path("ca.pem")},
		CertFile: s.path(file + ".crt"),
		KeyFile:  s.path(file + ".key"),
	}
	if file == "server" {
		cfg.Peers = []string{"ct-3"}
	} else {
		cfg.ServerName = "pacs.example"
	}
	if change != nil {
		change(&cfg)
	}
	t, err := mtls.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { t.Close() })
	return t
}

// accepted is what became of a connection that a listener accepted.
type accepted struct {
	conn *mtls.Conn
	err  error
}

// far listens with a tunnel and hands out connections after their handshake.
type far struct {
	address string
	conns   chan accepted
}

func (s *site) listen(t *mtls.Tunnel) *far {
	s.t.Helper()
	l, err := t.Listen(s.t.Context(), "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	f := &far{address: l.Addr().String(), conns: make(chan accepted, 16)}
	s.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				a := accepted{conn: c.(*mtls.Conn)}
				if a.err = a.conn.Handshake(ctx); a.err != nil {
					c.Close()
				}
				f.conns <- a
			}()
		}
	}()
	return f
}

// connect makes both ends of a connection, of tunnels that must fit together.
func (s *site) connect(client *mtls.Tunnel, f *far) (near, server *mtls.Conn) {
	s.t.Helper()
	c, err := client.Dial(s.t.Context(), f.address)
	if err != nil {
		s.t.Fatal(err)
	}
	a := <-f.conns
	if a.err != nil {
		s.t.Fatal(a.err)
	}
	near = c.(*mtls.Conn)
	s.t.Cleanup(func() { near.Close(); a.conn.Close() })
	return near, a.conn
}

// pair is the ordinary case.
func pair(t *testing.T) (near, server *mtls.Conn) {
	s := newSite(t)
	return s.connect(s.end("client", nil), s.listen(s.end("server", nil)))
}

// refused dials and expects both ends to fail; in TLS 1.3 the client learns it by reading.
func (s *site) refused(client *mtls.Tunnel, f *far) (near, server error) {
	s.t.Helper()
	c, err := client.Dial(s.t.Context(), f.address)
	if err == nil {
		c.Write([]byte("sent before the answer came"))
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	return err, (<-f.conns).err
}

func TestBothEndsProveThemselves(t *testing.T) {
	near, server := pair(t)
	if got := near.Peer().Names; len(got) != 1 || got[0] != "pacs.example" { // its DNS name and its common name
		t.Errorf("the client sees %q", got)
	}
	if got := server.Peer(); got.Names[len(got.Names)-1] != "ct-3" || len(got.Fingerprint) != 64 {
		t.Errorf("the server sees %+v", got)
	}
	if near.Version() != tls.VersionTLS13 {
		t.Errorf("TLS version %x", near.Version())
	}
	exchange(t, near, server)
	exchange(t, server, near)
}

// exchange sends some bytes one way.
func exchange(t *testing.T, from, to net.Conn) {
	t.Helper()
	want := []byte("one unit")
	if _, err := from.Write(want); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestClientRefusesServer(t *testing.T) {
	hour := time.Hour
	loop := netip.MustParseAddr("127.0.0.1")
	for _, tc := range []struct {
		name   string
		server func(*site)
		client func(*mtls.Config)
		says   []string
	}{
		{name: "of an unknown authority", server: func(s *site) {
			other, _ := identity.NewAuthority("Other CA")
			s.issueBy(other, "server", identity.Request{Name: "pacs.example"})
		}, says: []string{`"pacs.example" was not issued by an authority in ca.pem`, `"Other CA"`}},
		{name: "of an authority that only bears the same name", server: func(s *site) {
			other, _ := identity.NewAuthority("Hospital CA")
			s.issueBy(other, "server", identity.Request{Name: "pacs.example"})
		}, says: []string{"was not issued by an authority in ca.pem"}},
		{name: "of another name", client: func(c *mtls.Config) { c.ServerName = "ris.example" },
			says: []string{`is not for "ris.example" but for "pacs.example", 127.0.0.1`}},
		{name: "of another address", client: func(c *mtls.Config) { c.ServerName = "10.1.1.5" },
			says: []string{`is not for "10.1.1.5"`}},
		{name: "whose name is the common name only", server: func(s *site) {
			s.issue("server", identity.Request{Name: "pacs.example", Addresses: []netip.Addr{loop}})
		}, says: []string{`is not for "pacs.example" but for 127.0.0.1`}},
		{name: "that expired", server: func(s *site) {
			s.issue("server", identity.Request{Name: "pacs.example", NotBefore: time.Now().Add(-2 * hour), NotAfter: time.Now().Add(-hour)})
		}, says: []string{`certificate "pacs.example" expired on 20`, "the clock here says"}}, // G10
		{name: "that is not valid yet", server: func(s *site) {
			s.issue("server", identity.Request{Name: "pacs.example", NotBefore: time.Now().Add(hour)})
		}, says: []string{`"pacs.example" is not valid before 20`, "the clock here says"}}, // G10
		{name: "with a client's certificate", server: func(s *site) {
			s.issue("server", identity.Request{Name: "pacs.example", Client: true})
		}, says: []string{"extended key usage"}},
		{name: "that is not among the peers", client: func(c *mtls.Config) { c.Peers = []string{"ris.example", "PACS.example"} },
			says: []string{`certificate "pacs.example" names none of the peers`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			if tc.server != nil {
				tc.server(s)
			}
			f := s.listen(s.end("server", nil))
			_, err := s.end("client", tc.client).Dial(t.Context(), f.address)
			identityError(t, err, append(tc.says, "tunnel mtls/client", f.address)...)
			refusedError(t, (<-f.conns).err, "it refused our certificate", "TLS alert")
		})
	}
}

// identityError checks that the peer is what was not believed, and that the error says what it should
// in one readable line.
func identityError(t *testing.T, err error, says ...string) {
	t.Helper()
	failure(t, err, tunnels.ErrIdentity, says)
}

// refusedError does for an error that says that the peer did not believe us.
func refusedError(t *testing.T, err error, says ...string) {
	t.Helper()
	failure(t, err, tunnels.ErrRefused, says)
}

func failure(t *testing.T, err, kind error, says []string) {
	t.Helper()
	for _, k := range []error{tunnels.ErrIdentity, tunnels.ErrRefused, tunnels.ErrUnreachable} {
		if errors.Is(err, k) != (k == kind) {
			t.Fatalf("not of the kind %q: %v", kind, err)
		}
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\r\x1b") {
		t.Errorf("not one readable line: %q", err)
	}
}

func TestServerRefusesClient(t *testing.T) {
	for _, tc := range []struct {
		name   string
		client func(*site)
		says   string
		alert  string
	}{
		{name: "of an unknown authority", client: func(s *site) {
			other, _ := identity.NewAuthority("Other CA")
			s.issueBy(other, "client", identity.Request{Name: "ct-3"})
		}, says: "was not issued by an authority in ca.pem", alert: "unknown certificate authority"},
		{name: "that expired", client: func(s *site) {
			s.issue("client", identity.Request{Name: "ct-3", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
		}, says: `"ct-3" expired on`, alert: "expired certificate"},
		{name: "with a server's certificate", client: func(s *site) {
			s.issue("client", identity.Request{Name: "ct-3", Server: true})
		}, says: "extended key usage", alert: "bad certificate"},
		{name: "that is not named", client: func(s *site) {
			s.issue("client", identity.Request{Name: "ct-4"})
		}, says: `certificate "ct-4" names none of the peers allowed here: "ct-3"`, alert: "bad certificate"},
		{name: "whose name differs in case", client: func(s *site) {
			s.issue("client", identity.Request{Name: "CT-3"})
		}, says: `certificate "CT-3" names none`, alert: "bad certificate"},
		{name: "with a wildcard", client: func(s *site) {
			s.issue("client", identity.Request{Name: "any", DNSNames: []string{"*.example"}})
		}, says: "names none of the peers", alert: "bad certificate"},
		{name: "with a hostile name", client: func(s *site) {
			s.issue("client", identity.Request{Name: "\x1b[2J\n" + strings.Repeat("A", 5000), DNSNames: []string{"x"}})
		}, says: `certificate "x", "\x1b[2J\nAAA`, alert: "bad certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			tc.client(s)
			near, server := s.refused(s.end("client", nil), s.listen(s.end("server", nil)))
			identityError(t, server, tc.says, "tunnel mtls/server")
			refusedError(t, near, "refused our certificate", tc.alert)
		})
	}
}

func TestClientWithoutCertificateIsRefused(t *testing.T) {
	s := newSite(t)
	f := s.listen(s.end("server", nil))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.ca.CertPEM())
	c, err := tls.Dial("tcp", f.address, &tls.Config{RootCAs: roots, ServerName: "pacs.example"})
	if err == nil {
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("the client sees %v", err)
	}
	identityError(t, (<-f.conns).err, "didn't provide a certificate")
}

// G4: who has not proven anything yet cannot have much kept for it.
func TestLongHandshakeIsGivenUp(t *testing.T) {
	s := newSite(t)
	chain, err := os.ReadFile(s.path("client.crt"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(s.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(s.path("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"long.crt": append(chain, bytes.Repeat(ca, 400)...), "long.key": key} {
		if err := os.WriteFile(s.path(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.refused(s.end("long", nil), s.listen(s.end("server", nil)))
	if !errors.Is(err, tunnels.ErrIdentity) || !strings.Contains(err.Error(), "64 KiB") {
		t.Errorf("the server says %v", err)
	}
}

func TestListeningNeedsNames(t *testing.T) {
	s := newSite(t)
	_, err := s.end("server", func(c *mtls.Config) { c.Peers = nil }).Listen(t.Context(), "127.0.0.1:0")
	if err == nil || !strings.Contains(err.Error(), "names of the peers") {
		t.Fatalf("got %v", err)
	}
	server := s.end("server", nil)
	f := s.listen(server)
	server.SetPeers(nil) // an emptied list admits nobody
	_, err = s.refused(s.end("client", nil), f)
	identityError(t, err, "names none of the peers")
}

func TestTLS12IsRefusedUnlessConfigured(t *testing.T) {
	s := newSite(t)
	old := func(f *far) error {
		pair, err := tls.LoadX509KeyPair(s.path("client.crt"), s.path("client.key"))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.ca.CertPEM())
		c, err := tls.Dial("tcp", f.address, &tls.Config{RootCAs: roots, ServerName: "pacs.example",
			Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12})
		if err == nil {
			c.Close()
		}
		return err
	}
	f := s.listen(s.end("server", nil))
	if err := old(f); err == nil {
		t.Error("a client of TLS 1.2 was let in")
	}
	identityError(t, (<-f.conns).err, "version", "TLS 1.3 and newer")

	f = s.listen(s.end("server", func(c *mtls.Config) { c.MinVersion = "1.2" }))
	if err := old(f); err != nil {
		t.Error(err)
	}
	if a := <-f.conns; a.err != nil || a.conn.Version() != tls.VersionTLS12 {
		t.Error(a.err)
	}
	near, _ := s.connect(s.end("client", nil), f)
	if near.Version() != tls.VersionTLS13 {
		t.Error("allowing TLS 1.2 must not choose it")
	}
}

func TestTLS12ServerIsRefusedUnlessConfigured(t *testing.T) {
	s := newSite(t)
	address := serve(t, func(c net.Conn) {
		pair, _ := tls.LoadX509KeyPair(s.path("server.crt"), s.path("server.key"))
		tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}).Handshake()
	})
	_, err := s.end("client", nil).Dial(t.Context(), address)
	identityError(t, err, "version", "TLS 1.3 and newer")
	c, err := s.end("client", func(c *mtls.Config) { c.MinVersion = "1.2" }).Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// serve is a server of some other kind: it handles connections one after another.
func serve(t *testing.T, handle func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// D10, and invariant 7: no fall-back, and what was found is said.
func TestPlaintextServerIsNotSpokenTo(t *testing.T) {
	for _, tc := range []struct{ name, answer, says string }{
		{"DICOM", "\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00", "a DICOM abort in the clear"},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP in the clear"},
		{"HL7", "\x0bMSH|^~\\&|SECRET\r\x1c\r", "an HL7 message in the clear"},
		{"noise", "\xde\xad\xbe\xef\x00", "nothing known"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := make(chan byte, 1)
			address := serve(t, func(c net.Conn) {
				b := make([]byte, 2048)
				n, _ := c.Read(b)
				c.Write([]byte(tc.answer))
				c.(*net.TCPConn).CloseWrite()
				rest, _ := io.ReadAll(c)
				got <- append(b[:n], rest...)[0]
			})
			_, err := newSite(t).end("client", nil).Dial(t.Context(), address)
			identityError(t, err, "does not speak TLS", tc.says)
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%v says what the peer said", err)
			}
			if first := <-got; first != 0x16 {
				t.Errorf("the server was sent something but a TLS handshake: %#x", first)
			}
		})
	}
}

// D10
func TestPlaintextClientIsRefused(t *testing.T) {
	for _, tc := range []struct{ name, sends, says string }{
		{"DICOM", "\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00", "a DICOM association request in the clear"},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", "HTTP in the clear"},
		{"HL7", "\x0bMSH|^~\\&|SECRET\r\x1c\r", "an HL7 message in the clear"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			f := s.listen(s.end("server", nil))
			c, err := net.Dial("tcp", f.address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, tc.sends)
			if b, _ := io.ReadAll(c); len(b) != 0 {
				t.Errorf("was answered %x", b)
			}
			identityError(t, (<-f.conns).err, "does not speak TLS", tc.says)
		})
	}
}

func TestUnreachableIsNotIdentity(t *testing.T) {
	s := newSite(t)
	client := s.end("client", nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	hangsUp := serve(t, func(c net.Conn) { c.Read(make([]byte, 1)) })
	hold := make(chan struct{})
	silent := serve(t, func(net.Conn) { <-hold })
	t.Cleanup(func() { close(hold) })

	for _, tc := range []struct {
		name, address, says string
		limit               time.Duration
	}{
		{"nobody listens", nobody, "connection refused", time.Minute},
		{"no port", "pacs.example", "missing port", time.Minute},
		{"hangs up", hangsUp, "closed the connection during the TLS handshake", time.Minute},
		{"silent", silent, "did not end in time", time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tc.limit)
			defer cancel()
			_, err := client.Dial(ctx, tc.address)
			if !errors.Is(err, tunnels.ErrUnreachable) || errors.Is(err, tunnels.ErrIdentity) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), tc.address) {
				t.Errorf("%q does not say %q of %s", err, tc.says, tc.address)
			}
		})
	}
}
