// Command cordon is the gateway and everything an operator does with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"cordon/gateway"
	"cordon/policy/file"
)

// version is set by the build.
var version = "dev"

// Exit codes, documented in `cordon --help`.
const (
	exitOK         = 0
	exitFailed     = 1 // what was asked for did not work
	exitUsage      = 2 // the command line is wrong
	exitPolicy     = 3 // the configuration or policy has errors
	exitNotRunning = 4 // no gateway answers on the control socket
)

// failure is an error with the exit code it leads to.
type failure struct {
	code int
	err  error
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:]))
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintln(os.Stderr, "cordon: "+msg)
	}
	var f failure
	switch {
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, gateway.ErrNotRunning):
		return exitNotRunning
	default:
		return exitFailed
	}
}

const longHelp = `Cordon is an inline, protocol-aware security gateway for medical devices that cannot be
patched. It stands between a device and the servers it talks to, reads the device's DICOM and
HL7 traffic with real parsers, passes only what the device's policy allows, and carries it on
over mutual TLS. The device is not touched.

First steps:
  cordon demo                 see it work, on this machine, with nothing else needed
  cordon init                 write a working shadow policy for your first device
  cordon check                find mistakes in the policy, all at once
  cordon run                  run the gateway
  cordon status               who talks, who is refused, since when, and what to do
  cordon explain REASON       what a refusal means and what would allow it
  cordon trace DEVICE         watch live what a device and its servers say

Exit codes:
  0  all is well
  1  what was asked for did not work
  2  the command line is wrong
  3  the configuration or policy has errors
  4  no gateway answers on the control socket`

// options are the flags that all commands share.
type options struct {
	config string
	json   bool
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use: "cordon", Short: "A security gateway for medical devices that cannot be patched",
		Long: longHelp, SilenceUsage: true, SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0], "")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVarP(&o.config, "config", "c", defaultConfig(), "path of `cordon.yaml` (default: $CORDON_CONFIG, else ./cordon.yaml where it exists, else "+systemConfig+")")
	root.PersistentFlags().Lookup("config").DefValue = "" // it was said in words
	root.PersistentFlags().BoolVar(&o.json, "json", false, "print JSON for machines")
	root.SetFlagErrorFunc(usageError)
	root.AddCommand(
		newRun(o), newInit(o), newCheck(o), newStatus(o), newExplain(o), newTrace(o), newDevice(o), newDemo(o), newBench(o), newVersion(o),
	)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			onlyBelow(cmd)
		}
	}
	return root
}

// onlyBelow has a command that does nothing itself name those below it, and refuse what is none of them.
func onlyBelow(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0], " for "+cmd.Name())
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return cmd.Help() }
}

// usageError is a wrong command line, with where to read what would be right.
func usageError(cmd *cobra.Command, err error) error {
	return failure{exitUsage, fmt.Errorf("%w\nrun \"%s --help\" for what it takes", err, cmd.CommandPath())}
}

// unknownCommand is the error for a command that is none, with the one that was probably meant.
func unknownCommand(cmd *cobra.Command, name, of string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usageError(cmd, fmt.Errorf("unknown command %q%s%s", name, of, meant(name, names)))
}

// meant ends an error with the name that was probably meant, if one is near.
func meant(name string, names []string) string {
	if near := file.Suggest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// exactly checks the number of arguments and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError(cmd, fmt.Errorf("%s takes %s; got %d arguments", cmd.CommandPath(), what, len(args)))
		}
		return nil
	}
}

const systemConfig = "/etc/cordon/cordon.yaml"

// defaultConfig is cordon.yaml here, else the system's.
func defaultConfig() string {
	if c := os.Getenv("CORDON_CONFIG"); c != "" {
		return c
	}
	if _, err := os.Stat("cordon.yaml"); err == nil {
		return "cordon.yaml"
	}
	return systemConfig
}

func newVersion(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.json {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": version})
			}
			fmt.Fprintln(cmd.OutOrStdout(), "cordon "+version)
			return nil
		},
	}
}
