#!/usr/bin/env bash
# Builds what a release consists of into build/release/VERSION: `make release VERSION=1.2.3`. See deploy/docs/releasing.md.
#   *.tar.gz      the programs per board, with configuration, completion scripts, manual pages, NOTICE,
#                 licences.txt and CHANGELOG
#   *.deb         the Debian packages of the edge agent
#   *.cdx.json    what each program was built from (CycloneDX 1.6)
#   SHA256SUMS    checksums of all of them
# The same commit gives the same archives and packages, byte for byte.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${VERSION:?}"
if ! [[ $VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]]; then
	echo "release: VERSION=$VERSION is not a version such as 1.2.3" >&2
	exit 2
fi
if [ -n "$(git status --porcelain)" ]; then
	echo "release: uncommitted changes; commit or stash them, so that the release can be built again from its tag" >&2
	exit 1
fi
# The toolchain line of go.mod names the Go version, also where the environment wants the installed one.
export GOTOOLCHAIN=auto
deploy/setup/vulnerabilities.sh --required
deploy/setup/npmaudit.sh --required
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export VERSION SOURCE_DATE_EPOCH
out=build/release/$VERSION stage=build/release/stage
rm -rf "$out" "$stage"
mkdir -p "$out" "$stage" build/tools
{
	go run ./deploy/packaging/notice/cmd/licences
	printf '\n==== list of leaked passwords, of Django: LICENSE ====\n'
	cat cloud/store/leaked/LICENSE
} >"$stage/licences.txt"
deploy/packaging/cross.sh
deploy/packaging/deb.sh
cp build/deb/*.deb "$out/"

# archive NAME BOARD PROGRAM... : the programs of one board, then whatever stands in the folder NAME-files.
archive() {
	local name=$1 board=$2 dir=$stage/$1-$VERSION-linux-$2
	shift 2
	mkdir -p "$dir/completion" "$dir/man"
	for program in "$@"; do
		install -m 0755 "build/cross/$program-$board" "$dir/$program"
		cp build/cross/share/"$program".{bash,zsh,fish} "$dir/completion/"
		cp build/cross/share/"$program.1" "$dir/man/"
	done
	cp NOTICE CHANGELOG.md "$stage/licences.txt" "$dir/"
	cp -r "$stage/$name-files/." "$dir/"
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go-w -C "$stage" -cf - "$(basename "$dir")" | gzip -9n >"$out/$(basename "$dir").tar.gz"
}

# What stands beside the programs.
mkdir -p "$stage/edge-agent-files" "$stage/cloud-files"
cp -r edge/config/edge-agent.sample.yaml deploy/systemd/edge-agent.service deploy/systemd/install.sh firmware-notes "$stage/edge-agent-files/"
cp cloud/config/cloud.sample.yaml cloud/server/web/openapi.yaml shared/topic/asyncapi.yaml deploy/systemd/cattlecounter-*.service \
	"$stage/cloud-files/"
for board in amd64 arm64 armv7; do
	archive edge-agent "$board" edge-agent
done
for board in amd64 arm64; do
	archive cloud "$board" cloud-api tus-conformance
done

# worker and herdsim need cgo: they are built for this machine's board, against the OpenCV of this machine's Debian.
native=$(go env GOHOSTARCH)
for program in worker herdsim; do
	go build -trimpath -tags gocv_specific_modules,gocv_videoio -ldflags "-s -w -X cattlecounter/shared/version.number=$VERSION" \
		-o "build/cross/$program-$native" "./cloud/cmd/$program"
	for shell in bash zsh fish; do
		"build/cross/$program-$native" "--completion=$shell" >"build/cross/share/$program.$shell"
	done
	"build/cross/$program-$native" --man-page >"build/cross/share/$program.1"
done
mkdir -p "$stage/worker-files/cloud/model/default" # where the worker looks for it, seen from its own folder
cp cloud/config/cloud.sample.yaml "$stage/worker-files/"
git archive HEAD:cloud/model/default | tar -x -C "$stage/worker-files/cloud/model/default"
archive worker "$native" worker herdsim

# What the programs were built from. Every board has the same modules.
go build -modfile=deploy/packaging/sbom.mod -o build/tools/cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
for program in edge-agent cloud-api herdsim tus-conformance worker; do
	build/tools/cyclonedx-gomod bin -json -std -noserial -version "$VERSION" -output-version 1.6 -output "$out/$program-$VERSION.cdx.json" "build/cross/$program-$native" 2>"$stage/sbom.log" || {
		cat "$stage/sbom.log" >&2
		exit 1
	}
done
go run ./deploy/packaging/sbom/cmd/sbom check "$out"/*.cdx.json
rm -rf "$stage"
(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -lh "$out"
