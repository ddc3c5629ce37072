package policy

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkLoad loads a site of ten thousand devices: a region's, behind one gateway.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{40, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			var devices []string
			for i := range n {
				devices = append(devices, fmt.Sprintf("device: ws-%05d\nextends: ws\nidentify: {ip: 10.1.%d.%d}\nae: {titles: [WS%05d]}", i, i/250, i%250+1, i))
			}
			writeSite(b, dir, map[string]string{
				"cordon.yaml": testBox, "site.yaml": testSite, "devices/all.yaml": strings.Join(devices, "\n---\n"),
				"tiers/ws.yaml": "tier: ws\nflows:\n  archive: {to: pacs, allow: [echo, store: all]}\n  worklist: {to: ris, allow: [find: {model: Modality Worklist}]}",
			})
			for b.Loop() {
				if p, diags := Load(dir); p == nil {
					b.Fatal(diags.Error())
				}
			}
		})
	}
}
