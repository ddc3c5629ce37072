package policy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/policy/file"
)

func writeSite(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInitMakesAWorkingShadowPolicy(t *testing.T) {
	pacs := Server{Name: "pacs", AE: "PACS", WasAE: "OLD PACS", Address: "pacs.example:2762", ServerName: "pacs.example"}
	his := Server{Name: "his", Address: "his.example:2575"}
	for _, tt := range []struct {
		name  string
		a     Answers
		flows []string
	}{
		{"imaging alone", Answers{Box: "cordon-1", DICOMAddress: ":11112", Archive: pacs,
			Devices: []NewDevice{{Name: "ct-1", IP: "10.20.3.15", AETitles: []string{"CT1", "CT 2"}}}},
			[]string{"ct-1/archive"}},
		{"results alone", Answers{Box: "cordon-1", HL7Address: ":2575", Results: his,
			Devices: []NewDevice{{Name: "lab-1", IP: "10.20.4.0/28", HL7: true}}},
			[]string{"lab-1/results"}},
		{"both", Answers{Box: "cordon-1", DICOMAddress: ":11112", HL7Address: ":2575", HTTPAddress: "127.0.0.1:9180", Archive: pacs, Results: his,
			Devices: []NewDevice{
				{Name: "us-1", IP: "10.20.3.16", AETitles: []string{"US1"}, HL7: true},
				{Name: "lab-1", IP: "10.20.4.1", HL7: true},
			}},
			[]string{"lab-1/results", "us-1/archive", "us-1/results"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files, err := Init(tt.a)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for name, b := range files {
				writeSite(t, dir, map[string]string{name: string(b)})
			}
			_, diags := Load(dir)
			if rest := diags.Without(file.MissingFile); len(rest) > 0 || len(diags) == 0 {
				t.Fatalf("before there are certificates:\n%s", diags)
			}
			writeSite(t, dir, map[string]string{"pki/ca.pem": "x"})
			for _, d := range tt.a.Devices {
				writeSite(t, dir, map[string]string{"pki/devices/" + d.Name + ".pem": "x", "pki/devices/" + d.Name + ".key": "x"})
			}
			p, diags := Load(dir)
			if len(diags) > 0 {
				t.Fatalf("with certificates:\n%s", diags)
			}
			var flows []string
			for _, f := range p.Flows {
				flows = append(flows, f.ID())
				if f.Mode != Shadow {
					t.Errorf("%s is in %s", f.ID(), f.Mode)
				}
			}
			if !slices.Equal(flows, tt.flows) {
				t.Errorf("flows %v, want %v", flows, tt.flows)
			}
		})
	}
}

func TestInitNamesWrongAnswers(t *testing.T) {
	_, err := Init(Answers{
		Box: "../x", Archive: Server{Name: "pa cs", AE: "WAY-TOO-LONG-A-TITLE", Address: "nowhere"},
		Devices: []NewDevice{{Name: "a", IP: "10.0.0.300", AETitles: []string{" "}}, {Name: "a", IP: "10.0.0.1", HL7: true}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"../x"`, `"pa cs"`, "WAY-TOO-LONG", `"nowhere"`, "10.0.0.300", `" "`, "of its own", "no server"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %s", err, want)
		}
	}
}
