// Package demo is what `cordon demo` shows: a hospital in a directory. It makes a throw-away PKI
// and a policy, runs a PACS and an HL7 receiver that only speak mutual TLS, lets a gateway stand
// between them and three devices, and plays what the devices would do: first what must pass,
// then what must be refused.
//
//	ct-3        127.0.0.1 ─┐                          ┌── mTLS ──▶ embedded PACS   received/dicom/
//	analyzer-7  127.0.0.2 ─┼── plain ──▶ gateway ─────┤
//	us-2        127.0.0.3 ─┘                          └── mTLS ──▶ embedded HIS    received/hl7/
//
// Each scene of the play says what the device must see, what must arrive and what must stand in
// the audit; [Run] returns an error that names what did not hold.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"cordon/gateway/audit"
	"cordon/tunnels/mtls"
)

// Options move and shape the demo. The zero value of each field has a default.
type Options struct {
	DICOMPort int // of the listener for imaging devices; 11112
	HL7Port   int // of the listener for HL7; 2575
	HTTPPort  int // of health and metrics; 9180
	// Dir is where policies, PKI and received data lie; a temporary directory that goes with the
	// demo when empty.
	Dir  string
	Once bool // end after the play
	JSON bool // print one audit record a line instead of the table
	Out  io.Writer
	// Start starts a gateway with the policy in dir and hands each of its audit records to
	// observe, which does not block for long. stop ends it.
	Start func(ctx context.Context, dir string, observe func(audit.Record)) (stop func(), err error)
}

const images = 24 // of the CT series

// Run runs the demo until ctx ends, or with Once until the play is over. Its error names each
// expectation that did not hold.
func Run(ctx context.Context, o Options) error {
	o.setDefaults()
	if err := run(ctx, o); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

func run(ctx context.Context, o Options) error {
	dir, remove, err := directory(o.Dir)
	if err != nil {
		return err
	}
	defer remove()
	if err := checkAddresses(); err != nil {
		return err
	}
	st := site{dir: dir, dicomPort: o.DICOMPort, hl7Port: o.HL7Port, httpPort: o.HTTPPort}
	if err := st.prepare(); err != nil {
		return err
	}
	servers, err := newServers(st.path("received"), pacsAE)
	if err != nil {
		return err
	}
	pacs, his, err := st.listen(ctx)
	if err != nil {
		return fmt.Errorf("embedded servers: %w", err)
	}
	defer servers.serve(pacs, his)()
	if err := st.writePolicy(pacs.Addr().String(), his.Addr().String()); err != nil {
		return err
	}
	stage := newStage(st, servers)
	if err := st.writeTries(stage.study.Another("try"), NewDesk("CT3", "RADIOLOGY", "TRY-"+stage.desk.seed, stage.desk.when)); err != nil {
		return err
	}
	show := NewShow(o.Out, o.JSON)
	stop, err := o.Start(ctx, dir, func(r audit.Record) {
		show.Record(r)
		stage.heard.record(r)
	})
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer stop()
	return perform(ctx, o, st, stage, show)
}

// newStage makes the stage of a run, with UIDs and control IDs of its own.
func newStage(st site, servers *servers) *Stage {
	seed := make([]byte, 8)
	rand.Read(seed)
	now := time.Now()
	return &Stage{DICOM: st.address(st.dicomPort), HL7: st.address(st.hl7Port), Called: pacsAE, servers: servers,
		study: NewStudy(hex.EncodeToString(seed), now, images),
		desk:  NewDesk("ANALYZER7", "LAB", hex.EncodeToString(seed[:4]), now),
		heard: &heard{rows: make(chan row, 4096)}}
}

// perform plays, says how it went, and stays up when asked to.
func perform(ctx context.Context, o Options, st site, stage *Stage, show *Show) error {
	show.Say(opening, st.dicomPort, st.hl7Port)
	play := scenes(images)
	failed := stage.Play(ctx, play)
	if ctx.Err() == nil {
		for _, f := range failed {
			show.Say("✗ %v\n", f)
		}
		show.Say("\n%d of %d scenes went as expected.\n", len(play)-len(failed), len(play))
	} else if o.Once {
		failed = append(failed, fmt.Errorf("ended before the play was over: %w", context.Cause(ctx)))
	}
	if !o.Once && ctx.Err() == nil {
		show.Say("%s", st.next(o.Dir == ""))
		<-ctx.Done()
	}
	show.Flush()
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d scenes did not go as expected:\n%w", len(failed), len(play), errors.Join(failed...))
	}
	return nil
}

