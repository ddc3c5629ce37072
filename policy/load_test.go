package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/policy/file"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testNow is when the golden sites are loaded: after 2026 began, before its end.
var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestSites loads each site of testdata. What is said about it stands in its expected.txt: every
// problem of every file, in order, as cordon check prints it. Sites ending in .good have a
// policy, those ending in .bad have none.
func TestSites(t *testing.T) {
	sites, err := filepath.Glob("testdata/*.*d")
	if err != nil || len(sites) < 5 {
		t.Fatalf("found %d sites: %v", len(sites), err)
	}
	for _, site := range sites {
		t.Run(filepath.Base(site), func(t *testing.T) {
			p, diags := load(disk{}, site, testNow)
			golden(t, filepath.Join(site, "expected.txt"), diags.String())
			good := strings.HasSuffix(site, ".good")
			if good != (p != nil) || good != !diags.Failed() {
				t.Errorf("policy: %v, failed: %v; a %s", p != nil, diags.Failed(), filepath.Ext(site))
			}
			for i := range diags {
				checkDiagnostic(t, &diags[i])
			}
		})
	}
}

// checkDiagnostic holds what every diagnostic must have: a place that is in the file, the line
// that stands there, and words.
func checkDiagnostic(t *testing.T, d *Diagnostic) {
	t.Helper()
	if d.Message == "" || d.File == "" || d.Code == "" || d.Severity == "" {
		t.Errorf("incomplete: %+v", *d)
	}
	if d.Severity == file.Error && d.Hint == "" {
		t.Logf("no hint: %s: %s", d.Position(), d.Message)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := readFile(t, name); got != want {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", name, got, want)
	}
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The control socket is found whatever else is wrong with the files, and where nothing can be read
// that names one it is the usual one, with the reason.
func TestControlSocketIsFoundInBrokenFiles(t *testing.T) {
	for name, tt := range map[string]struct{ cordon, want, doubt string }{
		"no cordon.yaml":           {"", "run/cordon.sock", "it does not exist"},
		"not said":                 {testBox, "run/cordon.sock", ""},
		"said":                     {testBox + "\ncontrol: {socket: my/c.sock}", "my/c.sock", ""},
		"absolute":                 {"control: {socket: /run/c.sock}", "/run/c.sock", ""},
		"everything else is wrong": {"box: 1\ncolour: blue\nlisteners: {a: {protocol: dicomm}}\ncontrol: {socket: my/c.sock}\nsite: []", "my/c.sock", ""},
		"twice":                    {"control: {socket: my/c.sock}\ncontrol: {socket: other.sock}", "my/c.sock", ""},
		"no text":                  {"control: {socket: [a]}", "run/cordon.sock", "cordon.yaml:1:"},
		"not YAML":                 {"control: {socket: my/c.sock}\n\tlisteners: [", "run/cordon.sock", "cordon.yaml:2:"},
	} {
		dir := t.TempDir()
		if tt.cordon != "" {
			writeSite(t, dir, map[string]string{"cordon.yaml": tt.cordon, "devices/a.yaml": "device: [", "site.yaml": "\t"})
		}
		if want := tt.want; !filepath.IsAbs(want) {
			tt.want = filepath.Join(dir, want)
		}
		got, err := ControlSocket(filepath.Join(dir, "cordon.yaml"))
		if got != tt.want || (err == nil) != (tt.doubt == "") || err != nil && !strings.Contains(err.Error(), tt.doubt) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, tt.want)
		}
	}
}

// What can be chosen among is what can be read.
func TestPeekOverlooksWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{"cordon.yaml": testBox, "site.yaml": testSite, "tiers/t.yaml": "tier: [",
		"devices/ct-1.yaml": ct1, "devices/bad.yaml": "device: bad\nextends: nothing\nmode: enforced\nflows: {x: {to: riss, allow: [echo]}}"})
	p := Peek(dir)
	if p.Device("ct-1") == nil || p.Device("bad") == nil || len(p.Flows) == 0 {
		t.Errorf("%d devices, %d flows", len(p.Devices), len(p.Flows))
	}
	if p := Peek(t.TempDir()); len(p.Devices) != 0 {
		t.Errorf("%d devices of nothing", len(p.Devices))
	}
}

// TestSecretsAreNotShown: a key that was pasted into a file stays out of what is said about it.
func TestSecretsAreNotShown(t *testing.T) {
	_, diags := load(disk{}, "testdata/protection.bad", testNow)
	for _, secret := range []string{"PRIVATE", "MC4CAQ", `"secret"`, "BEGIN"} {
		if strings.Contains(diags.String(), secret) || strings.Contains(string(diags.JSON()), secret) {
			t.Errorf("%s is shown", secret)
		}
	}
}

