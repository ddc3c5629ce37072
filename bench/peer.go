package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Peer is a gateway that is measured, or what is measured without one.
type Peer struct {
	Name  string
	About string
	// program names the executable; it is looked for beside the peers that make bench-peers built,
	// then in the path and the system folders.
	program string
	version []string                   // arguments that have it print its version
	form    func(Hop) Form             // nil: no gateway
	fits    func(*Workload, Role) bool // nil: all
	env     []string
	secure  bool // of no gateway: the load's own TLS
	lenient bool // it cannot be given the terms of TLS
	stores  bool // it answers for an object before it passes it on
}

// Hop is one gateway to be started.
type Hop struct {
	Program        string
	Role           Role // Client or Server
	Listen, Target string
	Workload       *Workload
	Dir            string // its own
	CA             string
	Cert, Key      string // of Client the client's, of Server the server's
	Both           string // Cert and Key in one file
	Objects        []object
	Profile        string // file for a CPU profile; Cordon only
}

// Form is how a gateway is run: its command line and the files that it reads, by name in its
// directory.
type Form struct {
	Args  []string          `json:"args"`
	Files map[string]string `json:"files,omitempty"`
}

// Names of what is always there.
const (
	Cordon = "cordon"
	Blind  = "cordon-blind"
	None   = "none"
)

// classical keeps a Go program from generating post-quantum key shares, which nothing in a bench
// answers. Other programs do not heed it.
var classical = []string{"GODEBUG=tlsmlkem=0"}

// peers is the one place where a gateway to measure against is registered; Cordon itself first.
func peers(self string) []*Peer {
	return []*Peer{
		{Name: None, About: "no gateway: load and sink connected directly"},
		{Name: Cordon, About: "inspecting: mode enforce, audit to a file, metrics on", program: self, version: []string{"version"}, form: cordonForm, env: classical},
		{Name: Blind, About: "Cordon passing every byte unread", program: self, version: []string{"version"}, form: blindForm, env: classical},
		{Name: "stunnel", About: "TCP_NODELAY on", program: "stunnel4", version: []string{"-version"}, form: stunnelForm},
		{Name: "haproxy", About: "TCP mode, 64 KiB buffers", program: "haproxy", version: []string{"-v"}, form: haproxyForm},
		{Name: "nginx", About: "stream module, 64 KiB buffers", program: "nginx", version: []string{"-v"}, form: nginxForm},
		{Name: "ghostunnel", About: "defaults", program: "ghostunnel", version: []string{"--version"}, form: ghostunnelForm, env: classical},
		{Name: "dcmtk-tls", About: "no gateway: dcmtk's own TLS at both ends", program: "storescu", version: []string{"--version"}, secure: true,
			fits: func(w *Workload, _ Role) bool { return w.dcmtk }},
		{Name: "orthanc", About: "as a router: stores, answers, then passes on", program: "Orthanc", version: []string{"--version"}, form: orthancForm,
			lenient: true, stores: true, env: []string{"TCP_NODELAY=1"},
			fits: func(w *Workload, r Role) bool {
				return r == Client && (w.Name == "dicom-study" || w.Name == "dicom-object")
			}},
	}
}

// Custom makes a peer of NAME=COMMAND; {listen}, {target}, {ca}, {cert}, {key} and {role} in the
// command are filled in.
func Custom(spec string) (*Peer, error) {
	name, command, ok := strings.Cut(spec, "=")
	words := strings.Fields(command)
	if !ok || name == "" || len(words) == 0 {
		return nil, fmt.Errorf("--peer %q is not NAME=COMMAND with {listen} and {target} in the command", spec)
	}
	return &Peer{Name: name, About: "given on the command line", program: words[0], env: classical, form: func(h Hop) Form {
		fill := strings.NewReplacer("{listen}", h.Listen, "{target}", h.Target, "{ca}", h.CA,
			"{cert}", h.Cert, "{key}", h.Key, "{role}", string(h.Role))
		var f Form
		for _, w := range words[1:] {
			f.Args = append(f.Args, fill.Replace(w))
		}
		return f
	}}, nil
}

// find returns the path of the peer's program.
func (p *Peer) find(dir string) (string, error) {
	if strings.ContainsRune(p.program, '/') {
		return p.program, nil
	}
	for _, d := range []string{dir, "/usr/sbin", "/usr/local/sbin"} {
		if path := filepath.Join(d, p.program); executable(path) {
			return filepath.Abs(path)
		}
	}
	return exec.LookPath(p.program)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

var versionLine = regexp.MustCompile(`(?i)[^\n]*(version|stunnel \d|rev |cordon |storescu v)[^\n]*`)

// versionOf asks a program for its version.
func (p *Peer) versionOf(path string) string {
	if p.version == nil {
		return path
	}
	out, err := exec.Command(path, p.version...).CombinedOutput()
	if err != nil && len(out) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(versionLine.Find(out)))
}
