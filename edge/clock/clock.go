package clock

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"cattlecounter/edge/spool"
)

const (
	gpsdEvery = time.Minute
	// ntpAgain is the first wait after a question without an answer; it doubles up
	// to Options.NTPEvery.
	ntpAgain = time.Minute
	// unwelcome is how long a time server that does not want to be asked is left alone.
	unwelcome = 24 * time.Hour
	lookEvery = time.Minute
	// keepEvery bounds how often the known time is written: flash wears out.
	keepEvery = time.Hour
)

// store remembers times over a power cut.
type store interface {
	KnownTime() (spool.KnownTime, error)
	SetKnownTime(spool.KnownTime) error
}

// Options configure a Clock. Store and Synced are required.
type Options struct {
	Store store
	// Synced reports whether the system's clock can be trusted.
	Synced func() bool
	// NTP are time servers, asked in turn until one answers; none: nobody is asked.
	NTP      []string
	NTPEvery time.Duration
	// Metered reports whether bytes cost; then no time server is asked, unless
	// NTPMetered is set. nil: never.
	Metered    func() bool
	NTPMetered bool
	GPSD       string // host:port, "" for none
	// Messages returns the newest time in a message of the cloud's, zero without
	// one; nil: there are none.
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

	// Askers, of which tests have their own.
	askNTP  func(ctx context.Context, server string) (Hint, error)
	askGPSD func(ctx context.Context, address string) (Hint, error)
}

// New reads what is known from before; Run begins to ask.
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

// Run asks the configured sources and keeps the known time until ctx ends.
func (c *Clock) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { every(ctx, func() time.Duration { c.look(); return lookEvery }); return nil })
	if len(c.o.NTP) > 0 {
		s := servers{c: c, leave: map[string]time.Time{}}
		all.Go(func() error { every(ctx, func() time.Duration { return s.round(ctx) }); return nil })
	}
	if c.o.GPSD != "" {
		all.Go(func() error { every(ctx, func() time.Duration { c.receiver(ctx); return gpsdEvery }); return nil })
	}
	return all.Wait()
}

// every does something at once and again after what it returns.
func every(ctx context.Context, do func() time.Duration) {
	for ctx.Err() == nil {
		timer := time.NewTimer(do())
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Answered takes the Date header of an answer that took so long, "" when it had
// none.
func (c *Clock) Answered(date string, took time.Duration) {
	if date == "" {
		return
	}
	h, err := ParseDate(date, took, time.Now())
	if err != nil {
		c.failed("date", err)
		return
	}
	c.Add(h)
}

// receiver asks gpsd once.
func (c *Clock) receiver(ctx context.Context) {
	h, err := c.askGPSD(ctx, c.o.GPSD)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.failed("gpsd", err)
	default:
		c.Add(h)
	}
}

// failed says that a source gives no hint, once an hour.
func (c *Clock) failed(source string, err error) {
	if c.mayLog(source + " failed") {
		c.o.Log.Warn("no hint of the time", "source", source, "err", err)
	}
}

// servers asks time servers; of one goroutine.
type servers struct {
	c     *Clock
	leave map[string]time.Time // until when a server is left alone
	fails int
}

// round asks in turn until one answers, and returns when to ask again.
func (s *servers) round(ctx context.Context) time.Duration {
	o := s.c.o
	if o.Metered() && !o.NTPMetered {
		return o.NTPEvery
	}
	var errs []error
	for _, server := range o.NTP {
		if time.Now().Before(s.leave[server]) {
			continue
		}
		h, err := s.c.askNTP(ctx, server)
		if err == nil {
			s.fails = 0
			s.c.Add(h)
			return o.NTPEvery
		}
		if errors.Is(err, ErrUnwelcome) {
			s.leave[server] = time.Now().Add(unwelcome)
		}
		errs = append(errs, err)
	}
	if ctx.Err() == nil && len(errs) > 0 {
		s.c.failed("ntp", errors.Join(errs...))
	}
	s.fails = min(s.fails+1, 10)
	return min(o.NTPEvery, ntpAgain<<(s.fails-1))
}
