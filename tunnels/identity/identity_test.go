package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cordon/tunnels/identity"
)

// folder is an identity in files, and who issues it.
type folder struct {
	t *testing.T
	identity.Files
	ca *identity.Authority
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	dir := t.TempDir()
	f := &folder{t: t, Files: identity.Files{
		CertFile: filepath.Join(dir, "ct-3.crt"), KeyFile: filepath.Join(dir, "ct-3.key"), CAFiles: []string{filepath.Join(dir, "ca.pem")},
	}}
	var err error
	if f.ca, err = identity.NewAuthority("Hospital CA"); err != nil {
		t.Fatal(err)
	}
	if err := f.ca.WriteCA(f.CAFiles[0]); err != nil {
		t.Fatal(err)
	}
	f.issue(identity.Request{Name: "ct-3"})
	return f
}

func (f *folder) issue(r identity.Request) *identity.Pair {
	f.t.Helper()
	p, err := f.ca.Issue(r)
	if err == nil {
		err = p.Write(f.CertFile, f.KeyFile)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

func (f *folder) write(path string, b []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) open(problem func(error)) *identity.Source {
	f.t.Helper()
	s, err := identity.Open(f.Files, problem)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// G7: whatever is wrong with the files as they are now, what was read before stays in force.
func TestBrokenFilesKeepTheOld(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*folder)
		says  string
	}{
		{"half a certificate", func(f *folder) {
			b, _ := os.ReadFile(f.CertFile)
			f.write(f.CertFile, b[:len(b)/2])
		}, "ct-3.crt: ends in the middle of a PEM block"},
		{"an empty certificate", func(f *folder) { f.write(f.CertFile, nil) }, "ct-3.crt: holds nothing in PEM form"},
		{"the key not there yet", func(f *folder) {
			p, _ := f.ca.Issue(identity.Request{Name: "ct-3"})
			f.write(f.CertFile, p.Cert)
		}, "private key does not match"},
		{"the key gone", func(f *folder) { os.Remove(f.KeyFile) }, "ct-3.key: no such file"},
		{"a key that is none", func(f *folder) { f.write(f.KeyFile, f.ca.CertPEM()) }, "ct-3.key"},
		{"a certificate that expired", func(f *folder) {
			f.issue(identity.Request{Name: "ct-3", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
		}, "expired on"},
		{"a certificate of tomorrow", func(f *folder) {
			f.issue(identity.Request{Name: "ct-3", NotBefore: time.Now().Add(24 * time.Hour)})
		}, "is not valid before"},
		{"half an authority", func(f *folder) {
			b := f.ca.CertPEM()
			f.write(f.CAFiles[0], append(b, b[:len(b)-40]...))
		}, "ca.pem: ends in the middle of a PEM block"},
		{"an authority that is text", func(f *folder) { f.write(f.CAFiles[0], []byte("see IT\n")) }, "ca.pem: holds nothing"},
		{"an authority that is a key", func(f *folder) {
			b, _ := os.ReadFile(f.KeyFile)
			f.write(f.CAFiles[0], b)
		}, `PEM block "PRIVATE KEY"`},
		{"an authority that is broken", func(f *folder) {
			f.write(f.CAFiles[0], []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}, "ca.pem: x509"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFolder(t)
			var told []error
			s := f.open(func(err error) { told = append(told, err) })
			before := s.Current()
			tc.spoil(f)
			err := s.Reload()
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), `the certificate "ct-3" that ends on`) {
				t.Errorf("got %v", err)
			}
			if strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("a dump: %v", err)
			}
			s.Reload()
			if len(told) != 1 || told[0].Error() != err.Error() {
				t.Errorf("told %v", told)
			}
			if s.Current() != before {
				t.Error("the old is not in force")
			}
			if st := s.State(); st.Problem == nil || st.Subject != `"ct-3"` {
				t.Errorf("state %+v", st)
			}
			f.ca.WriteCA(f.CAFiles[0])
			f.issue(identity.Request{Name: "ct-3"})
			if err := s.Reload(); err != nil || s.Current() == before || s.State().Problem != nil {
				t.Errorf("mended: %v, %+v", err, s.State())
			}
			if len(told) != 2 || told[1] != nil {
				t.Errorf("told %v", told)
			}
		})
	}
}

func TestFilesAreLookedAtOnceASecond(t *testing.T) {
	f := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock starts in 2000: what counts here is how far it runs.
		f.issue(identity.Request{Name: "ct-3", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
		s := f.open(nil)
		before := s.Current()
		f.issue(identity.Request{Name: "ct-3", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(2 * time.Hour)})
		time.Sleep(999 * time.Millisecond)
		if s.Current() != before {
			t.Error("looked too early")
		}
		time.Sleep(time.Millisecond)
		after := s.Current()
		if after == before {
			t.Error("the change was not noticed")
		}
		time.Sleep(time.Minute)
		if s.Current() != after {
			t.Error("what did not change was taken for new")
		}
	})
}

