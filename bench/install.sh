#!/usr/bin/env bash
# Installs the gateways that `cordon bench` compares with, and prints their versions:
#
#   stunnel, haproxy, nginx, dcmtk, Orthanc   Debian packages, system-wide (with sudo when not root)
#   ghostunnel                                built from its Go module, with the module's own
#                                             go.sum, into DIR
#
# usage: install.sh DIR. Running it again does only what is missing.
set -euo pipefail

ghostunnel=github.com/ghostunnel/ghostunnel@v1.8.4
go=${GO:-go}

mkdir -p "${1:?usage: install.sh DIR}"
dir=$(cd "$1" && pwd)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

have() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }

debian_packages() {
	local missing=()
	have stunnel4 || missing+=(stunnel4)
	have haproxy || missing+=(haproxy)
	have nginx || missing+=(nginx-light)
	have storescp || missing+=(dcmtk)
	have Orthanc || missing+=(orthanc)
	ls /usr/lib/nginx/modules/ngx_stream_module.so >/dev/null 2>&1 || missing+=(libnginx-mod-stream)
	[ ${#missing[@]} -gt 0 ] || return 0
	have apt-get || { echo "install.sh: this system has no apt-get; install ${missing[*]} by hand" >&2; return 0; }
	as_root apt-get update -q
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
	# The packages start services of their own; the bench starts its own on free ports.
	if have systemctl; then
		for service in haproxy nginx stunnel4 orthanc; do
			[[ " ${missing[*]} " != *" $service"* ]] || as_root systemctl disable --now "$service" || true
		done
	fi
}

ghostunnel() {
	[ -x "$dir/ghostunnel" ] && return
	local source
	source=$("$go" mod download -json "$ghostunnel" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
	"$go" build -C "$source" -mod=readonly -trimpath -o "$dir/ghostunnel" .
}

debian_packages
ghostunnel
stunnel4 -version 2>&1 | sed -n 's/^\(stunnel [0-9.]*\).*/\1/p' || true
haproxy -v | sed -n '1s/ .*version/ /p' || true
nginx -v 2>&1 || true
echo "ghostunnel  ${ghostunnel#*@}"
