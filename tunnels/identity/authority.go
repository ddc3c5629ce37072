package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Authority is a throw-away certificate authority (ECDSA P-256): for a demonstration, a first
// setup and tests. Its key is never written.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Request says what a certificate is for. Without Server or Client it is for both.
type Request struct {
	Name           string   // the common name
	DNSNames       []string // names it proves; Name when neither these nor Addresses are given
	Addresses      []netip.Addr
	Server, Client bool
	NotBefore      time.Time // an hour ago when zero, for clocks that differ a little
	NotAfter       time.Time // when the authority itself ends, when zero
}

// Pair is a certificate with its key, in PEM form.
type Pair struct{ Cert, Key []byte }

// lifetime of what an Authority makes when nothing else is asked for.
const lifetime = 365 * 24 * time.Hour

// NewAuthority makes a certificate authority of that name.
func NewAuthority(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(lifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key}, nil
}

// CertPEM is the authority's own certificate, for the CA files of those who trust it.
func (a *Authority) CertPEM() []byte { return block("CERTIFICATE", a.cert.Raw) }

// Issue makes a key and a certificate for it.
func (a *Authority) Issue(r Request) (*Pair, error) {
	if r.Name == "" {
		return nil, errors.New("a certificate needs a name")
	}
	if len(r.DNSNames) == 0 && len(r.Addresses) == 0 {
		r.DNSNames = []string{r.Name}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := a.template(r)
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", Quote(r.Name), err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &Pair{Cert: block("CERTIFICATE", der), Key: block("PRIVATE KEY", pkcs8)}, nil
}

func (a *Authority) template(r Request) *x509.Certificate {
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: r.Name},
		DNSNames:     r.DNSNames,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     a.cert.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	for _, ip := range r.Addresses {
		t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
	}
	if !r.NotBefore.IsZero() {
		t.NotBefore = r.NotBefore
	}
	if !r.NotAfter.IsZero() {
		t.NotAfter = r.NotAfter
	}
	if r.Server || !r.Client {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if r.Client || !r.Server {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	return t
}

// WriteCA writes the authority's certificate to a file.
func (a *Authority) WriteCA(path string) error { return writeFile(path, a.CertPEM()) }

// Write writes the certificate and the key to their files, the certificate last: a Source that
// looks in between keeps what it has.
func (p *Pair) Write(certFile, keyFile string) error {
	return errors.Join(writeFile(keyFile, p.Key), writeFile(certFile, p.Cert))
}

// writeFile replaces a file as a whole. Only its owner may read it.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func block(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

// serial is a random number of 127 bits, positive as RFC 5280 §4.1.2.2 asks.
func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f
	b[15] |= 1
	return new(big.Int).SetBytes(b[:])
}
