package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/policy"
)

// built is where build puts the program; "" before.
var built string

// build builds the program as a hospital would run it, once for all tests that run it.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "b"); err != nil {
		return "", err
	}
	path := filepath.Join(built, "cordon")
	if out, err := exec.Command("go", "build", "-o", path, "../appliance/cordon").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// cordonProgram returns the program, and gives what the test runs a directory for its files whose
// path is short: paths of Unix sockets have at most 107 bytes.
func cordonProgram(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	temp, err := os.MkdirTemp("", "b")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	t.Setenv("TMPDIR", temp)
	return path
}

// The smallest run there is: everything that is measured, without a gateway and through Cordon.
func TestEveryWorkloadThroughCordon(t *testing.T) {
	var progress bytes.Buffer
	program := cordonProgram(t)
	restore := connections(map[string][]int{"idle": {20}, "connect": {2}, "connect-resumed": {2}, "hl7-300": {1, 4}, "dicom-echo": {2}})
	defer restore()
	r, err := Run(t.Context(), Options{
		Self: program, Version: "test", Only: []string{None, Blind}, Rounds: 1, Progress: &progress,
		Size: Size{Bytes: 4 << 20, Objects: 2, Duration: 30 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems)+len(r.LeftOut) != 0 {
		t.Errorf("problems %v, left out %v\n%s", r.Problems, r.LeftOut, progress.String())
	}
	for _, w := range Workloads {
		for _, role := range w.Roles {
			for _, peer := range []string{Cordon, Blind} {
				if !slices.ContainsFunc(r.Cells, func(c *Cell) bool {
					return c.Workload == w.Name && c.Role == role && c.Peer == peer && len(c.Measures) > 0
				}) {
					t.Errorf("%s was not measured in %s, %s role", peer, w.Name, role)
				}
			}
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("the run left %d files behind, %v", len(left), err)
	}
	checkRatios(t, r)
	checkFiles(t, r)
}

// connections replaces the numbers of connections of some workloads, for a small run.
func connections(replace map[string][]int) (restore func()) {
	old := map[*Workload][]int{}
	for _, w := range Workloads {
		if n, ok := replace[w.Name]; ok {
			old[w], w.Connections = w.Connections, n
		}
	}
	return func() {
		for w, n := range old {
			w.Connections = n
		}
	}
}

func checkRatios(t *testing.T, r *Report) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Ratios []struct {
			Workload, Peer, Measure, Role string
			Value, Lo, Hi                 float64
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, q := range got.Ratios {
		if q.Value <= 0 || q.Lo > q.Value || q.Hi < q.Value || q.Peer == Cordon {
			t.Errorf("%+v", q)
		}
		seen[strings.Join([]string{q.Workload, q.Role, q.Peer, q.Measure}, " ")] = true
	}
	for _, want := range []string{
		"dicom-bulk both cordon-blind cpu", "dicom-bulk both none throughput", "hl7-300 client cordon-blind cpu",
		"hl7-300 client none p99", "idle client cordon-blind memory", "connect client cordon-blind cpu",
	} {
		if !seen[want] {
			t.Errorf("there is no ratio of %s", want)
		}
	}
}

func checkFiles(t *testing.T, r *Report) {
	t.Helper()
	dir := t.TempDir()
	if err := r.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if external := regexp.MustCompile(`(src|href|url)\s*[=(]`).Find(page); external != nil {
		t.Errorf("the page needs something else: %s", external)
	}
	table, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dicom-bulk", "cordon-blind", r.Machine.Kernel, "TLS_AES_128_GCM_SHA256"} {
		if !bytes.Contains(page, []byte(want)) || !bytes.Contains(table, []byte(want)) {
			t.Errorf("page or table do not name %s", want)
		}
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "sealing and opening together") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// What Cordon is run with is a policy without a problem, and no opening of it is wider than the
// workload.
func TestSitesOfCordonCompile(t *testing.T) {
	dir := t.TempDir()
	pki, err := newPKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range Workloads {
		for _, role := range []Role{Client, Server} {
			for name, form := range map[string]func(Hop) Form{"inspecting": cordonForm, "blind": blindForm} {
				h := Hop{Role: role, Listen: freeAddress(), Target: freeAddress(), Workload: w, Dir: t.TempDir(),
					CA: pki.ca(), Cert: pki.cert(clientName), Key: pki.key(clientName)}
				for file, text := range form(h).Files {
					os.MkdirAll(filepath.Dir(filepath.Join(h.Dir, file)), 0o755)
					os.WriteFile(filepath.Join(h.Dir, file), []byte(text), 0o644)
				}
				p, diags := policy.Load(filepath.Join(h.Dir, "cordon.yaml"))
				if p == nil || len(p.Flows) != 1 {
					t.Errorf("%s, %s, %s role: %s", name, w.Name, role, diags.String())
					continue
				}
				if want := map[string]policy.Mode{"inspecting": policy.Enforce, "blind": policy.Shadow}[name]; p.Flows[0].Mode != want {
					t.Errorf("%s runs in %v", name, p.Flows[0].Mode)
				}
			}
		}
	}
}

func TestCustomPeerFillsItsCommand(t *testing.T) {
	p, err := Custom("mine=/opt/mine/bin/shim -l {listen} -t {target} --as={role} {ca}:{cert}:{key}")
	if err != nil {
		t.Fatal(err)
	}
	got := p.form(Hop{Role: Server, Listen: "L", Target: "T", CA: "a", Cert: "b", Key: "c"}).Args
	if want := []string{"-l", "L", "-t", "T", "--as=server", "a:b:c"}; !slices.Equal(got, want) || p.Name != "mine" || p.program != "/opt/mine/bin/shim" {
		t.Errorf("%s %s %q", p.Name, p.program, got)
	}
	for _, bad := range []string{"", "mine", "=x", "mine="} {
		if _, err := Custom(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestWhatIsNotInstalledIsNamed(t *testing.T) {
	r, err := Run(t.Context(), Options{Self: "true", Only: []string{None}, Workloads: []string{"idle"}, Extra: []string{"gone=no-such-gateway"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.LeftOut) != 1 || !strings.Contains(r.LeftOut[0], "no-such-gateway is not installed") {
		t.Errorf("%q", r.LeftOut)
	}
	if len(r.Problems) == 0 {
		t.Error("a gateway that ends at once is no problem")
	}
	for _, o := range []Options{{Workloads: []string{"x"}}, {Only: []string{"x"}}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
