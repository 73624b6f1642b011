// Package leasemodel is the protocol between queue, ledger and workers as a small
// machine whose every state a test visits: any worker may be slow, paused or dead at
// any step, a lease may run out at any moment, a message may be delivered again, lost
// or sent twice, and a person may take the job back.
//
// What must hold, see check: a job has one result; it is that of the lease holder; a
// job that is not at its end has a way to get there, whatever has happened.
//
// The moves of a job are those of package job. Switches take single rules out, and the
// test demands that each of them is missed: without the fence there is a double
// result, without the order of result and acknowledgement there is a lost job.
package leasemodel
