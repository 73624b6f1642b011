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
	wake    wake.Signal // a first subscriber has come

	mu      sync.Mutex
	subs    map[*Subscription]struct{}
	current chan struct{} // closed while the hub has read all changes
	stopped bool
}

// NewHub returns a Hub. Subscribers get changes while Run runs.
func NewHub(feed Feed, uploads Uploads, log *slog.Logger) *Hub {
	return &Hub{feed: feed, uploads: uploads, log: log, wake: wake.New(),
		subs: map[*Subscription]struct{}{}, current: make(chan struct{})}
}

// Subscription is one listener. C is closed at its end; Err then has the reason. Ready is
// closed once every later change comes through C.
type Subscription struct {
	C     <-chan Change
	Ready <-chan struct{}

	hub *Hub
	c   chan Change
	err error
}

// Subscribe adds a listener, which must call Close. It fails with ErrTooMany or
// ErrStopped. A change may come twice, with the same Seq.
func (h *Hub) Subscribe() (*Subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, ErrStopped
	}
	if len(h.subs) >= maxSubscribers {
		return nil, fmt.Errorf("%d listeners are connected: %w", maxSubscribers, ErrTooMany)
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

// end removes a subscriber; the caller holds the lock.
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

// Send hands a change that is no row of the ledger to every subscriber. It never blocks.
func (h *Hub) Send(c Change) { h.broadcast([]Change{c}) }

// Stop ends every subscription with ErrStopped; Subscribe fails from then on.
func (h *Hub) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	for s := range h.subs {
		h.end(s, ErrStopped)
	}
}

// Run reads the ledger until ctx ends, and only while there are subscribers.
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

// watch reads the changes of the ledger until the last subscriber leaves.
func (h *Hub) watch(ctx context.Context, w *watcher) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	w.live, w.seen = false, map[string]ledger.Upload{}
	failing := false
	for ctx.Err() == nil && !h.idle() {
		err := w.poll(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			h.log.Warn("cannot read changes of the ledger for listeners; trying again", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// idle reports that there are no subscribers; the next one waits for Ready.
func (h *Hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) > 0 {
		return false
	}
	h.current = make(chan struct{})
	return true
}

func (h *Hub) setReady() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.current)
}

// watcher is the position of the hub in the changes. It keeps it without subscribers.
type watcher struct {
	hub     *Hub
	started bool
	after   int64
	live    bool // all old changes are read: new ones go to the subscribers
	listed  time.Time
	seen    map[string]ledger.Upload
}

func (w *watcher) poll(ctx context.Context) error {
	if !w.started {
		// The publisher's position is close to the last change.
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
		w.hub.setReady()
	}
	if time.Since(w.listed) < uploadsEvery {
		return nil
	}
	w.listed = time.Now()
	return w.pollUploads(ctx)
}

// pollUploads compares the sessions with those of the last call.
func (w *watcher) pollUploads(ctx context.Context) error {
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
