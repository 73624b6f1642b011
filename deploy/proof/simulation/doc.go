// Package simulation has no code of its own: its tests let thousands of stations and
// hundreds of workers loose on a real ledger and a real queue, with faults, in a time
// of its own (testing/synctest), so that hours pass in seconds.
//
// Real are the ledger (one SQLite file), queue/embedded, the worker with lease, fence,
// retries and results, and the intake's reconciler. Simulated are the stations, which
// hand footage over as the intake does at the end of an upload, and the Counter, which
// takes time and counts what the footage's name says.
//
// A worker is a process here: what it does passes a gate, at which it can die, before a
// deed or between the deed and its answer, or be paused for longer than its lease with
// all its goroutines. Between worker and ledger writes fail, or are done and their
// answer is lost. Between all and the queue messages vanish, at once, while they wait or
// while they are worked on, answers are lost and jobs are delivered twice at one time.
//
//	go test ./deploy/proof/simulation -run Simulation -v -args -seed 7 -stations 20000 -workers 500
//
// A seed makes the stations and every worker's faults the same again. Goroutines that
// wake at one instant still run in an order of their own, so two runs of one seed are
// alike and not the same.
package simulation
