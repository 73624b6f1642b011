package clock

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/interrupt"
)

const (
	gpsdEvery = time.Minute
	// ntpRetry is the first wait after a query without an answer. It doubles up to
	// Options.NTPEvery.
	ntpRetry = time.Minute
	// refusedFor is how long a time server that refuses queries is not asked.
	refusedFor   = 24 * time.Hour
	observeEvery = time.Minute
	// saveEvery bounds how often the known time is written, because flash wears out.
	saveEvery = time.Hour
)

// store keeps the known time over a power cut.
type store interface {
	KnownTime() (spool.KnownTime, error)
	SetKnownTime(spool.KnownTime) error
}

// Options configure a Clock. Store and Synced are required.
type Options struct {
	Store store
	// Synced reports whether the system's clock can be trusted.
	Synced func() bool
	// NTP are time servers, asked in this order until one answers. It may be empty.
	NTP      []string
	NTPEvery time.Duration
	// Metered reports whether the link is metered. No time server is asked then,
	// unless NTPMetered is set. nil means never metered.
	Metered    func() bool
	NTPMetered bool
	GPSD       string // host:port, "" for none
	// Messages returns the newest time in the cloud's messages, zero without one. It
	// may be nil.
	Messages func() time.Time
	Wall     func() time.Time // nil: time.Now
	Log      *slog.Logger
}

// Clock is what the running agent knows about the time. It is safe for
// concurrent use.
type Clock struct {
	*Hints
	o     Options
	floor floor
	alarm alarm

	// Tests replace these.
	askNTP  func(ctx context.Context, server string) (Hint, error)
	askGPSD func(ctx context.Context, address string) (Hint, error)
}

// New reads the known time from the store. Run asks the sources.
func New(o Options) (*Clock, error) {
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metered == nil {
		o.Metered = func() bool { return false }
	}
	if o.Messages == nil {
		o.Messages = func() time.Time { return time.Time{} }
	}
	c := &Clock{Hints: NewHints(o.Wall, o.Log), o: o, askNTP: AskNTP, askGPSD: AskGPSD}
	var err error
	if c.floor.known, err = o.Store.KnownTime(); err != nil {
		return nil, err
	}
	return c, nil
}

// Run asks the configured sources and saves the known time until ctx ends.
func (c *Clock) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { every(ctx, func() time.Duration { c.observe(); return observeEvery }); return nil })
	if len(c.o.NTP) > 0 {
		s := servers{c: c, refused: map[string]time.Time{}}
		all.Go(func() error { every(ctx, func() time.Duration { return s.ask(ctx) }); return nil })
	}
	if c.o.GPSD != "" {
		all.Go(func() error { every(ctx, func() time.Duration { c.askReceiver(ctx); return gpsdEvery }); return nil })
	}
	return all.Wait()
}

// every calls do at once, and again after the duration that do returns.
func every(ctx context.Context, do func() time.Duration) {
	for ctx.Err() == nil {
		_ = interrupt.Pause(ctx, do()) // the loop checks ctx
	}
}

// AddDate adds the Date header of an answer, "" when it has none. took is how long
// the answer took.
func (c *Clock) AddDate(date string, took time.Duration) {
	if date == "" {
		return
	}
	h, err := ParseDate(date, took, time.Now())
	if err != nil {
		c.logFailure("date", err)
		return
	}
	c.Add(h)
}

// askReceiver asks gpsd once.
func (c *Clock) askReceiver(ctx context.Context) {
	h, err := c.askGPSD(ctx, c.o.GPSD)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.logFailure("gpsd", err)
	default:
		c.Add(h)
	}
}

// logFailure logs a source without a hint, at most once an hour.
func (c *Clock) logFailure(source string, err error) {
	if c.mayLog(source + " failed") {
		c.o.Log.Warn("time source gives no hint", "source", source, "err", err)
	}
}

// servers asks time servers. Only one goroutine uses it.
type servers struct {
	c       *Clock
	refused map[string]time.Time // until when a server is not asked
	fails   int
}

// ask asks the servers in order until one answers, and returns the wait before the
// next query.
func (s *servers) ask(ctx context.Context) time.Duration {
	o := s.c.o
	if o.Metered() && !o.NTPMetered {
		return o.NTPEvery
	}
	var errs []error
	for _, server := range o.NTP {
		if time.Now().Before(s.refused[server]) {
			continue
		}
		h, err := s.c.askNTP(ctx, server)
		if err == nil {
			s.fails = 0
			s.c.Add(h)
			return o.NTPEvery
		}
		if errors.Is(err, ErrRefused) {
			s.refused[server] = time.Now().Add(refusedFor)
		}
		errs = append(errs, err)
	}
	if ctx.Err() == nil && len(errs) > 0 {
		s.c.logFailure("ntp", errors.Join(errs...))
	}
	s.fails = min(s.fails+1, 10)
	return min(o.NTPEvery, ntpRetry<<(s.fails-1))
}
