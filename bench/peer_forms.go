package bench

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// The peers in their best form: buffers of 64 KiB where they can be set, TCP_NODELAY, TLS 1.3 with
// the suite and the group that load and sink insist on, both sides verified, no session tickets
// from a server unless resumption is measured.

func stunnelForm(h Hop) Form {
	role := "client = yes\nverifyChain = yes\ncheckHost = " + serverName
	if h.Role == Server {
		role = "client = no\nverifyChain = yes\nrequireCert = yes"
	}
	if !h.Workload.Resume {
		role += "\noptions = NO_TICKET"
	}
	if !h.Workload.dcmtk {
		role += "\ncurves = X25519"
	}
	return Form{Args: []string{"stunnel.conf"}, Files: map[string]string{"stunnel.conf": fmt.Sprintf(`foreground = yes
pid =
debug = 3
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[shim]
%s
accept = %s
connect = %s
cert = %s
key = %s
CAfile = %s
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
`, role, h.Listen, h.Target, h.Cert, h.Key, h.CA)}}
}

func haproxyForm(h Hop) Form {
	terms := fmt.Sprintf("ssl crt %s ca-file %s verify required ssl-min-ver TLSv1.3", h.Both, h.CA)
	bind, server := "", fmt.Sprintf(" %s sni str(%s) verifyhost %s", terms, serverName, serverName)
	if !h.Workload.Resume {
		server += " no-ssl-reuse"
	}
	if h.Role == Server {
		bind, server = " "+terms+" curves X25519", ""
		if !h.Workload.Resume {
			bind += " no-tls-tickets"
		}
	}
	return Form{Args: []string{"-db", "-f", "haproxy.cfg"}, Files: map[string]string{"haproxy.cfg": fmt.Sprintf(`global
    maxconn 9900
    tune.bufsize 65536
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen shim
    bind %s%s
    server far %s%s
`, h.Listen, bind, h.Target, server)}}
}

