#!/usr/bin/env bash
# Builds programs of the committed tree twice and compares them byte by byte: `make reproducible`. The two clones differ in
# folder, user's umask, time zone and language, and each has a cache of its own, so that everything is compiled twice.
#   reproduce.sh                      the station for all boards, cloud-api with its page, and the worker
#   reproduce.sh edge-agent-arm64     some of them: PROGRAM-BOARD, or worker
set -euo pipefail
cd "$(dirname "$0")/../.."
VERSION=${VERSION:-0.0.0} COMMITTED=$(git log -1 --format=%cI) commit=$(git rev-parse HEAD)
export VERSION COMMITTED
[ -z "$(git status --porcelain)" ] || echo 'reproduce: uncommitted changes are not part of it' >&2
wanted=("$@")
[ $# -gt 0 ] || wanted=(edge-agent-amd64 edge-agent-arm64 edge-agent-armv7 cloud-api-amd64 worker)
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT

build() { # FOLDER: builds what is wanted in a new clone there
	git clone -q --no-local --no-checkout . "$1/source"
	git -C "$1/source" checkout -q --detach "$commit" # the branch may move while the first one is built
	export GOCACHE=$1/cache
	cd "$1/source"
	local what
	for what in "${wanted[@]}"; do
		case $what in
		worker)
			go build -trimpath -tags gocv_specific_modules,gocv_videoio -o build/cross/worker \
				-ldflags "-s -w -X cattlecounter/shared/version.number=$VERSION" ./cloud/cmd/worker
			;;
		cloud-api-*) deploy/setup/setup.sh page && deploy/packaging/cross.sh cloud-api "${what#cloud-api-}" ;;
		*) deploy/packaging/cross.sh "${what%-*}" "${what##*-}" ;;
		esac
	done
}
(umask 022 && TZ=UTC LC_ALL=C build "$dir/one")
(umask 077 && TZ=Pacific/Chatham LC_ALL=C.UTF-8 build "$dir/another/folder")
failed=0
for what in "${wanted[@]}"; do
	first=$dir/one/source/build/cross/$what second=$dir/another/folder/source/build/cross/$what
	if cmp "$first" "$second"; then
		echo "the same twice: $what $(sha256sum "$first" | cut -d' ' -f1)"
	else
		failed=1
		echo "reproduce: $what differs; compare with: go version -m" >&2
	fi
done
exit $failed
