package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cordon/policy/file"
)

// Diagnostic is one problem in the files of a site, at one place.
type Diagnostic = file.Diagnostic

// Diagnostics is all that was found in them.
type Diagnostics = file.Diagnostics

// The files of a site, unless cordon.yaml says otherwise.
const (
	configName     = "cordon.yaml"
	defaultSite    = "site.yaml"
	defaultTiers   = "tiers"
	defaultDevices = "devices"
	defaultSocket  = "run/cordon.sock"
)

// Load reads and compiles all files of a site. path is that of cordon.yaml, or the directory it
// is in. All problems of all files are in the diagnostics; when there is an error among them
// there is no policy. Notes do not keep a policy from being used.
func Load(path string) (*Policy, Diagnostics) {
	return load(disk{}, path, time.Now())
}

func load(d disk, path string, now time.Time) (*Policy, Diagnostics) {
	problems := new(file.Problems)
	s := read(d, path, problems)
	s.now = now
	var p *Policy
	if s.cordonRead {
		p = compile(s, problems)
	}
	if problems.Failed() {
		p = nil
	}
	if diags := problems.Diagnostics(); diags != nil {
		return p, diags
	}
	return p, Diagnostics{}
}

// Peek compiles what it can of a site and overlooks what is wrong, for names to choose among. It is
// never nil, and never to be put into force.
func Peek(path string) *Policy {
	problems := new(file.Problems)
	s := read(disk{}, path, problems)
	s.now = time.Now()
	return compile(s, problems)
}

// ControlSocket returns the path of the control socket that cordon.yaml names, whatever else is wrong
// there or in the other files: who asks a running gateway why it refused a policy must reach it. The
// path is the usual one, beside cordon.yaml, when nothing can be read that names another; the error
// says why, and does not void the path.
func ControlSocket(path string) (socket string, err error) {
	s, name := locate(disk{}, path)
	problems := new(file.Problems)
	s.readCordon(name, sha256.New(), problems)
	if problems.Failed() && !s.cordon.Control.Socket.Set() {
		err = errors.New(problems.Diagnostics().String())
	}
	return s.controlSocket(), err
}

// Directories returns the directories that hold the files of a site, so that changes in them can
// be watched for. Of a site that cannot be read it returns what is known.
func Directories(path string) []string {
	s, name := locate(disk{}, path)
	s.readCordon(name, sha256.New(), new(file.Problems)) // the others are where it says
	dirs := []string{s.dir, filepath.Dir(s.path(s.siteFile())), s.path(s.tiersDir()), s.path(s.devicesDir())}
	for i, d := range dirs {
		dirs[i] = filepath.Clean(d)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// clockStep is more than the clock of a file system may be behind that of the process.
const clockStep = 20 * time.Millisecond

// Outdated tells whether something in the directories of the site was written after p began to be
// read, so that p may not say what the files say.
func (p *Policy) Outdated(dirs []string) bool {
	newer := func(info fs.FileInfo, err error) bool {
		return err == nil && info.ModTime().After(p.origins.now.Add(-clockStep))
	}
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir) // what cannot be read is no longer what was read
		if newer(os.Stat(dir)) || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() && newer(e.Info()) }) {
			return true
		}
	}
	return false
}

// disk is where files come from. A test may put its own in the way.
type disk struct {
	exists func(path string) error // nil: os.Stat
}

func (d disk) stat(path string) error {
	if d.exists != nil {
		return d.exists(path)
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return errors.New("it is a directory")
	}
	return err
}

// sources is what the files of a site say, before it is compiled.
type sources struct {
	disk    disk
	dir     string // of cordon.yaml, absolute
	version string
	now     time.Time

	cordon     file.Cordon
	cordonFile *file.File
	cordonRead bool
	upstreams  map[string]file.Upstream
	tiers      map[string]*document
	devices    []*document

	// What could not be read whole: names that are not found there may yet be in it, so they are
	// not reported as missing.
	brokenSite, brokenTiers bool
}

