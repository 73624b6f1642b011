// Package queue is the contract for the queue that hands jobs to workers. The back ends
// are queue/embedded and queue/azure. Both pass the suite in deploy/testkit/queuetest,
// which is this contract as code.
//
// A message names a job and nothing else. The ledger describes the job.
//
// Delivery is at least once. A receiver leases a message for the visibility time that it
// asked for, and renews the lease before that time ends. If it does not renew, because
// it died or lost the connection, the message is delivered again and counts one more
// delivery. A lease that another receiver has taken over can change nothing. A receiver
// acknowledges last: it calls Delete after the results are durable.
package queue

import (
	"context"
	"errors"
	"time"
)

// Classes of errors; compare with errors.Is.
var (
	// ErrEmpty: no message is visible now. This is the normal answer of an idle queue.
	// Ask again after a pause.
	ErrEmpty = errors.New("queue is empty")
	// ErrLeaseLost: the lease ended, and the message was delivered again or deleted.
	// Stop the work: another receiver has the job.
	ErrLeaseLost = errors.New("lease lost")
	// ErrVisibility: a visibility time or delay outside its bounds.
	ErrVisibility = errors.New("visibility out of bounds")
)

// Bounds of a visibility time. The upper bound limits how long the job of a dead worker
// waits.
const (
	MinVisibility = time.Second
	MaxVisibility = 15 * time.Minute
)

// Queue holds messages. All methods are safe for concurrent use, also by several
// processes.
type Queue interface {
	// Enqueue adds a message for the job behind the others. It changes nothing while a
	// message of the job waits or is leased. It is durable on return.
	Enqueue(ctx context.Context, jobID string) error
	// Receive leases a message whose job has the highest priority in the ledger. Of these it leases one of the
	// device that was served longest ago, and of its jobs the one that has been visible the longest. It hides the
	// message for the visibility time and counts one delivery. It does not wait: an idle queue returns ErrEmpty.
	Receive(ctx context.Context, visibility time.Duration) (Lease, error)
	// ReceiveAble is Receive among the jobs that the receiver can do. The others keep their deliveries, and stay for
	// receivers that can do them.
	ReceiveAble(ctx context.Context, visibility time.Duration, able Able) (Lease, error)
	// Has reports whether a message of the job exists, visible or leased.
	Has(ctx context.Context, jobID string) (bool, error)
	// Len returns the number of messages, visible or leased. Some back ends estimate it.
	Len(ctx context.Context) (int, error)
}

// Poisoner is implemented by queues that also store poisoned jobs where other tools look
// for them. The ledger stays the truth about a job.
type Poisoner interface {
	// Poison stores a poisoned job with the reason.
	Poison(ctx context.Context, jobID, reason string) error
}

// Lease is the right to one message for a time. Its methods are safe for concurrent use.
// After the time has passed, a call may still succeed as long as no other receiver has
// the message. Then it fails with ErrLeaseLost.
type Lease interface {
	// Job returns the job that the message names.
	Job() string
	// Deliveries returns how often the message was received, including this time. The
	// first delivery is 1.
	Deliveries() int
	// Renew hides the message for the visibility time from now.
	Renew(ctx context.Context, visibility time.Duration) error
	// Delete removes the message, because the work is done or was given up. A second
	// Delete through one lease is no error.
	Delete(ctx context.Context) error
	// Release returns the message to the queue. It is visible again after delay, which
	// is 0 to 15 minutes. The lease is lost afterwards. Deliveries keep counting.
	Release(ctx context.Context, delay time.Duration) error
	// Decline is Release for a receiver that cannot do the job although others may: this delivery does not count.
	Decline(ctx context.Context, delay time.Duration) error
}

// CheckVisibility reports a time outside the bounds; the error wraps ErrVisibility.
func CheckVisibility(d time.Duration) error {
	if d < MinVisibility || d > MaxVisibility {
		return &boundsError{d, MinVisibility}
	}
	return nil
}

// CheckDelay checks the delay of Release as CheckVisibility does. The delay may be 0.
func CheckDelay(d time.Duration) error {
	if d < 0 || d > MaxVisibility {
		return &boundsError{d, 0}
	}
	return nil
}

type boundsError struct{ got, low time.Duration }

func (e *boundsError) Error() string {
	return e.got.String() + ", want " + e.low.String() + " to " + MaxVisibility.String() + ": " + ErrVisibility.Error()
}

func (e *boundsError) Unwrap() error { return ErrVisibility }
