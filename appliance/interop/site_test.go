package interop

import (
	"fmt"
	"maps"
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
	far      string // the same at a far end; "" where it says the same

	// own is the port where the device itself is reached, "" where nothing comes back to it.
	own string

	was string // the title by which the device calls the server, where that is its old one
}

// behind starts gateways for a device of this host whose server listens at a port, and returns
// the port where the device is heard. The server speaks TLS itself.
func (f flow) behind(t *testing.T, p pki, server string) string {
	t.Helper()
	return f.near(t, p, server, "")
}

// near starts the gateway before the device. A server that opens associations of its own is heard
// at the port back, with mutual TLS.
func (f flow) near(t *testing.T, p pki, server, back string) string {
	t.Helper()
	p.issue(t, deviceName)
	port := freePort(t)
	g := gatewayFiles{
		listener: "tunnel: plain",
		pair:     filepath.Join(p.dir, "{device}"),
		ca:       p.ca(),
		identify: "{ip: 127.0.0.1}",
		server:   fmt.Sprintf(`address: "127.0.0.1:%s", tunnel: mtls, server_name: %s`, server, serverName),
	}
	if back != "" {
		own := p.issue(t, nearName)
		g.listeners = fmt.Sprintf("  back: {address: \"127.0.0.1:%s\", protocol: dicom, tunnel: mtls/back, peers: [%s]}\n", back, serverName)
		g.tunnels = fmt.Sprintf("  mtls/back: {ca: \"file:%s\", certificate: \"file:%s\", key: \"file:%s\"}\n", own.ca, own.certificate, own.key)
	}
	f.gateway(t, "cordon", port, g)
	return port
}

// behindFarEnd is like behind for a server that speaks no TLS: a second gateway stands before it.
func (f flow) behindFarEnd(t *testing.T, p pki, server string) string {
	t.Helper()
	return f.behindBoth(t, p, server, "", "")
}

// behindBoth is like behindFarEnd for a server that opens associations of its own, without TLS, at
// the port out of the far end. It leads them to the port back of the near end.
func (f flow) behindBoth(t *testing.T, p pki, server, out, back string) string {
	t.Helper()
	p.issue(t, serverName)
	port := freePort(t)
	g := gatewayFiles{
		listener: fmt.Sprintf("tunnel: mtls, peers: [%s]", deviceName),
		pair:     filepath.Join(p.dir, serverName),
		ca:       p.ca(),
		identify: fmt.Sprintf("{certificate: %s}", deviceName),
		server:   fmt.Sprintf(`address: "127.0.0.1:%s", tunnel: plain`, server),
	}
	if out != "" {
		g.listeners = fmt.Sprintf("  out: {address: \"127.0.0.1:%s\", protocol: dicom, tunnel: plain}\n", out)
		g.upstreams = fmt.Sprintf("  ward: {ae: %s, address: \"127.0.0.1:%s\", tunnel: mtls, server_name: %s}\n", callingAE, back, nearName)
		g.devices = map[string]string{"devices/pacs.yaml": fmt.Sprintf(
			"device: pacs\nmode: enforce\nidentify: {ip: 127.0.0.1}\nae: {titles: [%s]}\nflows:\n  returns: {to: ward, allow: [store: [CT Image Storage], commit: reports]}\n", calledAE)}
	}
	far := f
	if far.own, far.was = "", ""; f.far != "" {
		far.allow = f.far
	}
	far.gateway(t, "cordon, far end", port, g)
	return f.near(t, p, port, back)
}

// nearName is what the near end's certificate says to servers that connect to it.
const nearName = "near.example"

// gatewayFiles is what differs between a gateway before devices and one before servers, and what
// one has besides: lines of cordon.yaml and site.yaml, and files of devices.
type gatewayFiles struct {
	listener, pair, ca, identify, server string

	listeners, tunnels, upstreams string
	devices                       map[string]string
}

// gateway writes a site and runs cordon on it.
func (f flow) gateway(t *testing.T, name, port string, g gatewayFiles) {
	t.Helper()
	dir := t.TempDir()
	ae, titles := "", ""
	if f.protocol == "dicom" {
		if ae = "ae: " + calledAE + ", "; f.was != "" {
			ae += fmt.Sprintf("was: {ae: %s}, ", f.was)
		}
		titles = fmt.Sprintf("ae: {titles: [%s]}\n", callingAE)
		if f.own != "" {
			titles = fmt.Sprintf("ae: {titles: [%s], port: %s}\n", callingAE, f.own)
		}
	}
	files := map[string]string{
		"cordon.yaml": fmt.Sprintf(`listeners:
  in: {address: "127.0.0.1:%s", protocol: %s, %s}
%stunnels:
  mtls: {ca: "file:%s", certificate: "file:%s.pem", key: "file:%s.key"}
%stimers: {dial: 60s} # a peer may be slow, on a machine that runs other tests
audit: {file: audit.jsonl}
control: {socket: %s}
`, port, f.protocol, g.listener, g.listeners, g.ca, g.pair, g.pair, g.tunnels, socketPath(t)),
		"site.yaml": fmt.Sprintf("upstreams:\n  server: {%s%s}\n%s", ae, g.server, g.upstreams),
		"devices/ct-3.yaml": fmt.Sprintf("device: %s\nmode: enforce\nidentify: %s\n%sflows:\n  main: {to: server, allow: %s}\n",
			deviceName, g.identify, titles, f.allow),
	}
	maps.Copy(files, g.devices)
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
