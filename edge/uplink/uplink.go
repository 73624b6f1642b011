// Package uplink brings spooled footage to the cloud: tus 1.0, one long PATCH
// per file that goes on where the server's own offset stands after any fault,
// and nothing is deleted before the cloud has named the right digest.
package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// store is what the uplink needs of the spool.
type store interface {
	Records() []spool.Record
	Record(footage.ID) (spool.Record, bool)
	Manifest(footage.ID) (footage.Manifest, error)
	Chunk(footage.ID, spool.Part, footage.Chunk, []byte) ([]byte, error)
	Verify(context.Context, footage.ID) error
	BeginUpload(footage.ID) (spool.Record, error)
	SetTransfer(footage.ID, spool.Part, spool.Transfer) error
	SetSent(footage.ID, spool.Part, int64, float64)
	SetWaiting(footage.ID, string)
	HashFault(footage.ID) (int, error)
	Accepted(footage.ID) error
	Confirm(id, duplicateOf footage.ID) error
	Reclaim(footage.ID) error
	Reread(footage.ID) error
	Quarantine(footage.ID, string) error
}

// LinkState says how the link to the cloud is.
type LinkState string

// Link states.
const (
	LinkUnknown LinkState = "unknown" // nothing was asked yet
	LinkUp      LinkState = "up"
	LinkDown    LinkState = "down"
	LinkRefused LinkState = "refused" // the cloud answers, but refuses the token
	LinkPaused  LinkState = "paused"  // an operator stopped the upload
)

// Link is the state of the link and why it is so.
type Link struct {
	State  LinkState `json:"state"`
	Detail string    `json:"detail,omitempty"`
	// Since is when the state began, by this device's clock.
	Since time.Time `json:"since"`
}

// Waits between tries.
const (
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	tokenWait   = 5 * time.Minute
	probeEvery  = 5 * time.Minute
	// maxHashFaults is how often content that arrives damaged is sent again.
	maxHashFaults = 3
)

// ErrPaused is the cause of a transfer that an operator stopped.
var ErrPaused = errors.New("paused by an operator")

// Options configure an Uplink. Spool and Cloud are required.
type Options struct {
	Spool     store
	Cloud     *Cloud
	RateLimit int64 // bytes per second, 0: none
	Paused    bool  // the state to start in
	Log       *slog.Logger
}

// Uplink sends one piece of footage at a time, the oldest capture first.
type Uplink struct {
	o     Options
	limit *rate.Limiter
	wake  chan struct{}
	// kicked is told when the link may be back, which ends every wait.
	kicked chan struct{}

	mu     sync.Mutex
	link   Link
	asked  time.Time // of the last probe
	paused bool
	cancel context.CancelCauseFunc // of the running transfer, nil without one
	again  map[footage.ID]*retry
}

// retry is when a piece of footage is tried again, and how long after that.
type retry struct {
	at   time.Time
	wait *backoff.ExponentialBackOff
}

// New returns an Uplink; Run starts it.
func New(o Options) *Uplink {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	u := &Uplink{o: o, wake: make(chan struct{}, 1), kicked: make(chan struct{}, 1), again: map[footage.ID]*retry{}, paused: o.Paused}
	if o.RateLimit > 0 {
		u.limit = rate.NewLimiter(rate.Limit(o.RateLimit), max(int(min(o.RateLimit, 1<<20)), piece))
	}
	u.setLink(LinkUnknown, "")
	if o.Paused {
		u.setLink(LinkPaused, ErrPaused.Error())
	}
	return u
}

// Wake makes Run look for work now.
func (u *Uplink) Wake() { poke(u.wake) }

// Kick ends every wait: the link may be back.
func (u *Uplink) Kick() { poke(u.kicked) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a poke is waiting already
	}
}

// Link says how the link is.
func (u *Uplink) Link() Link {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.link
}

