// Package process handles what belongs to the worker's process as a whole: the signals that stop it, and its restart
// when its memory has grown.
//
// Signals. A library that is loaded later may replace Go's signal handlers by its own; RestoreHandlers installs Go's
// again. A process has one set of signal handlers, so this package has one state.
//
// Memory. Go returns unused memory to the system. The libraries below (decoder, ONNX Runtime, the C library's
// allocator) may only grow, over days, and only a new process frees their memory. MemoryGuard notices it, Restart
// starts the new process.
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
	current *watch // nil before Context and after stop
)

func stopSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// watch receives the signals of one Context.
type watch struct {
	signals chan os.Signal
	first   func()
	second  chan struct{} // closed by the second signal
	quit    chan struct{}
	ended   chan struct{}
	count   int // of signals; valid after ended is closed
}

// Context returns a context that ends with the first SIGINT or SIGTERM. The second signal closes SecondSignal. Further
// signals have no effect until stop is called. There is one such context at a time. stop ends the goroutine that
// receives the signals and waits for it.
func Context(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	w := &watch{
		signals: make(chan os.Signal, 2), first: cancel,
		second: make(chan struct{}), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	mu.Lock()
	defer mu.Unlock()
	current = w
	signal.Notify(w.signals, stopSignals()...)
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
		case <-w.signals:
			w.receive()
			continue
		default:
		}
		select {
		case <-w.signals:
			w.receive()
		case <-w.quit:
			select {
			case <-w.signals: // a signal from before the quit
				w.receive()
			default:
			}
			return
		}
	}
}

func (w *watch) receive() {
	switch w.count++; w.count {
	case 1:
		w.first()
	case 2:
		close(w.second)
	}
}

// stop returns the signals to the system. The caller holds mu.
func (w *watch) stop() {
	if current != w {
		return // stopped already
	}
	current = nil
	signal.Stop(w.signals) // when it returns, every signal that Go has caught is in the channel
	close(w.quit)
	<-w.ended
}

// SecondSignal returns a channel that is closed by the second signal to stop. It belongs to the current Context, and is
// nil without one.
func SecondSignal() <-chan struct{} {
	mu.Lock()
	defer mu.Unlock()
	if current == nil {
		return nil
	}
	return current.second
}

// Release returns the signals to the system, where they end the process at once. It reports whether a signal arrived
// before. No signal is lost in between.
func Release() (stopped bool) {
	mu.Lock()
	defer mu.Unlock()
	w := current
	if w == nil {
		return false
	}
	w.stop()
	return w.count > 0
}

// RestoreHandlers installs Go's signal handlers again. Call it after loading a library that may replace them. Go
// installs a handler only for an ignored signal, so the signals are ignored for a moment; one that arrives in it is
// lost.
func RestoreHandlers() {
	mu.Lock()
	defer mu.Unlock()
	if current == nil {
		return
	}
	signal.Ignore(stopSignals()...)
	signal.Notify(current.signals, stopSignals()...)
}
