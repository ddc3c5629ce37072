package policy

import (
	"fmt"
	"strings"
	"testing"

	"cordon/protocols"
)

// BenchmarkLoad loads a site of ten thousand devices: a region's, behind one gateway. In the
// second, each has a flow back from the archive besides.
func BenchmarkLoad(b *testing.B) {
	for _, site := range []struct{ name, box, site, allow string }{
		{"", testBox, testSite, "store: all"},
		{"return", reverseBox, reverseSite, "store: all, commit, move: {to: self, returns: [CT Image Storage, MR Image Storage]}"},
	} {
		for _, n := range []int{40, 10000} {
			b.Run(fmt.Sprint(n, site.name), func(b *testing.B) {
				dir := b.TempDir()
				writeSite(b, dir, map[string]string{
					"cordon.yaml": site.box, "site.yaml": site.site, "devices/all.yaml": workstations(n),
					"tiers/ws.yaml": "tier: ws\nflows:\n  archive: {to: pacs, allow: [echo, " + site.allow + "]}\n  worklist: {to: ris, allow: [find: {model: Modality Worklist}]}",
				})
				for b.Loop() {
					if p, diags := load(disk{exists: func(string) error { return nil }}, dir, testNow); p == nil {
						b.Fatal(diags.Error())
					}
				}
			})
		}
	}
}

// workstations are so many devices of the tier ws.
func workstations(n int) string {
	var devices []string
	for i := range n {
		devices = append(devices, fmt.Sprintf("device: ws-%05d\nextends: ws\nidentify: {ip: 10.1.%d.%d}\nae: {titles: [WS%05d], port: 104}", i, i/250, i%250+1, i))
	}
	return strings.Join(devices, "\n---\n")
}

// BenchmarkReturn chooses the flow of an association that the archive opens to one of ten thousand
// devices, all of which its certificate leads to.
func BenchmarkReturn(b *testing.B) {
	p, diags := loadSite(b, map[string]string{
		"cordon.yaml": reverseBox, "site.yaml": reverseSite, "devices/all.yaml": workstations(10000),
		"tiers/ws.yaml": "tier: ws\nmode: enforce\nflows:\n  archive: {to: pacs, allow: [store: all, move: {to: self}]}",
	})
	if p == nil {
		b.Fatal(diags.Error())
	}
	store := NewStore(p)
	a := associate("WS09999", "PACS2", ctImage, mrImage)
	for b.Loop() {
		s := meet(store, "servers", "pacs.example")
		var v protocols.Verdict
		v.Reset(protocols.Near)
		if s.Associate(a, &v); v.Refused() || s.Flow().Device.Name != "ws-09999" {
			b.Fatal(v.Reason)
		}
	}
}
