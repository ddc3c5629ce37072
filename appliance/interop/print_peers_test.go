package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// printConfig writes the configuration of dcmtk's print programs: kind is LOCALPRINTER for the
// printer itself and PRINTER for who prints to it.
func printConfig(t *testing.T, dir, own, kind, port string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "print.cfg")
	err := os.WriteFile(file, fmt.Appendf(nil, `[[GENERAL]]
[DATABASE]
Directory = %s
[NETWORK]
Aetitle = %s
[PRINT]
Directory = %s
[[COMMUNICATION]]
[FILM]
Aetitle = %s
Description = film printer
Hostname = 127.0.0.1
Port = %s
Type = %s
DisplayFormat = 1,1
FilmSizeID = 8INX10IN
MagnificationType = REPLICATE
MediumType = PAPER
MaxPDU = 16384
Supports12Bit = true
SupportsPresentationLUT = true
`, dir, own, dir, calledAE, port, kind), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// dcmprscp is dcmtk's print server.
func dcmprscp(t *testing.T, _ *tlsFiles, _ string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	cmd := exec.Command(program(t, "dcmprscp"), "-v", "-c", printConfig(t, dir, calledAE, "LOCALPRINTER", port))
	start(t, "dcmprscp", cmd).ready(t, port)
	return port
}

// dcmprscu prints a film of one CT image: dcmpsprt makes the job, dcmprscu sends it.
func dcmprscu(t *testing.T, port string) answer {
	t.Helper()
	dir := t.TempDir()
	config := printConfig(t, dir, callingAE, "PRINTER", port)
	_, images := study(t)
	if _, err := run(t, program(t, "dcmpsprt"), "-c", config, "-p", "FILM", "--layout", "1", "1", "--filmsize", "8INX10IN", images[0]); err != nil {
		t.Fatal(err)
	}
	jobs, err := filepath.Glob(filepath.Join(dir, "SP_*"))
	if err != nil || len(jobs) != 1 {
		t.Fatalf("dcmpsprt made %d jobs: %v", len(jobs), err)
	}
	_, err = run(t, program(t, "dcmprscu"), "-c", config, "-p", "FILM", jobs[0])
	return answer{"ended": fmt.Sprint(err)}
}
