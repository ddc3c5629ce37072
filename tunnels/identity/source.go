// Package identity keeps keys and certificates: it reads the ones a tunnel proves itself with,
// notices when their files change, and can make a throw-away authority for demonstrations, a
// first setup and tests.
package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// recheck is how long what was read counts as fresh.
const recheck = time.Second

// Files name where an identity lies.
type Files struct {
	CertFile string   // the certificate, then its intermediates, PEM
	KeyFile  string   // its private key, PEM
	CAFiles  []string // the authorities that a peer's certificate may come from, PEM
}

// writtenAfter tells whether one of the files was written after t.
func (f Files) writtenAfter(t time.Time) bool {
	return slices.ContainsFunc(append([]string{f.CertFile, f.KeyFile}, f.CAFiles...), func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.ModTime().After(t) && !info.ModTime().After(time.Now().Add(recheck))
	})
}

// Material is an identity as it was read at one time. It is immutable.
type Material struct {
	Certificate *tls.Certificate
	Roots       *x509.CertPool
	CAs         []*x509.Certificate
	CANames     string // of the CA files, for messages

	digest [sha256.Size]byte // over the files
}

// Leaf is the certificate itself.
func (m *Material) Leaf() *x509.Certificate { return m.Certificate.Leaf }

// FileError says of one file of an identity why it cannot be used.
type FileError struct {
	Path string
	err  error
}

func (e *FileError) Error() string { return e.err.Error() }
func (e *FileError) Unwrap() error { return e.err }

// State says how an identity is.
type State struct {
	Subject   string
	Names     []string // that the certificate carries; see [Names]
	NotBefore time.Time
	NotAfter  time.Time
	CAs       []CA
	// Problem says why the files as they are now are not in force; nil when they are. What was
	// in force before still is.
	Problem error
}

// CA is one authority and when it ends.
type CA struct {
	Subject  string
	NotAfter time.Time
}

// Source is an identity that follows its files. Files that are broken, half-written, do not fit
// together or hold a certificate that is not valid now leave the material in force that was.
type Source struct {
	files   Files
	problem func(error)

	current atomic.Pointer[Material]
	mu      sync.Mutex // one reader of the files at a time; guards what follows
	checked time.Time
	unsure  bool // the last look found something wrong that is not told yet
	trouble error
}

// Open reads an identity. A certificate that is not valid now is taken all the same, since the
// clock may be what is wrong; State says so. Later problems, and their end (nil), are told to
// problem, which may be nil; each is told once.
func Open(f Files, problem func(error)) (*Source, error) {
	if problem == nil {
		problem = func(error) {}
	}
	s := &Source{files: f, problem: problem, checked: time.Now()}
	m, err := load(f)
	if err != nil {
		return nil, err
	}
	s.current.Store(m)
	return s, nil
}

// Current returns the material in force. When the files were not looked at within the last
// second it looks at them first; while one caller does, others get what is there.
func (s *Source) Current() *Material {
	if s.mu.TryLock() {
		s.look()
		s.mu.Unlock()
	}
	return s.current.Load()
}

// look looks at the files unless it did so within the last second. A certificate and its key are
// written one after the other, so what is wrong with files that were written just now is not told
// before the next look finds it still so.
func (s *Source) look() {
	if time.Since(s.checked) < recheck {
		return
	}
	err := s.reload()
	if s.unsure = err != nil && s.files.writtenAfter(s.checked.Add(-recheck)); !s.unsure {
		s.tell(err)
	}
}

// Reload looks at the files now. Its error says why they are not in force.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.reload()
	s.unsure = false
	s.tell(err)
	return err
}