func nginxForm(h Hop) Form {
	listen, terms := h.Listen, fmt.Sprintf(`proxy_ssl on; proxy_ssl_verify on; proxy_ssl_name %s; proxy_ssl_server_name on;
        proxy_ssl_certificate %s; proxy_ssl_certificate_key %s; proxy_ssl_trusted_certificate %s;
        proxy_ssl_protocols TLSv1.3; proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; proxy_ssl_session_reuse %s;`,
		serverName, h.Cert, h.Key, h.CA, onOff(h.Workload.Resume))
	if h.Role == Server {
		listen, terms = h.Listen+" ssl", fmt.Sprintf(`ssl_certificate %s; ssl_certificate_key %s; ssl_client_certificate %s; ssl_verify_client on;
        ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519; ssl_session_tickets %s;`,
			h.Cert, h.Key, h.CA, onOff(h.Workload.Resume))
	}
	load := ""
	for _, module := range []string{"/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"} {
		if _, err := os.Stat(module); err == nil {
			load = "load_module " + module + ";\n"
		}
	}
	return Form{Args: []string{"-p", h.Dir, "-e", "stderr", "-c", "nginx.conf"}, Files: map[string]string{"nginx.conf": fmt.Sprintf(`%sdaemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 20000; }
stream {
    server {
        listen %s;
        proxy_pass %s;
        proxy_buffer_size 64k;
        proxy_timeout 1h;
        tcp_nodelay on;
        %s
    }
}
`, load, listen, h.Target, terms)}}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func ghostunnelForm(h Hop) Form {
	args := []string{"client", "--listen", h.Listen, "--target", h.Target, "--override-server-name", serverName}
	if h.Role == Server {
		args = []string{"server", "--listen", h.Listen, "--target", h.Target, "--allow-cn", clientName}
	}
	return Form{Args: append(args, "--cert", h.Cert, "--key", h.Key, "--cacert", h.CA, "--quiet", "all")}
}

// orthancForm makes Orthanc pass on each object that it stored, and forget it.
func orthancForm(h Hop) Form {
	host, port := splitAddress(h.Target)
	_, own := splitAddress(h.Listen)
	_, web := splitAddress(freeAddress())
	const script = `function OnStoredInstance(id) Delete(SendToModality(id, "sink")) end` + "\n"
	return Form{Args: []string{"orthanc.json"}, Files: map[string]string{"route.lua": script, "orthanc.json": fmt.Sprintf(`{
  "Name": "bench", "StorageDirectory": "db", "IndexDirectory": "db", "LuaScripts": ["route.lua"], "Plugins": [],
  "DicomAet": %q, "DicomPort": %s, "DicomCheckCalledAet": false, "DicomAlwaysAllowStore": true,
  "HttpPort": %s, "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "StorageCompression": false, "OverwriteInstances": true,
  "DicomTlsEnabled": false, "DicomTlsCertificate": %q, "DicomTlsPrivateKey": %q, "DicomTlsTrustedCertificates": %q,
  "DicomModalities": {"sink": {"AET": %q, "Host": %q, "Port": %s, "UseDicomTls": true, "LocalAet": %q}}
}
`, sinkAE, own, web, h.Cert, h.Key, h.CA, sinkAE, host, port, loadAE)}}
}

func splitAddress(address string) (host, port string) {
	host, port, _ = net.SplitHostPort(address)
	return host, port
}

// cordonForm writes a site of one device that may do what the workload does, and nothing else.
func cordonForm(h Hop) Form {
	verbs, syntaxes := h.Workload.allow, ""
	if verbs == "" {
		verbs = "store: [CT Image Storage]"
	}
	if h.Objects != nil && strings.HasPrefix(verbs, "store:") {
		var classes, transfer []string
		for _, c := range contexts(h.Objects) {
			classes = append(classes, `"`+c.Abstract+`"`)
			transfer = append(transfer, `"`+c.Transfer[0]+`"`)
		}
		slices.Sort(classes)
		verbs = "store: [" + strings.Join(slices.Compact(classes), ", ") + "]"
		slices.Sort(transfer)
		syntaxes = ", transfer_syntaxes: [" + strings.Join(slices.Compact(transfer), ", ") + "]"
	}
	allow := map[string]string{"dicom": "[echo, " + verbs + "]" + syntaxes, "hl7": "[message: ORU^R01]"}[h.Workload.Protocol]
	return cordonSite(h, h.Workload.Protocol, "enforce", allow)
}

// blindForm has every byte pass unread through protocols/raw. A session in shadow mode that speaks
// another protocol than its listener's turns opaque at its first byte, so the listener is told
// the other one; no policy can ask for a blind flow.
func blindForm(h Hop) Form {
	if h.Workload.Protocol == "dicom" {
		return cordonSite(h, "hl7", "shadow", "[message: ORU^R01]")
	}
	return cordonSite(h, "dicom", "shadow", "[echo]")
}

// cordonSite has time for the sink, which on a busy machine may be what is late: that is no failure of
// the gateway.
func cordonSite(h Hop, protocol, mode, allow string) Form {
	tunnel, listen, identify := "plain", "", "ip: 127.0.0.1"
	upstream := "mtls, server_name: " + serverName
	if h.Role == Server {
		tunnel, listen, identify = "mtls", ", peers: ["+clientName+"]", "certificate: "+clientName
		upstream = "plain"
	}
	files := map[string]string{
		"cordon.yaml": fmt.Sprintf(`box: {name: bench}
listeners:
  load: {address: %q, protocol: %s, tunnel: %s%s}
tunnels:
  mtls: {ca: "file:%s", certificate: "file:%s", key: "file:%s"}
http: {address: %q}
limits: {connections: 20000, sessions: 20000}
timers: {dial: 30s}
`, h.Listen, protocol, tunnel, listen, h.CA, h.Cert, h.Key, freeAddress()),
		"site.yaml": fmt.Sprintf("upstreams:\n  far: {ae: %s, address: %q, tunnel: %s}\n", sinkAE, h.Target, upstream),
		"devices/load.yaml": fmt.Sprintf(`device: load
mode: %s
identify: {%s}
ae: {titles: [%s]}
flows:
  bench: {to: far, protocol: %s, allow: %s}
`, mode, identify, loadAE, protocol, allow),
	}
	args := []string{"run", "--config", "cordon.yaml", "--log-level", "error"}
	if h.Profile != "" {
		args = append(args, "--cpu-profile", h.Profile)
	}
	return Form{args, files}
}
