// Package job has the states of a counting job, the one table of transitions between
// them, and the progress of an attempt. Nothing else decides which state follows which.
package job

import (
	"errors"

	"cattlecounter/shared/lifecycle"
)

// State is where a job stands. Its text goes into the ledger, MQTT and the API.
type State string

// States of a job.
const (
	Uploaded   State = "uploaded"   // the footage is verified; there is no queue message yet
	Queued     State = "queued"     // a message waits, or an earlier lease was released
	Leased     State = "leased"     // a worker has the lease and has not begun
	Processing State = "processing" // a worker has the lease and counts
	Done       State = "done"       // the count is in the ledger
	Failed     State = "failed"     // the footage cannot be counted; see the reason
	Poisoned   State = "poisoned"   // stopped after too many deliveries
	Canceled   State = "canceled"   // a person canceled it
)

// Event is what happens to a job.
type Event string

// Events of a job.
const (
	Enqueue Event = "enqueue" // its message is in the queue
	Lease   Event = "lease"   // a worker received the message; also after a lease has expired
	Start   Event = "start"   // the worker began to count
	Finish  Event = "finish"  // results are written
	Fail    Event = "fail"    // a fault that a retry cannot fix
	Release Event = "release" // the worker releases the lease before the end
	Retry   Event = "retry"   // a person retries a failed or canceled job
	Poison  Event = "poison"  // the message was delivered too often
	Replay  Event = "replay"  // a person retries a poisoned job
	Cancel  Event = "cancel"  // a person cancels the job
	Recount Event = "recount" // a person has counted footage counted again, such as after a change of its lines
)

// ErrTransition marks a transition that the table does not have.
var ErrTransition = errors.New("transition not allowed")

// table is the whole life of a job: from, event, to.
var table = lifecycle.Table[State, Event]{Subject: "job", Refused: ErrTransition, Rows: []lifecycle.Row[State, Event]{
	{Uploaded, Enqueue, Queued},
	{Uploaded, Cancel, Canceled},
	{Uploaded, Poison, Poisoned}, // the same, too often
	{Uploaded, Lease, Leased},    // the message was delivered before the ledger noted that it was sent
	{Queued, Enqueue, Queued},    // found without a message and sent again
	{Queued, Lease, Leased},
	{Queued, Poison, Poisoned},
	{Queued, Cancel, Canceled},
	{Leased, Start, Processing},
	{Leased, Lease, Leased}, // takeover: the lease ran out
	{Leased, Release, Queued},
	{Leased, Poison, Poisoned},
	{Leased, Cancel, Canceled},
	{Processing, Finish, Done},
	{Processing, Fail, Failed},
	{Processing, Release, Queued},
	{Processing, Lease, Leased}, // takeover: the lease ran out
	{Processing, Poison, Poisoned},
	{Processing, Cancel, Canceled},
	{Failed, Retry, Uploaded},
	{Poisoned, Replay, Uploaded},
	{Canceled, Retry, Uploaded},
	{Done, Recount, Uploaded},
}}

// Next returns the state that follows. The error wraps ErrTransition.
func Next(from State, e Event) (State, error) { return table.Next(from, e) }

// From returns the states that allow the event, in the order of the table.
func From(e Event) []State { return table.From(e) }

// Ended reports whether only a person can move the job again.
func (s State) Ended() bool {
	return s == Done || s == Failed || s == Poisoned || s == Canceled
}

// States returns every state, in the order of a job's life.
func States() []State {
	return []State{Uploaded, Queued, Leased, Processing, Done, Failed, Poisoned, Canceled}
}
