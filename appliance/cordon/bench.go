package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cordon/bench"
)

func newBench(o *options) *cobra.Command {
	b := bench.Options{Version: version, Progress: os.Stderr}
	var report string
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure what inspection costs here, beside what you would use instead",
		Long: `Generate DICOM and HL7 load, run Cordon and the gateways found on this machine beside each
other, and compare: processor time of the gateway alone, throughput, latency, memory. Every
gateway is visited in turn, round after round, and what is printed are ratios of this one run.

Debian's packages of stunnel, haproxy and nginx, and ghostunnel, are used where they are there
("make bench-peers" installs them); what is missing is named and left out. With --report a page
with charts, a Markdown table and the figures as JSON are written to a directory.

--quick takes less than a minute; a full run takes about half an hour.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := prepare(&b); err != nil {
				return err
			}
			r, err := bench.Run(cmd.Context(), b)
			if err != nil {
				return err
			}
			return show(cmd, o, r, report)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&b.Quick, "quick", false, "DICOM bulk, HL7 and idle memory, in less than a minute")
	f.IntVar(&b.Rounds, "rounds", 0, "`number` of rounds (default 5, of a quick run 3)")
	f.StringSliceVar(&b.Workloads, "workload", nil, "`names` of workloads (default: all)")
	f.StringSliceVar(&b.Only, "only", nil, "`names` of gateways besides Cordon (default: all that are there)")
	f.StringArrayVar(&b.Extra, "peer", nil, "`NAME=COMMAND` of another gateway; {listen} {target} {ca} {cert} {key} {role} are filled in")
	f.StringVar(&b.PeerDir, "peers", filepath.Join("build", "peers", "bin"), "`directory` with gateways that are not in the path")
	f.DurationVar(&b.RTT, "rtt", 0, "round-trip `time` to add between gateway and server")
	f.StringVar(&b.Corpus, "corpus", "", "`directory` of DICOM files to send as the study")
	f.StringVar(&b.Profile, "profile", "", "`directory` for CPU profiles of Cordon")
	f.StringVar(&report, "report", "", "`directory` for report.html, report.md and report.json")
	cmd.AddCommand(newBenchScale(o), newBenchLoad(o), newBenchSink(o), newBenchFlood(o), newBenchSoak(o))
	return cmd
}

// prepare says who runs and how it was typed, and makes the directory for profiles, when there is
// to be one.
func prepare(b *bench.Options) (err error) {
	b.Command = typed()
	if b.Self, err = os.Executable(); err != nil || b.Profile == "" {
		return err
	}
	if b.Profile, err = filepath.Abs(b.Profile); err != nil {
		return err
	}
	return os.MkdirAll(b.Profile, 0o755)
}

// typed is the command line, for a report.
func typed() string { return strings.Join(append([]string{"cordon"}, os.Args[1:]...), " ") }

func newBenchScale(o *options) *cobra.Command {
	b := bench.ScaleOptions{Options: bench.Options{Version: version, Progress: os.Stderr}}
	var report string
	cmd := &cobra.Command{
		Use: "scale", Short: "Measure how cost grows with devices, connections, object size and cores",
		Long: `Run Cordon alone, inspecting in enforce with audit to a file and metrics on, and measure how its
cost grows: with the number of devices (start, reload, memory, messages, new connections), of open
connections, with the size of objects, and with cores. A table of what a box needs is computed from
these figures. With --report a page with charts, a Markdown table and the figures as JSON are
written to a directory.

It takes about three minutes.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := prepare(&b.Options); err != nil {
				return err
			}
			r, err := bench.RunScale(cmd.Context(), b)
			if err != nil {
				return err
			}
			return show(cmd, o, r, report)
		},
	}
	f := cmd.Flags()
	f.IntVar(&b.Rounds, "rounds", 0, "`number` of rounds (default 5)")
	f.StringSliceVar(&b.Sweeps, "sweep", nil, "`names` of what grows: devices, connections, object-size, cores-dicom, cores-hl7 (default: all)")
	f.StringVar(&b.Profile, "profile", "", "`directory` for CPU profiles of Cordon, one for each point")
	f.StringVar(&report, "report", "", "`directory` for report.html, report.md and report.json")
	return cmd
}

// show prints a report, and writes it to a directory when one is named.
func show(cmd *cobra.Command, o *options, r *bench.Report, dir string) error {
	if dir != "" {
		if err := r.WriteFiles(dir); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), r)
	}
	if err := r.WriteText(cmd.OutOrStdout()); err != nil {
		return err
	}
	if dir != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "\nThe report is %s\n", filepath.Join(dir, "report.html"))
	}
	return nil
}

// benchTLS are the files for one end on a host of its own.
func benchTLS(cmd *cobra.Command, e *bench.End) {
	f := cmd.Flags()
	f.StringVar(&e.CA, "ca", "", "`file` with the authority's certificate; with --cert and --key, mutual TLS is spoken")
	f.StringVar(&e.Cert, "cert", "", "`file` with the certificate to show")
	f.StringVar(&e.Key, "key", "", "`file` with its key")
	f.StringVar(&e.ServerName, "server-name", "", "`name` that the other end's certificate must carry (default: the host)")
}

func newBenchLoad(o *options) *cobra.Command {
	var e bench.End
	var l bench.Load
	cmd := &cobra.Command{
		Use: "load WORKLOAD --to HOST:PORT", Short: "Generate load alone, toward a gateway or a sink on another host",
		Args: exactly(1, "the name of a workload"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := bench.RunLoad(cmd.Context(), args[0], e, l)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), r)
			}
			fmt.Fprintln(cmd.OutOrStdout(), r)
			return nil
		},
	}
	benchTLS(cmd, &e)
	f := cmd.Flags()
	f.StringVar(&e.Address, "to", "", "`host:port` to connect to")
	f.IntVar(&l.Connections, "connections", 1, "`number` of connections")
	f.Float64Var(&l.Rate, "rate", 0, "arrivals a second (open loop; default: closed loop)")
	f.DurationVar(&l.Duration, "duration", 10*time.Second, "how `long`, for messages and connections")
	f.Int64Var(&l.Bytes, "bytes", 1<<30, "`size` of a bulk object")
	f.IntVar(&l.Count, "objects", 200, "`number` of objects of a study")
	cmd.MarkFlagRequired("to")
	return cmd
}

func newBenchSink(o *options) *cobra.Command {
	var e bench.End
	cmd := &cobra.Command{
		Use: "sink WORKLOAD --listen HOST:PORT", Short: "Receive load alone, from a gateway or a load on another host",
		Args: exactly(1, "the name of a workload"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := bench.RunSink(cmd.Context(), args[0], e, os.Stderr)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), t)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d units, %d bytes arrived\n", t.Units, t.Bytes)
			return nil
		},
	}
	benchTLS(cmd, &e)
	cmd.Flags().StringVar(&e.Address, "listen", "", "`host:port` to hear on")
	cmd.MarkFlagRequired("listen")
	return cmd
}
