package process

import (
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// action is the kernel's struct sigaction on 64-bit machines (rt_sigaction(2)).
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const ignore = 1 // SIG_IGN

// handle sets what becomes of a signal past Go's back, as a library does, and returns
// what was set.
func handle(t *testing.T, s syscall.Signal, set *action) (was action) {
	t.Helper()
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(&was)), unsafe.Sizeof(was.mask), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return was
}

// A signal ends the context, also after a library has taken the handlers away.
func TestAgain(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		ctx, stop := Context(t.Context())
		defer stop()
		ours := handle(t, s, nil)
		handle(t, s, &action{handler: ignore})
		if now := handle(t, s, nil); now.handler != ignore || ours.handler == ignore {
			t.Fatalf("%v is handled by %#x, was by %#x", s, now.handler, ours.handler)
		}
		Again()
		if now := handle(t, s, nil); now.handler != ours.handler {
			t.Fatalf("%v is handled by %#x, want %#x", s, now.handler, ours.handler)
		}
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
			t.Fatalf("%v was lost", s)
		}
		stop()
	}
}

// Without a context that waits for signals nothing is touched.
func TestAgainOutside(t *testing.T) {
	before := handle(t, syscall.SIGTERM, nil)
	Again()
	if after := handle(t, syscall.SIGTERM, nil); after.handler != before.handler {
		t.Errorf("handled by %#x, was by %#x", after.handler, before.handler)
	}
	ctx, stop := Context(t.Context())
	stop()
	<-ctx.Done()
	Again()
}

// The first signal ends the context, the second shows in Second, a third changes nothing.
func TestSecond(t *testing.T) {
	if Second() != nil {
		t.Error("there is one without a context")
	}
	ctx, stop := Context(t.Context())
	defer stop()
	second := Second()
	kill(t, syscall.SIGTERM)
	arrives(t, ctx.Done())
	select {
	case <-second:
		t.Fatal("the first signal counts as two")
	default:
	}
	kill(t, syscall.SIGINT)
	arrives(t, second)
	kill(t, syscall.SIGTERM)
	if !Release() {
		t.Error("none was heard")
	}
	stop()
}

// What came before Release is told, and afterwards the system has the signals again.
func TestRelease(t *testing.T) {
	before := handle(t, syscall.SIGTERM, nil)
	for _, told := range []bool{false, true} {
		for range 50 {
			ctx, stop := Context(t.Context())
			if told {
				kill(t, syscall.SIGTERM)
			}
			if got := Release(); got != told {
				t.Fatalf("told %v, want %v", got, told)
			}
			if told != (ctx.Err() != nil) {
				t.Fatalf("told %v, the context says %v", told, ctx.Err())
			}
			if after := handle(t, syscall.SIGTERM, nil); after.handler != before.handler {
				t.Fatalf("handled by %#x, was by %#x", after.handler, before.handler)
			}
			stop()
		}
	}
	if Release() {
		t.Error("told without a context")
	}
}

// kill sends a signal to this very thread, so it has come when kill returns.
func kill(t *testing.T, s syscall.Signal) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), s); err != nil {
		t.Fatal(err)
	}
}

func arrives(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("the signal was lost")
	}
}
