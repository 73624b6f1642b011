package clock

import (
	"fmt"
	"sync"
	"time"
)

// WrongBy says how far off the clock is at least, if the source is right: what
// must be added to it, 0 when it may be right.
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

// Text says whose the estimate is, what time it is by it, and how the clock is.
func (e Estimate) Text() string {
	how := fmt.Sprintf("the clock is right within %s", max(e.Ahead.Abs(), e.Uncertainty, time.Millisecond).Round(time.Millisecond))
	if w := e.WrongBy(); w != 0 {
		how = fmt.Sprintf("the clock is %s %s", Coarse(w.Abs()), side(w))
	}
	return fmt.Sprintf("%s says %s, %s", e.From, stamp(e.Now), how)
}

func side(d time.Duration) string {
	if d < 0 {
		return "fast"
	}
	return "slow"
}

// Coarse prints a duration, 0 or more, with no more digits than people want.
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

// steps are those of the alarm, the worst first: it says the same as long as the
// step is the same, so that only a new one is told.
var steps = []struct {
	least time.Duration
	text  string
}{{24 * time.Hour, "a day"}, {time.Hour, "an hour"}, {2 * time.Minute, "two minutes"}}

// alarm is the step that the alarm is at. The zero value is ready.
type alarm struct {
	mu   sync.Mutex
	step time.Duration // 0: no alarm
}

// at moves to the step of an offset. A step is left a tenth below where it began,
// so that it does not come and go.
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

// Alarm says in one line that the clock is wrong, "" when nothing says so.
func (c *Clock) Alarm() string {
	old := c.o.Wall().Before(Built())
	text := ""
	if old {
		text = "the clock shows a time before this program was built, which was on " + Built().Format(time.DateOnly)
	}
	e, ok := c.Best()
	if !ok {
		return text
	}
	off := e.WrongBy()
	much := c.alarm.at(off.Abs())
	switch {
	case much == "":
		return text
	case old:
		return fmt.Sprintf("%s; %s says that it is more than %s %s", text, e.From, much, side(off))
	}
	return fmt.Sprintf("the clock is more than %s %s, says %s", much, side(off), e.From)
}
