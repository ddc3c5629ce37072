package bench

import "fmt"

// Where the flood comes from: addresses that no device has, and addresses that a device has, as
// many that their places (64 each) hold the idle connections.
const (
	strangers     = 8
	firstStranger = "127.0.2.1"
	idlers        = 20
	firstIdler    = "127.0.3.1"
	idlerPrefix   = "127.0.3.0/24"
)

// floodForm is the site of the flood: a device that transfers and one that idles on the imaging
// segment, and a TLS listener for a third. Limits are the defaults.
func floodForm(h Hop, remote string) Form {
	device := func(name, identify, listen string) string {
		return fmt.Sprintf("device: %s\nmode: enforce\nidentify: {%s}\nae: {titles: [%s]}\n"+
			"flows:\n  bench: {to: far, protocol: dicom, listen: %s, allow: [echo, store: [CT Image Storage]]}\n",
			name, identify, loadAE, listen)
	}
	return Form{
		Args: []string{"run", "--config", "cordon.yaml", "--log-level", "error"},
		Files: map[string]string{
			"cordon.yaml": fmt.Sprintf(`box: {name: bench}
listeners:
  load: {address: %q, protocol: dicom}
  remote: {address: %q, protocol: dicom, tunnel: mtls, peers: [%s]}
tunnels:
  mtls: {ca: "file:%s", certificate: "file:%s", key: "file:%s"}
`, h.Listen, remote, clientName, h.CA, h.Cert, h.Key),
			"site.yaml":           fmt.Sprintf("upstreams:\n  far: {ae: %s, address: %q, tunnel: mtls, server_name: %s}\n", sinkAE, h.Target, serverName),
			"devices/load.yaml":   device("load", "ip: 127.0.0.1", "load"),
			"devices/idler.yaml":  device("idler", "ip: "+idlerPrefix, "load"),
			"devices/remote.yaml": device("remote", "certificate: "+clientName, "remote"),
		},
	}
}
