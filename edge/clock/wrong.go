package clock

import (
	"fmt"
	"sync"
	"time"
)

// WrongBy is how much the clock is wrong at least, if the source is right: what to
// add to the clock, 0 when it may be right.
func (e Estimate) WrongBy() time.Duration {
	switch least := e.Ahead.Abs() - e.Uncertainty; {
	case least <= 0:
		return 0
	case e.Ahead < 0:
		return -least
	default:
		return least
	}
}

// Text describes the estimate and the clock for people.
func (e Estimate) Text() string {
	state := fmt.Sprintf("the clock is right within %s", max(e.Ahead.Abs(), e.Uncertainty,
		time.Millisecond).Round(time.Millisecond))
	if w := e.WrongBy(); w != 0 {
		state = fmt.Sprintf("the clock is %s %s", Coarse(w.Abs()), side(w))
	}
	return fmt.Sprintf("%s gives %s, %s", e.From, stamp(e.Now), state)
}

func side(d time.Duration) string {
	if d < 0 {
		return "fast"
	}
	return "slow"
}

// Coarse prints a duration of 0 or more with few digits.
func Coarse(d time.Duration) string {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	switch {
	case d >= 2*year:
		return fmt.Sprintf("%d years", d/year)
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Minute:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

// steps are the alarm's steps, worst first. Its text changes with the step only, so
// that a drifting clock does not raise a new alarm every minute.
var steps = []struct {
	least time.Duration
	text  string
}{{24 * time.Hour, "a day"}, {time.Hour, "an hour"}, {2 * time.Minute, "two minutes"}}

// alarm is the current step. The zero value is ready.
type alarm struct {
	mu   sync.Mutex
	step time.Duration // 0: no alarm
}

// at moves to the step of an offset and returns its text. A step ends a tenth below
// its threshold, so that the alarm does not flap.
func (a *alarm) at(off time.Duration) (text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range steps {
		if off >= s.least || a.step >= s.least && off >= s.least-s.least/10 {
			a.step = s.least
			return s.text
		}
	}
	a.step = 0
	return ""
}

// Alarm describes a wrong clock in one line. It is "" when no source contradicts the
// clock.
func (c *Clock) Alarm() string {
	old := c.o.Wall().Before(Built())
	text := ""
	if old {
		text = "the clock shows a time before this program was built on " + Built().Format(time.DateOnly)
	}
	e, ok := c.Best()
	if !ok {
		return text
	}
	off := e.WrongBy()
	step := c.alarm.at(off.Abs())
	switch {
	case step == "":
		return text
	case old:
		return fmt.Sprintf("%s; by %s it is more than %s %s", text, e.From, step, side(off))
	}
	return fmt.Sprintf("the clock is more than %s %s by %s", step, side(off), e.From)
}
