// Package uplink brings spooled footage to the cloud: tus 1.0, one long PATCH
// per file that goes on where the server's own offset stands after any fault,
// and nothing is deleted before the cloud has named the right digest.
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
	"cattlecounter/shared/wake"
)

// Spool is what the uplink needs of the spool, by purpose. All parts are required.
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
	RateLimit int64 // bytes per second, 0: none; an order in Spool wins
	Windows   schedule.Windows
	Paused    bool // the state to start in
	// Thumbnails says that nothing but thumbnails goes over a metered link.
	Thumbnails bool
	// Now and Synced are the wall clock, for the windows, and whether it can be
	// trusted; nil: time.Now, always.
	Now    func() time.Time
	Synced func() bool
	// CompareEvery is how often spool and cloud are compared, by the monotonic
	// clock; 0 means once a day.
	CompareEvery time.Duration
	// OnCard reports whether a file on the card is still what it was; nil looks.
	OnCard func(spool.Source) bool
	Log    *slog.Logger
}

// Uplink sends one piece of footage at a time: the highest priority first, and
// of the same priority in Options.Order.
type Uplink struct {
	o     Options
	limit *throttle
	wake  wake.Signal
	// kicked is set when the link may be back, which ends every wait.
	kicked wake.Signal
	// recheck is set when the guard of a transfer must check again.
	recheck wake.Signal
	// back is the wait for a link that is away; of Run alone.
	back *backoff.ExponentialBackOff
	// known is what the server had of the last upload that it was asked about; of
	// Run alone.
	known struct {
		upload string
		at     int64
	}

	mu      sync.Mutex
	link    Link
	asked   time.Time // of the last probe
	paused  bool
	running footage.ID
	cancel  context.CancelCauseFunc // of the running transfer, nil without one
	again   map[footage.ID]*retry

	ordering sync.Mutex
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
	u := &Uplink{o: o, wake: wake.New(), kicked: wake.New(), recheck: wake.New(), back: newWait(),
		again: map[footage.ID]*retry{}, paused: o.Paused}
	var err error
	if u.orders, err = o.Spool.Link.Orders(); err != nil {
		return nil, err
	}
	u.limit = newThrottle(u.wantedLimit())
	u.setLink(LinkUnknown, "")
	if o.Paused {
		u.setLink(LinkPaused, ErrPaused.Error())
	}
	return u, nil
}

// Wake makes Run look for work now.
func (u *Uplink) Wake() { u.wake.Set() }

// Kick ends every wait, and the next one is short again: the link may be back.
func (u *Uplink) Kick() { u.kicked.Set() }

// LinkBack is Kick for a sign that says nothing while the link is up.
func (u *Uplink) LinkBack() {
	if u.Link().State == LinkDown {
		u.Kick()
	}
}

// Run uploads until ctx ends.
func (u *Uplink) Run(ctx context.Context) error {
	watched := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	go func() { defer close(watched); u.watchToken(ctx) }()
	defer func() { stop(); <-watched }()
	for ctx.Err() == nil {
		h, again := u.held()
		u.show(h)
		if u.mayAsk(h) {
			u.compare(ctx)
		}
		if h.cause != nil {
			u.rest(ctx, again, nil)
			continue
		}
		r, wait := u.next(time.Now())
		if r == nil {
			u.probe(ctx)
			u.rest(ctx, min(wait, again), u.wake.C())
			continue
		}
		err := u.transfer(ctx, *r)
		if ctx.Err() != nil {
			break
		}
		pause := u.settle(ctx, *r, err)
		if pause == 0 {
			u.back.Reset()
			continue
		}
		u.rest(ctx, pause, nil)
	}
	return nil
}

// reached notes how much of an upload the server has. When that is more than it
// was, the next wait is short again: a link that is cut again and again but moves
// is no dead one. What the kernel took proves nothing.
func (u *Uplink) reached(id footage.ID, upload string, at int64) {
	if u.known.upload == upload && at > u.known.at {
		u.back.Reset()
		u.forget(id)
	}
	u.known.upload, u.known.at = upload, at
}

// rest waits; a kick also forgets what else was waited for.
func (u *Uplink) rest(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	case <-u.kicked.C():
		u.back.Reset()
		u.mu.Lock()
		clear(u.again)
		u.mu.Unlock()
		if u.compared.begun {
			u.compared.next = time.Time{}
		}
	}
}

// transfer runs send so that an order, the end of a window and the end of the
// budget can stop it.
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
	return u.send(ctx, r)
}

// watchToken ends every wait when the token was renewed, until ctx ends.
func (u *Uplink) watchToken(ctx context.Context) {
	const every = 10 * time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		was := u.o.Cloud.token.Current()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if u.o.Cloud.token.Current() != was {
			u.Kick()
		}
	}
}
