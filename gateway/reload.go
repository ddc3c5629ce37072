package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
)

// quietFor is how long the policy's directories must be quiet before they are read: editors and
// copies write in several steps.
const quietFor = 700 * time.Millisecond

// reloadState is what status says about the last reload.
type reloadState struct {
	mu      sync.Mutex
	at      time.Time
	problem string
}

func (r *reloadState) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.problem = time.Now(), ""
	if err != nil {
		r.problem = err.Error()
	}
}

func (r *reloadState) get() (time.Time, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at, r.problem
}

// Reload reads the policy again and puts it into force as a whole. On any error the old one
// stays in force and the error says why. Sessions go on; each judges its next message by the new
// rules. Only those of devices that may not talk any longer end.
func (g *Gateway) Reload() error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	changed, err := g.reload()
	g.reloads.set(err)
	switch {
	case err != nil:
		g.metrics.reloads.WithLabelValues("refused").Inc()
		g.log.Error("policy not reloaded; the old one stays in force", "policy", g.store.Current().Version, "error", err)
	case changed:
		g.metrics.reloads.WithLabelValues("done").Inc()
	default:
		g.metrics.reloads.WithLabelValues("unchanged").Inc()
	}
	return err
}

// reload tells whether another policy came into force. None does when the files say what they said:
// when a file was touched, or written in several steps, or on the first look after the start.
func (g *Gateway) reload() (changed bool, err error) {
	if g.opts.Load == nil {
		return false, fmt.Errorf("this gateway has no policy files to read again")
	}
	p, err := g.opts.Load()
	if err != nil {
		return false, err
	}
	old := g.store.Current()
	kept := p.Keep(old)
	if p.Version == old.Version {
		return false, nil
	}
	for _, name := range kept {
		g.log.Warn("the file of a device has vanished; the device stays until its file says state: retired", "device", name)
	}
	if err := g.tunnels.prepare(p); err != nil {
		return false, err
	}
	fresh, err := g.open(p)
	if err != nil {
		return false, err
	}
	g.store.Swap(p)
	g.budget.limit.Store(p.Box.Budget)
	g.accounts.follow(p)
	for _, l := range fresh {
		go l.serve()
	}
	g.closeUnused(p)
	g.tunnels.keep(p)
	g.warnFixed(old, p)
	g.revoke(p)
	g.log.Info("policy reloaded", "policy", p.Version, "was", old.Version, "devices", len(p.Devices), "flows", len(p.Flows))
	return true, nil
}

// warnFixed names what a reload cannot change.
func (g *Gateway) warnFixed(old, p *policy.Policy) {
	for _, c := range []struct{ name, was, is string }{
		{"control.socket", old.Box.Control, p.Box.Control},
		{"http.address", old.Box.HTTP, p.Box.HTTP},
		{"audit.file", old.Box.Audit, p.Box.Audit},
	} {
		if c.was != c.is {
			g.log.Warn("this setting changes only with a restart", "setting", c.name, "in_force", c.was, "wanted", c.is)
		}
	}
}

// revoke ends the sessions of devices that may not talk any longer.
func (g *Gateway) revoke(p *policy.Policy) {
	for _, s := range g.live() {
		s.mu.Lock()
		f := s.flow
		s.mu.Unlock()
		if f == nil {
			continue
		}
		if d := p.Device(f.Device.Name); d == nil || d.State == policy.Active {
			continue
		}
		go func() {
			s.tell(protocols.Event{Kind: protocols.Revoked, Reason: reason.SessionRevoked})
			s.ensureEnding()
		}()
	}
}

// watch reloads when the directories of the policy have changed and are quiet again. The
// function it returns stops it.
func (g *Gateway) watch(ctx context.Context) (stop func()) {
	if len(g.opts.Watch) == 0 || g.opts.Load == nil {
		return func() {}
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		g.log.Warn("policy directories are not watched; reload with SIGHUP", "error", err)
		return func() {}
	}
	g.watchAll(w)
	g.log.Debug("watching the policy", "directories", g.opts.Watch)
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.follow(ctx, w)
	}()
	return func() { w.Close(); <-done }
}

// watchAll watches the directories that are there. One that comes later is seen in its parent.
func (g *Gateway) watchAll(w *fsnotify.Watcher) {
	for _, dir := range g.opts.Watch {
		if err := w.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			g.log.Warn("a policy directory is not watched; reload with SIGHUP", "directory", dir, "error", err)
		}
	}
}

func (g *Gateway) follow(ctx context.Context, w *fsnotify.Watcher) {
	quiet := time.NewTimer(quietFor)
	if !g.store.Current().Outdated(g.opts.Watch) { // nothing changed before it was watched
		quiet.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			if policyFile(e.Name) || slices.Contains(g.opts.Watch, e.Name) {
				quiet.Reset(quietFor)
			}
		case err, ok := <-w.Errors:
			if !ok {
				return
			}
			g.log.Warn("watching the policy directories", "error", err)
		case <-quiet.C:
			g.watchAll(w)
			g.Reload() // it reports its own errors
		}
	}
}

// policyFile tells whether a change to a file may change the policy.
func policyFile(name string) bool {
	base := filepath.Base(name)
	return !strings.HasPrefix(base, ".") && (strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".yml"))
}
