// Package azure has only a benchmark. It sends one file to cloud-api and to tusd, real programs with the same Azurite,
// and to Azurite itself. The results, and the machine, are in ../azure.md.
//
//	go test -run '^$' -bench Azure -benchtime 1x ./deploy/bench/azure
//
// BENCH_LARGE=1 adds a file of 2 GB. ROUNDS is the number of rounds, 3 by default; the benchmark reports their medians.
package azure
