#!/usr/bin/env bash
# Vets and tests what needs neither cgo nor Python nor a server: `make quick`. Tests run with -short.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CGO_ENABLED=0
cgo=' (gocv\.io/x/gocv|github\.com/yalue/onnxruntime_go|cattlecounter/cloud/count/video/libav)( |$)' # what builds with cgo alone
mapfile -t packages < <(
	go list -e -test -f '{{.ImportPath}} {{join .Deps " "}} ' ./edge/... ./shared/... ./cloud/... ./deploy/... |
		grep -E '^[^ ]+ ' | grep -vE '^cattlecounter/deploy/(e2e|bench|conformance|packaging|systemd)' | grep -E '^[^ ]+\.test ' | grep -vE "$cgo" | sed 's/\.test .*//'
)
echo "${#packages[@]} packages with tests"
go vet "${packages[@]}"
go test -short -vet=off "${packages[@]}"
