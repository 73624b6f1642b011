// Package wake lets one goroutine wake another that waits for work. A wake-up is
// never lost and never blocks; several before the next wait count as one.
package wake

// Signal holds at most one wake-up. Make it with New: a zero Signal drops every
// wake-up and its C blocks forever. Copies share the wake-up. A Signal is safe
// for concurrent use.
type Signal struct{ c chan struct{} }

// New returns a Signal without a wake-up.
func New() Signal { return Signal{make(chan struct{}, 1)} }

// Set leaves a wake-up for the next receive from C. It never blocks.
func (s Signal) Set() {
	select {
	case s.c <- struct{}{}:
	default: // one waits already
	}
}

// C delivers the wake-up, to one receiver. Look for work after the receive, not
// before: only then does no work wait unseen. C is never closed.
func (s Signal) C() <-chan struct{} { return s.c }
