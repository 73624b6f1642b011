// Package leasemodel is a model of the protocol between queue, ledger and workers. Its test visits every state of the
// model: any worker may be slow, paused or dead at any step, a lease may expire at any moment, and a message may be
// delivered twice, lost or sent twice. A person may cancel the job.
//
// The test demands that a job has at most one result, that the holder of the lease wrote it, and that a job which has
// not ended can still end, whatever has happened before.
//
// The states of a job are those of package job. Rules takes single rules out of the protocol, and the test demands that
// each of them is missed: without the fence there is a second result, and without the order of result and
// acknowledgement a job is lost.
package leasemodel
