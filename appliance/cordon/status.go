package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/policy"
	"cordon/protocols/reason"
)

// client returns one for the gateway that a configuration describes. Errors in the files are no
// matter: the gateway runs under the policy that it read before them, and is asked why it refused
// this one.
func (o *options) client(socket string) gateway.Client {
	if socket != "" {
		return gateway.Client{Socket: socket}
	}
	path, err := policy.ControlSocket(o.config)
	c := gateway.Client{Socket: path}
	if err != nil {
		c.Doubt = fmt.Sprintf("that is the usual socket, because %s cannot be read; --socket names another:\n%v", o.config, err)
	}
	return c
}

func newStatus(o *options) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use: "status [DEVICE...]", Short: "Show who talks, who is refused, since when, why and what to do",
		Long: `Ask the running gateway, through its control socket, how each device and flow is. Of the devices
that are named, show all that was refused since the start, or that enforce would have refused: each
kind once, with how often, when, and what would allow it.

  cordon status
  cordon status ct-3

States of a flow:
  ok            what comes is allowed
  silent        nothing was heard yet
  refusing      the last unit was refused, or one in the last five minutes
  would-refuse  it passed (learn, shadow), but enforce would have refused it
  rejected      the server itself rejected the last association, failed a request or left it unanswered,
                or did so in the last five minutes (or the device did, where a server connects to it)
  down          the server cannot be reached
  held          the device is quarantined or retired
  removed       the policy has no such flow any longer

A refusal that the state does not tell, because the flow is in a worse one, has a line of its own.`,
		ValidArgsFunction: o.completeDevices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Contains(args, "") {
				return usageError(cmd, errors.New("the name of the device is empty"))
			}
			c := o.client(socket)
			st, err := c.Status(cmd.Context(), args...)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				for _, name := range args {
					if !slices.ContainsFunc(st.Flows, func(f gateway.FlowStatus) bool { return f.Device == name }) {
						if _, err := c.Devices(cmd.Context(), name); err != nil {
							return err
						}
					}
				}
				st.Limits = slices.DeleteFunc(st.Limits, func(l gateway.LimitStatus) bool { return !slices.Contains(args, l.Device) })
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), st)
			}
			if len(args) > 0 {
				showDevices(cmd.OutOrStdout(), st, time.Now())
				return nil
			}
			showStatus(cmd.OutOrStdout(), st, time.Now())
			return nil
		},
	}
	cmd.Flags().StringVar(&socket, "socket", "", "`path` of the control socket (default: control.socket in cordon.yaml)")
	return cmd
}

