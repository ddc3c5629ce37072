#!/usr/bin/env bash
# Installs the real peers that the tests talk to, and prints their versions:
#
#   dcmtk, Orthanc,  Debian packages, system-wide (with sudo when not root): dcmtk also with its
#   dicom3tools      archive, worklist and print servers, Orthanc with its worklist plugin
#   pynetdicom, hl7  Python packages, in a virtual environment under DIR/python
#   dicom-rs         Rust programs, under DIR/rust
#   HAPI HL7v2       Java archives and our sender and receiver, under DIR/hapi
#
# usage: install.sh DIR. Running it again does only what is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:?usage: install.sh DIR}"
dir=$(cd "$1" && pwd)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

have() { command -v "$1" >/dev/null; }

need() { # need COMMAND WHAT: fails with what to install
	have "$1" || { echo "install.sh: $1 is missing; install $2" >&2; exit 1; }
}

# up_to_date STAMP SOURCE...: what STAMP stands for was made from these sources as they are now.
up_to_date() { [ -f "$1" ] && cat "${@:2}" | cmp -s - "$1"; }

debian_packages() {
	local missing=()
	have storescp || missing+=(dcmtk)
	have Orthanc || missing+=(orthanc)
	have dciodvfy || missing+=(dicom3tools)
	[ ${#missing[@]} -gt 0 ] || return 0
	need apt-get "${missing[*]} by hand: this system has no apt-get"
	as_root apt-get update -q
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
	# The package starts a server of its own; the tests start theirs on free ports.
	if [[ " ${missing[*]} " == *" orthanc "* ]] && have systemctl; then
		as_root systemctl disable --now orthanc || true
	fi
}

python_packages() {
	local stamp=$dir/python/installed
	up_to_date "$stamp" "$here/requirements.txt" && return
	need python3 "Python 3 with its venv module"
	rm -rf "$dir/python"
	python3 -m venv "$dir/python"
	"$dir/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
	cp "$here/requirements.txt" "$stamp"
}

hapi() {
	local stamp=$dir/hapi/installed sources=("$here"/hapi/pom.xml "$here"/hapi/*.java)
	up_to_date "$stamp" "${sources[@]}" && return
	need mvn Maven
	need javac "a Java development kit"
	rm -rf "$dir/hapi"
	mkdir -p "$dir/hapi/classes"
	mvn --quiet --batch-mode -f "$here/hapi/pom.xml" dependency:copy-dependencies \
		-DoutputDirectory="$dir/hapi/lib" -DincludeScope=runtime
	javac -Xlint:all -Werror -cp "$dir/hapi/lib/*" -d "$dir/hapi/classes" "$here"/hapi/*.java
	cat "${sources[@]}" > "$stamp"
}

# dicom-rs is built without what costs the most time: storescu's transcoder, debug information, and
# most of the optimizer.
dicom_rs() {
	local stamp=$dir/rust/installed
	up_to_date "$stamp" "$here/dicom-rs.txt" && return
	PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
	need cargo "Rust with cargo"
	rm -rf "$dir/rust"
	local program
	while read -ra program; do
		CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0 cargo install --quiet --locked \
			--root "$dir/rust" --target-dir "$dir/rust/target" "${program[@]}" </dev/null
	done < "$here/dicom-rs.txt"
	rm -rf "$dir/rust/target"
	cp "$here/dicom-rs.txt" "$stamp"
}

versions() {
	storescp --version | sed -n 's/^\$dcmtk: storescp \(v[^ ]*\).*/dcmtk       \1/p'
	Orthanc --version | sed -n '1s/^Orthanc /Orthanc     /p'
	"$dir/python/bin/python" -c '
from importlib.metadata import version
for p in ("pynetdicom", "pydicom", "hl7"): print(f"{p:11} {version(p)}")'
	sed -n 's/^dicom-storescu@\([^ ]*\).*/dicom-rs    \1/p' "$here/dicom-rs.txt"
	(cd "$dir/hapi/lib" && ls hapi-base-*.jar | sed 's/hapi-base-\(.*\)\.jar/HAPI HL7v2  \1/')
}

debian_packages
python_packages
dicom_rs
hapi
versions
