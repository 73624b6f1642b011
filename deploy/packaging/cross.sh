#!/usr/bin/env bash
# Builds the programs without cgo for every board, with their completion scripts and manual pages: `make cross`.
# VERSION must be set. The Go tool links again only what changed.
#   cross.sh                    into build/cross
#   cross.sh edge-agent arm64   one program for one board
# Files: build/cross/PROGRAM-BOARD and build/cross/share/PROGRAM.{bash,zsh,fish,1}.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${VERSION:?}" "${COMMITTED:=$(git log -1 --format=%cI)}"
declare -A folder=([edge-agent]=./edge/cmd/edge-agent [cloud-api]=./cloud/cmd/cloud-api [tus-conformance]=./deploy/conformance/tus/cmd/tus-conformance)
out=build/cross
mkdir -p "$out/share"

build() { # program board
	local arch=$2 arm=''
	[ "$2" != armv7 ] || arch=arm arm=7
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOARM=$arm go build -trimpath \
		-ldflags "-s -w -X cattlecounter/shared/version.number=$VERSION -X cattlecounter/edge/clock.committed=$COMMITTED" \
		-o "$out/$1-$2" "${folder[$1]}"
}

if [ $# = 2 ]; then
	build "$1" "$2"
	exit
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for program in edge-agent cloud-api tus-conformance; do
	for board in amd64 arm64 armv7; do
		[ "$board" != armv7 ] || [ "$program" = edge-agent ] || continue # only stations have 32-bit boards
		build "$program" "$board"
		echo "$program-$board"
	done
	native=$tmp/$program # of this machine, which may be none of the boards
	CGO_ENABLED=0 go build -trimpath -ldflags "-X cattlecounter/shared/version.number=$VERSION" -o "$native" "${folder[$program]}"
	for shell in bash zsh fish; do
		"$native" "--completion=$shell" >"$out/share/$program.$shell"
	done
	"$native" --man-page >"$out/share/$program.1"
done
