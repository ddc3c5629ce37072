package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"cordon/policy"
	"cordon/tunnels"
	"cordon/tunnels/mtls"
	"cordon/tunnels/plain"
)

// tunnelSet makes each tunnel once: one per set of files and name that it verifies, shared by
// the flows that ask for the same.
type tunnelSet struct {
	log  *slog.Logger
	mu   sync.Mutex
	made map[string]tunnels.Tunnel
	told map[string]bool // certificate files of which the log has that they were not in force as they were read
}

func newTunnelSet(log *slog.Logger) *tunnelSet {
	return &tunnelSet{log: log, made: map[string]tunnels.Tunnel{}, told: map[string]bool{}}
}

// prepare makes all tunnels of a policy, so that a missing certificate is found before anything
// starts. All that is wrong is in the error.
func (t *tunnelSet) prepare(p *policy.Policy) error { return errors.Join(t.make(p)...) }

// make makes all tunnels of a policy and returns what is wrong, each once.
func (t *tunnelSet) make(p *policy.Policy) (errs []error) {
	seen := map[string]bool{}
	add := func(where string, err error) {
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		}
	}
	for _, l := range p.Listeners {
		_, err := t.forListener(l)
		add("listener "+l.Name, err)
	}
	for _, f := range p.Flows {
		if f.Device.State == policy.Retired {
			continue // its files may be gone, too
		}
		_, err := t.forFlow(f)
		add("flow "+f.ID(), err)
	}
	return errs
}

// wants describes all tunnels of a policy.
func wants(p *policy.Policy) (all []want) {
	for _, l := range p.Listeners {
		all = append(all, wantOfListener(l))
	}
	for _, f := range p.Flows {
		all = append(all, wantOfFlow(f))
	}
	return all
}

// want is what a tunnel is made from. Two that are equal are one tunnel.
type want struct {
	kind      string
	listening string // the address, for a listener's own
	config    mtls.Config
}

// wantOfFlow describes the tunnel that leads to a flow's upstream, with its device's identity.
func wantOfFlow(f *policy.Flow) want {
	return want{kind: f.To.Tunnel.Kind, config: mtls.Config{
		Name: f.To.Tunnel.Name, CAFiles: f.To.Tunnel.CAFiles, MinVersion: f.To.Tunnel.MinVersion,
		CertFile: f.CertFile, KeyFile: f.KeyFile, ServerName: f.To.ServerName,
	}}
}

// wantOfListener describes the tunnel that a listener hears through. It is the listener's own,
// because its peers may change with a reload.
func wantOfListener(l *policy.Listener) want {
	return want{kind: l.Tunnel.Kind, listening: l.Address, config: mtls.Config{
		Name: l.Tunnel.Name, CAFiles: l.Tunnel.CAFiles, MinVersion: l.Tunnel.MinVersion,
		CertFile: l.CertFile, KeyFile: l.KeyFile, Peers: l.Peers,
	}}
}

// key tells tunnels apart; peers do not, they can be set.
func (w want) key() string {
	w.config.Peers = nil
	return fmt.Sprintf("%+v", w)
}

func (t *tunnelSet) forFlow(f *policy.Flow) (tunnels.Tunnel, error) { return t.get(wantOfFlow(f)) }

func (t *tunnelSet) forListener(l *policy.Listener) (tunnels.Tunnel, error) {
	return t.get(wantOfListener(l))
}

func (t *tunnelSet) get(w want) (made tunnels.Tunnel, err error) {
	key := w.key()
	t.mu.Lock()
	defer t.mu.Unlock()
	if made, ok := t.made[key]; ok {
		return made, nil
	}
	switch w.kind {
	case "plain":
		made = &plain.Tunnel{Name: w.config.Name}
	case "mtls":
		w.config.Problem = t.tell(w.config)
		made, err = mtls.New(w.config)
	default:
		err = fmt.Errorf("tunnel %s: this version has no tunnel of kind %q", w.config.Name, w.kind)
	}
	if err != nil {
		return nil, err
	}
	t.made[key] = made
	if problem := made.State().Problem; problem != "" && !t.told[w.config.CertFile] {
		t.told[w.config.CertFile] = true
		t.log.Error("a certificate is not in force; whoever is shown it refuses the connection", "tunnel", w.config.Name, "certificate", w.config.CertFile, "problem", problem)
	}
	return made, nil
}

// tell returns what logs that renewed files of a tunnel cannot be used, and that they can again.
func (t *tunnelSet) tell(c mtls.Config) func(error) {
	log := t.log.With("tunnel", c.Name, "certificate", c.CertFile)
	return func(err error) {
		if err != nil {
			log.Error("changed certificate files cannot be used; what was read before stays in force", "error", err)
		} else {
			log.Info("certificate files are in force again")
		}
	}
}

// keep closes the tunnels that a policy has no use for. Their connections stay.
func (t *tunnelSet) keep(p *policy.Policy) {
	used := map[string]bool{}
	for _, w := range wants(p) {
		used[w.key()] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, m := range t.made {
		if !used[key] {
			m.Close()
			delete(t.made, key)
		}
	}
}

// states returns how the tunnels are, for status.
func (t *tunnelSet) states() []tunnels.State {
	t.mu.Lock()
	made := slices.Collect(maps.Values(t.made))
	t.mu.Unlock()
	var all []tunnels.State
	for _, m := range made { // which reads files: dials do not wait for that
		all = append(all, m.State())
	}
	return all
}

// notAfter is when the certificate of the tunnel with that key ends; zero where there is none.
func (t *tunnelSet) notAfter(key string) time.Time {
	t.mu.Lock()
	m := t.made[key]
	t.mu.Unlock()
	if m == nil {
		return time.Time{}
	}
	return m.State().NotAfter
}

func (t *tunnelSet) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.made {
		m.Close()
	}
}

// dial connects to the upstream of a flow.
func (g *Gateway) dial(ctx context.Context, f *policy.Flow) (tunnels.Conn, error) {
	t, err := g.tunnels.forFlow(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tunnels.ErrIdentity, err)
	}
	return t.Dial(ctx, f.To.Address)
}
