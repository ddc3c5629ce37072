package policy

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// TestAMessageEndsUnderTheRulesItBeganWith covers G6 and invariant 8 for DICOM: a new policy
// judges from the next request on, on the association that is open.
func TestAMessageEndsUnderTheRulesItBeganWith(t *testing.T) {
	store := NewStore(site(t, ct1))
	s := begun(t, store, "10.0.0.1", "PACS2", "CT1")
	judge := func(c *dicom.Command) *protocols.Verdict {
		v := new(protocols.Verdict)
		v.Reset(c.From)
		s.Command(c, v)
		return v
	}
	wrong := &dicom.DataSet{SOPClass: []byte(mrImage), InstanceSafe: true, StudySafe: true, SeriesSafe: true}
	unsafe := &dicom.Command{From: protocols.Far, Field: dicom.CStoreRSP, MessageID: 7, Abstract: ctImage, Transfer: explicitLE}

	first := command(dicom.CStoreRQ, ctImage)
	allowed.check(t, judge(first))

	// Now CT images are no longer allowed, and the device is in shadow.
	store.Swap(site(t, strings.NewReplacer("enforce", "shadow", "store: [CT Image Storage]", "store: [MR Image Storage]").Replace(ct1)))

	v := new(protocols.Verdict)
	s.DataSet(first, wrong, v) // of the first: it began under enforce
	refused(reason.DICOMUIDMismatch).check(t, v)
	refused(reason.DICOMUID).check(t, judge(unsafe)) // its response, too

	reported(reason.DICOMAbstractSyntax).check(t, judge(command(dicom.CStoreRQ, ctImage)))
	v.Reset(protocols.Near)
	s.DataSet(first, wrong, v)
	reported(reason.DICOMUIDMismatch).check(t, v)
	if s.Flow().Mode != Shadow || s.Policy() != store.Current() {
		t.Error("the session does not say which policy judges it")
	}
}

// TestRefusedRequestLeavesNoRules: what was refused for its data set, or late for a breach, has no
// response. One with its Message ID belongs to a later request, and is judged as that is.
func TestRefusedRequestLeavesNoRules(t *testing.T) {
	letters := strings.Replace(ct1, "allow: [echo, store", "tolerate: {lettered_uids: true}, allow: [echo, store", 1)
	if letters == ct1 {
		t.Fatal("the flow does not say what it tolerates")
	}
	good := &dicom.DataSet{InstanceSafe: true, StudySafe: true, SeriesSafe: true}
	for name, refuse := range map[string]func(*Session, *dicom.Command, *protocols.Verdict){
		"for its data set": func(s *Session, c *dicom.Command, v *protocols.Verdict) {
			s.DataSet(c, &dicom.DataSet{SOPClass: []byte(mrImage), InstanceSafe: true, StudySafe: true, SeriesSafe: true}, v)
		},
		"for a breach": func(s *Session, c *dicom.Command, v *protocols.Verdict) {
			s.DataSet(c, good, v)
			s.Breach(reason.CapHold, v)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := NewStore(site(t, letters))
			s := begun(t, store, "10.0.0.1", "PACS2", "CT1")
			c, v := command(dicom.CStoreRQ, ctImage), new(protocols.Verdict)
			s.Command(c, v)
			if refuse(s, c, v); !v.Refused() {
				t.Fatal("the first passes")
			}
			store.Swap(site(t, ct1))
			v.Reset(protocols.Near)
			s.Command(c, v)
			s.DataSet(c, good, v)
			allowed.check(t, v)
			v.Reset(protocols.Far)
			s.Command(&dicom.Command{From: protocols.Far, Field: dicom.CStoreRSP, MessageID: 7, Abstract: ctImage, SOPInstance: []byte("1.a")}, v)
			refused(reason.DICOMUID).check(t, v)
		})
	}
}

// TestEveryResponseHasItsRequestsRules: of all requests that are outstanding when a policy is
// replaced, not of the last few.
func TestEveryResponseHasItsRequestsRules(t *testing.T) {
	store := NewStore(site(t, ct1))
	s := begun(t, store, "10.0.0.1", "PACS2", "CT1")
	var v protocols.Verdict
	c := command(dicom.CStoreRQ, ctImage)
	for c.MessageID = range uint16(mostOutstanding) {
		s.Command(c, &v)
	}
	store.Swap(site(t, strings.Replace(ct1, "enforce", "shadow", 1)))
	unsafe := &dicom.Command{From: protocols.Far, Field: dicom.CStoreRSP, Abstract: ctImage}
	for _, unsafe.MessageID = range []uint16{0, 500, mostOutstanding - 1} {
		v.Reset(protocols.Far)
		s.Command(unsafe, &v)
		refused(reason.DICOMUID).check(t, &v)
	}
	v.Reset(protocols.Near)
	s.Command(c, &v)
	v.Reset(protocols.Far)
	s.Command(unsafe, &v)
	reported(reason.DICOMUID).check(t, &v)
}

