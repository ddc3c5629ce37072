package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/hl7"
	"cordon/tunnels/identity"
)

// Names that the certificates of the embedded servers carry.
const (
	pacsName = "pacs.demo"
	hisName  = "his.demo"
	pacsAE   = "PACS"
)

// policyFiles are the demo's policy, with places for ports and addresses in braces.
//
//go:embed policy
var policyFiles embed.FS

// site is the directory of the demo: what a hospital's would hold, and what the demo adds.
//
//	cordon.yaml  site.yaml  tiers/  devices/   the policy
//	pki/                                       a throw-away authority's certificates
//	audit/  run/                               written by the gateway
//	received/dicom/  received/hl7/             what the embedded servers received
//	try/                                       files to send by hand
type site struct {
	dir                          string
	dicomPort, hl7Port, httpPort int
}

func (s site) path(elem ...string) string { return filepath.Join(append([]string{s.dir}, elem...)...) }

// prepare makes the folders and the PKI: one certificate for each device, with which Cordon
// speaks for it, and one for each server.
func (s site) prepare() error {
	for _, d := range []string{"tiers", "devices", "pki", "try", "received"} {
		if err := os.MkdirAll(s.path(d), 0o755); err != nil {
			return err
		}
	}
	authority, err := identity.NewAuthority("Cordon demo, throw-away")
	if err != nil {
		return err
	}
	if err := authority.WriteCA(s.path("pki", "ca.pem")); err != nil {
		return err
	}
	requests := []identity.Request{{Name: pacsName, Server: true}, {Name: hisName, Server: true}}
	for device := range cast {
		requests = append(requests, identity.Request{Name: device, Client: true})
	}
	for _, r := range requests {
		pair, err := authority.Issue(r)
		if err != nil {
			return err
		}
		if err := pair.Write(s.path("pki", r.Name+".pem"), s.path("pki", r.Name+".key")); err != nil {
			return err
		}
	}
	return nil
}

// writePolicy writes the files of the policy, with the addresses of the embedded servers.
func (s site) writePolicy(pacs, his string) error {
	fill := strings.NewReplacer(
		"{dicom}", fmt.Sprint(s.dicomPort), "{hl7}", fmt.Sprint(s.hl7Port), "{http}", fmt.Sprint(s.httpPort),
		"{pacs}", pacs, "{his}", his)
	return fs.WalkDir(policyFiles, "policy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := policyFiles.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(s.path(strings.TrimPrefix(path, "policy/")), []byte(fill.Replace(string(text))), 0o644)
	})
}

// The files that the demo offers to send by hand.
const (
	tryImage        = "ct.dcm"
	tryCapture      = "screen.dcm"
	tryResult       = "result.hl7"
	tryRegistration = "registration.hl7"
)

// writeTries writes objects as Part 10 files and messages as MLLP blocks into try/.
func (s site) writeTries(study *Study, desk *Desk) error {
	for name, o := range map[string]Object{tryImage: study.CT(study.Slices()/2, explicitLE), tryCapture: study.Capture(explicitLE)} {
		f, err := os.Create(s.path("try", name))
		if err != nil {
			return err
		}
		meta := endpoint.FileMeta{SOPClass: o.Class, SOPInstance: o.Instance, Transfer: o.Syntax}
		err = endpoint.WriteFileMeta(f, meta)
		if err == nil {
			_, err = f.Write(o.Data)
		}
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return err
		}
	}
	for name, m := range map[string]Message{tryResult: desk.Glucose(), tryRegistration: desk.Registration()} {
		if err := os.WriteFile(s.path("try", name), hl7.AppendBlock(nil, m.Data), 0o644); err != nil {
			return err
		}
	}
	return nil
}