// document is one tier or device.
type document struct {
	name   file.Text
	tree   *file.Node // as written
	merged *file.Node // laid over what it extends; nil until then
	tier   string     // what it extends
	kept   bool       // a device: its file has vanished; see Keep

	follows []file.Entry // of a device: the flows that follow from those it has; set as it is compiled
}

func (s *sources) siteFile() string   { return or(s.cordon.Site, defaultSite) }
func (s *sources) tiersDir() string   { return or(s.cordon.Tiers, defaultTiers) }
func (s *sources) devicesDir() string { return or(s.cordon.Devices, defaultDevices) }

// controlSocket is where the cordon command finds the gateway.
func (s *sources) controlSocket() string { return s.path(or(s.cordon.Control.Socket, defaultSocket)) }

func or(t file.Text, otherwise string) string {
	if t.Set() {
		return t.Value
	}
	return otherwise
}

// path makes a path of a file absolute: what is relative starts at cordon.yaml.
func (s *sources) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(s.dir, p)
}

// locate finds cordon.yaml: its directory, which others are found by, and its name there.
func locate(d disk, path string) (s *sources, name string) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, configName)
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return &sources{
		disk: d, dir: filepath.Dir(path),
		upstreams: map[string]file.Upstream{}, tiers: map[string]*document{},
	}, filepath.Base(path)
}

// read reads all files. It goes on after each problem.
func read(d disk, path string, p *file.Problems) *sources {
	s, name := locate(d, path)
	path = s.path(name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		p.Errorf(file.Pos{File: file.NewFile(filepath.ToSlash(path), nil)}, file.MissingFile,
			"cordon init writes a first one; --config names another", "there is no such file")
		return s // the other files are found by it
	}
	sum := sha256.New()
	s.readCordon(name, sum, p)
	s.readSite(sum, p)
	s.readTiers(sum, p)
	s.readDevices(sum, p)
	s.version = hex.EncodeToString(sum.Sum(nil))[:12]
	return s
}

// text reads one file and adds it to the sum.
func (s *sources) text(name string, at file.Pos, sum hash.Hash, p *file.Problems) (*file.File, bool) {
	b, err := readRegular(s.path(name))
	f := file.NewFile(filepath.ToSlash(name), b)
	if err != nil {
		if !at.Set() {
			at = file.Pos{File: f}
		}
		p.Errorf(at, file.MissingFile, "make the file, or correct its name", "%s cannot be read: %s", name, reasonOf(err))
		return f, false
	}
	fmt.Fprintf(sum, "%s\x00%d\x00", filepath.ToSlash(name), len(b))
	sum.Write(b)
	return f, true
}

// readRegular reads a file, and no pipe or device, which might never end.
func readRegular(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	return os.ReadFile(path)
}

// reasonOf says why a file cannot be had, without repeating its path.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func (s *sources) readCordon(name string, sum hash.Hash, p *file.Problems) {
	f, ok := s.text(name, file.Pos{}, sum, p)
	s.cordonFile = f
	if !ok {
		return
	}
	docs, _ := file.Parse(f, p)
	if len(docs) > 1 {
		p.Errorf(docs[1].At, file.Syntax, "put everything into the first", "a second document in %s", name)
	}
	if len(docs) > 0 {
		file.Decode(docs[0], &s.cordon, p)
		s.cordonRead = true
	} else if !p.Failed() {
		p.Errorf(file.Pos{File: f}, file.MissingKey, "write at least box and listeners", "the file says nothing")
	}
}

func (s *sources) readSite(sum hash.Hash, p *file.Problems) {
	name := s.siteFile()
	f, ok := s.text(name, s.cordon.Site.At, sum, p)
	if !ok {
		s.brokenSite = true
		return
	}
	docs, whole := file.Parse(f, p)
	s.brokenSite = !whole
	for _, n := range docs {
		var site file.Site
		file.Decode(n, &site, p)
		for name, u := range site.Upstreams {
			if first, twice := s.upstreams[name]; twice {
				p.Errorf(u.At, file.DuplicateName, "give one of them another name", "upstream %q is there twice; first at %s", name, first.At)
				continue
			}
			s.upstreams[name] = u
		}
	}
}

