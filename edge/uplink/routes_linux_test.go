package uplink

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// In a separate network namespace a loopback that comes up is a new link.
func TestWatchRoutes(t *testing.T) {
	f, err := loopbackComesUp()
	if err != nil {
		t.Skipf("a separate network namespace: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kicked, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- watch(ctx, f, func() { kicked <- struct{}{} }) }()
	select {
	case <-kicked:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("no kick")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// loopbackComesUp opens the socket in a separate network namespace and brings its loopback
// up.
func loopbackComesUp() (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	got := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with its namespace
		var r result
		if r.err = unix.Unshare(unix.CLONE_NEWNET); r.err == nil {
			r.f, r.err = openRoutes()
		}
		if r.err == nil {
			r.err = loopbackUp()
		}
		got <- r
	}()
	r := <-got
	return r.f, r.err
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

func TestWatchRoutesEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := WatchRoutes(ctx, func() {}); err != nil {
		t.Error(err)
	}
}
