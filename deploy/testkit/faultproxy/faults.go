package faultproxy

import (
	"slices"
	"time"
)

// Faults is what happens to one connection. The zero value passes everything on.
type Faults struct {
	// CutUp and CutDown pass so many bytes to the server or the client and cut the
	// connection when another comes; nil: never.
	CutUp, CutDown *int64
	// DownFrom is how many bytes must have gone to the server before those to the
	// client count for CutDown: with a file's size it picks the answer to the file.
	DownFrom int64
	// Stall stops both directions; nil: never.
	Stall *Stall
	// Loss is the probability that a piece, of Options.Piece bytes at most, resets
	// the connection instead of passing.
	Loss float64
	// Rate is the bits per second each way; 0: no limit.
	Rate int64
	// Delay is how long a piece takes, each way; 128 pieces may be under way.
	Delay time.Duration
	// BlackHole accepts the connection and neither takes nor gives a byte, ever.
	BlackHole bool
}

// Stall stops a connection, which stays open: nothing is taken from either side
// and nothing is given.
type Stall struct {
	After int64         // bytes to the server before it
	For   time.Duration // 0: until Proxy.Release
}

// At is a byte to cut at.
func At(n int64) *int64 { return &n }

// Kind says what a fault was.
type Kind string

// Kinds of faults.
const (
	Cut       Kind = "cut"
	Stalled   Kind = "stall"
	Reset     Kind = "reset" // by Faults.Loss
	BlackHole Kind = "black hole"
	Refused   Kind = "refused" // the listener was closed, by Proxy.Refuse
	NoServer  Kind = "no server"
	Outside   Kind = "outside" // noted by Proxy.Note
)

// Fault is one that happened.
type Fault struct {
	Kind Kind
	// At is when the link was good again: at once for a cut, at the end of a stall
	// that ended, at Proxy.Release for what lasts until then.
	At time.Time
	// Recovered is when the first byte after the fault reached the server, over a
	// connection that was made after it, or any for a stall; zero: none did.
	Recovered time.Time
	since     int // number of the first connection that counts for that
}

// Flow counts the bytes of one direction.
type Flow struct {
	// Delivered is what was handed to the receiver, Lost what left the sender and
	// never will be. What waits in buffers is in neither.
	Delivered, Lost int64
}

// Stats is what happened so far.
type Stats struct {
	Connections int // accepted
	Up, Down    Flow
	Faults      []Fault // in order; a test's own number bounds them
}

// Count returns how many faults there were of the kinds, of any without one.
func (s Stats) Count(kinds ...Kind) int {
	n := 0
	for _, f := range s.Faults {
		if len(kinds) == 0 || slices.Contains(kinds, f.Kind) {
			n++
		}
	}
	return n
}

// Recoveries returns how long each fault that was recovered from took, shortest first.
func (s Stats) Recoveries() []time.Duration {
	var all []time.Duration
	for _, f := range s.Faults {
		if !f.Recovered.IsZero() {
			all = append(all, f.Recovered.Sub(f.At))
		}
	}
	slices.Sort(all)
	return all
}
