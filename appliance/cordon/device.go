package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
)

func newDevice(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "device", Short: "Show devices and the policy that holds for each",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(cmd, fmt.Errorf("unknown command %q for device%s", args[0], suggestions(cmd, args[0])))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeviceList(o), newDeviceShow(o))
	return cmd
}

func newDeviceList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the devices of the policy", Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadPolicy(o.config)
			if err != nil {
				return err
			}
			type row struct {
				Device  string   `json:"device"`
				Tier    string   `json:"tier,omitempty"`
				State   string   `json:"state"`
				Address []string `json:"address,omitempty"`
				AE      []string `json:"ae_titles,omitempty"`
				File    string   `json:"file"`
			}
			rows := []row{}
			for _, d := range p.Devices {
				r := row{Device: d.Name, Tier: d.Tier, State: string(d.State), AE: d.AETitles, File: d.Origin}
				for _, a := range d.Prefixes {
					if a.IsSingleIP() {
						r.Address = append(r.Address, a.Addr().String())
					} else {
						r.Address = append(r.Address, a.String())
					}
				}
				rows = append(rows, r)
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			t := screen.New(cmd.OutOrStdout()).Table("DEVICE", "TIER", "STATE", "ADDRESS", "AE TITLES", "FILE")
			for _, r := range rows {
				t.Row(screen.Plain(r.Device), screen.Plain(r.Tier), screen.Plain(r.State), screen.Plain(strings.Join(r.Address, " ")),
					screen.Plain(strings.Join(r.AE, " ")), screen.Plain(r.File))
			}
			t.Flush()
			return nil
		},
	}
}

func newDeviceShow(o *options) *cobra.Command {
	var effective bool
	cmd := &cobra.Command{
		Use: "show DEVICE", Short: "Show a device; with --effective, the merged policy with the origin of each line",
		Args: exactly(1, "the name of a device"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return o.completeDevices(cmd, args, toComplete)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadPolicy(o.config)
			if err != nil {
				return err
			}
			d := p.Device(args[0])
			if d == nil {
				return notFound(p, args[0])
			}
			if effective {
				text, err := p.Effective(d.Name)
				if err != nil {
					return err
				}
				fmt.Fprint(cmd.OutOrStdout(), text)
				return nil
			}
			return showDevice(cmd, o, p, d)
		},
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "print the merged policy as YAML, each line with the file and line it comes from")
	return cmd
}

// completeDevices offers the devices of the policy that are not named yet.
func (o *options) completeDevices(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	p, err := loadPolicy(o.config)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, d := range p.Devices {
		if !slices.Contains(args, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
