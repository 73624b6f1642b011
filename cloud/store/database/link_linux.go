package database

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// endAfter ends a connection whose other side takes nothing for so long.
func endAfter(c syscall.RawConn, d time.Duration) (err error) {
	cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
	return errors.Join(cerr, err)
}