// A renewal writes two files. A look in between is no news; one that finds the same a second later is.
func TestHalfARenewalIsNoTroubleYet(t *testing.T) {
	f := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		written := func(path string, b []byte) {
			f.write(path, b)
			if err := os.Chtimes(path, time.Now(), time.Now()); err != nil { // by the bubble's clock
				t.Fatal(err)
			}
		}
		issue := func() *identity.Pair {
			p, err := f.ca.Issue(identity.Request{Name: "ct-3", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := issue()
		written(f.KeyFile, p.Key)
		written(f.CertFile, p.Cert)
		var told []error
		s := f.open(func(err error) { told = append(told, err) })
		os.Chtimes(f.CAFiles[0], time.Time{}, time.Now())

		before := s.Current()
		time.Sleep(2 * time.Second)
		p = issue()
		written(f.KeyFile, p.Key)
		if s.Current() != before || len(told) > 0 || s.State().Problem != nil {
			t.Errorf("half a renewal was told: %v, %v", told, s.State().Problem)
		}
		written(f.CertFile, p.Cert)
		time.Sleep(time.Second)
		if s.Current() == before || len(told) > 0 {
			t.Errorf("the whole renewal is not in force; told %v", told)
		}

		time.Sleep(500 * time.Millisecond)
		written(f.KeyFile, issue().Key)
		time.Sleep(500 * time.Millisecond)
		if s.Current(); len(told) > 0 {
			t.Errorf("told %v", told)
		}
		time.Sleep(time.Second)
		if st := s.State(); len(told) != 1 || st.Problem == nil {
			t.Errorf("a key that fits nothing was not told by the second look: %v, %v", told, st.Problem)
		}
	})
}

// Files from a host whose clock is ahead are not new for ever.
func TestTroubleWithFilesOfTomorrowIsTold(t *testing.T) {
	f := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		told := 0
		s := f.open(func(error) { told++ })
		time.Sleep(2 * time.Second)
		f.write(f.KeyFile, []byte("none"))
		os.Chtimes(f.KeyFile, time.Time{}, time.Now().Add(24*time.Hour))
		for range 2 {
			s.Current()
			time.Sleep(2 * time.Second)
		}
		if told != 1 || s.State().Problem == nil {
			t.Errorf("told %d times, %+v", told, s.State())
		}
	})
}

// G10: at start the clock may be what is wrong, so nothing is thrown away, and it is said.
func TestCertificateOutOfTimeIsTakenAndSaid(t *testing.T) {
	f := newFolder(t)
	f.issue(identity.Request{Name: "ct-3", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	s := f.open(nil)
	if p := s.State().Problem; p == nil || !strings.Contains(p.Error(), "expired on") || !strings.Contains(p.Error(), "the clock here says") {
		t.Errorf("got %v", p)
	}
	f.issue(identity.Request{Name: "ct-3"})
	if err := s.Reload(); err != nil || s.State().Problem != nil {
		t.Errorf("renewed: %v, %v", err, s.State().Problem)
	}
}

func TestStateTellsWhatEndsWhen(t *testing.T) {
	f := newFolder(t)
	end := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	f.issue(identity.Request{Name: "ct-3", NotAfter: end})
	st := f.open(nil).State()
	if !st.NotAfter.Equal(end) || len(st.CAs) != 1 || st.CAs[0].Subject != `"Hospital CA"` || st.CAs[0].NotAfter.Before(end) {
		t.Errorf("got %+v", st)
	}
}

func TestAuthorityIssuesWhatIsAskedFor(t *testing.T) {
	ca, err := identity.NewAuthority("Demo CA")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CertPEM())
	for _, tc := range []struct {
		name    string
		request identity.Request
		use     x509.ExtKeyUsage
		host    string
		ok      bool
	}{
		{"server by name", identity.Request{Name: "pacs.example", Server: true}, x509.ExtKeyUsageServerAuth, "pacs.example", true},
		{"server by address", identity.Request{Name: "pacs", Server: true, Addresses: []netip.Addr{netip.MustParseAddr("::1")}}, x509.ExtKeyUsageServerAuth, "::1", true},
		{"server as client", identity.Request{Name: "pacs", Server: true}, x509.ExtKeyUsageClientAuth, "", false},
		{"client", identity.Request{Name: "ct-3", Client: true}, x509.ExtKeyUsageClientAuth, "ct-3", true},
		{"client as server", identity.Request{Name: "ct-3", Client: true}, x509.ExtKeyUsageServerAuth, "", false},
		{"both", identity.Request{Name: "far"}, x509.ExtKeyUsageClientAuth, "far", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := ca.Issue(tc.request)
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.X509KeyPair(p.Cert, p.Key)
			if err != nil {
				t.Fatal(err)
			}
			_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: tc.host, KeyUsages: []x509.ExtKeyUsage{tc.use}})
			if (err == nil) != tc.ok {
				t.Errorf("verifies with %v", err)
			}
		})
	}
	if _, err := ca.Issue(identity.Request{}); err == nil {
		t.Error("a certificate without a name was made")
	}
}

func TestOnlyTheOwnerReadsWhatIsWritten(t *testing.T) {
	f := newFolder(t)
	f.write(f.KeyFile, nil)
	os.Chmod(f.KeyFile, 0o644) // an older file with a loose mode is replaced
	f.issue(identity.Request{Name: "ct-3"})
	for _, path := range []string{f.CertFile, f.KeyFile, f.CAFiles[0]} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.KeyFile), ".*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	p, _ := f.ca.Issue(identity.Request{Name: "x"})
	none := filepath.Join(t.TempDir(), "none")
	if err := p.Write(filepath.Join(none, "x.crt"), filepath.Join(none, "x.key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
