package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cordon/policy"
	"cordon/tunnels"
	"cordon/tunnels/mtls"
	"cordon/tunnels/plain"
)

// tunnelSet makes each tunnel once: one per set of files and name that it verifies, shared by
// the flows that ask for the same.
type tunnelSet struct {
	mu   sync.Mutex
	made map[string]tunnels.Tunnel
}

func newTunnelSet() *tunnelSet { return &tunnelSet{made: map[string]tunnels.Tunnel{}} }

// prepare makes all tunnels of a policy, so that a missing certificate is found before anything
// starts. All that is wrong is in the error.
func (t *tunnelSet) prepare(p *policy.Policy) error {
	var errs []error
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
		_, err := t.forFlow(f)
		add("flow "+f.ID(), err)
	}
	return errors.Join(errs...)
}

// forFlow returns the tunnel that leads to a flow's upstream, with the identity of its device.
func (t *tunnelSet) forFlow(f *policy.Flow) (tunnels.Tunnel, error) {
	return t.get(f.To.Tunnel.Kind, mtls.Config{
		Name: f.To.Tunnel.Name, CAFiles: f.To.Tunnel.CAFiles, MinVersion: f.To.Tunnel.MinVersion,
		CertFile: f.CertFile, KeyFile: f.KeyFile, ServerName: f.To.ServerName,
	})
}

// forListener returns the tunnel that a listener hears through.
func (t *tunnelSet) forListener(l *policy.Listener) (tunnels.Tunnel, error) {
	return t.get(l.Tunnel.Kind, mtls.Config{
		Name: l.Tunnel.Name, CAFiles: l.Tunnel.CAFiles, MinVersion: l.Tunnel.MinVersion,
		CertFile: l.CertFile, KeyFile: l.KeyFile, Peers: l.Peers,
	})
}

func (t *tunnelSet) get(kind string, c mtls.Config) (tunnels.Tunnel, error) {
	id := fmt.Sprintf("%s %+v", kind, c)
	t.mu.Lock()
	defer t.mu.Unlock()
	if made, ok := t.made[id]; ok {
		return made, nil
	}
	var made tunnels.Tunnel
	var err error
	switch kind {
	case "plain":
		made = &plain.Tunnel{Name: c.Name}
	case "mtls":
		made, err = mtls.New(c)
	default:
		err = fmt.Errorf("tunnel %s: this version has no tunnel of kind %q", c.Name, kind)
	}
	if err != nil {
		return nil, err
	}
	t.made[id] = made
	return made, nil
}

// states returns how the tunnels are, for status.
func (t *tunnelSet) states() []tunnels.State {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []tunnels.State
	for _, m := range t.made {
		all = append(all, m.State())
	}
	return all
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
