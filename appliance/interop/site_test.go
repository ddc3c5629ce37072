package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// deviceName names the device that all tests play, and the certificate that Cordon shows for it.
const deviceName = "ct-3"

// flow is what a test lets through.
type flow struct {
	protocol string // dicom or hl7
	allow    string // the value of allow, and other keys of the flow after a comma
}

// behind starts gateways for a device of this host whose server listens at a port, and returns
// the port where the device is heard. The server speaks TLS itself.
func (f flow) behind(t *testing.T, p pki, server string) string {
	t.Helper()
	p.issue(t, deviceName)
	port := freePort(t)
	f.gateway(t, "cordon", port, gatewayFiles{
		listener: "tunnel: plain",
		pair:     filepath.Join(p.dir, "{device}"),
		ca:       p.ca(),
		identify: "{ip: 127.0.0.1}",
		server:   fmt.Sprintf(`address: "127.0.0.1:%s", tunnel: mtls, server_name: %s`, server, serverName),
	})
	return port
}

// behindFarEnd is like behind for a server that speaks no TLS: a second gateway stands before it.
func (f flow) behindFarEnd(t *testing.T, p pki, server string) string {
	t.Helper()
	p.issue(t, serverName)
	port := freePort(t)
	f.gateway(t, "cordon, far end", port, gatewayFiles{
		listener: fmt.Sprintf("tunnel: mtls, peers: [%s]", deviceName),
		pair:     filepath.Join(p.dir, serverName),
		ca:       p.ca(),
		identify: fmt.Sprintf("{certificate: %s}", deviceName),
		server:   fmt.Sprintf(`address: "127.0.0.1:%s", tunnel: plain`, server),
	})
	return f.behind(t, p, port)
}

// gatewayFiles is what differs between a gateway before devices and one before servers.
type gatewayFiles struct{ listener, pair, ca, identify, server string }

// gateway writes a site and runs cordon on it.
func (f flow) gateway(t *testing.T, name, port string, g gatewayFiles) {
	t.Helper()
	dir := t.TempDir()
	ae, titles := "", ""
	if f.protocol == "dicom" {
		ae, titles = "ae: "+calledAE+", ", fmt.Sprintf("ae: {titles: [%s]}\n", callingAE)
	}
	files := map[string]string{
		"cordon.yaml": fmt.Sprintf(`listeners:
  in: {address: "127.0.0.1:%s", protocol: %s, %s}
tunnels:
  mtls: {ca: "file:%s", certificate: "file:%s.pem", key: "file:%s.key"}
audit: {file: audit.jsonl}
control: {socket: %s}
`, port, f.protocol, g.listener, g.ca, g.pair, g.pair, socketPath(t)),
		"site.yaml": fmt.Sprintf("upstreams:\n  server: {%s%s}\n", ae, g.server),
		"devices/ct-3.yaml": fmt.Sprintf("device: %s\nmode: enforce\nidentify: %s\n%sflows:\n  main: {to: server, allow: %s}\n",
			deviceName, g.identify, titles, f.allow),
	}
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := start(t, name, exec.Command(cordon(t), "run", "--config", filepath.Join(dir, "cordon.yaml")))
	c.ready(t, port)
	t.Cleanup(func() { // before the cleanup of start
		if err := c.stop(t); err != nil {
			t.Errorf("%s ended with %v; after SIGTERM it should end with success", name, err)
		}
		if strings.Contains(c.said.String(), "DATA RACE") {
			t.Errorf("%s raced with itself", name)
		}
		if t.Failed() {
			records, _ := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
			t.Logf("%s recorded:\n%s", name, records[max(0, len(records)-16<<10):])
		}
	})
}

// socketPath returns a path that is short enough for a Unix socket; those of t.TempDir carry the
// test's name and may not be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cordon-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}
