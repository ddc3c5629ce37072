package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	running "cordon/gateway"
)

// site is what Cordon is configured with in a long run. One process has both roles:
//
//	ward    ──plain──▶ cordon ──mTLS, the device's own certificate──▶ sinks
//	branch  ──mTLS, the box's certificate──▶ cordon ──plain─▶ sink
type site struct {
	dir                string
	hl7, dicom, secure string // where it hears
	http               string
	lab, archive, near string // the sinks
	ca                 string
	device, box        [2]string // files of certificate and key
}

// Files in its directory.
const (
	deviceFile = "devices/ward.yaml"
	auditFile  = "audit/audit.jsonl"
)

func (s *site) form() Form {
	return Form{
		Args: []string{"run", "--config", "cordon.yaml", "--log-level", "error"},
		Files: map[string]string{
			"cordon.yaml": fmt.Sprintf(`box: {name: bench}
listeners:
  hl7: {address: %q, protocol: hl7, tunnel: plain}
  dicom: {address: %q, protocol: dicom, tunnel: plain}
  secure: {address: %q, protocol: hl7, tunnel: mtls, peers: [%s]}
tunnels:
  mtls: {ca: "file:%s", certificate: "file:%s", key: "file:%s"}
http: {address: %q}
limits: {connections: 2000, sessions: 2000}
timers: {idle: 24h, dial: 30s} # as long as the load waits
`, s.hl7, s.dicom, s.secure, clientName, s.ca, s.box[0], s.box[1], s.http),
			"site.yaml": fmt.Sprintf(`upstreams:
  lab: {address: %q, tunnel: mtls, server_name: %s}
  archive: {ae: %s, address: %q, tunnel: mtls, server_name: %s}
  near: {address: %q, tunnel: plain}
`, s.lab, serverName, sinkAE, s.archive, serverName, s.near),
			deviceFile: s.ward(0),
			"devices/branch.yaml": fmt.Sprintf(`device: branch
mode: enforce
identify: {certificate: %s}
flows:
  results: {to: near, protocol: hl7, allow: [message: ORU^R01]}
`, clientName),
		},
	}
}

// ward is the file of the device after so many changes. Each differs from the one before in
// what it allows and in a limit.
func (s *site) ward(changes int) string {
	allow := []string{"ORU^R01", "[ORU^R01, ADT^A01]"}[changes%2]
	return fmt.Sprintf(`# change %d
device: ward
mode: enforce
identify: {ip: 127.0.0.1}
identity: {certificate: "file:%s", key: "file:%s"}
ae: {titles: [%s]}
limits: {message: %dMiB}
flows:
  results: {to: lab, protocol: hl7, allow: [message: %s]}
  images: {to: archive, protocol: dicom, allow: [echo, store: [CT Image Storage]]}
`, changes, s.device[0], s.device[1], loadAE, 16+changes%4, allow)
}

// rewrite puts the device's next file in the place of the one before, as an editor does.
func (s *site) rewrite(changes int) error {
	path := filepath.Join(s.dir, deviceFile)
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(s.ward(changes)), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// control asks the gateway how it is.
func (s *site) control() running.Client {
	return running.Client{Socket: filepath.Join(s.dir, "run", "cordon.sock")}
}

// changeTime is how long a change may take to come into force.
const changeTime = 30 * time.Second

// reload changes the device's file and waits until another policy is in force.
func (s *site) reload(ctx context.Context, changes int) error {
	before, err := s.control().Status(ctx)
	if err != nil {
		return err
	}
	if err := s.rewrite(changes); err != nil {
		return err
	}
	for {
		now, err := s.control().Status(ctx)
		switch {
		case err != nil:
			return err
		case now.Policy != before.Policy:
			return nil
		case now.Reload != nil && now.Reload.Problem != "":
			return fmt.Errorf("the policy was refused: %s", now.Reload.Problem)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the policy was written and did not come into force: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// sightings follow one identity's certificates: which were issued, and which its peers are shown.
type sightings struct {
	mu     sync.Mutex
	at     map[string]int // of each serial number, how many were issued before it
	newest int            // of those seen
	stale  int64          // handshakes that showed one older than that before the newest
	seen   chan struct{}  // closed, and made anew, when a newer one is seen
}

func newSightings(serial string) *sightings {
	return &sightings{at: map[string]int{serial: 0}, seen: make(chan struct{})}
}

// renew issues another certificate; the number is what await wants. Handshakes wait meanwhile, so
// that none shows a certificate that nobody has heard of.
func (s *sightings) renew(issue func() (serial string, err error)) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	serial, err := issue()
	if err != nil {
		return 0, err
	}
	n = len(s.at)
	s.at[serial] = n
	return n, nil
}

// saw is told of each handshake. One that was under way when the newest was first seen may still
// show the one before; an older one may not be shown.
func (s *sightings) saw(serial string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.at[serial]
	switch {
	case !ok || n < s.newest-1:
		s.stale++
	case n > s.newest:
		s.newest = n
		close(s.seen)
		s.seen = make(chan struct{})
	}
}

// await waits until the certificate of that number, or a newer one, was seen.
func (s *sightings) await(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		newest, seen := s.newest, s.seen
		s.mu.Unlock()
		if newest >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("new handshakes do not show the new certificate: %w", ctx.Err())
		case <-seen:
		}
	}
}

// watch has a configuration tell of the certificates that peers show, on resumed sessions too.
func (s *sightings) watch(cfg *tls.Config) {
	check := cfg.VerifyConnection
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := check(cs); err != nil {
			return err
		}
		s.saw(cs.PeerCertificates[0].SerialNumber.Text(16))
		return nil
	}
}

// old counts the handshakes that showed a certificate that had been replaced twice.
func (s *sightings) old() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale
}