// TestFortyDevicesBehindOneListener is the ordinary case: no flow says where it is heard.
func TestFortyDevicesBehindOneListener(t *testing.T) {
	var devices []string
	for i := range 40 {
		devices = append(devices, fmt.Sprintf(`device: ws-%02d
extends: ws
identify: {ip: 10.1.0.%d}
ae: {titles: [WS%02d]}`, i, i+1, i))
	}
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{
		"cordon.yaml": testBox, "site.yaml": testSite,
		"tiers/ws.yaml":        "tier: ws\nmode: enforce\nflows:\n  archive: {to: pacs, allow: [echo, store: all]}\n  worklist: {to: ris, allow: [find: {model: Modality Worklist}]}",
		"devices/all.yaml":     strings.Join(devices[:30], "\n---\n"),
		"devices/more.yml":     "---\n" + strings.Join(devices[30:], "\n---\n"),
		"devices/.hidden.yaml": "not: looked at",
		"devices/README.md":    "nor this",
	})
	p, diags := Load(dir)
	if p == nil || len(diags) > 0 {
		t.Fatalf("%s", diags)
	}
	if len(p.Devices) != 40 || len(p.Flows) != 80 || len(p.listener("imaging").Flows) != 80 {
		t.Errorf("%d devices, %d flows", len(p.Devices), len(p.Flows))
	}
	store := NewStore(p)
	for i := range 40 {
		for _, to := range []struct{ called, flow string }{{"PACS2", "archive"}, {"RIS", "worklist"}} {
			s := begun(t, store, fmt.Sprintf("10.1.0.%d", i+1), to.called, fmt.Sprintf("WS%02d", i))
			if want := fmt.Sprintf("ws-%02d/%s", i, to.flow); s.Flow().ID() != want {
				t.Errorf("%s chose %s", want, s.Flow().ID())
			}
		}
	}
}

// FuzzLoad: whatever the files hold, Load says what is wrong with it and does not panic. A policy
// comes only without errors.
func FuzzLoad(f *testing.F) {
	f.Add(testBox, testSite, "tier: t\nflows: {a: {to: pacs, allow: [echo]}}", "device: d\nextends: t\nidentify: {ip: 10.0.0.1}")
	f.Add(testBox, testSite, "tier: t", ct1)
	f.Add(testBox, testSite, "tier: t\nextends: t", strings.Replace(lab, "%M", "learn", 1))
	f.Add("listeners: {a: {address: \":1\", protocol: hl7, tunnel: mtls, peers: a}}\ntunnels: {mtls: {ca: \"file:a\", certificate: \"file:b\", key: \"file:c\"}}",
		"upstreams: {a: {address: \"a:1\", tunnel: mtls}}", "tier: t\nnull: ~", "device: d\nflows: {x: {from: a, listen: \":0\", allow: [print]}}\n---\ndevice: e")
	f.Add(reverseBox, reverseSite, "tier: t\nflows: {a: {to: pacs, allow: [commit, move: {to: self, returns: [1.2.3]}]}, a.return: {to: ris, allow: [echo]}}", reverseCT)
	f.Add(testBox, testSite, "tier: t", "device: d\nidentify: {ip: 10.0.0.1}\nae: {titles: [A]}\nflows: {x: {to: pacs, allow: ["+
		"find: {model: Study Root, levels: STUDY, match: [Patient ID], return: [StudyDate], everything: false}, move: {to: [B], levels: []},"+
		"get: {returns: CT Image Storage}, mpps: {notify: true}, normalized: {class: Printer, operations: [N-GET, N-ACTION], actions: [1, 2]}]}}")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, cordon, site, tier, device string) {
		writeSite(t, dir, map[string]string{"cordon.yaml": cordon, "site.yaml": site, "tiers/t.yaml": tier, "devices/d.yaml": device})
		if Peek(dir) == nil {
			t.Fatal("nothing to choose among")
		}
		ControlSocket(dir)
		p, diags := load(disk{exists: func(string) error { return nil }}, dir, testNow)
		if (p == nil) != diags.Failed() {
			t.Fatalf("policy: %v\n%s", p != nil, diags)
		}
		for i := range diags {
			checkDiagnostic(t, &diags[i])
			_ = diags[i].String()
		}
		if p == nil {
			return
		}
		for _, d := range p.Devices {
			if _, err := p.Effective(d.Name); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestUnitsLargerThanTheBudget: a device cannot hold more than half of it.
func TestUnitsLargerThanTheBudget(t *testing.T) {
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{"cordon.yaml": testBox + "limits: {budget: 20MiB}\n", "site.yaml": testSite,
		"devices/all.yaml": strings.Replace(ct1, "archive: {to: pacs,", "archive: {to: pacs, limits: {hold: 12MiB},", 1) + "\n---\n" + strings.Replace(lab, "%M", "shadow", 1)})
	p, diags := Load(dir)
	var notes []string
	for _, d := range diags {
		notes = append(notes, d.Message)
	}
	all := strings.Join(notes, "\n")
	if p == nil || !strings.Contains(all, "limits.hold is 12MiB, and a device may hold half of the budget, 10MiB") ||
		!strings.Contains(all, "limits.message is 16MiB") || strings.Count(all, "half of the budget") != 3 {
		t.Errorf("%s", diags)
	}
}
