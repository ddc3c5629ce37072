#!/usr/bin/env bash
# Compares the Go benchmarks of the fast paths at a revision with those of the working tree.
#
# usage: diff.sh BASE
#
# Both test binaries are built first and then run in turn (A B, A B, …), since a machine shared
# with others is fast at one time and slow at another.
set -euo pipefail

base=${1:?usage: diff.sh BASE}
go=${GO:-go}
count=${COUNT:-6}
pattern=${BENCH:-.}
packages="protocols/dicom protocols/hl7 gateway gateway/audit tunnels/mtls"
benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$work/base" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
git -C "$root" worktree add --detach --quiet "$work/base" "$base"

build() { # build TREE NAME
	for p in $packages; do
		[ -d "$1/$p" ] || continue
		(cd "$1" && "$go" test -c -o "$work/$2-${p//\//-}.test" "./$p") || echo "diff.sh: $p of $2 does not build and is left out" >&2
	done
}

build "$work/base" base
build "$root" here
for _ in $(seq "$count"); do
	for p in $packages; do
		for side in base here; do
			test=$work/$side-${p//\//-}.test
			[ -x "$test" ] || continue
			(cd "$root/$p" && "$test" -test.run '^$' -test.bench "$pattern" -test.benchmem -test.benchtime 200ms >>"$work/$side.txt")
		done
	done
done
cd "$work" && "$go" run "$benchstat" "base=$work/base.txt" "here=$work/here.txt"
