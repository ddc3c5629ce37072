package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cordon/appliance/screen"
	"cordon/policy"
	"cordon/tunnels/identity"
)

// initFlags are what `cordon init` is told on its command line.
type initFlags struct {
	dir      string
	archive  policy.Server
	results  policy.Server
	box      string
	device   policy.NewDevice
	dicom    string
	hl7      string
	http     string
	noPKI    bool
	noAnswer bool
}

func newInit(o *options) *cobra.Command {
	f := initFlags{}
	cmd := &cobra.Command{
		Use: "init", Short: "Write a working shadow policy for a first device",
		Long: `Write cordon.yaml, site.yaml, tiers/ and devices/ for a first device and its servers, in shadow:
everything is judged and reported, nothing is refused. On a terminal it asks for what no flag
says; elsewhere a missing answer is an error. Existing files are never overwritten.

It also makes a throw-away PKI to try it with: an authority (pki/ca.pem), a certificate that
Cordon holds for the device (pki/devices/), and certificates to install on the servers or their
far ends (pki/servers/). Replace them by your own before the first patient.`,
		Example: `  cordon init --dir site --device ct-3 --ip 10.20.3.15 --ae CT3 \
    --archive pacs.example:2762 --archive-ae PACS
  cordon init --dir lab --device analyzer-7 --ip 10.20.4.7 --hl7 --results his.example:2575`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.noAnswer && term.IsTerminal(int(os.Stdin.Fd())) {
				f.ask(cmd.InOrStdin(), cmd.OutOrStdout())
			}
			return f.write(cmd.OutOrStdout(), o.json)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.dir, "dir", ".", "`directory` to write to")
	fl.StringVar(&f.box, "name", "cordon-1", "`name` of this gateway")
	fl.StringVar(&f.device.Name, "device", "", "`name` of the device, such as ct-3")
	fl.StringVar(&f.device.IP, "ip", "", "`address` of the device, or a prefix")
	fl.StringSliceVar(&f.device.AETitles, "ae", nil, "AE `title` of the device; repeat for several")
	fl.BoolVar(&f.device.HL7, "hl7", false, "the device sends HL7 results")
	fl.StringVar(&f.archive.Address, "archive", "", "`host:port` of the DICOM archive, reached by mutual TLS")
	fl.StringVar(&f.archive.AE, "archive-ae", "", "AE `title` of the archive")
	fl.StringVar(&f.archive.WasAE, "archive-was", "", "AE `title` that devices call the archive, when that differs")
	fl.StringVar(&f.archive.ServerName, "archive-cert", "", "`name` in the archive's certificate (default: its host)")
	fl.StringVar(&f.results.Address, "results", "", "`host:port` of the HL7 receiver, reached by mutual TLS")
	fl.StringVar(&f.results.ServerName, "results-cert", "", "`name` in the receiver's certificate (default: its host)")
	fl.StringVar(&f.dicom, "dicom-address", ":11112", "`address` where devices reach Cordon for DICOM")
	fl.StringVar(&f.hl7, "hl7-address", ":2575", "`address` where devices reach Cordon for HL7")
	fl.StringVar(&f.http, "http-address", "127.0.0.1:9180", "`address` of health and metrics, on this host; empty for none")
	fl.BoolVar(&f.noPKI, "no-pki", false, "write no certificates")
	fl.BoolVar(&f.noAnswer, "batch", false, "ask nothing, even on a terminal")
	return cmd
}

// ask asks for what no flag said.
func (f *initFlags) ask(in io.Reader, w io.Writer) {
	lines := bufio.NewScanner(in)
	question := func(text string, answer *string) {
		if *answer != "" {
			return
		}
		fmt.Fprintf(w, "%s: ", text)
		if lines.Scan() {
			*answer = strings.TrimSpace(lines.Text())
		}
	}
	question("Name of the device (such as ct-3)", &f.device.Name)
	question("Its address (such as 10.20.3.15)", &f.device.IP)
	titles := strings.Join(f.device.AETitles, " ")
	question("Its AE titles, with spaces between (empty: it speaks no DICOM)", &titles)
	f.device.AETitles = strings.Fields(titles)
	if titles != "" {
		question("host:port of the DICOM archive, reached by mutual TLS", &f.archive.Address)
		question("AE title of the archive", &f.archive.AE)
	}
	question("host:port of the HL7 receiver, reached by mutual TLS (empty: none)", &f.results.Address)
	f.device.HL7 = f.device.HL7 || f.results.Address != ""
}

