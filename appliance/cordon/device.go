package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/policy"
)

func newDevice(o *options) *cobra.Command {
	var socket string
	cmd := &cobra.Command{Use: "device", Short: "Show devices and the policy that holds for each"}
	onlyBelow(cmd)
	cmd.PersistentFlags().StringVar(&socket, "socket", "", "`path` of the control socket of a running gateway: show what it has in force, not what the files say")
	cmd.AddCommand(newDeviceList(o, &socket), newDeviceShow(o, &socket))
	return cmd
}

func newDeviceList(o *options, socket *string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the devices of the policy", Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			views, err := o.devices(cmd, *socket, "")
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
				// Vanished says that the file is gone; the running gateway keeps the device in force.
				Vanished bool `json:"vanished,omitempty"`
			}
			rows := []row{}
			for _, v := range views {
				rows = append(rows, row{Device: v.Device, Tier: v.Tier, State: v.State, Address: addresses(v), AE: v.AETitles, File: v.File, Vanished: v.Vanished})
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			t := screen.New(cmd.OutOrStdout()).Table("DEVICE", "TIER", "STATE", "ADDRESS", "AE TITLES", "FILE")
			for _, r := range rows {
				file := screen.Plain(r.File)
				if r.Vanished {
					file = screen.Coloured(r.File+" (vanished; in force until state: retired)", screen.Yellow)
				}
				t.Row(screen.Plain(r.Device), screen.Plain(r.Tier), screen.Plain(r.State), screen.Plain(strings.Join(r.Address, " ")),
					screen.Plain(strings.Join(r.AE, " ")), file)
			}
			t.Flush()
			return nil
		},
	}
}

func newDeviceShow(o *options, socket *string) *cobra.Command {
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
			if args[0] == "" {
				return usageError(cmd, errors.New("the name of the device is empty"))
			}
			views, err := o.devices(cmd, *socket, args[0])
			if err != nil {
				return err
			}
			v := views[0]
			if effective && !o.json {
				fmt.Fprint(cmd.OutOrStdout(), v.Effective)
				return nil
			}
			if !effective {
				v.Effective = ""
			}
			return showDevice(cmd, o, v)
		},
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "print the merged policy as YAML, each line with the file and line it comes from; with --json, the device with that text in it")
	return cmd
}

// devices describes a device, or with "" all of them, as the files have it, and those that a running
// gateway keeps in force although their files have vanished. Where the files have errors the gateway
// is asked for all, since its policy is the one in force; standard error says so. With a socket the
// gateway there is asked, and no file.
func (o *options) devices(cmd *cobra.Command, socket, name string) ([]gateway.DeviceView, error) {
	if socket != "" {
		return o.client(socket).Devices(cmd.Context(), name)
	}
	p, err := loadPolicy(o.config)
	if err != nil {
		views, asked := o.client("").Devices(cmd.Context(), name)
		switch {
		case errors.Is(asked, gateway.ErrNotRunning):
			return nil, err
		case asked == nil:
			fmt.Fprintln(cmd.ErrOrStderr(), "the files have errors (see cordon check); this is the policy that the running gateway has in force")
		}
		return views, asked
	}
	if name == "" {
		var views []gateway.DeviceView
		for _, d := range p.Devices {
			views = append(views, gateway.ViewDevice(p, d))
		}
		views = append(views, vanished(cmd, p, "")...)
		slices.SortFunc(views, func(a, b gateway.DeviceView) int { return strings.Compare(a.Device, b.Device) })
		return views, nil
	}
	d := p.Device(name)
	if d == nil {
		if views := vanished(cmd, p, name); len(views) > 0 {
			return views, nil
		}
		return nil, failure{exitFailed, gateway.NoDevice(p, name)}
	}
	v := gateway.ViewDevice(p, d)
	v.Certificates = gateway.ViewCertificates(p, d)
	if v.Effective, err = p.Effective(name); err != nil {
		return nil, err
	}
	if len(v.Limits) > 0 {
		if st, err := (gateway.Client{Socket: p.Box.Control}).Status(cmd.Context()); err == nil { // else nothing runs here, or it is not ours to ask
			v.Fill(st.Limits)
		}
	}
	return []gateway.DeviceView{v}, nil
}

// vanished describes a device, or with "" all of them, that the running gateway keeps in force although
// no file has them any longer: none where nothing runs, or it is not ours to ask.
func vanished(cmd *cobra.Command, p *policy.Policy, name string) []gateway.DeviceView {
	views, _ := gateway.Client{Socket: p.Box.Control}.Devices(cmd.Context(), name)
	return slices.DeleteFunc(views, func(v gateway.DeviceView) bool { return !v.Vanished || p.Device(v.Device) != nil })
}

// addresses are those of a device; of a single one its length says nothing.
func addresses(v gateway.DeviceView) (all []string) {
	for _, a := range v.Address {
		if p, err := netip.ParsePrefix(a); err == nil && p.IsSingleIP() {
			a = p.Addr().String()
		}
		all = append(all, a)
	}
	return all
}

// completeDevices offers the devices of the policy that are not named yet.
func (o *options) completeDevices(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, d := range policy.Peek(o.config).Devices {
		if !slices.Contains(args, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
