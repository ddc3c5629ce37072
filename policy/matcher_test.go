package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
)

// TestCandidatesAgainstWalk compares the index with a walk over all flows, on random devices.
func TestCandidatesAgainstWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var flows []*Flow
		for i := range 60 {
			f := &Flow{id: fmt.Sprint(i)}
			for range 1 + r.IntN(2) {
				a := netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(3)), byte(r.IntN(8))})
				if r.IntN(4) == 0 {
					a = netip.MustParseAddr(fmt.Sprintf("fd00::%x:%x", r.IntN(2), r.IntN(8)))
				}
				bits := a.BitLen()
				if r.IntN(3) == 0 {
					bits = r.IntN(a.BitLen() + 1)
				}
				p := netip.PrefixFrom(a, bits).Masked()
				if !slices.Contains(f.peerPrefixes, p) {
					f.peerPrefixes = append(f.peerPrefixes, p)
				}
			}
			if r.IntN(4) == 0 {
				f.peerNames = []string{fmt.Sprintf("Device-%d.example", r.IntN(5))}
			}
			flows = append(flows, f)
		}
		l := &Listener{}
		l.index.build(flows)
		for range 200 {
			addr := netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(3)), byte(r.IntN(8))})
			switch r.IntN(3) {
			case 0:
				addr = netip.AddrFrom16(addr.As16()) // as a dual-stack socket gives it
			case 1:
				addr = netip.MustParseAddr(fmt.Sprintf("fd00::%x:%x", r.IntN(2), r.IntN(8)))
			}
			var names []string
			if r.IntN(4) == 0 {
				names = []string{"someone", fmt.Sprintf("device-%d.EXAMPLE", r.IntN(8))}
			}
			got, want := l.Candidates(addr, names), walkCandidates(flows, addr, names)
			if !slices.Equal(got, want) {
				t.Fatalf("%s %v: %d candidates, the walk finds %d", addr, names, len(got), len(want))
			}
		}
	}
}

func walkCandidates(flows []*Flow, addr netip.Addr, names []string) (found []*Flow) {
	for _, name := range names {
		for _, f := range flows {
			if slices.ContainsFunc(f.peerNames, func(n string) bool { return strings.EqualFold(n, name) }) {
				found = append(found, f)
			}
		}
		if found != nil {
			return found
		}
	}
	longest := -1
	for _, f := range flows {
		for _, p := range f.peerPrefixes {
			if p.Contains(addr.Unmap()) && p.Bits() > longest {
				longest = p.Bits()
			}
		}
	}
	for _, f := range flows {
		for _, p := range f.peerPrefixes {
			if p.Contains(addr.Unmap()) && p.Bits() == longest {
				found = append(found, f)
			}
		}
	}
	return found
}

// TestMessageTypesAgainstWalk compares the sorted table with a walk over the list as written.
func TestMessageTypesAgainstWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	code := func() string { return []string{"ACK", "ADT", "ORM", "ORU", "OUL", "ZZZ"}[r.IntN(6)] }
	event := func() string { return []string{"A01", "A02", "R01", "O01", ""}[r.IntN(5)] }
	for range 500 {
		var rules hl7Rules
		var list [][2]string
		for range r.IntN(8) {
			c, e := code(), event()
			if e == "" {
				e = "*"
			}
			list = append(list, [2]string{c, e})
			rules.add(c, e, "rule")
		}
		for range 20 {
			c, e := code(), event()
			want := slices.ContainsFunc(list, func(l [2]string) bool { return l[0] == c && (l[1] == "*" || l[1] == e) })
			if _, why := rules.allowing([]byte(c), []byte(e)); (why == "") != want {
				t.Fatalf("%s^%s with %v: %q", c, e, list, why)
			}
		}
	}
}

// TestOperationsAgainstWalk compares compiled DICOM rules with a walk over what the policy says.
func TestOperationsAgainstWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	verbs := []struct {
		text, class string
		field       uint16
	}{
		{"echo", verification, dicom.CEchoRQ},
		{"store: [CT Image Storage]", ctImage, dicom.CStoreRQ},
		{"store: [MR Image Storage]", mrImage, dicom.CStoreRQ},
		{"find: {model: Study Root}", studyFind, dicom.CFindRQ},
		{"move: {to: CT1}", studyMove, dicom.CMoveRQ},
		{"mpps", "1.2.840.10008.3.1.2.3.3", dicom.NSetRQ},
		{"commit", "1.2.840.10008.1.20.1", dicom.NActionRQ},
	}
	for range 20 {
		var chosen []string
		has := map[int]bool{}
		for i := range verbs {
			if r.IntN(2) == 0 {
				has[i], chosen = true, append(chosen, verbs[i].text)
			}
		}
		if len(chosen) == 0 {
			continue
		}
		p := site(t, "device: a\nmode: enforce\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\nflows: {x: {to: pacs, allow: ["+strings.Join(chosen, ", ")+"]}}")
		s := begun(t, NewStore(p), "10.0.0.1", "PACS2", "CT1")
		for i := range verbs {
			for k := range verbs {
				c := command(verbs[k].field, verbs[i].class)
				c.MoveAE, c.TypeID = []byte("CT1"), 1
				var v protocols.Verdict
				s.Command(c, &v)
				want := has[i] && verbs[i].field == verbs[k].field
				if v.Refused() == want {
					t.Fatalf("%v: %s on %s: %s", chosen, verbs[k].text, verbs[i].text, v.Reason)
				}
			}
		}
	}
}

func TestCertificateNames(t *testing.T) {
	p, diags := load(disk{}, "testdata/design.good", testNow)
	if p == nil {
		t.Fatalf("%s", diags)
	}
	l := p.listener("from-pacs")
	for _, tt := range []struct {
		names []string
		want  int
	}{
		{[]string{"pacs.example"}, 1},
		{[]string{"other", "PACS.example"}, 1},
		{[]string{"other"}, 0},
		{nil, 0},
	} {
		if got := l.Candidates(netip.MustParseAddr("10.20.3.15"), tt.names); len(got) != tt.want {
			t.Errorf("%v: %d candidates, want %d", tt.names, len(got), tt.want)
		}
	}
	f := p.Flow("ct-3/archive.return")
	if !f.FromServer || f.To.Address != "10.20.3.15:104" || f.To.AE != "CT3" || f.To.Tunnel.Kind != "plain" || f.From != p.Upstreams["pacs"] {
		t.Errorf("flow %+v to %+v", f, f.To)
	}
}
