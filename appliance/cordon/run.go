package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cordon/gateway"
	"cordon/gateway/audit"
	"cordon/policy"
)

func newRun(o *options) *cobra.Command {
	var level levelValue
	var logJSON bool
	var profile string
	cmd := &cobra.Command{
		Use: "run", Short: "Run the gateway",
		Long: `Run the gateway in the foreground until SIGTERM or Ctrl-C, then drain: what is under way
finishes within timers.grace, new connections are refused in the protocol's own words.

SIGHUP reads the policy again; so does a change in its directories, once they are quiet. A
policy with errors is never put into force: the old one stays, and the log says why.
SIGUSR1 opens the audit file anew, for log rotation.

Logs go to standard error, audit records to audit.file.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			stop, err := profileCPU(profile)
			if err != nil {
				return err
			}
			return errors.Join(run(cmd.Context(), o, newLogger(level.Level, logJSON || o.json)), stop())
		},
	}
	cmd.Flags().Var(&level, "log-level", "`level` of the log: debug, info, warn, error")
	cmd.RegisterFlagCompletionFunc("log-level", completeLevels)
	cmd.Flags().BoolVar(&logJSON, "log-json", false, "write the log as JSON lines")
	cmd.Flags().StringVar(&profile, "cpu-profile", "", "`file` for a CPU profile")
	cmd.Flags().MarkHidden("cpu-profile")
	return cmd
}

func newLogger(level slog.Level, json bool) *slog.Logger {
	ho := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(os.Stderr, ho))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, ho))
}

// loadPolicy reads the policy and turns its diagnostics into one error.
func loadPolicy(config string) (*policy.Policy, error) {
	p, diags := policy.Load(config)
	if p == nil {
		return nil, failure{exitPolicy, errors.New(diags.String())}
	}
	return p, nil
}

func run(ctx context.Context, o *options, log *slog.Logger) error {
	stop, err := serve(ctx, o.config, log, nil)
	if err != nil {
		return err
	}
	<-ctx.Done()
	stop()
	return nil
}

// openAudit opens the audit file, in a directory that is made if need be.
func openAudit(path string, log *slog.Logger, observe func(audit.Record)) (*audit.Log, error) {
	if path != "-" {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, fmt.Errorf("audit.file: %w", err)
		}
	}
	return audit.New(audit.File(path), audit.Options{
		Observe: observe,
		Trouble: func(err error) {
			if err != nil {
				log.Error("audit records cannot be written; traffic goes on", "error", err)
				return
			}
			log.Info("audit records are written again")
		},
	})
}

// auditGrace is how long the last audit records may take to be written.
const auditGrace = 5 * time.Second

func closeAudit(records *audit.Log, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), auditGrace)
	defer cancel()
	if err := records.Close(ctx); err != nil {
		log.Error("closing the audit", "error", err)
	}
}

// serve starts a gateway with all that belongs to it; observe, when not nil, is shown every audit
// record. It returns when connections are accepted; stop drains and ends it. On an error nothing
// was left running.
func serve(ctx context.Context, config string, log *slog.Logger, observe func(audit.Record)) (stop func(), err error) {
	var undo []func()
	ended := func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	defer func() {
		if err != nil {
			ended()
			err = fmt.Errorf("the gateway was not started, nothing is listening:\n%w", err)
		}
	}()

	p, err := loadPolicy(config)
	if err != nil {
		return nil, err
	}
	records, err := openAudit(p.Box.Audit, log, observe)
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() { closeAudit(records, log) })
	gw, err := gateway.New(gateway.Options{
		Policy: p, Log: log, Audit: records, Version: version,
		Load:  func() (*policy.Policy, error) { return loadPolicy(config) },
		Watch: policy.Directories(config),
	})
	if err != nil {
		return nil, err
	}
	undo = append(undo, gw.Abandon)
	stopControl, err := gw.ServeControl(ctx, p.Box.Control)
	if err != nil {
		return nil, err
	}
	undo = append(undo, stopControl)
	if p.Box.HTTP != "" {
		stopHTTP, err := gw.ServeHTTP(p.Box.HTTP)
		if err != nil {
			return nil, err
		}
		undo = append(undo, stopHTTP)
	}
	undo = append(undo, obey(gw, records))
	running, halt := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		gw.Run(running)
	}()
	return func() { halt(); <-done; ended() }, nil
}

// obey carries out what signals ask for.
func obey(gw *gateway.Gateway, records *audit.Log) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sig := range signals {
			if sig == syscall.SIGHUP {
				gw.Reload() // it reports its own errors
				continue
			}
			records.Reopen()
		}
	}()
	return func() { signal.Stop(signals); close(signals); <-done }
}
