package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/gateway/audit"
	"cordon/protocols"
	"cordon/protocols/reason"
)

func newExplain(o *options) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use: "explain REASON|SESSION", Short: "Explain a refusal: the deciding rule, where it stands, and what would allow it",
		Long: `Explain a reason code (as in "cordon status" and the audit records) with its latest refusals on
every flow, or what was decided in a session. Without an argument, list all reason codes. The
meaning of a code is known without a running gateway; what it was applied to is asked through the
control socket. Of sessions the gateway remembers the last 4096 records; older ones are in the
audit file.`,
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
	showSession(out, e.Records)
	return nil
}

// showSession prints what was decided in a session, and below it each reason once.
func showSession(out *screen.Screen, all []gateway.Decision) {
	t := out.Table("TIME", "DIRECTION", "UNIT", "VERDICT", "REASON", "FOUND", "RULE")
	var who gateway.Decision
	for _, d := range all {
		r := &d.Record
		if r.Flow != "" || who.Record.Session == "" {
			who = d
		}
		t.Row(screen.Plain(r.Time.Local().Format("15:04:05.000")), screen.Plain(string(r.Direction)), screen.Plain(r.Unit.String()),
			verdictOf(r), screen.Plain(string(r.Reason)), screen.Plain(r.Found.String()), screen.Plain(r.Rule))
	}
	r := &who.Record
	name := r.Device
	if r.Flow != "" {
		name += "/" + r.Flow
	}
	if name == "" {
		name = "no device"
	}
	out.Printf("Session %s of %s, from %s, %s; %s, mode %s, policy %s\n\n", r.Session, name, r.Peer,
		all[0].Record.Time.Local().Format(time.DateTime), count(len(all), "record"), r.Mode, r.Policy)
	t.Flush()
	type said struct{ code, remedy string }
	seen := map[said]bool{}
	for _, d := range all {
		one := said{string(d.Record.Reason), d.Remedy}
		if d.Meaning == "" || seen[one] {
			continue
		}
		seen[one] = true
		out.Printf("\n%s: %s\n  what to do: %s\n", screen.Coloured(one.code, screen.Bold), d.Meaning, d.Remedy)
	}
}

// verdictOf says what became of a unit, and what enforce would have made of it.
func verdictOf(r *audit.Record) screen.Text {
	text, colour := r.Verdict.String(), screen.Default
	switch {
	case r.Verdict == protocols.Refuse:
		colour = screen.Red
	case r.Would != r.Verdict:
		text, colour = text+" (enforce: "+r.Would.String()+")", screen.Yellow
	}
	if r.Cut {
		text += ", cut"
	}
	return screen.Coloured(text, colour)
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
		out.Printf("  %s ago, %s, %s from the %s%s%s\n", screen.Age(now.Sub(r.Time)), sessionOf(&r.Refusal), r.Unit, r.From, foundBy(&r.Refusal), times(&r.Report, now))
		out.Printf("    %s\n", e.Remedy[n])
	}
}

// times says how often it happened, where that was not once, and whether the unit passed.
func times(r *gateway.Report, now time.Time) string {
	text := ""
	if r.Count > 1 {
		text = fmt.Sprintf(", %d times in %s", r.Count, screen.Age(now.Sub(r.First)))
	}
	if r.Kind.Would() {
		text += ", passed"
	}
	return text
}

// sessionOf names the session; a connection that was closed unread never became one.
func sessionOf(r *gateway.Refusal) string {
	if r.Session == "" {
		return "from " + r.Peer
	}
	return "session " + r.Session
}

// foundBy quotes what the rule looked at, unless it is quoted already.
func foundBy(r *gateway.Refusal) string {
	switch {
	case r.Found == "":
		return ""
	case strings.Contains(r.Found, `"`):
		return " (found: " + r.Found + ")"
	}
	return fmt.Sprintf(" (found %q)", r.Found)
}
