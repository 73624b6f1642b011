package faultproxy

import (
	"slices"
	"time"
)

// Faults are the faults of one connection. The zero value passes all bytes.
type Faults struct {
	// CutUp and CutDown cut the connection after this number of bytes to the server or to
	// the client. nil means never.
	CutUp, CutDown *int64
	// DownFrom is the number of bytes to the server after which bytes to the client count
	// for CutDown. With the size of a file it selects the answer to the file.
	DownFrom int64
	// Stall stops both directions. nil means never.
	Stall *Stall
	// Loss is the probability that a piece resets the connection. A piece has at most
	// Options.Piece bytes.
	Loss float64
	// Rate is the limit in bits per second for each direction. 0 means no limit.
	Rate int64
	// Delay is the time that a piece needs in each direction. At most 128 pieces wait.
	Delay time.Duration
	// BlackHole accepts the connection and transfers nothing.
	BlackHole bool
}

// Stall stops a connection without closing it: no byte is read from or written to either
// side.
type Stall struct {
	After int64         // bytes to the server before the stall
	For   time.Duration // 0 means until Proxy.Release
}

// At returns a position for CutUp and CutDown.
func At(n int64) *int64 { return &n }

// Kind is the kind of a fault.
type Kind string

// Kinds of faults.
const (
	Cut       Kind = "cut"
	Stalled   Kind = "stall"
	Reset     Kind = "reset" // by Faults.Loss
	BlackHole Kind = "black hole"
	Refused   Kind = "refused" // the listener was closed, by Proxy.Refuse
	NoServer  Kind = "no server"
	Outside   Kind = "outside" // recorded by Proxy.Note
)

// Fault is a fault that happened.
type Fault struct {
	Kind Kind
	// At is when the link worked again. A cut works again at once, a stall at its end,
	// and other faults at Proxy.Release.
	At time.Time
	// Recovered is when the first byte after the fault reached the server, over a
	// connection made after the fault, or any connection after a stall. Zero means that
	// no byte reached it.
	Recovered time.Time
	since     int // number of the first connection that counts for Recovered
}

// Flow counts the bytes of one direction.
type Flow struct {
	// Delivered bytes were written to the receiver. Lost bytes left the sender and will
	// never be delivered. Bytes in buffers are in neither.
	Delivered, Lost int64
}

// Stats are the connections, bytes and faults so far.
type Stats struct {
	Connections int // accepted
	Up, Down    Flow
	Faults      []Fault // in order of time; the test limits their number
}

// Count returns the number of faults of the kinds, or of all faults without kinds.
func (s Stats) Count(kinds ...Kind) int {
	n := 0
	for _, f := range s.Faults {
		if len(kinds) == 0 || slices.Contains(kinds, f.Kind) {
			n++
		}
	}
	return n
}

// Recoveries returns the times from At to Recovered of all recovered faults, shortest
// first.
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
