package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/protocols/reason"
)

func newExplain(o *options) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use: "explain REASON|SESSION", Short: "Explain a refusal: the deciding rule, where it stands, and what would allow it",
		Long: `Explain a reason code (as in "cordon status" and the audit records) with its latest refusals,
or what was decided in a session. Without an argument, list all reason codes. The meaning of a
code is known without a running gateway; what it was applied to is asked through the control
socket.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(cmd, fmt.Errorf("explain takes one reason code or session; got %d arguments", len(args)))
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			var codes []string
			for _, i := range reason.All() {
				codes = append(codes, string(i.Code)+"\t"+i.Meaning)
			}
			return codes, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listReasons(cmd, o)
			}
			return explain(cmd, o, socket, args[0])
		},
	}
	cmd.Flags().StringVar(&socket, "socket", "", "`path` of the control socket (default: control.socket in cordon.yaml)")
	return cmd
}

func listReasons(cmd *cobra.Command, o *options) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), reason.All())
	}
	out := screen.New(cmd.OutOrStdout())
	t := out.Table("REASON", "MEANING")
	for _, i := range reason.All() {
		t.Row(screen.Plain(string(i.Code)), screen.Plain(i.Meaning))
	}
	t.Flush()
	return nil
}

func explain(cmd *cobra.Command, o *options, socket, asked string) error {
	known := reason.Known(reason.Code(asked))
	e, err := o.client(socket).Explain(cmd.Context(), asked)
	if err != nil {
		if !known {
			var codes []string
			for _, i := range reason.All() {
				codes = append(codes, string(i.Code))
			}
			if near := meant(asked, codes); near != "" {
				err = failure{exitFailed, fmt.Errorf("no reason code %q%s", asked, near)}
			}
			return err
		}
		info := reason.Lookup(reason.Code(asked))
		e = gateway.Explanation{Asked: asked, Reason: &info}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), e)
	}
	out := screen.New(cmd.OutOrStdout())
	if e.Reason != nil {
		showReason(out, e, time.Now())
		if err != nil {
			out.Printf("\nNo gateway was asked for its latest refusals: %v\n", err)
		}
		return nil
	}
	for _, d := range e.Records {
		out.Printf("%s\n", d.Line)
		if d.Meaning != "" {
			out.Printf("  %s\n", d.Meaning)
			out.Printf("  what would allow it: %s\n", d.Remedy)
		}
	}
	return nil
}

func showReason(out *screen.Screen, e gateway.Explanation, now time.Time) {
	i := e.Reason
	out.Printf("%s\n  %s\n  what to do: %s\n", screen.Coloured(string(i.Code), screen.Bold), i.Meaning, i.Do)
	kind := "permanent: the same unit will be refused again"
	switch {
	case i.Theirs:
		kind = "permanent or transient, as the peer's own answer says"
	case i.Transient:
		kind = "transient: the peer is asked to try again"
	}
	if i.Refuses() {
		out.Printf("  %s\n", kind)
	}
	if i.RJ.Result != 0 {
		out.Printf("  as A-ASSOCIATE-RJ: result %d, source %d, reason %d\n", i.RJ.Result, i.RJ.Source, i.RJ.Reason)
	}
	if i.Status != 0 {
		out.Printf("  as DIMSE status: %04XH\n", i.Status)
	}
	if i.ERR != "" {
		out.Printf("  as HL7 ERR-3: %s\n", i.ERR)
	}
	if len(e.Recent) > 0 {
		out.Printf("\nLatest:\n")
	}
	for n, r := range e.Recent {
		out.Printf("  %s ago, %s, %s from the %s%s\n", screen.Age(now.Sub(r.Time)), sessionOf(r), r.Unit, r.From, foundBy(r))
		out.Printf("    %s\n", e.Remedy[n])
	}
}

// sessionOf names the session; a connection that was closed unread never became one.
func sessionOf(r gateway.Refusal) string {
	if r.Session == "" {
		return "from " + r.Peer
	}
	return "session " + r.Session
}

// foundBy quotes what the rule looked at, unless it is quoted already.
func foundBy(r gateway.Refusal) string {
	switch {
	case r.Found == "":
		return ""
	case strings.Contains(r.Found, `"`):
		return " (found: " + r.Found + ")"
	}
	return fmt.Sprintf(" (found %q)", r.Found)
}
