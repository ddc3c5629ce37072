package main

import (
	"os"

	"github.com/spf13/cobra"

	"cordon/bench"
)

func newBenchFlood(o *options) *cobra.Command {
	f := bench.FloodOptions{Progress: os.Stderr}
	cmd := &cobra.Command{
		Use: "flood", Short: "Measure what a transfer loses while a flood of connections is held beside it",
		Long: `Run Cordon with its default limits, transfer a large DICOM object through it again and again,
and hold half-open TLS handshakes and idle connections beside every other transfer. What is
printed is the speed and the processor time with the flood over those without it, the memory,
and how many connections Cordon closed.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Self, err = os.Executable(); err != nil {
				return err
			}
			r, err := bench.RunFlood(cmd.Context(), f)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), r)
			}
			return r.WriteText(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.HalfOpen, "half-open", 2000, "`number` of half-open handshakes to hold")
	flags.IntVar(&f.Idle, "idle", 1000, "`number` of idle connections to hold")
	flags.Float64Var(&f.Rate, "rate", 200, "new connections a second")
	flags.IntVar(&f.Rounds, "rounds", 10, "`number` of rounds without the flood, and with it")
	flags.Int64Var(&f.Bytes, "bytes", 2<<30, "`size` of each transfer")
	return cmd
}