// TestCancelBelongsToItsRequest: taking C-FIND away does not keep a device from stopping one.
func TestCancelBelongsToItsRequest(t *testing.T) {
	store := NewStore(site(t, ct1))
	s := begun(t, store, "10.0.0.1", "PACS2", "CT1")
	var v protocols.Verdict
	s.Command(command(dicom.CFindRQ, studyFind), &v)
	pending := &dicom.Command{From: protocols.Far, Field: dicom.CFindRSP, MessageID: 7, Status: dicom.StatusPending, Abstract: studyFind, InstanceSafe: true}
	v.Reset(protocols.Far)
	s.Command(pending, &v)
	allowed.check(t, &v)
	store.Swap(site(t, strings.Replace(ct1, ", find: {model: Study Root}", "", 1)))
	cancel := command(dicom.CancelRQ, studyFind)
	cancel.SOPClass = nil
	v.Reset(protocols.Near)
	s.Command(cancel, &v)
	allowed.check(t, &v)
	pending.Status = 0xFE00
	v.Reset(protocols.Far)
	s.Command(pending, &v)
	v.Reset(protocols.Near)
	s.Command(cancel, &v)
	refused(reason.DICOMAbstractSyntax).check(t, &v)
}

// TestReloadReachesOpenLinks covers G6 for HL7: links live for months.
func TestReloadReachesOpenLinks(t *testing.T) {
	enforced := strings.Replace(lab, "%M", "enforce", 1)
	other := "device: other\nidentify: {ip: 10.0.0.99}"
	for _, tt := range []struct {
		name, device string
		want         expect
	}{
		{"nothing changed", enforced, allowed},
		{"the type is gone", strings.Replace(enforced, "ORU^R01, ", "", 1), refused(reason.HL7Trigger)},
		{"to shadow", strings.NewReplacer("enforce", "shadow", "ORU^R01, ", "").Replace(enforced), reported(reason.HL7Trigger)},
		{"another sender", strings.Replace(enforced, "[LAB, ", "[XLAB, ", 1), refused(reason.HL7Sender)},
		{"the flow is gone", strings.Replace(enforced, "results:", "renamed:", 1), refused(reason.PolicyDenied).about("", "flows.results (no longer there)")},
		{"the flow is gone, in shadow", strings.NewReplacer("enforce", "shadow", "results:", "renamed:").Replace(enforced), refused(reason.PolicyDenied)},
		{"the device is gone", other, refused(reason.PolicyDenied)},
		{"quarantined", enforced + "\nstate: quarantined", refused(reason.SessionRevoked).about("", "state")},
		{"quarantined, in shadow", strings.Replace(enforced, "enforce", "shadow", 1) + "\nstate: quarantined", refused(reason.SessionRevoked)},
		{"retired", enforced + "\nstate: retired", refused(reason.SessionRevoked)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := NewStore(site(t, enforced))
			s := connect(t, store, "results", "10.0.0.4")
			var v protocols.Verdict
			s.Message(message("LAB", "EAST", "HIS", "ORU^R01"), &v)
			allowed.check(t, &v)
			store.Swap(site(t, tt.device))
			v.Reset(protocols.Near)
			s.Message(message("LAB", "EAST", "HIS", "ORU^R01"), &v)
			tt.want.check(t, &v)
			if f := s.Flow(); f == nil || f.ID() != "lab-1/results" {
				t.Errorf("the session belongs to %v", f)
			}
		})
	}
}

func TestReloadBeforeTheFirstUnit(t *testing.T) {
	store := NewStore(site(t, ct1))
	s := connect(t, store, "imaging", "10.0.0.1")
	store.Swap(site(t, strings.Replace(ct1, "CT1, ", "NEW, ", 1)))
	var v protocols.Verdict
	s.Associate(associate("PACS2", "CT1"), &v)
	refused(reason.DICOMCallingAE).check(t, &v)
}

