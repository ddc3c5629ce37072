package mtls_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"cordon/tunnels/identity"
	"cordon/tunnels/mtls"
)

func TestNothingIsHalfMade(t *testing.T) {
	s := newSite(t)
	for _, tc := range []struct {
		name   string
		change func(*mtls.Config)
		says   string
	}{
		{"no certificate", func(c *mtls.Config) { c.CertFile = s.path("none.crt") }, "certificate file: open"},
		{"no key", func(c *mtls.Config) { c.KeyFile = s.path("none.key") }, "key file: open"},
		{"no authority", func(c *mtls.Config) { c.CAFiles = nil }, "no CA file"},
		{"a pair that does not fit", func(c *mtls.Config) { c.KeyFile = s.path("server.key") }, "does not match"},
		{"a key for an authority", func(c *mtls.Config) { c.CAFiles = []string{s.path("client.key")} }, `PEM block "PRIVATE KEY"`},
		{"a version that is not safe", func(c *mtls.Config) { c.MinVersion = "1.1" }, `"1.1" is not 1.3 or 1.2`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := mtls.Config{Name: "mtls/x", CAFiles: []string{s.path("ca.pem")}, CertFile: s.path("client.crt"), KeyFile: s.path("client.key")}
			tc.change(&cfg)
			if _, err := mtls.New(cfg); err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "mtls/x") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// G7
func TestRotationIsPickedUp(t *testing.T) {
	s := newSite(t)
	server, client := s.end("server", nil), s.end("client", nil)
	f := s.listen(server)
	before, earlier := s.connect(client, f)
	s.issue("server", identity.Request{Name: "pacs.example", Server: true})
	s.issue("client", identity.Request{Name: "ct-3", Client: true})
	if err := errors.Join(server.Reload(), client.Reload()); err != nil {
		t.Fatal(err)
	}
	after, far := s.connect(client, f)
	if before.Peer().Fingerprint == after.Peer().Fingerprint || after.Resumed() {
		t.Error("the handshake after the rotation shows the old certificate")
	}
	exchange(t, far, after)
	exchange(t, earlier, before) // connections stay
}

// G7
func TestBrokenRotationKeepsTheOld(t *testing.T) {
	s := newSite(t)
	problems := make(chan error, 8)
	server := s.end("server", func(c *mtls.Config) { c.Problem = func(err error) { problems <- err } })
	f := s.listen(server)
	client := s.end("client", func(c *mtls.Config) { c.Sessions = -1 })
	before, _ := s.connect(client, f)

	whole, err := os.ReadFile(s.path("server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("server.crt"), whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server.Reload(); err == nil || !strings.Contains(err.Error(), "stays in force") {
		t.Errorf("Reload said %v", err)
	}
	if err := <-problems; err == nil {
		t.Error("the problem was not told")
	}
	if st := server.State(); !st.Up || !strings.Contains(st.Problem, "server.crt") {
		t.Errorf("state %+v", st)
	}
	after, _ := s.connect(client, f)
	if before.Peer().Fingerprint != after.Peer().Fingerprint {
		t.Error("the old certificate is not in force")
	}
	if err := os.WriteFile(s.path("server.crt"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server.Reload(); err != nil {
		t.Error(err)
	}
	if err := <-problems; err != nil {
		t.Errorf("the end of the problem was told as %v", err)
	}
}

func TestResumptionIsVerifiedAgain(t *testing.T) {
	for _, version := range []string{"1.3", "1.2"} {
		t.Run("TLS "+version, func(t *testing.T) {
			s := newSite(t)
			server := s.end("server", func(c *mtls.Config) { c.MinVersion = version })
			client := s.end("client", func(c *mtls.Config) { c.Peers = []string{"pacs.example"} })
			f := s.listen(server)
			resume := func() *mtls.Conn {
				t.Helper()
				for range 2 { // the first brings the ticket
					near, far := s.connect(client, f)
					exchange(t, far, near)
					if near.Resumed() {
						return near
					}
				}
				t.Fatal("the session was not resumed")
				return nil
			}
			resume()

			server.SetPeers([]string{"ct-4"})
			near, far := s.refused(client, f)
			identityError(t, far, `certificate "ct-3" names none of the peers`)
			refusedError(t, near, "bad certificate")

			server.SetPeers([]string{"ct-3"})
			resume()
			client.SetPeers([]string{"ris.example"})
			near, _ = s.refused(client, f)
			identityError(t, near, `certificate "pacs.example" names none of the peers`)
		})
	}
}

func TestResumptionEndsWithTheAuthority(t *testing.T) {
	s := newSite(t)
	server, client := s.end("server", nil), s.end("client", nil)
	f := s.listen(server)
	near, far := s.connect(client, f)
	exchange(t, far, near)
	other, _ := identity.NewAuthority("Next CA")
	if err := other.WriteCA(s.path("ca.pem")); err != nil {
		t.Fatal(err)
	}
	if err := server.Reload(); err != nil { // the client does not know yet
		t.Fatal(err)
	}
	_, err := s.refused(client, f)
	identityError(t, err, `"ct-3" was not issued by an authority in ca.pem`)
}
