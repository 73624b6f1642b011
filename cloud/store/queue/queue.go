// Package queue is the contract for handing jobs to workers. Back ends stand
// below it (queue/embedded), and each of them passes the suite in
// queue/queuetest, which is this contract as code.
//
// A message names a job and nothing else: what the job is, the ledger knows.
//
// Delivery is at least once. A receiver has a message to itself for the
// visibility time it asked for; a receiver that needs longer renews before that
// time ends. If it does not (it died, or was cut off), the message is delivered
// again, to whoever asks, with one delivery more. A lease that another receiver
// has taken over can change nothing any more. Work is acknowledged last: Delete
// after the results are durable.
package queue

import (
	"context"
	"errors"
	"time"
)

// Classes of errors; compare with errors.Is.
var (
	// ErrEmpty: no message is visible now. It is the normal answer of an idle
	// queue; ask again after a pause.
	ErrEmpty = errors.New("queue is empty")
	// ErrLeaseLost: the lease ended and the message was delivered again or
	// deleted. Stop the work; another receiver has it.
	ErrLeaseLost = errors.New("lease lost")
	// ErrVisibility: a visibility time or delay outside its bounds.
	ErrVisibility = errors.New("visibility out of bounds")
)

// Bounds of a visibility time. The upper one keeps the job of a dead worker
// from waiting longer than a person would.
const (
	MinVisibility = time.Second
	MaxVisibility = 15 * time.Minute
)

// Queue holds messages. All methods are safe for concurrent use, by several
// processes as well.
type Queue interface {
	// Enqueue puts a message for the job behind the others. While a message of
	// the job waits or is leased it changes nothing. It is durable on return.
	Enqueue(ctx context.Context, jobID string) error
	// Receive takes the message that has been visible the longest, hides it for
	// the visibility time and counts one delivery. It does not wait: ErrEmpty.
	Receive(ctx context.Context, visibility time.Duration) (Lease, error)
	// Has reports whether a message of the job exists, visible or leased.
	Has(ctx context.Context, jobID string) (bool, error)
	// Len is the number of messages, visible or leased. Large back ends may
	// give an estimate.
	Len(ctx context.Context) (int, error)
}

// Poisoner is implemented by queues that keep what was given up where other tools
// look for it. The ledger is the truth about a job; this is for people.
type Poisoner interface {
	// Poison keeps a job that was given up, with the reason.
	Poison(ctx context.Context, jobID, reason string) error
}

// Lease is the right to one message for a time. Its methods are safe for
// concurrent use. After the time has passed a call may still succeed as long as
// nobody else received the message; afterwards it fails with ErrLeaseLost.
type Lease interface {
	// Job is the job that the message names.
	Job() string
	// Deliveries counts how often the message was received, this time included:
	// 1 for the first.
	Deliveries() int
	// Renew hides the message for the visibility time from now.
	Renew(ctx context.Context, visibility time.Duration) error
	// Delete removes the message: the work is done, or never will be.
	// Deleting twice through one lease is fine.
	Delete(ctx context.Context) error
	// Release gives the message back, visible again after delay (0 to 15 min).
	// The lease is lost afterwards. Deliveries keep counting.
	Release(ctx context.Context, delay time.Duration) error
}

// CheckVisibility reports a time outside the bounds; the error wraps ErrVisibility.
func CheckVisibility(d time.Duration) error {
	if d < MinVisibility || d > MaxVisibility {
		return &boundsError{d, MinVisibility}
	}
	return nil
}

// CheckDelay is CheckVisibility for the delay of Release, which may be 0.
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
