// Package stopsignal ends the program's context when it is told to stop, also after
// a library that was loaded meanwhile has put its own handlers in the place of Go's.
// The signals of a process are one for all, and so is this package's state.
package process

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

var (
	mu      sync.Mutex
	current *watch // nil outside of Context and stop
)

func signals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// watch hears the signals of one Context.
type watch struct {
	heard  chan os.Signal
	first  func()
	second chan struct{} // closed by the second signal
	quit   chan struct{}
	ended  chan struct{}
	count  int // of signals; to be read when ended
}

// Context returns a context that ends with the first signal to stop. The second one
// shows in Second, further ones change nothing until stop is called, when all is done.
// There is one such context at a time.
func Context(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	w := &watch{
		heard: make(chan os.Signal, 2), first: cancel,
		second: make(chan struct{}), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	mu.Lock()
	defer mu.Unlock()
	current = w
	signal.Notify(w.heard, signals()...)
	go w.run()
	return ctx, func() {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		w.stop()
	}
}

func (w *watch) run() {
	defer close(w.ended)
	for {
		select {
		case <-w.heard:
			w.hear()
			continue
		default:
		}
		select {
		case <-w.heard:
			w.hear()
		case <-w.quit:
			select {
			case <-w.heard: // it came before the quit
				w.hear()
			default:
			}
			return
		}
	}
}

func (w *watch) hear() {
	switch w.count++; w.count {
	case 1:
		w.first()
	case 2:
		close(w.second)
	}
}

// stop gives the signals back to the system; mu is held.
func (w *watch) stop() {
	if current != w {
		return // it was done before
	}
	current = nil
	signal.Stop(w.heard) // returns when what Go has caught so far is in heard
	close(w.quit)
	<-w.ended
}

// Second is closed when a second signal to stop comes: somebody does not want to wait. It
// belongs to the Context of now, and is nil without one.
func Second() <-chan struct{} {
	mu.Lock()
	defer mu.Unlock()
	if current == nil {
		return nil
	}
	return current.second
}

// Release gives the signals back to the system, where they end the process at once, and
// reports whether one came before. None is lost in between.
func Release() (told bool) {
	mu.Lock()
	defer mu.Unlock()
	w := current
	if w == nil {
		return false
	}
	w.stop()
	return w.count > 0
}

// Again installs Go's handlers once more. Call it after loading a library that is
// known to replace them. Go itself believes that they are in place, unless the signals
// were ignored for a moment, in which one that comes is lost.
func Again() {
	mu.Lock()
	defer mu.Unlock()
	if current == nil {
		return
	}
	signal.Ignore(signals()...)
	signal.Notify(current.heard, signals()...)
}
