package intake

import (
	"context"
	"errors"
	"sync"

	"github.com/tus/tusd/v2/pkg/handler"

	"cattlecounter/cloud/store/blob"
)

// locks keeps requests for one upload apart. A holder is told to stop when another
// wants the lock: a HEAD after a lost connection must not wait for the PATCH that
// still hangs on it. With store, who gets a lock takes it from other servers as
// well. There are never more entries than requests at work.
type locks struct {
	store blob.Holder // nil: this process is the only one

	mu   sync.Mutex
	held map[string]*hold
}

type hold struct {
	stop     chan struct{} // closed when the holder should end
	asked    sync.Once
	released chan struct{}
	letGo    func() // of the store; nil without
}

func newLocks(store blob.Holder) *locks { return &locks{store: store, held: map[string]*hold{}} }

func (h *hold) ask() {
	h.asked.Do(func() { close(h.stop) })
}

// take waits for the lock and asks its holder to stop. It ends with ctx.
func (l *locks) take(ctx context.Context, id string) error {
	for {
		h, ok, err := l.try(ctx, id)
		if ok || err != nil {
			return err
		}
		h.ask()
		select {
		case <-ctx.Done():
			return handler.ErrLockTimeout
		case <-h.released:
		}
	}
}

// try takes the lock when no request of this process has it, else it returns the
// present hold.
func (l *locks) try(ctx context.Context, id string) (*hold, bool, error) {
	h, ok := l.enter(id)
	if !ok || l.store == nil {
		return h, ok, nil
	}
	letGo, err := l.store.Hold(ctx, id)
	if err != nil {
		l.release(id)
		return nil, false, err
	}
	h.letGo = letGo
	return h, true, nil
}

func (l *locks) enter(id string) (*hold, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.held[id]; ok {
		return h, false
	}
	h := &hold{stop: make(chan struct{}), released: make(chan struct{})}
	l.held[id] = h
	return h, true
}

func (l *locks) release(id string) {
	l.mu.Lock()
	h := l.held[id]
	l.mu.Unlock()
	if h != nil && h.letGo != nil {
		h.letGo()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.held[id]; ok {
		delete(l.held, id)
		close(h.released)
	}
}

// stopped is closed when the present holder of id should end. Without a holder
// it is nil, which never ends anything.
func (l *locks) stopped(id string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.held[id]; ok {
		return h.stop
	}
	return nil
}

// NewLock implements handler.Locker.
func (l *locks) NewLock(id string) (handler.Lock, error) { return &lock{l, id}, nil }

type lock struct {
	all *locks
	id  string
}

// Lock implements handler.Lock. What tusd offers to end the holder's request is
// not used: it reads the request's body field while the request may be setting
// it (tusd 2.9.2, context.go). WriteChunk watches the hold itself.
func (l *lock) Lock(ctx context.Context, _ func()) error {
	err := l.all.take(ctx, l.id)
	switch {
	case err == nil || errors.Is(err, handler.ErrLockTimeout):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return handler.ErrLockTimeout
	}
	return exchangeFrom(ctx).fail(err)
}

func (l *lock) Unlock() error {
	l.all.release(l.id)
	return nil
}
