package intake

import (
	"context"
	"errors"
	"sync"

	"github.com/tus/tusd/v2/pkg/handler"

	"cattlecounter/cloud/store/blob"
)

// locks allows one request at a time per upload. A holder is asked to stop when another
// request wants the lock: a HEAD after a lost connection must not wait for the PATCH
// that still hangs. With a store, a lock is taken from other servers as well. There are
// never more entries than running requests.
type locks struct {
	store blob.Holder // nil: this process is the only one

	mu   sync.Mutex
	held map[string]*hold
}

type hold struct {
	stop         chan struct{} // closed when the holder should end
	asked        sync.Once
	released     chan struct{}
	releaseStore func() // releases it in the store; nil without a store
}

func newLocks(store blob.Holder) *locks { return &locks{store: store, held: map[string]*hold{}} }

func (h *hold) ask() {
	h.asked.Do(func() { close(h.stop) })
}

// acquire asks the holder of the lock to stop and waits for the lock, until ctx ends.
func (l *locks) acquire(ctx context.Context, id string) error {
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

// try takes the lock when no request of this process holds it; otherwise it returns the
// present hold.
func (l *locks) try(ctx context.Context, id string) (*hold, bool, error) {
	h, ok := l.enter(id)
	if !ok || l.store == nil {
		return h, ok, nil
	}
	releaseStore, err := l.store.Hold(ctx, id)
	if err != nil {
		l.release(id)
		return nil, false, err
	}
	h.releaseStore = releaseStore
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
	if h != nil && h.releaseStore != nil {
		h.releaseStore()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.held[id]; ok {
		delete(l.held, id)
		close(h.released)
	}
}

// stopped is closed when the present holder of id should end. It is nil without a holder.
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

// Lock implements handler.Lock. The function by which tusd ends the holder's request is
// not used: it reads a field of the request while the request may be setting it (tusd
// 2.9.2, context.go). WriteChunk watches the hold itself.
func (l *lock) Lock(ctx context.Context, _ func()) error {
	err := l.all.acquire(ctx, l.id)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, handler.ErrLockTimeout) || errors.Is(err, context.DeadlineExceeded):
		// tusd sends no text in its answer to HEAD, so its code alone would be lost.
		return exchangeFrom(ctx).fail(lockedProblem())
	}
	return exchangeFrom(ctx).fail(err)
}

func (l *lock) Unlock() error {
	l.all.release(l.id)
	return nil
}