func (f *initFlags) answers() policy.Answers {
	a := policy.Answers{
		Box: f.box, DICOMAddress: f.dicom, HL7Address: f.hl7, HTTPAddress: f.http,
		Archive: f.archive, Results: f.results, Devices: []policy.NewDevice{f.device},
	}
	a.Archive.Name, a.Results.Name = "pacs", "his"
	return a
}

// missing names the flags of answers that have to be there and are not.
func (f *initFlags) missing() (flags []string) {
	archive, results := f.archive.Address != "", f.results.Address != ""
	for _, one := range []struct {
		flag   string
		absent bool
	}{
		{"--device", f.device.Name == ""},
		{"--ip", f.device.IP == ""},
		{"--archive", !archive && len(f.device.AETitles) > 0},
		{"--archive-ae", archive && f.archive.AE == ""},
		{"--results", !results && f.device.HL7},
		{"--archive or --results", !archive && !results && len(f.device.AETitles) == 0 && !f.device.HL7},
	} {
		if one.absent {
			flags = append(flags, one.flag)
		}
	}
	return flags
}

// write writes all files or none.
func (f *initFlags) write(w io.Writer, asJSON bool) error {
	if missing := f.missing(); len(missing) > 0 {
		return failure{exitUsage, fmt.Errorf("nothing was written: no answer was given for %s\nrun \"cordon init --help\" for the flags", strings.Join(missing, ", "))}
	}
	a := f.answers()
	files, err := policy.Init(a)
	if err != nil {
		return failure{exitUsage, fmt.Errorf("nothing was written:\n%w\nrun \"cordon init --help\" for the flags", err)}
	}
	if !f.noPKI {
		if err := addPKI(files, a); err != nil {
			return err
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
		if _, err := os.Stat(filepath.Join(f.dir, name)); err == nil {
			return fmt.Errorf("nothing was written: %s exists already; choose another --dir or move it away", filepath.Join(f.dir, name))
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := writeNew(filepath.Join(f.dir, name), files[name]); err != nil {
			return err
		}
	}
	if asJSON {
		return printJSON(w, map[string]any{"dir": f.dir, "files": names})
	}
	f.report(w, names)
	return nil
}

func writeNew(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if strings.HasSuffix(path, ".key") {
		mode = 0o600
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return errors.Join(err, out.Close())
}

// addPKI adds a throw-away authority with certificates for the box, the device and the servers.
func addPKI(files map[string][]byte, a policy.Answers) error {
	ca, err := identity.NewAuthority("Cordon throw-away authority of " + a.Box)
	if err != nil {
		return err
	}
	files["pki/ca.pem"] = ca.CertPEM()
	issue := func(base, name string, dns ...string) {
		pair, e := ca.Issue(identity.Request{Name: name, DNSNames: dns})
		if e != nil {
			err = errors.Join(err, e)
			return
		}
		files[base+".pem"], files[base+".key"] = pair.Cert, pair.Key
	}
	issue("pki/devices/"+a.Box, a.Box, a.Box)
	for _, d := range a.Devices {
		issue("pki/devices/"+d.Name, d.Name, d.Name)
	}
	for _, s := range []policy.Server{a.Archive, a.Results} {
		if s.Address == "" {
			continue
		}
		host := s.ServerName
		if host == "" {
			host, _, _ = net.SplitHostPort(s.Address) // it was checked by policy.Init
		}
		issue("pki/servers/"+s.Name, host, host)
	}
	return err
}

func (f *initFlags) report(w io.Writer, names []string) {
	out := screen.New(w)
	out.Printf("Written to %s:\n", f.dir)
	for _, n := range names {
		out.Printf("  %s\n", n)
	}
	config := filepath.Join(f.dir, "cordon.yaml")
	out.Printf(`
Next:
  cordon check --config %s
  cordon run --config %s
  then point the device at this host: %s
  cordon status --config %s
`, config, config, strings.Join(f.heard(), ", "), config)
	if !f.noPKI {
		out.Printf("\nThe certificates are throw-away ones; those in %s belong on the servers or their far ends.\n", filepath.Join(f.dir, "pki/servers"))
	}
}

// heard says where the device reaches the listeners that were written.
func (f *initFlags) heard() (at []string) {
	if f.archive.Address != "" {
		at = append(at, "DICOM "+f.dicom)
	}
	if f.results.Address != "" {
		at = append(at, "HL7 "+f.hl7)
	}
	return at
}
