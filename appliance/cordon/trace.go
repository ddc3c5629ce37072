package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/policy"
	"cordon/protocols"
)

const longTrace = `Show live what a device and its servers say to each other: the negotiation of each DICOM
association (presentation contexts proposed, stripped, accepted), each DIMSE message and HL7
message, and each status with its meaning. It is what a packet capture no longer shows where the
traffic is encrypted, and it holds no patient data: no names, no identifiers, no instance UIDs, no
values of data sets, no control IDs.

  cordon trace ct-3
  cordon trace ct-3 us-2 --flow archive --for 10m
  cordon trace --all --json > trace.jsonl

  14:02:11.304  7f3a-1  archive  device → server  A-ASSOCIATE-RQ      CT3 calls PACS
                maximum length 16384, implementation 1.2.276.0.7230010.3.0.3.6.7, OFFIS_DCMTK_367
                context   1  CT Image Storage: Explicit VR Little Endian
                context   3  MR Image Storage: Explicit VR Little Endian; stripped (abstract-syntax-not-supported)
                rewritten: dicom.abstract-syntax: The flow allows nothing of this abstract syntax (SOP class).
  14:02:11.912  7f3a-1  archive  device → server  C-STORE-RQ          message 1: CT Image Storage …  (526.3 kB, 5 PDVs, in 3.1 ms)
  14:02:11.931  7f3a-1  archive  server → device  C-STORE-RSP         message 1: 0000H Success  (148 bytes, 1 PDV, after 15.9 ms)

A session that was under way before is shown with what it had agreed on. "cordon" as sender is an
answer of Cordon's own; "cordon explain REASON" says what would allow what it refused. A reader
that is too slow loses lines, and a line says how many; the traffic never waits for it.

The trace ends with Ctrl-C, with --for, or with the gateway.`

// traceFlags are what `cordon trace` takes besides devices.
type traceFlags struct {
	socket, flow string
	all          bool
	limit        waitValue
	count        countValue
}

func newTrace(o *options) *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use: "trace DEVICE...", Short: "Watch live what a device and its servers say, without patient data",
		Long: longTrace,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && !f.all:
				return usageError(cmd, fmt.Errorf("trace takes the names of devices, or --all"))
			case len(args) > 0 && f.all:
				return usageError(cmd, fmt.Errorf("trace takes the names of devices or --all, not both"))
			}
			return nil
		},
		ValidArgsFunction: o.completeDevices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return trace(cmd, o, &f, o.client(f.socket), gateway.TraceQuery{Devices: args, Flow: f.flow})
		},
	}
	cmd.Flags().StringVar(&f.flow, "flow", "", "only this `flow`")
	cmd.RegisterFlagCompletionFunc("flow", o.completeFlows)
	cmd.Flags().BoolVar(&f.all, "all", false, "all devices")
	cmd.Flags().Var(&f.limit, "for", "end after so `long` (10m)")
	cmd.Flags().Var(&f.count, "count", "end after so `many` lines")
	cmd.Flags().StringVar(&f.socket, "socket", "", "`path` of the control socket (default: control.socket in cordon.yaml)")
	return cmd
}

