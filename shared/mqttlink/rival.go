package mqttlink

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"time"
)

// ErrRival says that the broker ends every connection soon after it came up. A
// broker does so when another client connects with the same id.
var ErrRival = errors.New("the broker closes each connection soon after it came up: another client with this id?")

const (
	// rivalAfter is how many connections in a row must end so.
	rivalAfter = 3
	// steady is how long a connection lasts that nobody fights for. It is longer
	// than the longest pause of a rival.
	steady = 5 * time.Minute
)

// rival looks for another client that uses our id. The two would throw each other
// out for ever, with half a second between.
type rival struct {
	thrownOut int // connections in a row that the broker closed before they were steady
}

// ended takes note of how a connection ended and returns the cause, ErrRival where
// that is likely. A broker that cannot be reached in between was only restarted.
func (r *rival) ended(connected bool, lasted time.Duration, err error) error {
	switch {
	case !connected, lasted >= steady:
		r.thrownOut = 0
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		r.thrownOut++
	}
	if r.likely() {
		return fmt.Errorf("%w: %w", ErrRival, err)
	}
	return err
}

func (r *rival) likely() bool { return r.thrownOut >= rivalAfter }

// pause makes way for a rival: between half and the whole of the longest wait at
// least, so that both can be seen and neither costs much.
func (r *rival) pause(wait time.Duration) time.Duration {
	if !r.likely() {
		return wait
	}
	return max(wait, longestWait/2+rand.N(longestWait/2))
}