func (o *Options) setDefaults() {
	for _, p := range []struct {
		port *int
		to   int
	}{{&o.DICOMPort, 11112}, {&o.HL7Port, 2575}, {&o.HTTPPort, 9180}} {
		if *p.port == 0 {
			*p.port = p.to
		}
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
}

// directory makes the demo's directory; remove takes it away again when it is a temporary one.
func directory(asked string) (dir string, remove func(), err error) {
	if asked == "" {
		dir, err = os.MkdirTemp("", "cordon-demo-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	dir, err = filepath.Abs(asked)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	return dir, func() {}, err
}

// checkAddresses makes sure that each device can speak from its own address. Linux has the whole
// of 127.0.0.0/8 on its loopback interface; others need aliases.
func checkAddresses() error {
	for device, r := range cast {
		l, err := net.Listen("tcp", net.JoinHostPort(r.address, "0"))
		if err != nil {
			return fmt.Errorf("device %s cannot use %s: %w (on macOS: sudo ifconfig lo0 alias %s)", device, r.address, err, r.address)
		}
		l.Close()
	}
	return nil
}

// listen opens the embedded servers' listeners on free ports, both behind mutual TLS.
func (s site) listen(ctx context.Context) (pacs, his net.Listener, err error) {
	var peers []string
	for device := range cast {
		peers = append(peers, device)
	}
	open := func(name string) (net.Listener, error) {
		t, err := mtls.New(mtls.Config{Name: name, CAFiles: []string{s.path("pki", "ca.pem")},
			CertFile: s.path("pki", name+".pem"), KeyFile: s.path("pki", name+".key"), Peers: peers})
		if err != nil {
			return nil, err
		}
		return t.Listen(ctx, "127.0.0.1:0")
	}
	if pacs, err = open(pacsName); err != nil {
		return nil, nil, err
	}
	if his, err = open(hisName); err != nil {
		pacs.Close()
		return nil, nil, err
	}
	return pacs, his, nil
}

func (s site) address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

const opening = `Cordon stands between three devices (DICOM on 127.0.0.1:%d, HL7 on 127.0.0.1:%d) and a PACS and
an HL7 receiver that only speak mutual TLS. First what must pass, then what must be refused:

`

// next says what to type now.
func (s site) next(temporary bool) string {
	try := func(name string) string { return s.path("try", name) }
	keep := ""
	if temporary {
		keep = " (until the demo ends; --dir keeps it)"
	}
	hl7 := func(name string) string {
		return fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d; cat "%s" >&3; read -rd "$(printf "\034")" a <&3; echo "$a"' | tr '\r' '\n'`,
			s.hl7Port, try(name))
	}
	return fmt.Sprintf(`
Your terminal is the device ct-3 (127.0.0.1). Type in another one, and watch here:
  passes     storescu -v -aet CT3 -aec PACS 127.0.0.1 %[1]d %[2]s
  refused    storescu -v -aet CT3 -aec PACS 127.0.0.1 %[1]d %[3]s
  refused    echoscu -v -aet CT3 -aec ARCHIVE9 127.0.0.1 %[1]d
  passes     %[4]s
  refused    %[5]s
  metrics    curl http://127.0.0.1:%[6]d/metrics
  live       cordon trace ct-3 -c %[11]s

Its policy        %[7]s
Received objects  %[8]s%[9]s
Audit records     %[10]s
Ctrl-C ends the demo.

`, s.dicomPort, try(tryImage), try(tryCapture), hl7(tryResult), hl7(tryRegistration), s.httpPort,
		s.path("devices", "ct-3.yaml"), s.path("received"), keep, s.path("audit", "audit.jsonl"), s.path("cordon.yaml"))
}