func (s *sources) readTiers(sum hash.Hash, p *file.Problems) {
	docs, whole := s.folder(s.tiersDir(), s.cordon.Tiers, "tier", sum, p)
	s.brokenTiers = !whole
	for _, d := range docs {
		if first := s.tiers[d.name.Value]; first != nil {
			p.Errorf(d.name.At, file.DuplicateName, "give one of them another name", "tier %q is there twice; first at %s", d.name.Value, first.name.At)
			continue
		}
		s.tiers[d.name.Value] = d
		var t file.Tier
		file.Decode(d.tree, &t, p)
	}
}

func (s *sources) readDevices(sum hash.Hash, p *file.Problems) {
	docs, _ := s.folder(s.devicesDir(), s.cordon.Devices, "device", sum, p)
	first := map[string]*document{}
	for _, d := range docs {
		if f := first[d.name.Value]; f != nil {
			p.Errorf(d.name.At, file.DuplicateName, "each device has a name of its own", "device %q is there twice; first at %s", d.name.Value, f.name.At)
			continue
		}
		first[d.name.Value] = d
		s.devices = append(s.devices, d)
	}
}

// folder reads the documents of all YAML files in a directory. key is the one that names each.
func (s *sources) folder(dir string, said file.Text, key string, sum hash.Hash, p *file.Problems) (docs []*document, whole bool) {
	entries, err := os.ReadDir(s.path(dir))
	if err != nil {
		if said.Set() || key == "device" && s.cordonRead {
			at := said.At
			if !at.Set() {
				at = file.Pos{File: file.NewFile(filepath.ToSlash(dir), nil)}
			}
			p.Errorf(at, file.MissingFile, fmt.Sprintf("make the folder, and a file in it for each %s", key), "folder %s cannot be read: %s", dir, reasonOf(err))
		}
		return nil, false
	}
	whole = true
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".yml") || e.IsDir() {
			continue
		}
		found, ok := s.documents(filepath.Join(dir, name), key, sum, p)
		docs = append(docs, found...)
		whole = whole && ok
	}
	return docs, whole
}

func (s *sources) documents(name, key string, sum hash.Hash, p *file.Problems) (docs []*document, whole bool) {
	f, ok := s.text(name, file.Pos{}, sum, p)
	if !ok {
		return nil, false
	}
	trees, whole := file.Parse(f, p)
	if whole && len(trees) == 0 {
		p.Errorf(file.Pos{File: f}, file.MissingKey, fmt.Sprintf("write %s: and a name, or remove the file", key), "the file holds no %s", key)
	}
	for _, n := range trees {
		if d := newDocument(n, key, p); d != nil {
			docs = append(docs, d)
		} else {
			whole = false
		}
	}
	return docs, whole
}

// newDocument finds the name of a tier or device.
func newDocument(n *file.Node, key string, p *file.Problems) *document {
	if n.Kind != file.Map {
		p.Errorf(n.At, file.WrongType, fmt.Sprintf("start with %s: and a name", key), "%s where a %s is expected", n.Kind, key)
		return nil
	}
	named := n.Get(key)
	if named == nil {
		p.Errorf(n.At, file.MissingKey, fmt.Sprintf("start with %s: and a name", key), "key %q is missing", key)
		return nil
	}
	d := &document{tree: n}
	if file.Decode(named, &d.name, p); !d.name.Set() {
		return nil
	}
	if !isName(d.name.Value) {
		p.Errorf(d.name.At, file.BadValue, nameHint, "%q cannot be the name of a %s", d.name.Value, key)
		return nil
	}
	return d
}

const nameHint = "use letters, digits, dots, hyphens and underscores, and start with a letter or digit"

// isName tells whether a name may stand in paths, metrics and logs as it is.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
