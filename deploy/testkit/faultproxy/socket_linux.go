package faultproxy

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// setBuffers sets the kernel's buffers of a socket to n bytes before it connects or
// listens.
func setBuffers(n int) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, n),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, n))
		})
		return errors.Join(err, set)
	}
}

// unread returns the number of received bytes that were not read, 0 for a closed socket.
func unread(c *net.TCPConn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}
