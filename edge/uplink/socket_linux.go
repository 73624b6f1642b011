package uplink

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how many unsent bytes the kernel may hold. The default of megabytes is minutes of
// a slow link, during which a stop, a new limit or the end of a budget has no effect. It
// does not bound sent bytes without acknowledgement.
const unsent = 128 << 10

// fewUnsent is a net.Dialer's Control. A kernel that refuses the option works too.
func fewUnsent(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}

// acked is how many bytes the other side has acknowledged (tcp(7), TCP_INFO), 0 when
// unknown. Behind a proxy the other side is the proxy.
func acked(c net.Conn) uint64 {
	for {
		t, ok := c.(*tls.Conn)
		if !ok {
			break
		}
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	var n uint64
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Bytes_acked
		}
	})
	return n
}