// upstreamOf names the server of a flow, which one toward the device comes from.
func upstreamOf(f gateway.FlowStatus) string {
	if f.From != "" {
		return "from " + f.From
	}
	return f.Upstream
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

var stateColour = map[string]screen.Colour{
	gateway.FlowOK: screen.Green, gateway.FlowSilent: screen.Grey, gateway.FlowRefusing: screen.Red,
	gateway.FlowWouldRefuse: screen.Yellow, gateway.FlowDown: screen.Red, gateway.FlowRejected: screen.Red, gateway.FlowHeld: screen.Yellow,
	gateway.FlowRemoved: screen.Grey,
}

func showStatus(w io.Writer, st gateway.Status, now time.Time) {
	out := screen.New(w)
	showFlows(out, st, now)
	for i := range st.Flows {
		showWould(out, &st.Flows[i], now)
	}
	showLimits(out, st.Limits)
	showRest(out, st, now)
}

// showDevices shows the flows that st was narrowed to, with all that is known of each.
func showDevices(w io.Writer, st gateway.Status, now time.Time) {
	out := screen.New(w)
	showFlows(out, st, now)
	for i := range st.Flows {
		showReports(out, &st.Flows[i], st, now)
	}
	showLimits(out, st.Limits)
}

// showFlows shows a line for each flow, and what is wrong with it.
func showFlows(out *screen.Screen, st gateway.Status, now time.Time) {
	state := "running"
	if st.Draining {
		state = "draining"
	}
	out.Printf("%s  %s since %s, policy %s, %s\n\n", st.Box, state, st.Since.Format(time.DateTime), st.Policy, count(st.Sessions, "session"))
	t := out.Table("DEVICE", "FLOW", "MODE", "STATE", "UPSTREAM", "LAST GOOD", "REFUSED", "LAST REFUSAL")
	for _, f := range st.Flows {
		refusal, r := "", f.LastRefusal
		if f.State == gateway.FlowRejected {
			r = f.LastRejection
		}
		if r != nil {
			refusal = fmt.Sprintf("%s ago: %s %s", screen.Age(now.Sub(r.Time)), r.Unit, r.Reason)
		}
		flow := f.Flow
		if flow == "" {
			flow = "(none chosen)"
		}
		t.Row(screen.Plain(f.Device), screen.Plain(flow), screen.Plain(f.Mode), screen.Coloured(f.State, stateColour[f.State]),
			screen.Plain(upstreamOf(f)), screen.Plain(ago(f.LastGood, now)), screen.Plain(fmt.Sprint(f.Refused)), screen.Plain(refusal))
	}
	t.Flush()
	for i := range st.Flows {
		f := &st.Flows[i]
		if f.Do != "" {
			out.Printf("\n%s %s: %s\n", screen.Coloured("●", stateColour[f.State]), flowName(f), trouble(f, now))
			out.Printf("  what to do: %s\n", f.Do)
		}
		for _, r := range f.Besides {
			what, state := "besides, ", kindState[r.Kind]
			if r.Kind == gateway.WouldRefuse {
				what = "besides, enforce would have refused "
			}
			out.Printf("\n%s %s: %s%s\n", screen.Coloured("●", stateColour[state]), flowName(f), what, refusalLine(&r.Refusal, reason.Lookup(r.Reason).Meaning, now))
			out.Printf("  what to do: %s\n", r.Do)
		}
	}
	for i := range st.Flows {
		f := &st.Flows[i]
		if n := f.Narrowed; n != nil && now.Sub(n.Time) < recentNarrowing {
			verb := "took away"
			if n.Passed {
				verb = "would have taken away"
			}
			out.Printf("\n%s %s: %s ago Cordon %s presentation contexts of an association, session %s: %s\n",
				screen.Coloured("○", screen.Yellow), flowName(f), screen.Age(now.Sub(n.Time)), verb, n.Session, n.Found)
			out.Printf("  if the device needs them: %s\n", n.Do)
		}
	}
	showVanished(out, st.Flows)
}

// kindState is the state of a flow that a kind of report leads to.
var kindState = map[gateway.Kind]string{
	gateway.Refused: gateway.FlowRefusing, gateway.WouldRefuse: gateway.FlowWouldRefuse, gateway.Rejected: gateway.FlowRejected,
}

// showVanished names the devices whose files are gone.
func showVanished(out *screen.Screen, flows []gateway.FlowStatus) {
	last := ""
	for _, f := range flows {
		if f.Vanished == "" || f.Device == last {
			continue
		}
		last = f.Device
		out.Printf("\n%s %s: its file %s has vanished; the device stays in force until a file says state: retired\n", screen.Coloured("●", screen.Yellow), f.Device, f.Vanished)
	}
}

// showWould says in one line that enforce would have refused more than the line above tells.
func showWould(out *screen.Screen, f *gateway.FlowStatus, now time.Time) {
	would := f.Would
	if would == nil || f.Mode == "" || f.Mode == "enforce" {
		return
	}
	under := ""
	if would.Earlier > 0 {
		under = fmt.Sprintf(", %d of them under an earlier policy alone", would.Earlier)
	}
	out.Printf("\n%s %s: enforce would have refused or narrowed %s of units (%d in all, the latest %s ago%s); cordon status %s lists them\n",
		screen.Coloured("○", screen.Yellow), flowName(f), count(would.Kinds, "kind"), would.Units, screen.Age(now.Sub(would.Last)), under, f.Device)
}

// showReports lists all that was refused on a flow.
func showReports(out *screen.Screen, f *gateway.FlowStatus, st gateway.Status, now time.Time) {
	if len(f.Reports) == 0 {
		out.Printf("\n%s: nothing was refused, and nothing passed that enforce would have refused, since the start %s ago\n", flowName(f), screen.Age(now.Sub(st.Since)))
		return
	}
	out.Printf("\n%s, the latest first:\n", flowName(f))
	for i := range f.Reports {
		r := &f.Reports[i]
		first := ""
		if r.Count > 1 {
			first = fmt.Sprintf(", the first %s ago", screen.Age(now.Sub(r.First)))
		}
		out.Printf("  %s %s: %s from the %s%s\n", screen.Coloured(string(r.Kind), kindColour[r.Kind]), r.Reason, r.Unit, r.From, foundBy(&r.Refusal))
		under := ""
		if r.Kind.Would() && r.Policy != st.Policy {
			under = ", under an earlier policy"
		}
		out.Printf("    %s, the latest %s ago%s, %s%s\n", count(int(r.Count), "time"), screen.Age(now.Sub(r.Time)), first, sessionOf(&r.Refusal), under)
		if r.Do != "" {
			out.Printf("    %s\n", r.Do)
		}
	}
}

var kindColour = map[gateway.Kind]screen.Colour{
	gateway.Refused: screen.Red, gateway.Rejected: screen.Red, gateway.WouldRefuse: screen.Yellow, gateway.WouldNarrow: screen.Yellow, gateway.Narrowed: screen.Yellow,
}

// recentNarrowing is how long status mentions an association that was narrowed.
const recentNarrowing = 15 * time.Minute

// flowName names a flow, or the device alone where no flow was chosen.
func flowName(f *gateway.FlowStatus) string {
	if f.Flow == "" {
		return f.Device
	}
	return f.Device + "/" + f.Flow
}

// trouble says in one line who is refused, since when and why.
func trouble(f *gateway.FlowStatus, now time.Time) string {
	if f.State == gateway.FlowDown {
		what := "upstream"
		if f.From != "" {
			what = "device"
		}
		return fmt.Sprintf("%s %s has not been reached for %s: %s", what, f.Upstream, ago(f.DownSince, now), f.Problem)
	}
	if r := f.LastRejection; f.State == gateway.FlowRejected && r != nil {
		again := ""
		if f.LastGood != nil && f.LastGood.After(r.Time) {
			again = ", and it has accepted since"
		}
		what, how := "rejected", "association"
		switch r.Reason {
		case reason.DICOMPeerFailed:
			what, how = "failed", "answer"
		case reason.SessionCut:
			what, how = "cut", "session"
		}
		return fmt.Sprintf("%s by the %s: %s, the first %s ago, the latest %s ago, session %s: %s%s",
			what, r.From, count(int(f.Rejected), how), ago(f.RejectedSince, now), screen.Age(now.Sub(r.Time)), r.Session, f.Meaning, again)
	}
	if f.LastRefusal == nil || f.State == gateway.FlowHeld {
		return f.State
	}
	return refusalLine(f.LastRefusal, f.Meaning, now)
}

// refusalLine says who was refused, when and why.
func refusalLine(r *gateway.Refusal, meaning string, now time.Time) string {
	found := ""
	if r.Found != "" {
		found = fmt.Sprintf(" (found %q)", r.Found)
	}
	return fmt.Sprintf("%s from the %s, %s ago, session %s: %s%s", r.Unit, r.From, screen.Age(now.Sub(r.Time)), r.Session, meaning, found)
}

func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	return screen.Age(now.Sub(*t))
}

