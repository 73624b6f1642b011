// Package uplink sends spooled footage to the cloud by tus 1.0, one long PATCH per file.
// After any fault an upload resumes at the server's offset. The spool's content is
// deleted only after the cloud has confirmed its digest.
package uplink

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"cattlecounter/edge/schedule"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/wake"
)

// Spool is the parts of the spool that the uplink uses. All are required.
type Spool struct {
	Records  records
	Content  content
	Uploads  uploads
	Recovery recovery
	Link     linkOrders
}

type records interface {
	All() []spool.Record
	Get(footage.ID) (spool.Record, bool)
	SetWaiting(footage.ID, string)
	SetPriority(footage.ID, int) error
}

type content interface {
	Manifest(footage.ID) (footage.Manifest, error)
	Chunk(footage.ID, spool.Part, footage.Chunk, []byte) ([]byte, error)
	Verify(context.Context, footage.ID) error
}

type uploads interface {
	Begin(footage.ID) (spool.Record, error)
	SetTransfer(footage.ID, spool.Part, spool.Transfer) error
	SetSent(footage.ID, spool.Part, int64, float64)
	Accept(footage.ID) error
	Confirm(id, duplicateOf footage.ID) error
	Release(footage.ID) error
}

type recovery interface {
	CountHashFault(footage.ID) (int, error)
	ChooseID(footage.ID) (spool.Record, error)
	Resend(footage.ID) error
	Reread(footage.ID) error
	Quarantine(footage.ID, string) error
}

type linkOrders interface {
	Orders() (spool.LinkOrders, error)
	SetOrders(spool.LinkOrders) error
}

// Options configure an Uplink. Spool and Cloud are required.
type Options struct {
	Spool     Spool
	Cloud     *Cloud
	Order     Order // "" means Oldest
	RateLimit int64 // bytes per second, 0 for none; an order in Spool overrides it
	Windows   schedule.Windows
	Paused    bool // the initial state
	// Thumbnails sends only thumbnails over a metered link.
	Thumbnails bool
	// Now is the wall clock for the windows, Synced whether it can be trusted; nil means
	// time.Now and always.
	Now    func() time.Time
	Synced func() bool
	// CompareEvery is how often to compare spool and cloud, by the monotonic clock; 0
	// means once a day.
	CompareEvery time.Duration
	// OnCard reports whether a file on the card is unchanged; nil reads the card.
	OnCard func(spool.Source) bool
	Log    *slog.Logger
}

// Uplink sends one piece of footage at a time: the highest priority first, and footage
// of the same priority in Options.Order. Create it with New, start it with Run. Every
// other method is safe for concurrent use.
type Uplink struct {
	o     Options
	limit *throttle
	wake  wake.Signal
	// kicked is set when the link may be back, which ends every wait.
	kicked wake.Signal
	// recheck is set when the guard of a transfer must check again.
	recheck wake.Signal
	// linkWait is the wait for a link that is down. Only Run uses it.
	linkWait *backoff.ExponentialBackOff
	// lastOffset is the server's last known offset of an upload. Only Run uses it.
	lastOffset struct {
		upload string
		at     int64
	}

	mu      sync.Mutex
	link    Link
	probed  time.Time // of the last probe
	paused  bool
	running footage.ID
	cancel  context.CancelCauseFunc // of the running transfer, nil without one
	retries map[footage.ID]*retry

	ordersMu sync.Mutex
	orders   spool.LinkOrders

	compared comparison
}

// New returns an Uplink; Run starts it.
func New(o Options) (*Uplink, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Synced == nil {
		o.Synced = func() bool { return true }
	}
	if o.CompareEvery == 0 {
		o.CompareEvery = compareEvery
	}
	if o.OnCard == nil {
		o.OnCard = onCard
	}
	u := &Uplink{o: o, wake: wake.New(), kicked: wake.New(), recheck: wake.New(), linkWait: newWait(),
		retries: map[footage.ID]*retry{}, paused: o.Paused}
	var err error
	if u.orders, err = o.Spool.Link.Orders(); err != nil {
		return nil, err
	}
	u.limit = newThrottle(u.effectiveLimit())
	u.setLink(LinkUnknown, "")
	if o.Paused {
		u.setLink(LinkPaused, ErrPaused.Error())
	}
	return u, nil
}

// Wake makes Run look for work now.
func (u *Uplink) Wake() { u.wake.Set() }

// Kick ends every wait, and makes the next one short: the link may be up again.
func (u *Uplink) Kick() { u.kicked.Set() }

// KickIfDown ends every wait when the link is down.
func (u *Uplink) KickIfDown() {
	if u.Link().State == LinkDown {
		u.Kick()
	}
}

// Run uploads until ctx ends, and then returns nil.
func (u *Uplink) Run(ctx context.Context) error {
	watched := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	go func() { defer close(watched); u.watchToken(ctx) }()
	defer func() { stop(); <-watched }()
	for ctx.Err() == nil {
		h, recheck := u.currentHold()
		u.showHold(h)
		if u.comparisonDue(h) {
			u.compare(ctx)
		}
		if h.cause != nil {
			u.sleep(ctx, recheck, nil)
			continue
		}
		r, wait := u.next(time.Now())
		if r == nil {
			u.probe(ctx)
			u.sleep(ctx, min(wait, recheck), u.wake.C())
			continue
		}
		err := u.transfer(ctx, *r)
		if ctx.Err() != nil {
			break
		}
		pause := u.handleResult(ctx, *r, err)
		if pause == 0 {
			u.linkWait.Reset()
			continue
		}
		u.sleep(ctx, pause, nil)
	}
	return nil
}

// noteOffset notes how many bytes of an upload the server has. Progress makes the next
// wait short: a link that breaks often but moves bytes is not dead. Bytes in this
// kernel's buffer are no progress.
func (u *Uplink) noteOffset(id footage.ID, upload string, at int64) {
	if u.lastOffset.upload == upload && at > u.lastOffset.at {
		u.linkWait.Reset()
		u.clearRetry(id)
	}
	u.lastOffset.upload, u.lastOffset.at = upload, at
}

// sleep waits for d, a wake or a kick. A kick also clears all other waits.
func (u *Uplink) sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	case <-u.kicked.C():
		u.linkWait.Reset()
		u.mu.Lock()
		clear(u.retries)
		u.mu.Unlock()
		if u.compared.begun {
			u.compared.next = time.Time{}
		}
	}
}

// transfer runs send. An order, the end of a window and the end of the budget stop it.
func (u *Uplink) transfer(ctx context.Context, r spool.Record) error {
	ctx, cancel := context.WithCancelCause(ctx)
	guarded := make(chan struct{})
	u.mu.Lock()
	u.running, u.cancel = r.ID, cancel
	u.mu.Unlock()
	go func() { defer close(guarded); u.guard(ctx, r.ID, cancel) }()
	defer func() {
		u.mu.Lock()
		u.running, u.cancel = "", nil
		u.mu.Unlock()
		cancel(nil)
		<-guarded
	}()
	traced, span := tracing.Begin(ctx, "upload", r.CloudID()) // the guard reads ctx meanwhile
	err := u.send(traced, r)
	span.End(err)
	return err
}

// watchToken ends every wait when the token has been renewed, until ctx ends.
func (u *Uplink) watchToken(ctx context.Context) {
	const every = 10 * time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		before := u.o.Cloud.token.Current()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if u.o.Cloud.token.Current() != before {
			u.Kick()
		}
	}
}
