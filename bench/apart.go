package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// End is a load or a sink on a host of its own.
type End struct {
	Address       string
	CA, Cert, Key string // all empty: plaintext
	ServerName    string
}

func (e End) tlsConfig(w *Workload) (*tls.Config, error) {
	switch {
	case e.CA == "" && e.Cert == "" && e.Key == "":
		return nil, nil
	case e.CA == "" || e.Cert == "" || e.Key == "":
		return nil, errors.New("mutual TLS needs all of --ca, --cert and --key")
	}
	pair, err := tls.LoadX509KeyPair(e.Cert, e.Key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(e.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", e.CA)
	}
	cfg := terms(pair, roots, w.Resume)
	if cfg.ServerName = e.ServerName; cfg.ServerName == "" {
		cfg.ServerName, _, err = net.SplitHostPort(e.Address)
	}
	return cfg, err
}

func named(name string) (*Workload, error) {
	if w := Find(name); w != nil && w.returns {
		return nil, fmt.Errorf("%s connects back to its load, so load and sink are not run apart", name)
	} else if w != nil {
		return w, nil
	}
	return nil, fmt.Errorf("no workload is called %q; there are %s", name, strings.Join(names(), ", "))
}

// Outcome is what a load on a host of its own measured.
type Outcome struct {
	Workload string  `json:"workload"`
	Units    int64   `json:"units"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_us,omitempty"`
	P99      float64 `json:"p99_us,omitempty"`
	P999     float64 `json:"p99.9_us,omitempty"`
}

func (o Outcome) String() string {
	text := fmt.Sprintf("%s: %d units and %d bytes in %.3f s: %s units/s, %s MB/s", o.Workload, o.Units, o.Bytes, o.Seconds,
		significant(float64(o.Units)/o.Seconds), significant(float64(o.Bytes)/1e6/o.Seconds))
	if o.P50 > 0 {
		text += fmt.Sprintf("; p50 %s µs, p99 %s µs, p99.9 %s µs", significant(o.P50), significant(o.P99), significant(o.P999))
	}
	return text
}

// RunLoad generates load toward an address.
func RunLoad(ctx context.Context, workload string, e End, l Load) (o Outcome, err error) {
	w, err := named(workload)
	if err != nil {
		return o, err
	}
	l.Target.Address = e.Address
	if l.Target.TLS, err = e.tlsConfig(w); err != nil {
		return o, err
	}
	s, err := w.run(ctx, &l)
	if err != nil {
		return o, err
	}
	o = Outcome{Workload: w.Name, Units: s.Units, Bytes: s.Bytes, Seconds: s.Wall.Seconds()}
	if s.Latency != nil {
		o.P50, o.P99, o.P999 = s.Latency.at(0.5), s.Latency.at(0.99), s.Latency.at(0.999)
	}
	return o, nil
}

// RunSink receives load until ctx ends, and returns what arrived.
func RunSink(ctx context.Context, workload string, e End, progress io.Writer) (Tally, error) {
	w, err := named(workload)
	if err != nil {
		return Tally{}, err
	}
	cfg, err := e.tlsConfig(w)
	if err != nil {
		return Tally{}, err
	}
	s, err := NewSink(e.Address, cfg, w)
	if err != nil {
		return Tally{}, err
	}
	fmt.Fprintf(progress, "receiving %s on %s until Ctrl-C\n", w.Name, s.Address())
	<-ctx.Done()
	s.Close()
	return s.Drain(ctx, 0)
}
