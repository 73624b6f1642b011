package uplink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cattlecounter/shared/interrupt"
)

// gatherRoutes is how long route changes are gathered into one call: a modem that comes up
// causes a dozen.
const gatherRoutes = time.Second

// WatchRoutes calls changed after the kernel has a new route or address, as after a modem
// comes up. It calls changed at most once a second. It returns nil after a stop by ctx, and an error when
// the kernel does not report routes (rtnetlink(7)).
func WatchRoutes(ctx context.Context, changed func()) error {
	f, err := openRoutes()
	if err != nil {
		return fmt.Errorf("watch routes: %w", err)
	}
	return watch(ctx, f, changed)
}

func watch(ctx context.Context, f *os.File, changed func()) error {
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS): // some changes were lost
		case err != nil:
			return fmt.Errorf("watch routes: %w", err)
		case !newRoute(buf[:n]):
			continue
		}
		if interrupt.Pause(ctx, gatherRoutes) != nil {
			return nil
		}
		changed()
	}
}

func openRoutes() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	const groups = unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "rtnetlink"), nil
}

// newRoute reports whether one of the messages is about a new route or address.
func newRoute(b []byte) bool {
	list, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return false
	}
	for _, m := range list {
		if m.Header.Type == unix.RTM_NEWROUTE || m.Header.Type == unix.RTM_NEWADDR {
			return true
		}
	}
	return false
}
