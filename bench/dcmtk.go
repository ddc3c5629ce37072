package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cordon/protocols/dicom/endpoint"
)

// In some workloads dcmtk's storescu and storescp stand at the ends: what hospitals run, with
// habits of its own. As Debian ships them they leave Nagle's algorithm on; where the far side
// delays its acknowledgments, each object then waits 44 ms for one.

// storescp is dcmtk's storage SCP as a sink. It tells nothing of what arrived; that storescu ends
// without an error says that each object was answered with a success.
type storescp struct {
	*process
	address string
}

func (s *storescp) Address() string { return s.address }

func (s *storescp) Drain(context.Context, int64) (Tally, error) { return Tally{Units: unknown}, nil }

func (s *storescp) Close() error { return s.stop() }

// unknown is a number of units that nobody counted.
const unknown = -1

// newStorescp starts one, behind mutual TLS where that is asked for. dcmtk chooses the suite, and
// has P-256 in place of X25519.
func (b *bench) newStorescp(ctx context.Context, w *Workload, secure bool) (*storescp, error) {
	program, err := exec.LookPath("storescp")
	if err != nil {
		return nil, fmt.Errorf("dcmtk is not installed: %w", err)
	}
	dir, err := os.MkdirTemp(b.dir, "storescp-")
	if err != nil {
		return nil, err
	}
	address := freeAddress()
	args := []string{"--ignore", "--max-pdu", "131072"}
	if secure {
		args = append(args, b.pki.dcmtk(serverName)...)
	}
	args = append(args, address[strings.LastIndexByte(address, ':')+1:])
	p, err := start(ctx, Hop{Program: program, Listen: address, Dir: dir}, Form{Args: args}, w.env)
	if err != nil {
		return nil, err
	}
	return &storescp{p, address}, nil
}

// dcmtk is how dcmtk's programs are told to speak mutual TLS.
func (p *pki) dcmtk(name string) []string {
	return []string{"+tls", p.key(name), p.cert(name), "+cf", p.ca()}
}

// files writes the objects of the study as Part 10 files, once.
func (b *bench) files() (string, error) {
	dir := filepath.Join(b.dir, "study")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	objects := b.objects
	if objects == nil {
		objects = ctStudy(b.Size.Objects)
	}
	for i, o := range objects {
		if err := writeObject(filepath.Join(dir, fmt.Sprintf("%06d.dcm", i)), o); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func writeObject(path string, o object) error {
	var b strings.Builder
	if err := endpoint.WriteFileMeta(&b, endpoint.FileMeta{SOPClass: o.class, SOPInstance: o.instance, Transfer: o.transfer}); err != nil {
		return err
	}
	b.Write(o.data)
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// storescu sends the files of a directory on one association.
func storescu(ctx context.Context, l *Load) (s Sample, err error) {
	at := strings.LastIndexByte(l.Target.Address, ':')
	args := append([]string{"-aet", loadAE, "-aec", sinkAE, "+sd"}, l.Programs.args...)
	cmd := exec.CommandContext(ctx, "storescu", append(args, l.Target.Address[:at], l.Target.Address[at+1:], l.Programs.files)...)
	cmd.Env = append(os.Environ(), l.Programs.env...)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return s, fmt.Errorf("storescu: %w: %s", err, out)
	}
	s.Wall = time.Since(began)
	entries, err := os.ReadDir(l.Programs.files)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			s.Units, s.Bytes = s.Units+1, s.Bytes+info.Size()
		}
	}
	return s, err
}

// programs is what a load by dcmtk needs besides.
type programs struct {
	files     string
	args, env []string
}
