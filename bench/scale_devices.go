package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measureDevices starts a gateway for each point, all beside each other, so that they come to rest
// at the same time.
func measureDevices(ctx context.Context, s *scale, points []*Point) error {
	var closing []func()
	defer func() {
		for _, c := range closing {
			c()
		}
	}()
	gateways := make([]*gateway, len(points))
	for i, p := range points {
		w := &Workload{Name: fmt.Sprintf("%s-%d", byDevices, p.At), Protocol: "hl7", serve: serveHL7}
		st, g, err := s.gateway(ctx, w, func(c *Peer) { c.form = siteOf(int(p.At)) })
		if err != nil {
			return fmt.Errorf("at %s: %w", p.Label, err)
		}
		closing = append(closing, st.close)
		gateways[i] = g
		p.Measures.put("start", "ms", g.processes[0].took.Seconds()*1e3)
		if err := s.heard(ctx, st, g, p); err != nil {
			return fmt.Errorf("at %s: %w", p.Label, err)
		}
	}
	var all []int
	for i, p := range points {
		took, err := gateways[i].reload(ctx)
		if err != nil {
			return fmt.Errorf("at %s: %w", p.Label, err)
		}
		p.Measures.put("reload", "ms", took.Seconds()*1e3)
		all = append(all, gateways[i].pids()...)
	}
	settled(all)
	for i, p := range points {
		u := measure(gateways[i].pids())
		p.Measures.put("resident", "MiB", mebibytes(u.resident))
		p.Measures.put("peak", "MiB", mebibytes(u.peak))
	}
	return nil
}

// heard measures what a message and a new connection cost among so many devices.
func (s *scale) heard(ctx context.Context, st *stage, g *gateway, p *Point) error {
	st.workload.run = bounded(newMessages(300))
	e, err := s.exchange(ctx, st, g, 32, false)
	if err != nil {
		return err
	}
	p.Measures.put("cpu", "µs/message", micro(e.cpu, s.Size.Messages))
	st.workload.run = connect(newMessages(300))
	before := used(g.pids())
	sample, err := st.visit(ctx, g, &Load{Target: g.target, Connections: 16, Duration: s.Size.Duration})
	if err != nil {
		return err
	}
	cost := used(g.pids()) - before
	p.Measures.put("connect", "µs/connection", micro(cost, int(sample.Units)))
	return nil
}

// reloadTime is how long a gateway may take to reload.
const reloadTime = 30 * time.Second

// reload changes the file of the device that sends and returns how long the gateway took from the
// signal until the new policy was in force, as its log says.
func (g *gateway) reload(ctx context.Context) (time.Duration, error) {
	p := g.processes[0]
	f, err := os.OpenFile(filepath.Join(p.cmd.Dir, sender), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	_, err = f.WriteString("# changed\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	done := p.output.await("policy reloaded")
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return 0, err
	}
	select {
	case <-done:
		return time.Since(began), nil
	case <-p.exited:
	case <-ctx.Done():
	case <-time.After(reloadTime):
	}
	return 0, fmt.Errorf("the policy was not reloaded within %s: %s", time.Since(began), p.output.String())
}

// Files of a site of many devices: of the one that sends, and of another, by its number.
const (
	sender = "devices/load.yaml"
	other  = "devices/ws-%05d.yaml"
)

// siteOf writes a site of n devices: the one that sends, and others that differ in name, address
// and AE title, as the workstations of a region do.
func siteOf(n int) func(Hop) Form {
	return func(h Hop) Form {
		f := cordonForm(h)
		f.Files["tiers/workstation.yaml"] = `tier: workstation
mode: enforce
flows:
  results: {to: far, protocol: hl7, allow: [message: [ORU^R01, ORM^O01]]}
`
		for i := 1; i < n; i++ {
			f.Files[fmt.Sprintf(other, i)] = fmt.Sprintf("device: ws-%05d\nextends: workstation\nidentify: {ip: 10.%d.%d.%d}\nae: {titles: [WS%05d]}\n",
				i, i>>16, i>>8&0xff, i&0xff, i)
		}
		f.Args = logging(f.Args)
		return f
	}
}

// logging has Cordon's log say what it does, the end of a reload among it.
func logging(args []string) []string {
	args = slices.Clone(args)
	if i := slices.Index(args, "--log-level"); i >= 0 {
		args[i+1] = "info"
	}
	return args
}

// abridged takes from a form, for the report, all of the other devices but the first.
func abridged(f Form) Form {
	files := maps.Clone(f.Files)
	maps.DeleteFunc(files, func(name, _ string) bool {
		return strings.HasPrefix(name, "devices/ws-") && name != fmt.Sprintf(other, 1)
	})
	return Form{f.Args, files}
}
