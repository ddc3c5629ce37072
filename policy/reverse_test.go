package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// reverseBox is a cordon.yaml with a listener where the archive and the RIS connect.
const reverseBox = `box: {name: test}
listeners:
  imaging: {address: "127.0.0.1:11112", protocol: dicom}
  servers: {address: "127.0.0.1:2762", protocol: dicom, tunnel: mtls, peers: [pacs.example, ris.example]}
tunnels:
  mtls: {ca: "file:ca.pem", certificate: "file:{device}.pem", key: "file:{device}.key"}
`

const reverseSite = `upstreams:
  pacs: {ae: PACS2, address: "pacs.example:2762", tunnel: mtls, was: {ae: PACS}}
  ris: {ae: RIS, address: "ris.example:2762", tunnel: mtls}
  old: {ae: OLD, address: "127.0.0.1:104", tunnel: plain}
`

const reverseCT = `device: ct-1
mode: enforce
identify: {ip: 10.0.0.1}
ae: {titles: [CT1], port: 104}
flows:
  archive:
    to: pacs
    allow:
      - echo
      - store: [CT Image Storage]
      - move: {to: self, returns: [CT Image Storage]}
      - commit
`

// loadSite loads files as a site, with all certificates there.
func loadSite(t testing.TB, files map[string]string) (*Policy, Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	writeSite(t, dir, files)
	return load(disk{exists: func(string) error { return nil }}, dir, testNow)
}

// reversed loads a device behind the box and the site above.
func reversed(t testing.TB, devices ...string) (*Policy, Diagnostics) {
	t.Helper()
	return loadSite(t, map[string]string{
		"cordon.yaml": reverseBox, "site.yaml": reverseSite, "devices/all.yaml": strings.Join(devices, "\n---\n"),
	})
}

// TestReverseFlowFollows covers D19 and D20: move and commit are all that is written.
func TestReverseFlowFollows(t *testing.T) {
	p, diags := reversed(t, reverseCT)
	if p == nil {
		t.Fatal(diags)
	}
	f := p.Flow("ct-1/archive.return")
	if f == nil {
		t.Fatalf("no flow follows: %v", flowNames(p))
	}
	if !f.FromServer || f.Follows != "archive" || f.From.Name != "pacs" || f.To.Address != "10.0.0.1:104" || f.To.AE != "CT1" ||
		f.Listener.Name != "servers" || f.Mode != Enforce || f.Origin != "devices/all.yaml:11" {
		t.Errorf("%+v", f)
	}
	l := p.listener("servers")
	for name, want := range map[string]int{"pacs.example": 1, "PACS.example": 1, "ris.example": 0, "ct-1": 0} {
		if got := l.Candidates(f.Device.Prefixes[0].Addr(), []string{name}); len(got) != want {
			t.Errorf("%d flows are open to %s, want %d", len(got), name, want)
		}
	}
}

func flowNames(p *Policy) (names []string) {
	for _, f := range p.Flows {
		names = append(names, f.ID())
	}
	return names
}

