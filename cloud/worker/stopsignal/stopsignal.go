// Package stopsignal ends the program's context when it is told to stop, also after
// a library that was loaded meanwhile has put its own handlers in the place of Go's.
// The signals of a process are one for all, and so is this package's state.
package stopsignal

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

var (
	mu     sync.Mutex
	notify chan os.Signal // nil outside of Context and stop
)

func signals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// Context returns a context that ends with the first signal to stop; further ones
// change nothing until stop is called, when all is done. There is one such context at a
// time.
func Context(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	c := make(chan os.Signal, 1)
	mu.Lock()
	defer mu.Unlock()
	notify = c
	signal.Notify(c, signals()...)
	go func() {
		select {
		case <-c:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		release(c)
	}
}

func release(c chan os.Signal) {
	mu.Lock()
	defer mu.Unlock()
	signal.Stop(c)
	if notify == c {
		notify = nil
	}
}

// Again installs Go's handlers once more. Call it after loading a library that is
// known to replace them. Go itself believes that they are in place, unless the signals
// were ignored for a moment, in which one that comes is lost.
func Again() {
	mu.Lock()
	defer mu.Unlock()
	if notify == nil {
		return
	}
	signal.Ignore(signals()...)
	signal.Notify(notify, signals()...)
}
