package gateway

import (
	"fmt"
	"slices"
	"time"

	"cordon/policy"
	"cordon/policy/file"
	"cordon/policy/usage"
	"cordon/tunnels/identity"
)

// DeviceView is a device of a policy as `cordon device show` prints it.
type DeviceView struct {
	Device   string            `json:"device"`
	Tier     string            `json:"tier,omitempty"`
	State    string            `json:"state"`
	About    map[string]string `json:"about,omitempty"`
	Address  []string          `json:"address,omitempty"`
	AETitles []string          `json:"ae_titles,omitempty"`
	File     string            `json:"file"`
	// Vanished says that File is gone: the device stays in force until a file says state: retired.
	Vanished bool          `json:"vanished,omitempty"`
	Flows    []FlowView    `json:"flows"`
	Limits   []DeviceLimit `json:"limits,omitempty"`
	// Certificates are those that Cordon shows for the device, as the files have them now. They are
	// there where one device is asked for.
	Certificates []CertificateView `json:"certificates,omitempty"`
	// Effective is the merged policy, each line with the file and line that it comes from. It is
	// there where one device is asked for.
	Effective string `json:"effective,omitempty"`
}

// CertificateView is a certificate that is shown for a device.
type CertificateView struct {
	File     string     `json:"file"`
	Names    []string   `json:"names,omitempty"`
	NotAfter *time.Time `json:"not_after,omitempty"`
	Problem  string     `json:"problem,omitempty"` // why it cannot be read
}

// ViewCertificates reads the certificates that are shown for a device of a policy.
func ViewCertificates(p *policy.Policy, d *policy.Device) (all []CertificateView) {
	for _, f := range p.FlowsOf(d) {
		if f.CertFile == "" || f.To.Tunnel.Kind == "plain" || slices.ContainsFunc(all, func(v CertificateView) bool { return v.File == f.CertFile }) {
			continue
		}
		v := CertificateView{File: f.CertFile}
		if leaf, err := identity.ReadLeaf(f.CertFile); err != nil {
			v.Problem = err.Error()
		} else {
			v.Names, v.NotAfter = identity.Names(leaf), &leaf.NotAfter
		}
		all = append(all, v)
	}
	return all
}

// FlowView is one of its flows.
type FlowView struct {
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

// DeviceLimit is a limit of a device, or of one of its flows.
type DeviceLimit struct {
	Flow  string `json:"flow,omitempty"` // "" for what the device's flows share
	Limit string `json:"limit"`
	Most  int64  `json:"most"`
	// Used is there where a gateway runs, for limits that are counted over all associations.
	Used *int64 `json:"used,omitempty"`
	Text string `json:"text"`
	Rule string `json:"rule"`
}

// Of names whose limit it is.
func (l *DeviceLimit) Of(device string) string { return nameOf(device, l.Flow) }

// ViewDevice describes a device of a policy.
func ViewDevice(p *policy.Policy, d *policy.Device) DeviceView {
	v := DeviceView{
		Device: d.Name, Tier: d.Tier, State: d.State, About: d.About, AETitles: d.AETitles, File: d.Origin, Vanished: d.Vanished, Flows: []FlowView{},
	}
	for _, a := range d.Prefixes {
		v.Address = append(v.Address, a.String())
	}
	v.limits("", d.Usage)
	for _, f := range p.Flows {
		if f.Device != d {
			continue
		}
		from := ""
		if f.FromServer {
			from = f.From.Name
		}
		v.Flows = append(v.Flows, FlowView{
			Flow: f.Name, From: from, Follows: f.Follows, Protocol: string(f.Protocol), Mode: f.Mode.String(), HeardOn: f.Listener.Address,
			To: f.To.Name, Address: f.To.Address, Tunnel: f.To.Tunnel.Name, File: f.Origin,
		})
		v.limits(f.Name, f.Usage[1])
	}
	return v
}

func (v *DeviceView) limits(flow string, l *usage.Limits) {
	for _, one := range l.All() {
		v.Limits = append(v.Limits, DeviceLimit{Flow: flow, Limit: one.Kind.Key(), Most: one.Most, Text: one.Text, Rule: one.Rule})
	}
}

// Fill says how much of its limits is used, as a status has it.
func (v *DeviceView) Fill(used []LimitStatus) {
	for i := range v.Limits {
		l := &v.Limits[i]
		k := slices.IndexFunc(used, func(u LimitStatus) bool {
			return u.Device == v.Device && u.Flow == l.Flow && u.Limit == l.Limit
		})
		if k >= 0 {
			l.Used, l.Text = &used[k].Used, used[k].Text
		}
	}
}

// devices describes a device of the policy in force, or all of them.
func (g *Gateway) devices(name string) ([]DeviceView, error) {
	p := g.store.Current()
	used := g.limits(p)
	views := []DeviceView{}
	for _, d := range p.Devices {
		if name != "" && d.Name != name {
			continue
		}
		v := ViewDevice(p, d)
		v.Fill(used)
		if name != "" {
			v.Effective, _ = p.Effective(name) // a device of the policy has one
			v.Certificates = ViewCertificates(p, d)
		}
		views = append(views, v)
	}
	if name != "" && len(views) == 0 {
		return nil, NoDevice(p, name)
	}
	return views, nil
}

// NoDevice is the error for a device that a policy does not have.
func NoDevice(p *policy.Policy, name string) error {
	err := fmt.Errorf("no device %q in the policy", name)
	if hint := file.DidYouMean(name, deviceNames(p)); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return err
}
