package progress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wake"
)

const (
	pollEvery    = 300 * time.Millisecond
	uploadsEvery = time.Second
	batch        = 500
	// subscriberBuffer is how many changes a listener may be behind.
	subscriberBuffer = 256
	maxSubscribers   = 100
	uploadsShown     = 200
)

// Reasons why a subscription ends or does not begin.
var (
	ErrTooMany = errors.New("too many listeners")
	ErrSlow    = errors.New("listener too slow")
	ErrStopped = errors.New("no more changes: the server stops")
)

// Hub hands every change to every subscriber. Make it with NewHub.
type Hub struct {
	feed    Feed
	uploads Uploads
	log     *slog.Logger
	wake    wake.Signal // a first subscriber is there

	mu      sync.Mutex
	subs    map[*Subscription]struct{}
	current chan struct{} // closed while the hub stands at the ledger's end
	stopped bool
}

// NewHub returns a Hub that Run brings to life.
func NewHub(feed Feed, uploads Uploads, log *slog.Logger) *Hub {
	return &Hub{feed: feed, uploads: uploads, log: log, wake: wake.New(), subs: map[*Subscription]struct{}{}, current: make(chan struct{})}
}

// Subscription is one listener's place. C is closed at its end; Err then says
// why. Ready is closed once C carries everything that is committed from then on.
type Subscription struct {
	C     <-chan Change
	Ready <-chan struct{}

	hub *Hub
	c   chan Change
	err error
}

// Subscribe begins to listen. Close the subscription. It fails with ErrTooMany
// or ErrStopped. A change may come in twice, with the same Seq.
func (h *Hub) Subscribe() (*Subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, ErrStopped
	}
	if len(h.subs) >= maxSubscribers {
		return nil, fmt.Errorf("%d listen already: %w", maxSubscribers, ErrTooMany)
	}
	c := make(chan Change, subscriberBuffer)
	s := &Subscription{C: c, Ready: h.current, c: c, hub: h}
	h.subs[s] = struct{}{}
	h.wake.Set()
	return s, nil
}

// Close ends the subscription; twice is fine.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.end(s, nil)
}

// Err says why C was closed: ErrSlow, ErrStopped, or nil after Close.
func (s *Subscription) Err() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.err
}

// Subscribers is the number of listeners.
func (h *Hub) Subscribers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// end takes a subscriber out; the caller holds the lock.
func (h *Hub) end(s *Subscription, why error) {
	if _, ok := h.subs[s]; !ok {
		return
	}
	delete(h.subs, s)
	s.err = why
	close(s.c)
}

func (h *Hub) broadcast(changes []Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		for s := range h.subs {
			select {
			case s.c <- c:
			default:
				h.end(s, ErrSlow)
			}
		}
	}
}

// Stop ends every subscription with ErrStopped and lets no new one begin.
func (h *Hub) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	for s := range h.subs {
		h.end(s, ErrStopped)
	}
}

// Run watches the ledger until ctx ends, and only while somebody listens.
func (h *Hub) Run(ctx context.Context) error {
	defer h.Stop()
	w := watcher{hub: h}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake.C():
		}
		h.watch(ctx, &w)
	}
}

// watch follows the ledger until nobody listens any more.
func (h *Hub) watch(ctx context.Context, w *watcher) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	w.live, w.seen = false, map[string]ledger.Upload{}
	failing := false
	for ctx.Err() == nil && !h.deserted() {
		err := w.step(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			h.log.Warn("cannot read changes for the listeners", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// deserted reports that nobody listens, and lets the next one wait for Ready.
func (h *Hub) deserted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) > 0 {
		return false
	}
	h.current = make(chan struct{})
	return true
}

func (h *Hub) ready() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.current)
}

// watcher is where the hub stands. It keeps its place while nobody listens.
type watcher struct {
	hub     *Hub
	started bool
	after   int64
	live    bool // at the ledger's end: changes go out
	looked  time.Time
	seen    map[string]ledger.Upload
}

func (w *watcher) step(ctx context.Context) error {
	if !w.started {
		// A place that cannot be far from the end.
		seq, err := w.hub.feed.Cursor(ctx, cursorName)
		if err != nil {
			return err
		}
		w.after, w.started = seq, true
	}
	for complete := false; !complete; {
		changes, all, err := Changes(ctx, w.hub.feed, w.after, batch)
		if err != nil {
			return err
		}
		complete = all
		if len(changes) == 0 {
			continue
		}
		w.after = changes[len(changes)-1].Seq
		if w.live {
			w.hub.broadcast(changes)
		}
	}
	if !w.live {
		w.live = true
		w.hub.ready()
	}
	if time.Since(w.looked) < uploadsEvery {
		return nil
	}
	w.looked = time.Now()
	return w.uploads(ctx)
}

// uploads compares the sessions with the last look.
func (w *watcher) uploads(ctx context.Context) error {
	list, err := w.hub.uploads.List(ctx, time.Time{}, uploadsShown)
	if err != nil {
		return err
	}
	var changes []Change
	now := make(map[string]ledger.Upload, len(list))
	for _, u := range list {
		if !u.Finished.IsZero() {
			continue
		}
		now[u.ID] = u
		if old, ok := w.seen[u.ID]; !ok || old.Offset != u.Offset {
			changes = append(changes, Change{Upload: &UploadChange{Upload: u}})
		}
	}
	for id, u := range w.seen {
		if _, ok := now[id]; !ok {
			changes = append(changes, Change{Upload: &UploadChange{Upload: u, Gone: true}})
		}
	}
	w.seen = now
	w.hub.broadcast(changes)
	return nil
}
