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

// handle sets the handler of a signal without Go's knowledge, as a library does, and returns the one before.
func handle(t *testing.T, s syscall.Signal, set *action) (was action) {
	t.Helper()
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(&was)), unsafe.Sizeof(was.mask), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return was
}

// TestRestoreHandlers checks that a signal ends the context after a library has replaced the handlers.
func TestRestoreHandlers(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		ctx, stop := Context(t.Context())
		defer stop()
		ours := handle(t, s, nil)
		handle(t, s, &action{handler: ignore})
		if now := handle(t, s, nil); now.handler != ignore || ours.handler == ignore {
			t.Fatalf("%v is handled by %#x, was by %#x", s, now.handler, ours.handler)
		}
		RestoreHandlers()
		if now := handle(t, s, nil); now.handler != ours.handler {
			t.Fatalf("%v is handled by %#x, want %#x", s, now.handler, ours.handler)
		}
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			t.Fatalf("%v was lost", s)
		}
		stop()
	}
}

// TestRestoreHandlersWithoutContext checks that the handlers stay as they are without a Context.
func TestRestoreHandlersWithoutContext(t *testing.T) {
	before := handle(t, syscall.SIGTERM, nil)
	RestoreHandlers()
	if after := handle(t, syscall.SIGTERM, nil); after.handler != before.handler {
		t.Errorf("handled by %#x, was by %#x", after.handler, before.handler)
	}
	ctx, stop := Context(t.Context())
	stop()
	<-ctx.Done()
	RestoreHandlers()
}

// TestSecondSignal checks that the first signal ends the context, the second closes SecondSignal, and a third has no
// effect.
func TestSecondSignal(t *testing.T) {
	if SecondSignal() != nil {
		t.Error("SecondSignal without a context is not nil")
	}
	ctx, stop := Context(t.Context())
	defer stop()
	second := SecondSignal()
	kill(t, syscall.SIGTERM)
	waitFor(t, ctx.Done())
	select {
	case <-second:
		t.Fatal("the first signal closed SecondSignal")
	default:
	}
	kill(t, syscall.SIGINT)
	waitFor(t, second)
	kill(t, syscall.SIGTERM)
	if !Release() {
		t.Error("Release reports no signal")
	}
	stop()
}

// TestRelease checks that Release reports earlier signals, and that the system handles later ones.
func TestRelease(t *testing.T) {
	before := handle(t, syscall.SIGTERM, nil)
	for _, stopped := range []bool{false, true} {
		for range 50 {
			ctx, stop := Context(t.Context())
			if stopped {
				kill(t, syscall.SIGTERM)
			}
			if got := Release(); got != stopped {
				t.Fatalf("Release() = %v, want %v", got, stopped)
			}
			if stopped != (ctx.Err() != nil) {
				t.Fatalf("Release() = %v, but the context's error is %v", stopped, ctx.Err())
			}
			if after := handle(t, syscall.SIGTERM, nil); after.handler != before.handler {
				t.Fatalf("handled by %#x, was by %#x", after.handler, before.handler)
			}
			stop()
		}
	}
	if Release() {
		t.Error("Release reports a signal without a context")
	}
}

// kill sends a signal to this thread, so the signal has arrived when kill returns.
func kill(t *testing.T, s syscall.Signal) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), s); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatal("the signal was lost")
	}
}