// TestABrokenDirectoryMakesNoPolicy covers G7 at the level of policy: whatever is wrong, Load has
// diagnostics and no policy, so what is in force stays.
func TestABrokenDirectoryMakesNoPolicy(t *testing.T) {
	good := map[string]string{"cordon.yaml": testBox, "site.yaml": testSite, "devices/ct-1.yaml": ct1}
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
	}{
		{"half a file", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "devices/ct-1.yaml"), []byte(ct1[:len(ct1)-30]), 0o666)
		}},
		{"an emptied file", func(dir string) error { return os.Truncate(filepath.Join(dir, "devices/ct-1.yaml"), 0) }},
		{"an emptied site", func(dir string) error { return os.Truncate(filepath.Join(dir, "site.yaml"), 0) }},
		{"no site", func(dir string) error { return os.Remove(filepath.Join(dir, "site.yaml")) }},
		{"no devices", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "devices")) }},
		{"no cordon.yaml", func(dir string) error { return os.Remove(filepath.Join(dir, "cordon.yaml")) }},
		{"an emptied cordon.yaml", func(dir string) error { return os.Truncate(filepath.Join(dir, "cordon.yaml"), 0) }},
		{"a folder for a file", func(dir string) error {
			os.Remove(filepath.Join(dir, "site.yaml"))
			return os.Mkdir(filepath.Join(dir, "site.yaml"), 0o777)
		}},
		{"nothing", os.RemoveAll},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeSite(t, dir, good)
			if p, diags := Load(dir); p == nil {
				t.Fatalf("%s", diags)
			}
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if p, diags := Load(dir); p != nil || !diags.Failed() {
				t.Errorf("policy: %v; diagnostics:\n%s", p != nil, diags)
			}
		})
	}
}

func TestVersionFollowsEveryByte(t *testing.T) {
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{"cordon.yaml": testBox, "site.yaml": testSite, "devices/ct-1.yaml": ct1})
	version := func() string {
		p, diags := Load(filepath.Join(dir, "cordon.yaml"))
		if p == nil {
			t.Fatalf("%s", diags)
		}
		return p.Version
	}
	a := version()
	if b := version(); a != b {
		t.Error("the same files have two versions")
	}
	writeSite(t, dir, map[string]string{"devices/ct-1.yaml": ct1 + "\n# a comment"})
	if b := version(); a == b || len(b) != 12 {
		t.Errorf("versions %q and %q", a, b)
	}
}

// TestKeep: a file that vanished does not remove a device.
func TestKeep(t *testing.T) {
	second := strings.NewReplacer("ct-1", "ct-2", "10.0.0.1", "10.0.0.2").Replace(ct1)
	old := site(t, ct1, second)
	for _, tt := range []struct {
		name    string
		devices []string
		kept    []string
		flows   int
	}{
		{"nothing vanished", []string{ct1, second}, nil, 4},
		{"one vanished", []string{ct1}, []string{"ct-2"}, 4},
		{"renamed: its place is taken", []string{ct1, strings.Replace(second, "ct-2", "ct-3", 1)}, nil, 4},
		{"one vanished and one was renamed", []string{strings.Replace(second, "ct-2", "ct-3", 1)}, []string{"ct-1"}, 4},
		{"retired on purpose", []string{ct1, second + "\nstate: retired"}, nil, 4},
		{"its address goes to another", []string{strings.Replace(ct1, "10.0.0.1", "10.0.0.2", 1)}, nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := site(t, tt.devices...)
			files := p.Version
			if kept := p.Keep(old); !slices.Equal(kept, tt.kept) {
				t.Errorf("kept %v, want %v", kept, tt.kept)
			}
			if (p.Version != files) != (len(tt.kept) > 0) || len(p.Version) != len(files) {
				t.Errorf("version %s, that of the files %s", p.Version, files)
			}
			if len(p.Flows) != tt.flows {
				t.Errorf("%d flows, want %d", len(p.Flows), tt.flows)
			}
			for _, name := range tt.kept {
				f := p.Flow(name + "/archive")
				if f == nil || !f.Device.Vanished || f.Listener != p.listener("imaging") || f.To != p.Upstreams["pacs"] {
					t.Errorf("flow of %s does not belong to the new policy, or the device does not say that its file vanished", name)
				}
				if c := f.Listener.Candidates(f.Device.Prefixes[0].Addr(), nil); !slices.Contains(c, f) {
					t.Errorf("%s is not heard", name)
				}
			}
			if again := p.Keep(old); len(tt.kept) > 0 && again != nil {
				t.Errorf("kept again: %v", again)
			}
		})
	}
}

