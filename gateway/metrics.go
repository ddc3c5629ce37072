package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"cordon/protocols"
)

// metrics are what Prometheus reads. Labels are names from the policy and codes from the
// registry of reasons, never text from a peer.
type metrics struct {
	registry *prometheus.Registry
	units    *prometheus.CounterVec
	refusals *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	dials    *prometheus.CounterVec
	unread   *prometheus.CounterVec
	rejected *prometheus.CounterVec
	reloads  *prometheus.CounterVec
}

func newMetrics(g *Gateway) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cordon_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cordon_" + name, Help: help}, read)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		units:    counter("units_total", "Units judged: association requests, DIMSE messages, HL7 messages.", "device", "flow", "verdict"),
		refusals: counter("refusals_total", "Units refused, or that enforce would have refused (would=true).", "device", "flow", "reason", "would"),
		bytes:    counter("unit_bytes_total", "Bytes of the units judged.", "device", "flow"),
		dials:    counter("dial_failures_total", "Upstreams not reached.", "device", "flow"),
		unread:   counter("connections_unread_total", "Connections closed before anything was read.", "listener", "reason"),
		rejected: counter("peer_rejections_total", "Associations that the server itself rejected, requests that it failed and sessions that it cut with requests unanswered, or the device where a server connects.", "device", "flow"),
		reloads:  counter("reloads_total", "Policy reloads: done, unchanged (the files said what was in force), refused.", "result"),
	}
	m.registry.MustRegister(m.units, m.refusals, m.bytes, m.dials, m.unread, m.rejected, m.reloads,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("sessions", "Sessions under way, connections that are only refused included.", func() float64 { return float64(g.sessionCount()) }),
		gauge("handshakes", "Connections whose peers have not proven yet who they are.", func() float64 { return float64(g.handshakes.count()) }),
		gauge("held_bytes", "Memory that undecided units take beyond their first buffer.", func() float64 { return float64(g.budget.used.Load()) }),
		gauge("audit_failing", "1 while audit records cannot be written, else 0.", func() float64 {
			if g.auditStatus() != nil {
				return 1
			}
			return 0
		}),
		gauge("audit_waiting_records", "Audit records that are not written yet.", func() float64 { return float64(g.audit.Waiting()) }),
		gauge("audit_lost_records", "Audit records that could not be written.", func() float64 { return float64(g.audit.Lost()) }),
		&lastSeen{g: g, desc: prometheus.NewDesc("cordon_device_last_seen_timestamp_seconds", "When a device was last heard on a flow.", []string{"device", "flow"}, nil)},
		&limitUse{g: g,
			most: prometheus.NewDesc("cordon_limit", "What a device, or one flow of it, may use of a limit.", limitLabels, nil),
			used: prometheus.NewDesc("cordon_limit_used", "What it has used.", limitLabels, nil)},
		&certificates{g: g, desc: prometheus.NewDesc("cordon_certificate_not_after_timestamp_seconds", "When the certificate ends that a tunnel shows for a device; the first of several, and no device for what listeners show.", []string{"tunnel", "device"}, nil)},
	)
	g.accounts.metrics = m
	return m
}

// flowCounters are the counters of one flow, looked up once.
type flowCounters struct {
	allow, refuse, rewrite prometheus.Counter
	bytes                  prometheus.Counter
	dialFailures           prometheus.Counter
	rejections             prometheus.Counter
	refusals               *prometheus.CounterVec // by reason and would
}

func (m *metrics) forFlow(device, flow string) flowCounters {
	return flowCounters{
		allow:        m.units.WithLabelValues(device, flow, protocols.Allow.String()),
		refuse:       m.units.WithLabelValues(device, flow, protocols.Refuse.String()),
		rewrite:      m.units.WithLabelValues(device, flow, protocols.Rewrite.String()),
		bytes:        m.bytes.WithLabelValues(device, flow),
		dialFailures: m.dials.WithLabelValues(device, flow),
		rejections:   m.rejected.WithLabelValues(device, flow),
		refusals:     m.refusals.MustCurryWith(prometheus.Labels{"device": device, "flow": flow}),
	}
}

func (c *flowCounters) count(v *protocols.Verdict) {
	switch v.Action {
	case protocols.Allow:
		c.allow.Inc()
	case protocols.Refuse:
		c.refuse.Inc()
	case protocols.Rewrite:
		c.rewrite.Inc()
	}
	c.bytes.Add(float64(v.Bytes))
	switch {
	case v.Refused():
		c.refusals.WithLabelValues(string(v.Reason), "false").Inc()
	case v.Would == protocols.Refuse:
		c.refusals.WithLabelValues(string(v.Reason), "true").Inc()
	}
}

// lastSeen collects when each flow was last heard.
type lastSeen struct {
	g    *Gateway
	desc *prometheus.Desc
}

func (c *lastSeen) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *lastSeen) Collect(ch chan<- prometheus.Metric) {
	for _, a := range c.g.accounts.sorted() {
		if at := a.lastSeen.Load(); at != 0 {
			ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(at)/float64(time.Second), a.device, a.flow)
		}
	}
}
