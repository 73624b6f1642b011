// Package simulation has only tests. They run thousands of stations and hundreds of workers on a real ledger and a real
// queue, with faults, in the simulated time of testing/synctest, so that hours pass in seconds.
//
// The ledger (one SQLite file), queue/embedded or queue/azure, the worker with its leases, fences, retries and results,
// and the reconciler of the intake are real. The stations and the Counter are simulated. A station hands footage over as
// the intake does at the end of an upload. The Counter takes time and returns the number of animals that the world has
// set for the clip.
//
// A worker is a simulated process. Each of its calls to ledger, queue and blob store passes a gate twice, before the
// call and before its answer. At a gate the process can crash, or pause with all its goroutines for longer than its
// lease. A call can also fail, or succeed while its answer is lost. The queue loses messages when they are sent, while
// they wait and while their job is in work. It delivers some jobs twice at the same time. queue/azure is in front of a
// simulated service, which loses requests and answers.
//
//	go test ./deploy/proof/simulation -run Simulation -v -args -seed 7 -stations 20000 -workers 500
//
// A seed fixes the stations and the faults of every worker. Goroutines that wake at the same instant still run in any
// order, so two runs of one seed are similar, but not equal.
package simulation
