package policy

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net"
	"path"
	"text/template"

	"cordon/policy/file"
	"cordon/policy/schema"
)

// Answers are what Init needs to know of a site.
type Answers struct {
	Box          string // name of this gateway
	DICOMAddress string // where devices reach it for DICOM: ":11112"
	HL7Address   string // where devices reach it for HL7: ":2575"
	HTTPAddress  string // health and metrics, loopback; "" for none
	Archive      Server // the DICOM server; without an address there is none
	Results      Server // the HL7 server; likewise
	Devices      []NewDevice
}

// Server is a server that devices talk to.
type Server struct {
	Name       string // as site.yaml names it: "pacs"
	AE         string // of a DICOM server
	WasAE      string // what devices call it, when that differs
	Address    string // host:port, reached by mutual TLS
	ServerName string // in its certificate; the host of its address unless said
}

// NewDevice is a device to begin with.
type NewDevice struct {
	Name     string
	IP       string   // an address or a prefix
	AETitles []string // of a device that speaks DICOM
	HL7      bool     // it sends results
}

// Imaging tells whether the device gets the tier of DICOM devices.
func (d NewDevice) Imaging() bool { return len(d.AETitles) > 0 || !d.HL7 }

//go:embed start/*.tmpl
var starts embed.FS

// Init makes the files of a site to begin with, by path: everything in shadow, so that the first
// day refuses nothing. Load accepts them once the certificates that cordon.yaml names are there.
func Init(a Answers) (map[string][]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	t, err := template.New("").Funcs(template.FuncMap{"yaml": file.Quote}).ParseFS(starts, "start/*.tmpl")
	if err != nil {
		return nil, err
	}
	render := func(name, from string, with any) {
		var b bytes.Buffer
		if e := t.ExecuteTemplate(&b, from, with); e != nil {
			err = errors.Join(err, e)
		}
		files[name] = b.Bytes()
	}
	render("cordon.yaml", "cordon.yaml.tmpl", a)
	render("site.yaml", "site.yaml.tmpl", a)
	if a.Archive.Address != "" {
		render("tiers/imaging.yaml", "imaging.yaml.tmpl", a)
	}
	if a.Results.Address != "" {
		render("tiers/results.yaml", "results.yaml.tmpl", a)
	}
	for _, d := range a.Devices {
		render("devices/"+d.Name+".yaml", "device.yaml.tmpl", struct {
			Answers
			NewDevice
		}{a, d})
	}
	for _, kind := range []string{schema.Cordon, schema.Site, schema.Tier, schema.Device} {
		files[path.Join("schema", schema.FileName(kind))] = schema.For(kind)
	}
	return files, err
}

// check holds answers to what the files will be held to.
func (a *Answers) check() (problem error) {
	wrong := func(format string, args ...any) { problem = errors.Join(problem, fmt.Errorf(format, args...)) }
	if !isName(a.Box) {
		wrong("%q cannot be the name of a box: %s", a.Box, nameHint)
	}
	if a.Archive.Address == "" && a.Results.Address == "" {
		wrong("a site needs a DICOM server, an HL7 server, or both")
	}
	if len(a.Devices) == 0 {
		wrong("a site needs a device to begin with")
	}
	a.Archive.check("DICOM", wrong)
	a.Results.check("HL7", wrong)
	if a.Archive.Address != "" && a.Archive.AE == "" {
		wrong("the DICOM server needs an AE title")
	}
	seen := map[string]bool{}
	for _, d := range a.Devices {
		if !isName(d.Name) || seen[d.Name] {
			wrong("%q cannot be the name of a device: %s, and give each a name of its own", d.Name, nameHint)
		}
		seen[d.Name] = true
		p := new(file.Problems)
		if (&compiler{Problems: p}).prefix(file.Text{Value: d.IP}); p.Failed() {
			wrong("device %s: %s", d.Name, p.Diagnostics()[0].Message)
		}
		for _, t := range d.AETitles {
			if err := validAE(t); err != nil {
				wrong("device %s: %q is not an AE title: %v", d.Name, t, err)
			}
		}
		if d.HL7 && a.Results.Address == "" || d.Imaging() && a.Archive.Address == "" {
			wrong("device %s: there is no server for what it speaks", d.Name)
		}
	}
	return problem
}

func (s *Server) check(what string, wrong func(string, ...any)) {
	if s.Address == "" {
		return
	}
	if host, _, err := net.SplitHostPort(s.Address); err != nil || !hostName(host) {
		wrong("%q is not the address of the %s server; write host:port", s.Address, what)
	}
	if !isName(s.Name) {
		wrong("%q cannot be the name of the %s server: %s", s.Name, what, nameHint)
	}
	for _, title := range []string{s.AE, s.WasAE} {
		if err := validAE(title); err != nil {
			wrong("%q is not an AE title: %v", title, err)
		}
	}
}