// State says how the identity is, as it was seen last: files are read for it only to make sure of what
// the last look left open.
func (s *Source) State() State {
	s.mu.Lock()
	if s.unsure {
		s.look()
	}
	problem := s.trouble
	s.mu.Unlock()
	m := s.current.Load()
	if late := InForce(m.Leaf(), time.Now()); problem == nil && late != "" {
		problem = errors.New("certificate " + late)
	}
	st := State{
		Subject:   Name(m.Leaf()),
		Names:     Names(m.Leaf()),
		NotBefore: m.Leaf().NotBefore,
		NotAfter:  m.Leaf().NotAfter,
		Problem:   problem,
	}
	for _, ca := range m.CAs {
		st.CAs = append(st.CAs, CA{Subject: Name(ca), NotAfter: ca.NotAfter})
	}
	return st
}

func (s *Source) reload() error {
	now, old := time.Now(), s.current.Load()
	s.checked = now
	m, err := load(s.files)
	if err == nil && m.digest != old.digest {
		late := InForce(m.Leaf(), now)
		if late != "" && InForce(old.Leaf(), now) == "" {
			err = fmt.Errorf("certificate file %s: certificate %s", s.files.CertFile, late)
		} else {
			s.current.Store(m)
		}
	}
	if err != nil {
		err = fmt.Errorf("%w; the certificate %s that ends on %s stays in force",
			err, Name(old.Leaf()), old.Leaf().NotAfter.UTC().Format(time.RFC3339))
	}
	return err
}

// tell reports a problem when it is another than before.
func (s *Source) tell(err error) {
	was := s.trouble
	s.trouble = err
	if (err == nil) != (was == nil) || err != nil && err.Error() != was.Error() {
		s.problem(err)
	}
}

// load reads all files.
func load(f Files) (*Material, error) {
	m := &Material{Roots: x509.NewCertPool(), CANames: baseNames(f.CAFiles)}
	sum := sha256.New()
	read := func(what, path string) ([]byte, error) {
		b, err := os.ReadFile(path)
		if err == nil {
			_, err = blocks(b)
		}
		if err != nil {
			return nil, &FileError{path, fmt.Errorf("%s: %w", what, named(path, err))}
		}
		fmt.Fprintf(sum, "%d:", len(b))
		sum.Write(b)
		return b, nil
	}
	if len(f.CAFiles) == 0 {
		return nil, errors.New("no CA file: without one no peer can prove who it is")
	}
	for _, path := range f.CAFiles {
		b, err := read("CA file", path)
		if err != nil {
			return nil, err
		}
		if err := m.addCAs(b); err != nil {
			return nil, &FileError{path, fmt.Errorf("CA file: %w", named(path, err))}
		}
	}
	cert, err := read("certificate file", f.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := read("key file", f.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &FileError{f.CertFile, fmt.Errorf("certificate file %s with key file %s: %s", f.CertFile, f.KeyFile, strings.TrimPrefix(err.Error(), "tls: "))}
	}
	m.Certificate = &pair
	sum.Sum(m.digest[:0])
	return m, nil
}

// ReadLeaf reads the first certificate of a file, without a key.
func ReadLeaf(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, err := blocks(b)
	if err != nil {
		return nil, named(path, err)
	}
	for _, block := range all {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, named(path, errors.New("holds no certificate"))
}

// named puts the path before an error that does not have it.
func named(path string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// blocks splits a PEM file. A file that is read while it is being written must not pass for one
// with fewer certificates.
func blocks(b []byte) (all []*pem.Block, err error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		all = append(all, block)
	}
	switch {
	case bytes.Contains(b, []byte("-----BEGIN")):
		return nil, errors.New("ends in the middle of a PEM block")
	case len(all) == 0:
		return nil, errors.New("holds nothing in PEM form")
	}
	return all, nil
}

// addCAs takes every certificate of a CA file.
func (m *Material) addCAs(b []byte) error {
	all, err := blocks(b)
	if err != nil {
		return err
	}
	for _, block := range all {
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("holds a PEM block %q; only CERTIFICATE may be there", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		m.Roots.AddCert(c)
		m.CAs = append(m.CAs, c)
	}
	return nil
}

func baseNames(paths []string) string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = filepath.Base(p)
	}
	return strings.Join(names, ", ")
}
