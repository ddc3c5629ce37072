package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
	"cordon/policy"
)

// deviceView is a device as `cordon device show` prints it.
type deviceView struct {
	Device   string            `json:"device"`
	Tier     string            `json:"tier,omitempty"`
	State    string            `json:"state"`
	About    map[string]string `json:"about,omitempty"`
	Address  []string          `json:"address,omitempty"`
	AETitles []string          `json:"ae_titles,omitempty"`
	File     string            `json:"file"`
	Flows    []flowView        `json:"flows"`
	Limits   []limitView       `json:"limits,omitempty"`
}

type flowView struct {
	Flow     string `json:"flow"`
	Protocol string `json:"protocol"`
	Mode     string `json:"mode"`
	HeardOn  string `json:"heard_on"`
	From     string `json:"from,omitempty"`    // the server that it comes from
	Follows  string `json:"follows,omitempty"` // the flow that it follows from, when no file holds it
	To       string `json:"to"`
	Address  string `json:"address"`
	Tunnel   string `json:"tunnel"`
	File     string `json:"file"`
}

func viewDevice(p *policy.Policy, d *policy.Device) deviceView {
	v := deviceView{
		Device: d.Name, Tier: d.Tier, State: string(d.State), About: d.About, AETitles: d.AETitles, File: d.Origin,
		Flows: []flowView{},
	}
	for _, a := range d.Prefixes {
		v.Address = append(v.Address, a.String())
	}
	for _, f := range p.Flows {
		if f.Device == d {
			from := ""
			if f.FromServer {
				from = f.From.Name
			}
			v.Flows = append(v.Flows, flowView{
				Flow: f.Name, From: from, Follows: f.Follows, Protocol: string(f.Protocol), Mode: f.Mode.String(), HeardOn: f.Listener.Address,
				To: f.To.Name, Address: f.To.Address, Tunnel: f.To.Tunnel.Name, File: f.Origin,
			})
		}
	}
	return v
}

func showDevice(cmd *cobra.Command, o *options, p *policy.Policy, d *policy.Device) error {
	v := viewDevice(p, d)
	v.Limits = viewLimits(cmd.Context(), p, d)
	if o.json {
		return printJSON(cmd.OutOrStdout(), v)
	}
	out := screen.New(cmd.OutOrStdout())
	out.Printf("%s  %s, tier %s, from %s\n", screen.Coloured(v.Device, screen.Bold), v.State, v.Tier, v.File)
	keys := make([]string, 0, len(v.About))
	for k := range v.About {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		out.Printf("  %s: %s\n", k, v.About[k])
	}
	out.Printf("  address: %s\n  AE titles: %s\n\n", strings.Join(v.Address, ", "), strings.Join(v.AETitles, ", "))
	t := out.Table("FLOW", "PROTOCOL", "MODE", "HEARD ON", "TO", "THROUGH", "FILE")
	for _, f := range v.Flows {
		heard := f.HeardOn
		if f.From != "" {
			heard += ", from " + f.From
		}
		t.Row(screen.Plain(f.Flow), screen.Plain(f.Protocol), screen.Plain(f.Mode), screen.Plain(heard),
			screen.Plain(fmt.Sprintf("%s (%s)", f.To, f.Address)), screen.Plain(f.Tunnel), screen.Plain(f.File))
	}
	t.Flush()
	for _, l := range v.Limits {
		out.Printf("\n  limit of %s: %s (%s)", l.of(v.Device), l.Text, l.Rule)
	}
	if len(v.Limits) > 0 {
		out.Printf("\n")
	}
	out.Printf("\ncordon device show %s --effective prints the merged policy with the origin of each line.\n", v.Device)
	return nil
}
