package policy

import (
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
)

// TestTitles: called and calling AE titles are rewritten both ways (D19), and so are those inside
// messages, for every server that was renamed and for no other.
func TestTitles(t *testing.T) {
	site := `upstreams:
  pacs: {ae: PACS2, address: "pacs.example:2762", tunnel: mtls, was: {ae: PACS}}
  ris: {ae: RIS, address: "ris.example:2762", tunnel: mtls}
  deep: {ae: DEEP, address: "127.0.0.1:104", tunnel: plain, was: {ae: OLDDEEP}}
  same: {ae: SAME, address: "127.0.0.1:105", tunnel: plain, was: {ae: SAME}}
  east: {ae: EAST, address: "127.0.0.1:106", tunnel: plain, was: {ae: SPLIT}}
  west: {ae: WEST, address: "127.0.0.1:107", tunnel: plain, was: {ae: SPLIT}}
  heir: {ae: HEIR, address: "127.0.0.1:108", tunnel: plain, was: {ae: RIS}}
`
	ct := strings.Replace(reverseCT, "flows:", "flows:\n  worklist: {to: ris, allow: [echo]}\n  west: {to: west, allow: [echo]}", 1)
	knowing := strings.NewReplacer("ct-1", "ct-2", "10.0.0.1", "10.0.0.2", "[CT1]", "[CT2], knows: [PACS2]").Replace(ct)
	p, diags := loadSite(t, map[string]string{"cordon.yaml": reverseBox, "site.yaml": site, "devices/all.yaml": ct + "---\n" + knowing})
	if p == nil {
		t.Fatal(diags)
	}
	store := NewStore(p)
	const near, far = protocols.Near, protocols.Far
	for _, tt := range []struct {
		name, listener, peer, called, calling string // peer: address, or the name in a certificate
		callAs, callingAs                     string
		titles                                []title
	}{
		{"a device that calls by the old title", "imaging", "10.0.0.1", "PACS", "CT1", "PACS2", "", []title{
			{near, "PACS", "PACS2"}, {near, "PACS2", ""}, {near, "CT1", ""}, {near, "", ""}, {near, "NOBODY", ""},
			{near, "OLDDEEP", "DEEP"}, {near, "SAME", ""}, {near, "SPLIT", ""}, {near, "RIS", ""},
			{far, "PACS2", "PACS"}, {far, "PACS", ""}, {far, "DEEP", "OLDDEEP"}, {far, "WEST", ""}, {far, "HEIR", ""}, {far, "CT1", ""},
		}},
		{"a device that calls by the new title knows it", "imaging", "10.0.0.1", "PACS2", "CT1", "", "", []title{
			{near, "PACS", "PACS2"}, {far, "PACS2", ""}, {far, "DEEP", "OLDDEEP"},
		}},
		{"a server that was not renamed names one that was", "imaging", "10.0.0.1", "RIS", "CT1", "", "", []title{
			{near, "PACS", "PACS2"}, {far, "PACS2", "PACS"}, {far, "RIS", ""},
		}},
		{"the flow's own server comes first", "imaging", "10.0.0.1", "SPLIT", "CT1", "WEST", "", []title{
			{near, "SPLIT", "WEST"}, {far, "WEST", "SPLIT"}, {far, "EAST", ""},
		}},
		{"the server connects", "servers", "pacs.example", "CT1", "PACS2", "", "PACS", []title{
			{near, "PACS2", "PACS"}, {near, "DEEP", "OLDDEEP"}, {near, "CT1", ""}, {far, "PACS", "PACS2"}, {far, "PACS2", ""},
		}},
		{"the server calls itself what it was", "servers", "pacs.example", "CT1", "PACS", "", "", []title{{near, "PACS", ""}}},
		{"a device that was set to the new title", "servers", "pacs.example", "CT2", "PACS2", "", "", []title{
			{near, "PACS2", ""}, {near, "DEEP", "OLDDEEP"}, {far, "PACS", "PACS2"},
		}},
		{"and still calls by the old one", "imaging", "10.0.0.2", "PACS", "CT2", "PACS2", "", []title{{far, "PACS2", ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := meet(store, tt.listener, tt.peer)
			a := associate(tt.called, tt.calling, ctImage)
			var v protocols.Verdict
			v.Reset(near)
			s.Associate(a, &v)
			if v.Refused() || a.CallAs != tt.callAs || a.CallingAs != tt.callingAs {
				t.Errorf("%s: called as %q, calling as %q; want %q, %q", v.Action, a.CallAs, a.CallingAs, tt.callAs, tt.callingAs)
			}
			if rewritten := v.Action == protocols.Rewrite; rewritten != (tt.callAs+tt.callingAs != "") {
				t.Errorf("verdict %s", v.Action)
			}
			for _, x := range tt.titles {
				if got := s.Title(x.from, []byte(x.title)); got != x.want {
					t.Errorf("%q from the %s side is %q, want %q", x.title, x.from, got, x.want)
				}
			}
		})
	}
}

type title struct {
	from        protocols.Side
	title, want string
}

// TestTitleWithoutAFlow: nothing is renamed for who is not known.
func TestTitleWithoutAFlow(t *testing.T) {
	p, diags := reversed(t, reverseCT)
	if p == nil {
		t.Fatal(diags)
	}
	if got := meet(NewStore(p), "imaging", "10.9.9.9").Title(protocols.Near, []byte("PACS")); got != "" {
		t.Errorf("renamed to %q", got)
	}
}

// TestMoveToARenamedServer: a destination that is allowed by one title of a server is by the other.
func TestMoveToARenamedServer(t *testing.T) {
	for _, allowed := range []string{"PACS", "PACS2"} {
		head, _, _ := strings.Cut(reverseCT, "flows:")
		p, diags := reversed(t, head+"flows:\n  a: {to: ris, allow: [move: {to: "+allowed+"}]}")
		if p == nil {
			t.Fatal(diags)
		}
		for destination, refused := range map[string]bool{"PACS": false, "PACS2": false, "RIS": true} {
			s := meet(NewStore(p), "imaging", "10.0.0.1")
			var v protocols.Verdict
			v.Reset(protocols.Near)
			s.Associate(associate("RIS", "CT1", studyMove), &v)
			c := command(dicom.CMoveRQ, studyMove)
			c.MoveAE = []byte(destination)
			v.Reset(protocols.Near)
			if s.Command(c, &v); v.Refused() != refused {
				t.Errorf("a move to %s, where %s is allowed: %s", destination, allowed, v.Action)
			}
		}
	}
}