// TestKeepOutlivesItsTier: when folder and all vanish, the merged device stays.
func TestKeepOutlivesItsTier(t *testing.T) {
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{
		"cordon.yaml": testBox, "site.yaml": testSite,
		"tiers/t.yaml":   "tier: t\nmode: enforce\nflows: {archive: {to: pacs, allow: [echo]}}",
		"devices/a.yaml": "device: a\nextends: t\nidentify: {ip: 10.0.0.1}", "devices/b.yaml": "device: b",
	})
	old, diags := Load(dir)
	if old == nil {
		t.Fatalf("%s", diags)
	}
	os.Remove(filepath.Join(dir, "tiers/t.yaml"))
	os.Remove(filepath.Join(dir, "devices/a.yaml"))
	p, diags := Load(dir)
	if p == nil {
		t.Fatalf("%s", diags)
	}
	if kept := p.Keep(old); !slices.Equal(kept, []string{"a"}) {
		t.Errorf("kept %v", kept)
	}
	if f := p.Flow("a/archive"); f == nil || f.Mode != Enforce {
		t.Errorf("flow %+v", f)
	}
}

func TestRetiredDevicesFreeTheirAddress(t *testing.T) {
	p := site(t, ct1+"\nstate: retired", strings.Replace(ct1, "ct-1", "ct-new", 1), "device: gone\nstate: retired\nflows: {x: {to: nowhere, allow: [echo]}}")
	c := p.listener("imaging").Candidates(netip.MustParseAddr("10.0.0.1"), nil)
	if len(c) != 2 || c[0].Device.Name != "ct-new" {
		t.Errorf("candidates %v", c)
	}
	if p.Device("ct-1").State != Retired || p.Flow("ct-1/archive") == nil {
		t.Error("a retired device is still known, and so are its flows")
	}
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{"cordon.yaml": "site: common/site.yaml\ntiers: common/tiers\ndevices: /srv/devices\n"})
	want := []string{"/srv/devices", dir, filepath.Join(dir, "common"), filepath.Join(dir, "common/tiers")}
	slices.Sort(want)
	if got := Directories(filepath.Join(dir, "cordon.yaml")); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestOutdated: what changes while a policy is read, and after, is noticed without a watcher.
func TestOutdated(t *testing.T) {
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{"cordon.yaml": testBox, "site.yaml": testSite, "devices/all.yaml": ct1})
	dirs := Directories(dir)
	old := time.Now().Add(-time.Hour)
	age := func() {
		for _, name := range append([]string{"cordon.yaml", "site.yaml", "devices/all.yaml"}, "", "devices") {
			if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	age()
	p, diags := Load(dir)
	if p == nil {
		t.Fatal(diags)
	}
	if p.Outdated(dirs) {
		t.Error("nothing was written since")
	}
	for name, change := range map[string]func(path string) error{
		"written": func(path string) error { return os.WriteFile(path, []byte("# new\n"), 0o644) },
		"removed": os.Remove,
	} {
		if err := change(filepath.Join(dir, "devices/all.yaml")); err != nil {
			t.Fatal(err)
		}
		if !p.Outdated(dirs) {
			t.Errorf("a file was %s", name)
		}
		writeSite(t, dir, map[string]string{"devices/all.yaml": ct1})
		age()
	}
}

// TestABreachBelongsToItsMessage: what turns out late is judged as the message was that it is of.
func TestABreachBelongsToItsMessage(t *testing.T) {
	const shadow = "device: d\nmode: shadow\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\nflows: {x: {to: pacs, allow: [commit, store: [CT Image Storage]]}}"
	enforce := strings.Replace(shadow, "shadow", "enforce", 1)
	for before, after := range map[string]string{shadow: enforce, enforce: shadow} {
		store := NewStore(site(t, before))
		s := begun(t, store, "10.0.0.1", "PACS2", "CT1")
		var object, report protocols.Verdict
		s.Command(command(dicom.CStoreRQ, ctImage), &object)
		store.Swap(site(t, after))
		report.Reset(protocols.Far)
		s.Command(sent(protocols.Far, dicom.NEventRQ, commitPush, 1), &report) // the other side's goes by the new rules
		s.Breach(reason.DICOMDataSet, &object)
		if object.Refused() != (before == enforce) {
			t.Errorf("begun under %.20q: refused %v", before, object.Refused())
		}
	}
}
