package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"cordon/policy"
	"cordon/policy/usage"
)

// LimitStatus is how much of a limit that is counted over all associations is used: sessions now,
// associations in the last minute, instances and bytes since midnight.
type LimitStatus struct {
	Device string `json:"device"`
	Flow   string `json:"flow,omitempty"` // "" for what the device's flows share
	Limit  string `json:"limit"`          // its key: "instances_per_day"
	Most   int64  `json:"most"`
	Used   int64  `json:"used"`
	Text   string `json:"text"` // "1200 of 5000 instances per day"
}

// limits returns the use of all such limits of a policy.
func (g *Gateway) limits(p *policy.Policy) []LimitStatus {
	all := []LimitStatus{}
	add := func(l *usage.Limits, account, device, flow string) {
		for _, one := range l.All() {
			if one.Kind.Total() {
				used := g.store.Usage.Used(account, one.Kind)
				all = append(all, LimitStatus{device, flow, one.Kind.Key(), one.Most, used, one.Say(used)})
			}
		}
	}
	for _, d := range p.Devices {
		add(d.Usage, d.Name, d.Name, "")
	}
	for _, f := range p.Flows {
		add(f.Usage[1], f.ID(), f.Device.Name, f.Name)
	}
	return all
}

// limitUse collects the same for metrics.
type limitUse struct {
	g          *Gateway
	most, used *prometheus.Desc
}

var limitLabels = []string{"device", "flow", "limit"}

func (c *limitUse) Describe(ch chan<- *prometheus.Desc) { ch <- c.most; ch <- c.used }

func (c *limitUse) Collect(ch chan<- prometheus.Metric) {
	for _, l := range c.g.limits(c.g.store.Current()) {
		ch <- prometheus.MustNewConstMetric(c.most, prometheus.GaugeValue, float64(l.Most), l.Device, l.Flow, l.Limit)
		ch <- prometheus.MustNewConstMetric(c.used, prometheus.GaugeValue, float64(l.Used), l.Device, l.Flow, l.Limit)
	}
}
