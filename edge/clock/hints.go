package clock

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// fresh is how long a source wins over the worse ones without a new word.
	fresh = time.Hour
	// forgotten is when a hint is no hint any more.
	forgotten = 24 * time.Hour
	// drift is the part of the time since by which the board's oscillator may be
	// off; NTP assumes as much (RFC 5905, MAXFREQ).
	drift = 500e-6
	// apart is how much more than their uncertainty two sources may differ by
	// before it is said that they do not agree.
	apart = time.Second
	// sayEvery bounds how often the same thing is logged.
	sayEvery = time.Hour
)

// Estimate is what time it is by a hint.
type Estimate struct {
	Source      Source
	From        string
	Now         time.Time     // UTC
	Uncertainty time.Duration // grows with Age
	Age         time.Duration // since the source said it
	// Ahead is what must be added to this device's clock to get Now: positive when
	// the clock is slow.
	Ahead time.Duration
}

// Hints keeps the last hint of each source. It is safe for concurrent use.
type Hints struct {
	wall func() time.Time
	log  *slog.Logger

	mu   sync.Mutex
	last map[Source]Hint
	said map[string]time.Time // when; keys are this package's own, so there are few
}

// NewHints returns no hints. wall is the clock that they are compared with; nil:
// the system's. log may be nil.
func NewHints(wall func() time.Time, log *slog.Logger) *Hints {
	if wall == nil {
		wall = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Hints{wall: wall, log: log, last: map[Source]Hint{}, said: map[string]time.Time{}}
}

// Add takes a hint. A less certain word of the same source, which fits the one
// before, does not replace it while that is fresh.
func (x *Hints) Add(h Hint) {
	x.mu.Lock()
	defer x.mu.Unlock()
	new := x.estimate(h)
	if h, ok := x.last[h.Source]; ok {
		if old := x.estimate(h); old.Age < fresh && agree(old, new) && old.Uncertainty <= new.Uncertainty {
			return
		}
	}
	if _, known := x.last[h.Source]; !known {
		x.log.Info("hint of the time", "source", string(h.Source), "from", h.From, "time", stamp(new.Now), "clock_ahead", -new.Ahead.Round(time.Millisecond), "within", new.Uncertainty)
	}
	x.last[h.Source] = h
	for _, other := range sources {
		o, ok := x.last[other]
		if !ok || other == h.Source {
			continue
		}
		if e := x.estimate(o); e.Age < fresh && !agree(e, new) && x.due(string(min(other, h.Source))+"/"+string(max(other, h.Source))) {
			best, _ := x.best()
			x.log.Warn("time sources do not agree", "wins", string(best.Source), string(new.Source), stamp(new.Now), string(e.Source), stamp(e.Now))
		}
	}
}

// due reports whether something may be said now; x.mu is held.
func (x *Hints) due(what string) bool {
	if at, ok := x.said[what]; ok && time.Since(at) < sayEvery {
		return false
	}
	x.said[what] = time.Now()
	return true
}

func (x *Hints) mayLog(what string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.due(what)
}

func agree(a, b Estimate) bool {
	return a.Now.Sub(b.Now).Abs() <= a.Uncertainty+b.Uncertainty+apart
}

// estimate carries a hint on by the monotonic clock.
func (x *Hints) estimate(h Hint) Estimate {
	age := time.Since(h.At)
	now := h.Time.Add(age)
	return Estimate{Source: h.Source, From: h.From, Now: now, Age: age, Ahead: now.Sub(x.wall().Round(0)),
		Uncertainty: h.Uncertainty + time.Duration(float64(age)*drift)}
}

// Best returns the estimate that wins: of the fresh ones that of the best source,
// without any of those likewise of the rest. ok is false when nobody said
// anything for a day.
func (x *Hints) Best() (e Estimate, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.best()
}

func (x *Hints) best() (Estimate, bool) {
	for _, limit := range []time.Duration{fresh, forgotten} {
		for _, s := range sources {
			if h, ok := x.last[s]; ok {
				if e := x.estimate(h); e.Age < limit {
					return e, true
				}
			}
		}
	}
	return Estimate{}, false
}

// Quarrel names two sources of the last hour that do not agree, the best first; ""
// when all do.
func (x *Hints) Quarrel() string {
	for i, s := range sources {
		for _, other := range sources[i+1:] {
			a, known := x.of(s)
			b, too := x.of(other)
			if known && too && !agree(a, b) {
				return fmt.Sprintf("%s says %s, %s says %s", a.From, stamp(a.Now), b.From, stamp(b.Now))
			}
		}
	}
	return ""
}

// of returns the estimate of one source, if it is fresh.
func (x *Hints) of(s Source) (Estimate, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h, ok := x.last[s]
	if !ok {
		return Estimate{}, false
	}
	e := x.estimate(h)
	return e, e.Age < fresh
}

// Certificate says why a certificate does not hold by its dates, and whether the
// clock is to blame: it is, unless a hint lies outside the dates as well.
func (x *Hints) Certificate(c *x509.Certificate) (why string, clock bool) {
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	why = fmt.Sprintf("the certificate is valid from %s to %s, and this device thinks it is %s", day(c.NotBefore), day(c.NotAfter), stamp(x.wall()))
	e, ok := x.Best()
	if !ok {
		return why, true
	}
	return fmt.Sprintf("%s; %s says it is %s", why, e.From, stamp(e.Now)), !e.Now.Before(c.NotBefore) && !e.Now.After(c.NotAfter)
}
