package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/policy"
)

// The smallest run there is of every sweep.
func TestEverySweep(t *testing.T) {
	program := cordonProgram(t)
	var progress bytes.Buffer
	points := map[string][]int64{byDevices: {1, 3}, byConnections: {1, 4, math.MaxInt32}, bySize: {1000, 300_000}, byCoresDICOM: {1}, byCoresHL7: {1}}
	r, err := RunScale(t.Context(), ScaleOptions{
		Options: Options{Self: program, Version: "test", Rounds: 1, Progress: &progress, Command: "cordon bench scale",
			Size: Size{Bytes: 1 << 20, Objects: 3, Messages: 20, Duration: 20 * time.Millisecond}},
		Points: points,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	want := map[string][]string{
		byDevices:     {"cpu", "connect", "start", "reload", "resident", "peak"},
		byConnections: {"cpu", "throughput", "p99", "resident", "peak"},
		bySize:        {"cpu", "throughput", "object", "peak"},
		byCoresDICOM:  {"cpu", "throughput", "object", "peak"},
		byCoresHL7:    {"cpu", "throughput", "p99"},
	}
	for _, s := range r.Sweeps {
		if got := s.measures(); !slices.Equal(got, want[s.Name]) {
			t.Errorf("%s measured %q", s.Name, got)
		}
		for _, p := range s.Points {
			for name, m := range p.Measures {
				if len(m.Rounds) != 1 || m.Fast <= 0 {
					t.Errorf("%s at %s: %s is %v", s.Name, p.Label, name, m.Rounds)
				}
			}
		}
	}
	if len(r.Sweeps) != len(want) {
		t.Errorf("%d sweeps", len(r.Sweeps))
	}
	if len(r.LeftOut) != 1 || !strings.Contains(r.LeftOut[0], "2,147,483,647 open connections are left out: they need 4294967550 open files") {
		t.Errorf("left out: %q", r.LeftOut)
	}
	forms := r.Peers[0].Forms["client hl7"].Files
	if forms[fmt.Sprintf(other, 2)] != "" {
		t.Error("the report holds the file of every device")
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("the run left %d files behind, %v", len(left), err)
	}
}

func TestSweepThatIsNotThere(t *testing.T) {
	if _, err := RunScale(t.Context(), ScaleOptions{Sweeps: []string{"moons"}}); err == nil || !strings.Contains(err.Error(), "devices, connections") {
		t.Errorf("%v", err)
	}
}

func TestPointsOfASweep(t *testing.T) {
	for all, want := range map[int64][]int64{1: {1}, 2: {1, 2}, 6: {1, 2, 4, 6}, 8: {1, 2, 4, 8}} {
		if got := doubling(all); !slices.Equal(got, want) {
			t.Errorf("of %d cores %v", all, got)
		}
	}
	s := Size{Bytes: 1 << 20, Objects: 100}
	for size, want := range map[int64]int{1 << 10: 100, 64 << 10: 16, 1 << 20: 1, 1 << 30: 1} {
		if got := objectsOf(size, s); got != want {
			t.Errorf("%d objects of %s", got, byteSize(size))
		}
	}
	for n, want := range map[int64]string{1: "1", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
	for n, want := range map[int64]string{1000: "1000 B", 16 << 10: "16 KiB", 4 << 20: "4 MiB", 4 << 30: "4 GiB", 4 << 40: "4096 GiB"} {
		if got := byteSize(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
	if err := descriptors(1); err != nil {
		t.Error(err)
	}
}

// An object has the size that it was asked for, from its header up to what 32 bits can say.
func TestObjectHasItsSize(t *testing.T) {
	const room = smallPDU - 6
	for _, size := range []int64{0, 1000, 1001, room, room + 2, 2 * room, 40 * room, 40*room + 2, 1 << 20} {
		h := newHuge(size, smallPDU)
		b := h.bytes()
		data := dataSet(t, b)
		header := len(ct.header(uidRoot+".4.1", 1, 0))
		if want := max(int(size)&^1, header); len(data) < want || len(data) > want+2 && size > 0 { // frames may take a digit more
			t.Errorf("%d bytes asked for, the data set has %d", size, len(data))
		}
		if int64(len(b)) != h.size {
			t.Errorf("%d bytes, said to be %d", len(b), h.size)
		}
		at := bytes.Index(data, []byte{0xE0, 0x7F, 0x10, 0x00, 'O', 'W'})
		if n := binary.LittleEndian.Uint32(data[at+8:]); int(n) != len(data)-at-12 {
			t.Errorf("of %d bytes, Pixel Data has %d and says %d", size, len(data)-at-12, n)
		}
		judge(t, []object{{class: ctImage, transfer: explicitLE}}, b, 1)
	}
}

func TestLargestObjectFits(t *testing.T) {
	h := newHuge(4<<30, smallPDU)
	at := bytes.Index(h.first, []byte{0xE0, 0x7F, 0x10, 0x00, 'O', 'W'})
	n := int64(binary.LittleEndian.Uint32(h.first[at+8:]))
	var sent counter
	if err := h.send(&sent); err != nil || int64(sent) != h.size {
		t.Errorf("%d bytes were sent, %d announced, %v", sent, h.size, err)
	}
	if n > 0xFFFFFFFE || n < 4<<30-2000 || n%2 != 0 || h.size < 4<<30 {
		t.Errorf("Pixel Data of %d bytes in %d", n, h.size)
	}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

var _ io.Writer = (*counter)(nil)

// A site of many devices is a policy without a problem.
func TestSiteOfManyDevices(t *testing.T) {
	dir := t.TempDir()
	pki, err := newPKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	const n = 600 // addresses of three networks
	f := siteOf(n)(Hop{Role: Client, Listen: freeAddress(), Target: freeAddress(), Workload: Find("hl7-300"),
		CA: pki.ca(), Cert: pki.cert(clientName), Key: pki.key(clientName)})
	for name, text := range f.Files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, diags := policy.Load(dir)
	if p == nil || len(p.Devices) != n || len(p.Flows) != n {
		t.Fatalf("%s", diags.String())
	}
	for _, flow := range p.Flows {
		if flow.Mode != policy.Enforce {
			t.Errorf("%s runs in %v", flow.ID(), flow.Mode)
		}
	}
	short := abridged(f)
	if got := len(f.Files) - len(short.Files); got != n-2 {
		t.Errorf("%d files were taken away for the report", got)
	}
}

// grown is a report of sweeps with figures that are easy to reckon with.
func grown() *Report {
	at := func(n int64, label string, figures map[string][]float64) *Point {
		p := &Point{At: n, Label: label}
		for name, values := range figures {
			unit := map[string]string{"cpu": "µs/message", "peak": "MiB", "resident": "MiB"}[name]
			if name == "cpu" && n > 1<<20 {
				unit = "s/GiB"
			}
			for _, v := range values {
				p.Measures.put(name, unit, v)
			}
		}
		return p
	}
	r := &Report{Command: "cordon bench scale", Sweeps: []*Sweep{
		{Name: bySize, Axis: "object size", About: "objects", Points: []*Point{
			at(512<<20, "512 MiB", map[string][]float64{"cpu": {0.4, 0.4, 0.4}, "peak": {20, 20, 20}})}},
		{Name: byConnections, Axis: "open connections", About: "messages", Points: []*Point{
			at(32, "32", map[string][]float64{"cpu": {8, 8, 8}, "peak": {30, 30, 30}}),
			at(5000, "5,000", map[string][]float64{"cpu": {20, 20, 20}, "resident": {120, 120, 120}, "peak": {240, 240, 240}})}},
		{Name: byDevices, Axis: "devices", About: "devices", Points: []*Point{}},
	}}
	r.Sizing = sizing(r)
	return r
}

func TestSizingIsFiguresTimesNeeds(t *testing.T) {
	want := map[string][2]float64{
		"an imaging modality at 1 Gbit/s":               {0.4 * 125e6 / (1 << 30), 20},
		"an imaging modality at 10 Gbit/s":              {0.4 * 1250e6 / (1 << 30), 20},
		"a department: 2 TB a day in 10 h, evenly":      {0.4 * 2e12 / 36000 / (1 << 30), 20},
		"1,000 HL7 messages/s on 32 connections":        {0.008, 30},
		"5,000 connections, idle":                       {0, 120},
		"5,000 connections, a message from each in 5 s": {0.02, 240},
	}
	got := grown().Sizing
	if len(got) != len(want) { // of devices nothing was measured
		t.Errorf("%d rows", len(got))
	}
	for _, s := range got {
		w, ok := want[s.Need]
		if !ok || math.Abs(s.Cores-w[0]) > 1e-9 || s.Memory != w[1] {
			t.Errorf("%+v, want %v", s, w)
		}
	}
	if from := got[0].From; from != "0.116 GiB/s × 0.400 s/GiB (object-size 512 MiB, cpu); object-size 512 MiB, peak 20.0 MiB" {
		t.Errorf("%q", from)
	}
}

func TestSweepsStandInEveryForm(t *testing.T) {
	r := grown()
	var page, table, text bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteMarkdown(&table); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	growing := &Sweep{Points: []*Point{{At: 1, Label: "1"}, {At: 100, Label: "100"}}}
	for _, p := range growing.Points {
		p.Measures.put("reload", "ms", float64(p.At))
		p.Measures.put("cpu", "µs/message", 7)
	}
	if !strings.Contains(string(lines(growing.Points, "reload")), ">log<") || strings.Contains(string(lines(growing.Points, "cpu")), ">log<") {
		t.Error("a measure that grows a hundredfold is drawn by factors, one that stays is not; the chart says which")
	}
	for form, want := range map[*bytes.Buffer][]string{
		&page:  {"How the cost of inspection grows", "Cost by open connections (connections)", `<path class="line" d="M`, "5,000 connections, idle", "<details open>"},
		&table: {"**connections**: messages", "| open connections | cpu µs/message | resident MiB | peak MiB |", "| 5,000 | 20.0 | 120 | 240 |", "| 5,000 connections, idle | - | 120 |"},
		&text:  {"How the cost of Cordon", "object-size", "sizing", "5,000 connections, idle"},
	} {
		for _, w := range want {
			if !strings.Contains(form.String(), w) {
				t.Errorf("%q is missing in\n%s", w, form.String())
			}
		}
	}
	if strings.Contains(page.String(), "NaN") || strings.Contains(page.String(), "Inf") {
		t.Error("a chart has a place that is no number")
	}
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), `"sizing":[{"need":`) || !strings.Contains(string(b), `"at":5000,"label":"5,000","measures":{"cpu":{"unit":"µs/message"`) {
		t.Errorf("%v\n%s", err, b)
	}
}