func (u *Uplink) setLink(s LinkState, detail string) {
	u.mu.Lock()
	was := u.link.State
	if u.paused && s != LinkPaused {
		u.mu.Unlock() // what was under way when the operator stopped it
		return
	}
	if was != s {
		u.link.Since = time.Now().UTC()
	}
	u.link.State, u.link.Detail = s, detail
	u.mu.Unlock()
	if was != s {
		u.o.Log.Info("link to the cloud", "state", string(s), "detail", detail)
	}
}

// SetPaused stops the upload, also a running one, or lets it go on.
func (u *Uplink) SetPaused(p bool) {
	u.mu.Lock()
	u.paused = p
	cancel := u.cancel
	u.mu.Unlock()
	if p {
		u.setLink(LinkPaused, ErrPaused.Error())
		if cancel != nil {
			cancel(ErrPaused)
		}
		return
	}
	u.setLink(LinkUnknown, "")
	u.Kick()
}

// Paused reports whether an operator stopped the upload.
func (u *Uplink) Paused() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.paused
}

// Run uploads until ctx ends.
func (u *Uplink) Run(ctx context.Context) error {
	link := newWait()
	for ctx.Err() == nil {
		r, wait := u.next(time.Now())
		if r == nil {
			u.probe(ctx)
			u.rest(ctx, wait, u.wake)
			continue
		}
		err := u.transfer(ctx, *r)
		if ctx.Err() != nil {
			break
		}
		if u.moved(*r) { // a link that is cut again and again but moves is no dead one
			link.Reset()
			u.forget(r.ID)
		}
		pause := u.settle(ctx, *r, err, link)
		if pause == 0 {
			link.Reset()
			continue
		}
		u.rest(ctx, pause, nil)
	}
	return nil
}

// moved reports whether the server has more of the footage than before.
func (u *Uplink) moved(before spool.Record) bool {
	now, ok := u.o.Spool.Record(before.ID)
	return ok && now.Video.Offset+now.Sidecar.Offset > before.Video.Offset+before.Sidecar.Offset
}

func newWait() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = firstWait, longestWait, 2
	b.Reset()
	return b
}

// rest waits; a kick also forgets what else was waited for.
func (u *Uplink) rest(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	case <-u.kicked:
		u.mu.Lock()
		clear(u.again)
		u.mu.Unlock()
	}
}

// next returns the oldest footage that can be sent now, or how long to wait.
func (u *Uplink) next(now time.Time) (*spool.Record, time.Duration) {
	const idle = time.Minute
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.paused {
		return nil, idle
	}
	wait := idle
	for _, r := range u.o.Spool.Records() {
		if !r.State.HasContent() {
			continue
		}
		if again := u.again[r.ID]; again != nil && again.at.After(now) {
			wait = min(wait, again.at.Sub(now))
			continue
		}
		return &r, 0
	}
	return nil, wait
}

// probe asks the cloud for a sign of life when nothing else did for a while.
func (u *Uplink) probe(ctx context.Context) {
	u.mu.Lock()
	due := !u.paused && (u.link.State == LinkUnknown || time.Since(u.asked) >= probeEvery)
	u.asked = time.Now()
	u.mu.Unlock()
	if !due {
		return
	}
	if err := u.o.Cloud.Probe(ctx); errors.Is(err, ErrLink) {
		u.setLink(LinkDown, err.Error())
	} else if ctx.Err() == nil {
		u.setLink(LinkUp, "")
	}
}

// transfer runs send so that a pause can stop it.
func (u *Uplink) transfer(ctx context.Context, r spool.Record) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u.mu.Lock()
	u.cancel = cancel
	paused := u.paused
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.cancel = nil
		u.mu.Unlock()
	}()
	if paused {
		return ErrPaused
	}
	return u.send(ctx, r)
}

