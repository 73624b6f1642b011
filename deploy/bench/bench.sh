#!/usr/bin/env bash
# Measures ratios, in one run, so that the results of a busy machine are comparable.
# Each line is a Go benchmark of the tree.
#   WORKERS, THREADS, BATCH, FRAMES   settings of the worker's benchmark
#   ONLY=worker|upload|parts|azure    only one group
#   BENCH_LARGE=1, ROUNDS=3           azure: a file of 2 GB too, and the number of rounds
set -euo pipefail
cd "$(dirname "$0")/../.."
tags=gocv_specific_modules,gocv_videoio
run() { go test -tags "$tags" -run '^$' -timeout 30m "$@" | grep -E '^Benchmark|FAIL|panic' || true; }
only=${ONLY:-all}

if [ "$only" = all ] || [ "$only" = worker ]; then
	echo "# worker: clip to boxes against a bare ONNX Runtime loop over the same tiles"
	run -bench Worker -benchtime 3x ./deploy/bench/worker
fi
if [ "$only" = all ] || [ "$only" = upload ]; then
	echo "# upload: card through agent and intake to the cloud's disk, real programs, against a plain copy with fsync"
	deploy/setup/setup.sh test
	run -bench Upload -benchtime 1x ./deploy/e2e
fi
if [ "$only" = all ] || [ "$only" = azure ]; then
	echo "# azure: a file through cloud-api, through tusd and straight into the same Azurite, medians of some rounds"
	deploy/setup/setup.sh test
	run -bench Azure -benchtime 1x -timeout 90m ./deploy/bench/azure
fi
if [ "$only" = all ] || [ "$only" = parts ]; then
	echo "# parts: ingest and append against a raw write with fsync; ledger pages; camera motion of one frame"
	run -bench . -benchtime 1s ./edge/ingest ./cloud/store/blob/disk ./cloud/count/track/motion
	run -bench . -benchtime 20x ./cloud/store/ledger
fi
