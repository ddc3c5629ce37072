package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cordon/bench"
)

func newBenchSoak(o *options) *cobra.Command {
	s := bench.SoakOptions{Version: version, Progress: os.Stderr}
	var report string
	cmd := &cobra.Command{
		Use: "soak", Short: "Run mixed load for long, with reloads and certificate changes, and look for what grows or is lost",
		Long: `Run Cordon under a mixed load: HL7 on connections that stay open and on ones that come and go,
sealed and opened, DICOM studies, C-ECHO, idle connections. Every few seconds the policy is
changed, both certificates are replaced, or the audit file is rotated, as an operator would do it.
Memory, goroutines and open files are looked at each second.

Exit code 1 says that a message was lost, doubled or not acknowledged, a connection was reset, a
change did not come into force, something was left of the load, or something grew.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if s.Self, err = os.Executable(); err != nil {
				return err
			}
			s.Command = typed()
			r, err := bench.Soak(cmd.Context(), s)
			if err != nil {
				return err
			}
			if err := show(cmd, o, r, report); err != nil {
				return err
			}
			if len(r.Problems) > 0 {
				return errors.New(r.Soak.Sentence(r.Problems))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.DurationVar(&s.Duration, "duration", 30*time.Minute, "how `long`")
	f.DurationVar(&s.Every, "every", 5*time.Second, "`time` between changes, of which each kind has its turn")
	f.DurationVar(&s.Sample, "sample", time.Second, "`time` between looks at memory, goroutines and files")
	f.StringVar(&report, "report", "", "`directory` for report.html, report.md and report.json")
	return cmd
}
