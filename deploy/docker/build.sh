#!/usr/bin/env bash
# Builds the images cattlecounter/{cloud-api,worker,edge-agent}:VERSION with Docker.
#   build.sh                    all three
#   build.sh cloud-api worker   some of them; also worker-gpu
# VERSION (default dev), PREFIX (default cattlecounter) and, for a registry, PLATFORMS apply. The bases are those of
# bases.sh; build/images/bases.txt names the digest of each one that was used.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${VERSION:-dev} prefix=${PREFIX:-cattlecounter}
deploy/docker/bases.sh
mkdir -p build/images
: >build/images/bases.txt
declare -A base=([GO_BASE]=golang:1.26-bookworm [NODE_BASE]=node:20-bookworm-slim [DEBIAN_BASE]=debian:bookworm-slim)
arguments=()
for name in "${!base[@]}"; do
	digest=$(docker image inspect --format '{{if .RepoDigests}}{{index .RepoDigests 0}}{{end}}' "${base[$name]}")
	echo "${base[$name]} ${digest:-a stand-in, no digest}" >>build/images/bases.txt
	arguments+=(--build-arg "$name=${digest:-${base[$name]}}")
done
# BuildKit where it is; the old builder gives the same images.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
programs=("$@")
[ $# -gt 0 ] || programs=(edge-agent cloud-api worker)
for program in "${programs[@]}"; do
	echo "images: building $prefix/$program:$version" >&2
	docker build --file "deploy/docker/$program.Dockerfile" --tag "$prefix/$program:$version" "${arguments[@]}" \
		--build-arg VERSION="$version" --build-arg REVISION="$(git rev-parse HEAD)" \
		--build-arg COMMITTED="$(git log -1 --format=%cI)" . >"build/images/$program.log" 2>&1 || {
		tail -n 30 "build/images/$program.log" >&2
		echo "images: $program failed; the whole output is in build/images/$program.log" >&2
		exit 1
	}
done
docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep "^$prefix/.*:$version " | sort
