package main

import (
	"context"
	"slices"
	"strings"

	"cordon/appliance/screen"
	"cordon/gateway"
	"cordon/policy"
	"cordon/policy/usage"
)

// limitView is a limit of a device, or of one of its flows, as `cordon device show` prints it.
type limitView struct {
	Flow  string `json:"flow,omitempty"` // "" for what the device's flows share
	Limit string `json:"limit"`
	Most  int64  `json:"most"`
	// Used is there where a gateway runs, for limits that are counted over all associations.
	Used *int64 `json:"used,omitempty"`
	Text string `json:"text"`
	Rule string `json:"rule"`
}

// of names whose limit it is.
func (l *limitView) of(device string) string {
	if l.Flow == "" {
		return device
	}
	return device + "/" + l.Flow
}

// viewLimits returns the limits of a device, with what is used of them where a gateway answers.
func viewLimits(ctx context.Context, p *policy.Policy, d *policy.Device) (views []limitView) {
	add := func(l *usage.Limits, flow string) {
		for _, one := range l.All() {
			views = append(views, limitView{Flow: flow, Limit: one.Kind.Key(), Most: one.Most, Text: one.Text, Rule: one.Rule})
		}
	}
	add(d.Usage, "")
	for _, f := range p.Flows {
		if f.Device == d {
			add(f.Usage[1], f.Name)
		}
	}
	if len(views) == 0 {
		return nil
	}
	st, err := gateway.Client{Socket: p.Box.Control}.Status(ctx)
	if err != nil {
		return views // nothing runs here, or it is not ours to ask
	}
	for i := range views {
		v := &views[i]
		k := slices.IndexFunc(st.Limits, func(l gateway.LimitStatus) bool {
			return l.Device == d.Name && l.Flow == v.Flow && l.Limit == v.Limit
		})
		if k >= 0 {
			v.Used, v.Text = &st.Limits[k].Used, st.Limits[k].Text
		}
	}
	return views
}

// showLimits prints how much of their limits devices have used, a line for each device or flow.
func showLimits(out *screen.Screen, limits []gateway.LimitStatus) {
	if len(limits) == 0 {
		return
	}
	out.Printf("\nLimits (of the day since midnight):\n")
	for len(limits) > 0 {
		of := limits[0]
		var texts []string
		mark := screen.Coloured(" ", screen.Default)
		for len(limits) > 0 && limits[0].Device == of.Device && limits[0].Flow == of.Flow {
			if texts = append(texts, limits[0].Text); limits[0].Used >= limits[0].Most {
				mark = screen.Coloured("●", screen.Red)
			}
			limits = limits[1:]
		}
		name := of.Device
		if of.Flow != "" {
			name += "/" + of.Flow
		}
		out.Printf("%s %s: %s\n", mark, name, strings.Join(texts, ", "))
	}
}