// completeFlows offers the flows of the devices that are named, or of all.
func (o *options) completeFlows(_ *cobra.Command, devices []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, f := range policy.Peek(o.config).Flows {
		if (len(devices) == 0 || slices.Contains(devices, f.Device.Name)) && !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// trace shows lines until the user, the flags or the gateway end it.
func trace(cmd *cobra.Command, o *options, f *traceFlags, c gateway.Client, q gateway.TraceQuery) error {
	ctx := cmd.Context()
	if f.limit.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.limit.Duration)
		defer cancel()
	}
	stream, err := c.Trace(ctx, q)
	if err != nil {
		return err
	}
	defer stream.Close()
	show := jsonLines(cmd.OutOrStdout())
	if !o.json {
		fmt.Fprintln(cmd.ErrOrStderr(), watching(q))
		show = (&traceView{out: screen.New(cmd.OutOrStdout()), several: len(q.Devices) != 1}).show
	}
	for n := countValue(0); f.count == 0 || n < f.count; n++ {
		line, err := stream.Next()
		if ctx.Err() != nil {
			return nil // as asked for
		}
		if err == nil {
			err = show(&line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func jsonLines(w io.Writer) func(*gateway.Trace) error {
	e := json.NewEncoder(w)
	return func(line *gateway.Trace) error { return e.Encode(line) }
}

func watching(q gateway.TraceQuery) string {
	what := "all devices"
	if len(q.Devices) > 0 {
		what = strings.Join(q.Devices, ", ")
	}
	if q.Flow != "" {
		what += ", flow " + q.Flow
	}
	return "watching " + what + "; Ctrl-C ends it"
}

// traceView writes lines for people.
type traceView struct {
	out     *screen.Screen
	several bool // devices, so that each line names its own
	width   int  // of the widest name so far
}

// What follows a line stands below it, indented as far as its time is wide.
const traceIndent = "              "

func (v *traceView) show(line *gateway.Trace) error {
	at := screen.Coloured(line.Time.Local().Format("15:04:05.000"), screen.Grey)
	if line.Lost > 0 {
		v.out.Printf("%s  %s\n", at, screen.Coloured(fmt.Sprintf("%d lines are missing here: they were not read in time", line.Lost), screen.Yellow))
		return nil
	}
	name := line.Flow
	if v.several {
		name = line.Device + "/" + line.Flow
	}
	v.width = max(v.width, len(name))
	who := fmt.Sprintf("%-6s → %-6s", line.From, line.To)
	if line.From == "" {
		who = strings.Repeat(" ", 15)
	}
	v.out.Printf("%s  %-9s  %-*s  %s  ", at, line.Session, v.width, name, who)
	if text, size := line.Text, measures(line); text+size != "" {
		v.out.Printf("%s  %s%s\n", screen.Coloured(fmt.Sprintf("%-18s", line.Unit), traceColour(line)), screen.Coloured(text, classColour[line.Class]), size)
	} else {
		v.out.Printf("%s\n", screen.Coloured(line.Unit, traceColour(line)))
	}
	for _, l := range line.Lines {
		colour := screen.Default
		if strings.Contains(l, "stripped") || strings.Contains(l, ": rejected") {
			colour = screen.Yellow
		}
		v.out.Printf("%s%s\n", traceIndent, screen.Coloured(l, colour))
	}
	if line.Reason != "" {
		v.out.Printf("%s%s\n", traceIndent, screen.Coloured(judgement(line), traceColour(line)))
		v.out.Printf("%s%s\n", traceIndent, screen.Coloured("more: cordon explain "+string(line.Reason), screen.Grey))
	}
	return nil
}

var classColour = map[protocols.StatusClass]screen.Colour{
	protocols.StatusSuccess: screen.Green, protocols.StatusWarning: screen.Yellow,
	protocols.StatusCancel: screen.Yellow, protocols.StatusFailure: screen.Red,
}

// traceColour is that of a line's unit: it stands out when it did not pass, or would not have.
func traceColour(line *gateway.Trace) screen.Colour {
	switch {
	case line.Verdict == protocols.Refuse.String(), line.From == "cordon":
		return screen.Red
	case line.Reason != "":
		return screen.Yellow
	}
	return screen.Bold
}

// judgement says what became of the unit and why.
func judgement(line *gateway.Trace) string {
	text := "why: "
	switch {
	case line.Would != "":
		text = "passed, but enforce would " + line.Would + " it: "
	case line.Verdict == protocols.Refuse.String():
		text = "refused: "
	case line.Verdict == protocols.Rewrite.String():
		text = "rewritten: "
	}
	text += string(line.Reason)
	if line.Meaning != "" {
		text += ": " + line.Meaning
	}
	if line.Found != "" {
		text += fmt.Sprintf(" Found %q.", line.Found)
	}
	if line.Rule != "" {
		text += " (" + line.Rule + ")"
	}
	return text
}

// measures says how much a message was and how long it took.
func measures(line *gateway.Trace) string {
	if line.Bytes == 0 || strings.HasPrefix(line.Unit, "A-") {
		return ""
	}
	if line.More {
		return "  (under way)"
	}
	parts := []string{byteCount(line.Bytes)}
	switch {
	case line.PDVs == 1:
		parts = append(parts, "1 PDV")
	case line.PDVs > 1:
		parts = append(parts, fmt.Sprintf("%d PDVs", line.PDVs))
	}
	if line.Elapsed >= shownTime {
		parts = append(parts, fmt.Sprintf("in %.1f ms", line.Elapsed))
	}
	if line.After >= shownTime {
		parts = append(parts, fmt.Sprintf("after %.1f ms", line.After))
	}
	text := "  (" + strings.Join(parts, ", ") + ")"
	if line.Ends {
		text = "over" + text
	}
	return text
}

// shownTime is the shortest that is worth showing, in milliseconds.
const shownTime = 0.1

// byteCount writes a number of bytes the way people say it.
func byteCount(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	f := float64(n) / 1000
	for _, unit := range []string{"kB", "MB", "GB"} {
		if f < 1000 || unit == "GB" {
			return fmt.Sprintf("%.1f %s", f, unit)
		}
		f /= 1000
	}
	return ""
}
