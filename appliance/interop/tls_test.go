package interop

import (
	"path/filepath"
	"testing"

	"cordon/tunnels/identity"
)

// tlsFiles are the files of one end of mutual TLS.
type tlsFiles struct{ ca, certificate, key string }

// pki is a throw-away public key infrastructure.
type pki struct {
	dir       string
	authority *identity.Authority
}

// serverName is what every server's certificate here says.
const serverName = "server.example"

func newPKI(t *testing.T) pki {
	t.Helper()
	a, err := identity.NewAuthority("interop tests")
	if err != nil {
		t.Fatal(err)
	}
	p := pki{t.TempDir(), a}
	if err := a.WriteCA(p.ca()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p pki) ca() string { return filepath.Join(p.dir, "ca.pem") }

// issue makes the files of the end of that name.
func (p pki) issue(t *testing.T, name string) *tlsFiles {
	t.Helper()
	pair, err := p.authority.Issue(identity.Request{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	f := &tlsFiles{p.ca(), filepath.Join(p.dir, name+".pem"), filepath.Join(p.dir, name+".key")}
	if err := pair.Write(f.certificate, f.key); err != nil {
		t.Fatal(err)
	}
	return f
}
