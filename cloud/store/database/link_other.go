//go:build !linux

package database

import (
	"syscall"
	"time"
)

// endAfter does nothing here: the system's own timeouts count.
func endAfter(syscall.RawConn, time.Duration) error { return nil }
