// Package job holds the states of a counting job and the one table of moves
// between them. Nothing else in the project decides what may follow what.
package job

import (
	"errors"

	"cattlecounter/shared/lifecycle"
)

// State is where a job stands. Its text goes into the ledger, MQTT and the API.
type State string

// States of a job.
const (
	Uploaded   State = "uploaded"   // footage verified, no queue message yet
	Queued     State = "queued"     // a message waits, or an earlier lease was given back
	Leased     State = "leased"     // a worker holds the lease and has not begun
	Processing State = "processing" // a worker holds the lease and works
	Done       State = "done"       // the count is there
	Failed     State = "failed"     // the footage cannot be counted; the reason says why
	Poisoned   State = "poisoned"   // given up after too many deliveries
	Canceled   State = "canceled"   // a person took it back
)

// Event is what happens to a job.
type Event string

// Events of a job.
const (
	Enqueue Event = "enqueue" // its message is in the queue
	Lease   Event = "lease"   // a worker took the message; also over a dead worker's lease
	Start   Event = "start"   // the worker began
	Finish  Event = "finish"  // results are written
	Fail    Event = "fail"    // a fault that trying again cannot mend
	Release Event = "release" // the worker gives the lease back undone
	Retry   Event = "retry"   // a person wants a failed job tried again
	Poison  Event = "poison"  // too many deliveries
	Replay  Event = "replay"  // a person wants a poisoned job tried again
	Cancel  Event = "cancel"  // a person takes the job back
)

// ErrTransition marks a move that the table does not have.
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
