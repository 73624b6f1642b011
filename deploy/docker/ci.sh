#!/usr/bin/env bash
# The test of the containers on a machine with Docker and without Go: the test clip comes out of a container, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build/bin
docker run --rm --volume "$PWD:/src" --workdir /src golang:1.26-bookworm sh -c 'apt-get update -qq && \
	apt-get install -y -qq --no-install-recommends libopencv-dev pkg-config >/dev/null && \
	GOTOOLCHAIN=auto GOFLAGS=-buildvcs=false go build -tags gocv_specific_modules,gocv_videoio -o build/bin/herdsim ./cloud/cmd/herdsim && \
	./build/bin/herdsim clip --out build/card.mp4 --seconds 4 --animals 30 --tilt 0 --herd loose'
export CLIP=build/card.mp4
deploy/docker/test.sh
deploy/docker/profiles.sh