// TestReverseFlows says which flows follow from what is written.
func TestReverseFlows(t *testing.T) {
	for _, tt := range []struct {
		name, flows string
		want        []string // of the flows that follow: name, mode, and what it lets through
	}{
		{"a move to others brings nothing back", "a: {to: pacs, allow: [move: {to: ARCHIVE2, returns: [CT Image Storage]}]}", nil},
		{"nothing asked, nothing back", "a: {to: pacs, allow: [echo, store: all]}", nil},
		{"a move", "a: {to: pacs, allow: [move: {to: self, returns: [CT Image Storage]}]}", []string{"a.return enforce CT"}},
		{"a move that does not say what returns", "a: {to: pacs, allow: [move: {to: self}]}", []string{"a.return enforce CT MR"}},
		{"a commitment", "a: {to: pacs, allow: [store: all, commit]}", []string{"a.return enforce report"}},
		{"echo goes both ways", "a: {to: pacs, allow: [echo, commit]}", []string{"a.return enforce echo report"}},
		{"two flows to a server, one back, as strict as the stricter",
			"b: {to: pacs, mode: shadow, allow: [commit]}\n  c: {to: pacs, listen: \":11113\", allow: [move: {to: self, returns: [MR Image Storage]}]}\n  a: {to: pacs, listen: \":11114\", allow: [echo]}",
			[]string{"b.return enforce MR report"}},
		{"the flow's own mode", "a: {to: pacs, mode: learn, allow: [commit]}", []string{"a.return learn report"}},
		{"two servers", "a: {to: pacs, allow: [commit]}\n  b: {to: ris, allow: [move: {to: self}]}", []string{"a.return enforce report", "b.return enforce CT MR"}},
		{"what is written stands", "a: {to: pacs, allow: [commit, move: {to: self, returns: [CT Image Storage]}]}\n  back: {from: pacs, allow: [echo]}", nil},
		{"what is written for another server does not", "a: {to: pacs, allow: [commit]}\n  back: {from: ris, allow: [echo]}", []string{"a.return enforce report"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head, _, _ := strings.Cut(reverseCT, "flows:")
			p, diags := reversed(t, head+"flows:\n  "+tt.flows)
			if p == nil {
				t.Fatal(diags)
			}
			var got []string
			for _, f := range p.Flows {
				if f.Follows != "" {
					got = append(got, fmt.Sprintf("%s %s%s", f.Name, f.Mode, letsThrough(f)))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("follows: %q, want %q", got, tt.want)
			}
		})
	}
}

// TestReplacedFlowsAreNoted: a written flow from a server stands for all that would follow, and what
// it takes away is said where it is written.
func TestReplacedFlowsAreNoted(t *testing.T) {
	for _, tt := range []struct{ name, flows, want string }{
		{"all of it", "a: {to: pacs, allow: [echo, store: all, commit]}\n  back: {from: pacs, allow: [store: [CT Image Storage]]}",
			"this flow replaces a.return; what flow a asks for no longer comes back: commit, echo"},
		{"one thing", "a: {to: pacs, allow: [echo, commit]}\n  back: {from: pacs, allow: [echo]}", "this flow replaces a.return; what flow a asks for no longer comes back: commit"},
		{"nothing", "a: {to: pacs, allow: [echo, commit]}\n  back: {from: pacs, allow: [echo, store: all, commit]}", ""},
		{"a class", "a: {to: pacs, allow: [move: {to: self, returns: [CT Image Storage, MR Image Storage]}]}\n  back: {from: pacs, allow: [store: [CT Image Storage]]}",
			"this flow replaces a.return; what flow a asks for no longer comes back: MR Image Storage"},
		{"classes that nobody lists", "a: {to: pacs, allow: [move: {to: self}]}\n  back: {from: pacs, allow: [store: [CT Image Storage]]}",
			"this flow replaces a.return; what flow a asks for no longer comes back: other objects"},
		{"nothing followed", "a: {to: pacs, allow: [echo, store: all]}\n  back: {from: pacs, allow: [store: all]}", ""},
	} {
		head, _, _ := strings.Cut(reverseCT, "flows:")
		_, diags := reversed(t, head+"flows:\n  "+tt.flows)
		got := ""
		for _, d := range diags {
			if strings.Contains(d.Message, "replaces") {
				if got = d.Message; d.Line != 7 {
					t.Errorf("%s: line %d", tt.name, d.Line)
				}
			}
		}
		if got != tt.want || diags.Failed() {
			t.Errorf("%s: %q, want %q\n%s", tt.name, got, tt.want, diags)
		}
	}
}

// TestInsteadOfWhatFollows: what is written in place of a flow that follows takes nothing away, and
// says what it says besides.
func TestInsteadOfWhatFollows(t *testing.T) {
	ct := reverseCT + "    mode: learn\n    transfer_syntaxes: [Explicit VR Little Endian]\n"
	p, diags := reversed(t, ct)
	if p == nil {
		t.Fatal(diags)
	}
	text := p.Instead(p.Flow("ct-1/archive.return"), "store: [MR Image Storage]")
	want := "archive.return: {from: pacs, allow: [store: [CT Image Storage], commit, echo, store: [MR Image Storage]], mode: learn, transfer_syntaxes: [Explicit VR Little Endian]}"
	if text != want {
		t.Errorf("%s, want\n%s", text, want)
	}
	p, diags = reversed(t, ct+"  "+text+"\n")
	if p == nil || strings.Contains(diags.String(), "replaces") {
		t.Fatal(diags)
	}
	if f := p.Flow("ct-1/archive.return"); f.Follows != "" || f.Mode != Learn || letsThrough(f) != " echo CT MR report" {
		t.Errorf("%+v lets through %s", f, letsThrough(f))
	}
	if got := p.Instead(p.Flow("ct-1/archive"), "echo"); got != "" {
		t.Errorf("of a flow that is written: %q", got)
	}
}

// letsThrough says what a flow lets the server send.
func letsThrough(f *Flow) (out string) {
	for _, x := range []struct {
		name, class string
		field       uint16
	}{{"echo", verification, dicom.CEchoRQ}, {"CT", ctImage, dicom.CStoreRQ}, {"MR", mrImage, dicom.CStoreRQ}, {"report", commitment, dicom.NEventRQ}} {
		c := command(x.field, x.class)
		c.TypeID = 1 // of a report: all are safe
		var v protocols.Verdict
		v.Reset(protocols.Near)
		if f.request(c, &v); !v.Refused() {
			out += " " + x.name
		}
	}
	return out
}

const commitment = "1.2.840.10008.1.20.1" // Storage Commitment Push Model

// TestReverseFlowSaysWhatItFollowsFrom: what the flow says besides holds for what comes back.
func TestReverseFlowSaysWhatItFollowsFrom(t *testing.T) {
	p, diags := reversed(t, reverseCT+"    transfer_syntaxes: [Explicit VR Little Endian]\n    tolerate: {lettered_uids: true}\n    timers: {idle: 5m}\n    limits: {sessions: 3}\n    on_failure: pass\n")
	if p == nil {
		t.Fatal(diags)
	}
	f, of := p.Flow("ct-1/archive.return"), p.Flow("ct-1/archive")
	if f.Timers != of.Timers || f.Limits != of.Limits || !f.PassOnFail || !f.dicom.lettered || len(f.dicom.transfer) != 1 {
		t.Errorf("%+v", f)
	}
}

// TestReverseFlowsThatCannotBe: where a policy says what returns it must have a way; the error
// names what is missing.
func TestReverseFlowsThatCannotBe(t *testing.T) {
	two := strings.Replace(reverseBox, "tunnels:", `  more: {address: "127.0.0.1:2763", protocol: dicom, tunnel: mtls, peers: [pacs.example]}`+"\ntunnels:", 1)
	silent := strings.NewReplacer(", returns: [CT Image Storage]", "").Replace
	for _, tt := range []struct {
		name, box, site, device string
		failed                  bool
		want                    string
	}{
		{"no port", reverseBox, reverseSite, strings.Replace(reverseCT, ", port: 104", "", 1), true,
			"devices/all.yaml:4:1: error: the objects of move come back by a connection of upstream \"pacs\", and nothing says on which port the device listens"},
		{"no port, and nothing said to return", reverseBox, reverseSite, silent(strings.Replace(reverseCT, ", port: 104", "", 1)), false,
			"devices/all.yaml:11:9: note: the objects of move do not come back through this gateway: nothing says on which port the device listens"},
		{"no port for reports", reverseBox, reverseSite, strings.NewReplacer(", port: 104", "", "      - move: {to: self, returns: [CT Image Storage]}\n", "").Replace(reverseCT), false,
			"devices/all.yaml:11:9: note: reports of commit come on the association of their request alone: nothing says on which port the device listens"},
		{"a server that reports itself", reverseBox, reverseSite, "device: archive\nidentify: {ip: 10.0.0.1}\nae: {titles: [PACS]}\nflows: {returns: {to: pacs, allow: [commit]}}", false,
			"hint: write the device's own port under ae.port; or commit: reports, if it is the server that reports"},
		{"behind another gateway", strings.Replace(reverseBox, "dicom}", "dicom}\n  far: {address: \"127.0.0.1:2763\", protocol: dicom, tunnel: mtls, peers: [ct-1]}", 1), reverseSite,
			"device: ct-1\nidentify: {certificate: ct-1}\nae: {titles: [CT1]}\nflows: {archive: {to: old, listen: far, allow: [commit]}}", false,
			"the device is behind another gateway"},
		{"two addresses", reverseBox, reverseSite, strings.Replace(reverseCT, "10.0.0.1", "[10.0.0.1, 10.0.0.2]", 1), true,
			"devices/all.yaml:3:1: error: the objects of move come back by a connection of upstream \"pacs\", and the device has no single address"},
		{"a prefix", reverseBox, reverseSite, strings.Replace(reverseCT, "10.0.0.1", "10.0.0.0/24", 1), true, "the device has no single address"},
		{"a server without a tunnel", reverseBox, reverseSite, strings.Replace(reverseCT, "to: pacs", "to: old", 1), true,
			"upstream \"old\" has no tunnel, so nothing would prove that it is who connects"},
		{"no listener lets it in", strings.Replace(reverseBox, "pacs.example, ", "", 1), reverseSite, reverseCT, true, "add pacs.example to the peers of servers in cordon.yaml"},
		{"no listener", strings.Replace(reverseBox, "tunnel: mtls, peers: [pacs.example, ris.example]", "", 1), reverseSite, reverseCT, true,
			`add one under listeners in cordon.yaml: from-pacs: {address: ":2762", protocol: dicom, tunnel: mtls, peers: [pacs.example]}`},
		{"two listeners", two, reverseSite, reverseCT, true, "it may connect to the listeners more, servers"},
		{"two listeners, one said", two, strings.Replace(reverseSite, "was:", "listen: more, was:", 1), reverseCT, false, ""},
		{"a listener that does not let it in", two, strings.Replace(reverseSite, "ris.example:2762\",", "ris.example:2762\", listen: more,", 1), reverseCT, true, "listener \"more\" does not let upstream \"ris\" in"},
		{"a listener without a tunnel", two, strings.Replace(reverseSite, "was:", "listen: imaging, was:", 1), reverseCT, true, "listener \"imaging\" has no tunnel"},
		{"a listener that is not there", two, strings.Replace(reverseSite, "was:", "listen: mor, was:", 1), reverseCT, true, "did you mean \"more\"?"},
		{"its name is taken", reverseBox, reverseSite, reverseCT + "  archive.return: {to: ris, allow: [echo]}\n", true, "flow \"archive.return\" follows from"},
		{"written, on a listener that does not let it in", strings.Replace(reverseBox, "pacs.example, ", "", 1), reverseSite,
			reverseCT + "  back: {from: pacs, listen: servers, allow: [echo]}\n", true, "listener \"servers\" does not let upstream \"pacs\" in: its peers are ris.example"},
		{"written, and nothing lets it in", strings.Replace(reverseBox, "pacs.example, ", "", 1), reverseSite,
			reverseCT + "  back: {from: pacs, allow: [echo]}\n", true, "nothing says where flow \"back\" is heard"},
		{"two devices of one title", reverseBox, reverseSite, reverseCT + "---\n" + strings.NewReplacer("ct-1", "ct-2", "10.0.0.1", "10.0.0.2").Replace(reverseCT), true,
			"upstream \"pacs\" reaches devices \"ct-1\" and \"ct-2\" by the same name through listener \"servers\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, diags := loadSite(t, map[string]string{"cordon.yaml": tt.box, "site.yaml": tt.site, "devices/all.yaml": tt.device})
			if (p == nil) != tt.failed || !strings.Contains(diags.String(), tt.want) {
				t.Errorf("policy: %v\n%s\nwant %s", p != nil, diags, tt.want)
			}
			if p != nil && tt.want == "" && p.Flow("ct-1/archive.return").Listener.Name != "more" {
				t.Error("it is heard on another listener")
			}
		})
	}
}

