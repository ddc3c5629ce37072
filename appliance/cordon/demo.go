package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cordon/appliance/demo"
	"cordon/gateway/audit"
)

func newDemo(o *options) *cobra.Command {
	d := demo.Options{}
	cmd := &cobra.Command{
		Use: "demo", Short: "See it work: devices, servers and a gateway on this machine, nothing else needed",
		Long: `Make a throw-away PKI, start a storage SCP and an HL7 receiver behind mutual TLS and a gateway
with a few example devices in front of them, then play a study and results as those devices
would, and after that what must be refused. The table shows each verdict with its reason.

The demo stays up, says what to type next, and ends with Ctrl-C. With --once it ends after the
play, with exit code 0 only if every expectation held. With --json it prints one audit record a
line instead of the table.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.JSON, d.Out, d.Start = o.json, os.Stdout, startDemo
			return demo.Run(cmd.Context(), d)
		},
	}
	cmd.Flags().BoolVar(&d.Once, "once", false, "end after the play")
	cmd.Flags().IntVar(&d.DICOMPort, "dicom-port", 11112, "`port` where the imaging devices are heard")
	cmd.Flags().IntVar(&d.HL7Port, "hl7-port", 2575, "`port` where the analyzers are heard")
	cmd.Flags().IntVar(&d.HTTPPort, "http-port", 9180, "`port` of health and metrics")
	cmd.Flags().StringVar(&d.Dir, "dir", "", "`directory` for policies, PKI and received data (default: a temporary one)")
	return cmd
}

// startDemo starts a gateway as `cordon run` does, with the policy that the demo wrote.
func startDemo(ctx context.Context, dir string, observe func(audit.Record)) (stop func(), err error) {
	config := filepath.Join(dir, "cordon.yaml")
	log := newLogger(slog.LevelError, false)
	return serve(ctx, config, log, observe)
}
