#!/usr/bin/env bash
# Builds build/deb/edge-agent_VERSION_ARCH.deb for every board from the output of cross.sh: `make deb`.
# VERSION must be set and begin with a digit.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${VERSION:?}"
export VERSION SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" # the same tree gives the same package
rm -rf build/deb && mkdir -p build/deb build/tools
go build -modfile=deploy/packaging/nfpm.mod -o build/tools/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
gzip -9nc build/cross/share/edge-agent.1 >build/cross/share/edge-agent.1.gz
for board in amd64:amd64 arm64:arm64 armv7:armhf; do
	ARCH=${board#*:} BINARY=build/cross/edge-agent-${board%:*} SHARE=build/cross/share \
		build/tools/nfpm package --packager deb --config deploy/packaging/nfpm.yaml --target build/deb/ >build/deb/log || {
		cat build/deb/log >&2
		exit 1
	}
done
rm build/deb/log
ls build/deb
