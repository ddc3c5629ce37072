package policy

import (
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// TestWindowThatADeviceCannotBear covers D11: software that drops associations with an asynchronous
// operations window of 0/0 is not sent one, in any mode, and all others are.
func TestWindowThatADeviceCannotBear(t *testing.T) {
	const scanner = `fingerprint: [SOMETHING, "1.2.840.113619.6.55"]`
	for _, tt := range []struct {
		name, fingerprint, mode   string
		has                       bool
		invoked, performed        uint16
		listener, called, calling string
		omitted                   bool
	}{
		{"the scanner is called", scanner, "enforce", true, 0, 0, "servers", "CT1", "PACS2", true},
		{"in shadow", scanner, "shadow", true, 0, 0, "servers", "CT1", "PACS2", true},
		{"with a window that has an end", scanner, "enforce", true, 8, 8, "servers", "CT1", "PACS2", false},
		{"without a window", scanner, "enforce", false, 0, 0, "servers", "CT1", "PACS2", false},
		{"the scanner calls", scanner, "enforce", true, 0, 0, "imaging", "PACS2", "CT1", false},
		{"another is called", "fingerprint: [SOMETHING]", "enforce", true, 0, 0, "servers", "CT1", "PACS2", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			device := strings.Replace(reverseCT, "flows:", tt.fingerprint+"\nflows:", 1)
			device = strings.Replace(device, "mode: enforce", "mode: "+tt.mode, 1)
			site := "upstreams:\n  pacs: {ae: PACS2, address: \"pacs.example:2762\", tunnel: mtls}\n"
			p, diags := loadSite(t, map[string]string{"cordon.yaml": reverseBox, "site.yaml": site, "devices/all.yaml": device})
			if p == nil {
				t.Fatal(diags)
			}
			peer := "10.0.0.1"
			if tt.listener == "servers" {
				peer = "pacs.example"
			}
			a := associate(tt.called, tt.calling, ctImage)
			a.HasAsync, a.AsyncInvoked, a.AsyncPerformed = tt.has, tt.invoked, tt.performed
			var v protocols.Verdict
			meet(NewStore(p), tt.listener, peer).Associate(a, &v)
			want := allowed
			if tt.omitted {
				want = expect{action: protocols.Rewrite, would: protocols.Rewrite, reason: reason.PolicyRewrite, rule: "dcm4che/issues/1120"}
			}
			want.check(t, &v)
			if a.OmitAsync != tt.omitted {
				t.Errorf("omitted %v", a.OmitAsync)
			}
		})
	}
}
