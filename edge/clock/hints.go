package clock

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// fresh is how long a hint wins over those of worse sources.
	fresh = time.Hour
	// expired is the age from which a hint no longer counts.
	expired = 24 * time.Hour
	// drift is the relative error of the board's oscillator; NTP assumes the same
	// (RFC 5905, MAXFREQ).
	drift = 500e-6
	// tolerance is how much two sources may differ beyond their uncertainty.
	tolerance = time.Second
	// logEvery bounds how often the same message is logged.
	logEvery = time.Hour
)

// Estimate is the time now according to a hint.
type Estimate struct {
	Source      Source
	From        string
	Now         time.Time     // UTC
	Uncertainty time.Duration // grows with Age
	Age         time.Duration // of the hint
	// Ahead is Now minus this device's clock: positive when the clock is slow.
	Ahead time.Duration
}

// Hints holds the last hint of each source. It is safe for concurrent use.
type Hints struct {
	wall func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	last   map[Source]Hint
	logged map[string]time.Time // last time by message; the keys are few
}

// NewHints returns empty Hints. wall is the clock to compare with; nil means the
// system's. log may be nil.
func NewHints(wall func() time.Time, log *slog.Logger) *Hints {
	if wall == nil {
		wall = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Hints{wall: wall, log: log, last: map[Source]Hint{}, logged: map[string]time.Time{}}
}

// Add adds a hint. A less certain hint of the same source does not replace a fresh
// one that it agrees with.
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
		x.log.Info("hint of the time", "source", string(h.Source), "from", h.From, "time", stamp(new.Now), "clock_ahead",
			-new.Ahead.Round(time.Millisecond), "within", new.Uncertainty)
	}
	x.last[h.Source] = h
	for _, other := range sources {
		o, ok := x.last[other]
		if !ok || other == h.Source {
			continue
		}
		if e := x.estimate(o); e.Age < fresh && !agree(e, new) && x.mayLogLocked(string(min(other,
			h.Source))+"/"+string(max(other, h.Source))) {
			best, _ := x.best()
			x.log.Warn("time sources do not agree", "wins", string(best.Source), string(new.Source), stamp(new.Now),
				string(e.Source), stamp(e.Now))
		}
	}
}

// mayLogLocked is mayLog with x.mu held.
func (x *Hints) mayLogLocked(what string) bool {
	if at, ok := x.logged[what]; ok && time.Since(at) < logEvery {
		return false
	}
	x.logged[what] = time.Now()
	return true
}

// mayLog reports whether a message may be logged now, and notes that it is.
func (x *Hints) mayLog(what string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mayLogLocked(what)
}

func agree(a, b Estimate) bool {
	return a.Now.Sub(b.Now).Abs() <= a.Uncertainty+b.Uncertainty+tolerance
}

// estimate carries a hint forward by the monotonic clock.
func (x *Hints) estimate(h Hint) Estimate {
	age := time.Since(h.At)
	now := h.Time.Add(age)
	return Estimate{Source: h.Source, From: h.From, Now: now, Age: age, Ahead: now.Sub(x.wall().Round(0)),
		Uncertainty: h.Uncertainty + time.Duration(float64(age)*drift)}
}

// Best returns the fresh estimate of the best source, or else the best older one. ok
// is false when no hint arrived for a day.
func (x *Hints) Best() (e Estimate, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.best()
}

func (x *Hints) best() (Estimate, bool) {
	for _, limit := range []time.Duration{fresh, expired} {
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

// Disagreement names two sources of the last hour that do not agree, the better one
// first. It is "" when all agree.
func (x *Hints) Disagreement() string {
	for i, s := range sources {
		for _, other := range sources[i+1:] {
			a, known := x.of(s)
			b, alsoKnown := x.of(other)
			if known && alsoKnown && !agree(a, b) {
				return fmt.Sprintf("%s gives %s, %s gives %s", a.From, stamp(a.Now), b.From, stamp(b.Now))
			}
		}
	}
	return ""
}

// of returns the estimate of one source. ok is false unless it is fresh.
func (x *Hints) of(s Source) (e Estimate, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h, ok := x.last[s]
	if !ok {
		return Estimate{}, false
	}
	e = x.estimate(h)
	return e, e.Age < fresh
}

// Certificate explains why a certificate is not valid by its dates. clock reports
// whether this device's clock is the cause: it is, unless a hint lies outside the
// dates too.
func (x *Hints) Certificate(c *x509.Certificate) (why string, clock bool) {
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	why = fmt.Sprintf("the certificate is valid from %s to %s, and this device's clock shows %s", day(c.NotBefore),
		day(c.NotAfter), stamp(x.wall()))
	e, ok := x.Best()
	if !ok {
		return why, true
	}
	return fmt.Sprintf("%s; %s gives %s", why, e.From, stamp(e.Now)), !e.Now.Before(c.NotBefore) &&
		!e.Now.After(c.NotAfter)
}
