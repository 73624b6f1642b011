package mqttlink

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"time"
)

// ErrRival marks connections that the broker closes soon after they came up. A broker
// does so when another client connects with the same id.
var ErrRival = errors.New("the broker closes each connection soon after it came up: does another client use this client id?")

const (
	// rivalAfter is how many connections in a row the broker must close.
	rivalAfter = 3
	// steady is from when a connection counts as undisputed. It is longer than the
	// longest pause of a rival.
	steady = 5 * time.Minute
)

// rival detects another client with the same client id. Without a pause the two would
// end each other's connections every half second, forever.
type rival struct {
	closed int // connections in a row that the broker closed before they were steady
}

// connectionEnded records the end of a connection. It returns err, wrapped in ErrRival
// when a rival is likely. An unreachable broker in between was only restarted.
func (r *rival) connectionEnded(connected bool, lasted time.Duration, err error) error {
	switch {
	case !connected, lasted >= steady:
		r.closed = 0
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		r.closed++
	}
	if r.likely() {
		return fmt.Errorf("%w: %w", ErrRival, err)
	}
	return err
}

func (r *rival) likely() bool { return r.closed >= rivalAfter }

// pause returns the wait before the next connection: wait, or with a likely rival at
// least half of the longest wait. So both clients get some connections.
func (r *rival) pause(wait time.Duration) time.Duration {
	if !r.likely() {
		return wait
	}
	return max(wait, longestWait/2+rand.N(longestWait/2))
}