// TestReverseFlowJudges: the server's certificate leads to the device that it calls, and only by
// its own title.
func TestReverseFlowJudges(t *testing.T) {
	p, diags := reversed(t, reverseCT, strings.NewReplacer("ct-1", "ct-2", "10.0.0.1", "10.0.0.2", "CT1", "CT2").Replace(reverseCT))
	if p == nil {
		t.Fatal(diags)
	}
	store := NewStore(p)
	l := p.listener("servers")
	for _, tt := range []struct {
		name, called, calling, flow string
		want                        expect
	}{
		{"the first", "CT1", "PACS2", "ct-1/archive.return", expect{action: protocols.Rewrite, would: protocols.Rewrite, reason: reason.PolicyRewrite}.about("PACS2 as PACS", "upstreams.pacs")},
		{"the second", "CT2", "PACS2", "ct-2/archive.return", expect{action: protocols.Rewrite, would: protocols.Rewrite, reason: reason.PolicyRewrite}},
		{"by the title that it had", "CT2", "PACS", "ct-2/archive.return", allowed},
		{"nobody", "CT3", "PACS2", "ct-1/archive.return", refused(reason.DICOMCalledAE).about("CT3", "ae.titles")},
		{"by the title of another server", "CT2", "RIS", "ct-2/archive.return", refused(reason.DICOMCallingAE).about("RIS", "upstreams.pacs")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSession(store, l, l.Candidates(p.Devices[0].Prefixes[0].Addr(), []string{"pacs.example"}))
			var v protocols.Verdict
			v.Reset(protocols.Near)
			s.Associate(associate(tt.called, tt.calling, ctImage), &v)
			tt.want.check(t, &v)
			if s.Flow().ID() != tt.flow {
				t.Errorf("flow %s, want %s", s.Flow().ID(), tt.flow)
			}
		})
	}
}

// TestVanishedDeviceKeepsItsReverseFlows: what Keep takes over it compiles anew.
func TestVanishedDeviceKeepsItsReverseFlows(t *testing.T) {
	old, diags := reversed(t, reverseCT)
	if old == nil {
		t.Fatal(diags)
	}
	p, diags := reversed(t, strings.NewReplacer("ct-1", "ct-2", "10.0.0.1", "10.0.0.2", "CT1", "CT2").Replace(reverseCT))
	if p == nil {
		t.Fatal(diags)
	}
	if kept := p.Keep(old); len(kept) != 1 || p.Flow("ct-1/archive.return") == nil || p.Flow("ct-1/archive.return").Follows != "archive" {
		t.Errorf("kept %q; flows %q", kept, flowNames(p))
	}
}

// meet begins a session from an address, or by the name in a certificate.
func meet(store *Store, listener, peer string) *Session {
	l := store.Current().listener(listener)
	addr, err := netip.ParseAddr(peer)
	if err != nil {
		return NewSession(store, l, l.Candidates(netip.MustParseAddr("10.1.1.1"), []string{peer}))
	}
	return NewSession(store, l, l.Candidates(addr, nil))
}
