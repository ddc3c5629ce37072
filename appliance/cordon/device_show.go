package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/tunnels/identity"
)

func showDevice(cmd *cobra.Command, o *options, v gateway.DeviceView) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), v)
	}
	out := screen.New(cmd.OutOrStdout())
	tier := "no tier"
	if v.Tier != "" {
		tier = "tier " + v.Tier
	}
	out.Printf("%s  %s, extends %s, from %s\n", screen.Coloured(v.Device, screen.Bold), v.State, tier, v.File)
	if v.Vanished {
		file, _, _ := strings.Cut(v.File, ":")
		out.Printf("  %s\n", screen.Coloured("its file has vanished, and the running gateway keeps it in force until a file says state: retired; after a restart it is unknown", screen.Yellow))
		out.Printf("  to retire it: write %s again, with device: %s and state: retired\n", file, v.Device)
	}
	keys := make([]string, 0, len(v.About))
	for k := range v.About {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		out.Printf("  %s: %s\n", k, v.About[k])
	}
	out.Printf("  address: %s\n  AE titles: %s\n", strings.Join(v.Address, ", "), strings.Join(v.AETitles, ", "))
	for _, c := range v.Certificates {
		if c.NotAfter == nil {
			out.Printf("  certificate: %s\n", screen.Coloured(c.Problem, screen.Yellow))
			continue
		}
		verb, colour := "ends on", screen.Grey
		switch left := time.Until(*c.NotAfter); {
		case left < 0:
			verb, colour = "ended on", screen.Red
		case left < gateway.Soon:
			colour = screen.Yellow
		}
		out.Printf("  certificate: %s (%s), %s\n", c.File, identity.Few(c.Names), screen.Coloured(verb+" "+c.NotAfter.Format(time.DateOnly), colour))
	}
	out.Printf("\n")
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
		out.Printf("\n  limit of %s: %s (%s)", l.Of(v.Device), l.Text, l.Rule)
	}
	if len(v.Limits) > 0 {
		out.Printf("\n")
	}
	out.Printf("\ncordon device show %s --effective prints the merged policy with the origin of each line.\n", v.Device)
	return nil
}