// settle decides what follows from how a transfer ended, and returns how long
// the whole uplink rests: 0 when the link works.
func (u *Uplink) settle(ctx context.Context, r spool.Record, err error, link *backoff.ExponentialBackOff) time.Duration {
	log := u.o.Log.With("footage", r.ID, "name", r.Name)
	var a *Answer
	asked := time.Duration(0)
	if errors.As(err, &a) {
		asked = a.RetryAfter
	}
	switch {
	case err == nil:
		u.forget(r.ID)
		u.setLink(LinkUp, "")
		return 0
	case errors.Is(err, ErrPaused):
		u.o.Spool.SetWaiting(r.ID, ErrPaused.Error())
		return 0
	case errors.Is(err, spool.ErrDamaged):
		u.damaged(r, err)
		return 0
	case errors.Is(err, ErrHash):
		u.hashFault(ctx, r, err)
		return 0
	case errors.Is(err, ErrRefused):
		u.setLink(LinkUp, "")
		u.keep(r.ID, u.o.Spool.Quarantine(r.ID, err.Error()))
		return 0
	case errors.Is(err, ErrToken):
		u.setLink(LinkRefused, err.Error())
		u.o.Spool.SetWaiting(r.ID, err.Error()+"; give the device a new token (cloud-api device add)")
		log.Warn("token refused", "err", err, "retry_in", tokenWait)
		return tokenWait
	case errors.Is(err, ErrLink), errors.Is(err, ErrBusy):
		wait := max(link.NextBackOff(), asked)
		if errors.Is(err, ErrLink) {
			u.setLink(LinkDown, err.Error())
		} else {
			u.setLink(LinkUp, err.Error())
			u.later(r.ID) // it may be this footage alone: others are tried before it
		}
		u.o.Spool.SetWaiting(r.ID, err.Error())
		log.Warn("upload interrupted", "err", err, "retry_in", wait.Round(time.Millisecond))
		return wait
	}
	// Something about this footage, or an answer nobody planned for: others may pass.
	wait := u.later(r.ID)
	u.o.Spool.SetWaiting(r.ID, err.Error())
	log.Warn("upload put off", "err", err, "retry_in", wait.Round(time.Millisecond))
	return 0
}

func (u *Uplink) later(id footage.ID) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	again := u.again[id]
	if again == nil {
		again = &retry{wait: newWait()}
		u.again[id] = again
	}
	d := again.wait.NextBackOff()
	again.at = time.Now().Add(d)
	return d
}

func (u *Uplink) forget(id footage.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.again, id)
}

// keep puts footage off whose state could not be written, so that Run does not spin.
func (u *Uplink) keep(id footage.ID, err error) {
	if err != nil {
		u.o.Log.Error("footage state cannot be written", "footage", id, "err", err)
		u.later(id)
	}
}

// damaged reads footage from the card again when its spooled content is spoilt;
// when the card is gone as well, ingest quarantines it.
func (u *Uplink) damaged(r spool.Record, err error) {
	u.o.Log.Error("spool content is damaged, the file is read from the card again", "footage", r.ID, "name", r.Name, "err", err)
	u.keep(r.ID, u.o.Spool.Reread(r.ID))
}

// hashFault handles content that arrived with another digest: when ours is
// right it is sent again, a few times.
func (u *Uplink) hashFault(ctx context.Context, r spool.Record, err error) {
	if bad := u.o.Spool.Verify(ctx, r.ID); bad != nil {
		if ctx.Err() == nil {
			u.damaged(r, bad)
		}
		return
	}
	n, kept := u.o.Spool.HashFault(r.ID)
	if kept == nil && n > maxHashFaults {
		kept = u.o.Spool.Quarantine(r.ID, fmt.Sprintf("arrived damaged %d times, the spool's copy is right; look for a faulty proxy or disk on the way: %v", n, err))
	}
	u.o.Log.Warn("content arrived damaged, it is sent again", "footage", r.ID, "attempt", n, "err", err)
	u.keep(r.ID, kept)
}