func showRest(out *screen.Screen, st gateway.Status, now time.Time) {
	if len(st.Unknown) > 0 {
		out.Printf("\nConnections closed unread:\n")
		for _, u := range st.Unknown {
			out.Printf("  %s on %s: %s, %d times, last %s ago\n", u.Address, u.Listener, u.Reason, u.Count, screen.Age(now.Sub(u.Last)))
			if u.Found != "" {
				out.Printf("    found: %s\n", u.Found)
			}
			out.Printf("    %s\n", u.Do)
		}
	}
	for _, t := range st.Tunnels {
		colour := screen.Red
		if t.Up {
			colour = screen.Yellow
		}
		if !t.Up || t.Problem != "" {
			out.Printf("\n%s tunnel %s: %s\n", screen.Coloured("●", colour), t.Name, t.Problem)
		}
	}
	for _, u := range st.Uninspected {
		until := "with no end"
		if u.Until != nil {
			until = "until " + u.Until.Format(time.DateOnly)
		}
		out.Printf("\n%s upstream %s (%s) is reached in plaintext: %s; owner %s, %s\n", screen.Coloured("●", screen.Yellow), u.Upstream, u.Address, u.Reason, u.Owner, until)
	}
	if st.Reload != nil && st.Reload.Problem != "" {
		out.Printf("\n%s the last reload, %s ago, was refused; the policy before it is in force:\n%s\n", screen.Coloured("●", screen.Red), screen.Age(now.Sub(st.Reload.At)), st.Reload.Problem)
	}
	if a := st.Audit; a != nil {
		out.Printf("\n%s audit records cannot be written for %s: %s\n", screen.Coloured("●", screen.Red), screen.Age(now.Sub(a.Since)), a.Problem)
		out.Printf("  traffic goes on; %s waiting in memory, %d lost\n", count(a.Waiting, "record"), a.Lost)
		out.Printf("  what to do: make room, or let Cordon write, where audit.file in cordon.yaml leads\n")
	} else if st.AuditLost > 0 {
		out.Printf("\n%s %d audit records could not be written\n", screen.Coloured("●", screen.Red), st.AuditLost)
	}
}
