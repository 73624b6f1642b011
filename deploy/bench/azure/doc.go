// Package azure has no code of its own: its benchmark sends one file to cloud-api
// and to tusd, real programs in front of the same Azurite, and to Azurite itself.
// What came out, and on what, is in ../azure.md.
//
//	go test -run '^$' -bench Azure -benchtime 1x ./deploy/bench/azure
//
// BENCH_LARGE=1 takes 2 GB as well as 100 MB; ROUNDS is how often each is sent, 3 by
// default, of which the medians are told.
package azure
