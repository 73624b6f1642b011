package uplink

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/schedule"
	"cattlecounter/edge/spool"
)

// night is a station whose windows are 22:00-06:00, in UTC as bubbles are, at a
// rate that needs more than a minute for a file.
func night(t *testing.T, clock *skew, synced *atomic.Bool, metered bool) *station {
	t.Helper()
	w, err := schedule.Parse([]string{"22:00-06:00"}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return newBubble(t, func(co *CloudOptions, o *Options) {
		o.Windows, o.Now, o.Synced, o.RateLimit = w, clock.now, synced.Load, 100<<10
		co.Budget = mustBudget(t, o.Spool.Link.(*spool.Link), BudgetOptions{Metered: metered, Now: clock.now, Synced: synced.Load})
	})
}

func mustBudget(t *testing.T, sp *spool.Link, o BudgetOptions) *Budget {
	t.Helper()
	o.Books, o.Zone = sp, time.UTC
	b, err := NewBudget(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// skew is a wall clock that a test sets forward. Letting the hours pass instead
// would cost minutes: the spool's store has tickers of milliseconds.
type skew struct{ ahead atomic.Int64 }

func (s *skew) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())).UTC() }

// until sets the clock to the next h:m:s and lets everybody see it.
func (s *skew) until(h, m, sec int) {
	now := s.now()
	to := time.Date(now.Year(), now.Month(), now.Day(), h, m, sec, 0, time.UTC)
	if !to.After(now) {
		to = to.AddDate(0, 0, 1)
	}
	s.ahead.Add(int64(to.Sub(now)))
	after(lookEvery)
}

func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		synced.Store(true)
		st := night(t, &clock, &synced, false)
		clock.until(5, 58, 30)
		r := st.add("night.mp4", 20<<20, false) // 205 s
		st.run()
		after(2 * time.Minute)
		rec, _ := st.spool.Records.Get(r.ID)
		sent := st.received()
		if l := st.up.Link(); l.State != LinkHeld || !strings.Contains(l.Detail, "outside the windows 22:00-06:00, goes on at 22:00") || rec.Waiting != l.Detail {
			t.Errorf("%+v, waiting %q", l, rec.Waiting)
		}
		if rec.State != spool.Uploading || sent < 5<<20 || sent > 7<<20 {
			t.Errorf("%s with %d bytes after a minute of the window", rec.State, sent)
		}
		clock.until(21, 59, 0)
		if got := st.received(); got != sent {
			t.Errorf("%d bytes outside the window", got-sent)
		}
		if h := st.up.Report().Hold; h == nil || h.Reason != "window" || h.Until.UTC().Hour() != 22 {
			t.Errorf("%+v", h)
		}
		after(10 * time.Minute)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Reclaimed || st.up.Report().Hold != nil {
			t.Errorf("%+v", rec)
		}
		if got := st.received(); got != 20<<20 {
			t.Errorf("%d bytes twice", got-20<<20)
		}
	})
}

// With a clock that is not synced the hour is not known: an unmetered link is
// used at once, and stops when the clock comes and says that it is day.
func TestWindowWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		st := night(t, &clock, &synced, false)
		clock.until(12, 0, 0)
		r := st.add("day.mp4", 20<<20, false)
		st.run()
		after(time.Minute)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Uploading || rec.Waiting != "" {
			t.Errorf("%+v", rec)
		}
		synced.Store(true)
		after(lookEvery + time.Second)
		if l := st.up.Link(); l.State != LinkHeld {
			t.Errorf("%+v", l)
		}
	})
}

// A metered link waits for the clock, and an order that it costs nothing lets it go.
func TestWindowOfAMeteredLinkWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		st := night(t, &clock, &synced, true)
		r := st.add("day.mp4", 1000, false)
		st.run()
		clock.until(23, 0, 0) // by a clock that may be wrong
		if l := st.up.Link(); l.State != LinkHeld || !strings.Contains(l.Detail, "the clock is not synced") || st.received() != 0 {
			t.Errorf("%+v", l)
		}
		if err := st.up.SetMetered(false); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("%+v", rec)
		}
		if rep := st.up.Report(); rep.Metered || !rep.MeteredOrdered {
			t.Errorf("%+v", rep)
		}
		if err := st.up.ResetMetered(); err != nil || !st.up.Report().Metered || st.up.Report().MeteredOrdered {
			t.Errorf("%v %+v", err, st.up.Report())
		}
	})
}

// The clock is set and called synced between two looks at it: the window is that of
// the time that counts, not of midnight in 1970.
func TestWindowWhileTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		synced.Store(true)
		st := night(t, &clock, &synced, true)
		clock.until(0, 10, 0) // by a clock that may be wrong
		st.up.o.Synced = func() bool {
			if clock.now().Hour() == 0 {
				clock.ahead.Add(int64(12 * time.Hour))
			}
			return true
		}
		if h, _ := st.up.held(); !errors.Is(h.cause, ErrWindow) || h.until.UTC().Hour() != 22 {
			t.Errorf("%+v", h)
		}
	})
}

// A synced clock that is set forth and back while footage is on its way: the
// windows follow it, and nothing is sent twice or forgotten.
func TestWindowWhileTheClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		st := night(t, &clock, &synced, false)
		r := st.add("night.mp4", 20<<20, false)
		st.run()
		jump := func(to time.Time, sure bool) {
			clock.ahead.Store(int64(time.Until(to)))
			synced.Store(sure)
			after(lookEvery)
		}
		moves := func(what string, want bool) {
			t.Helper()
			before := st.received()
			after(5 * time.Second)
			if got := st.received() > before; got != want {
				t.Errorf("%s: moves %v", what, got)
			}
		}
		jump(time.Unix(60, 0), false)
		moves("1970, not synced", true)
		jump(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), true)
		moves("noon", false)
		jump(time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC), true)
		moves("set back into a window", true)
		jump(time.Date(2099, 1, 1, 12, 0, 0, 0, time.UTC), true)
		moves("far ahead, at noon", false)
		jump(time.Unix(60, 0), false)
		after(10 * time.Minute)
		if rec := st.must(r.ID); rec.State != spool.Reclaimed || st.received() != 20<<20 {
			t.Errorf("%+v, %d bytes", rec, st.received())
		}
	})
}

// An operator's pause wins over everything and is told as what it is.
func TestPauseOutsideTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		synced.Store(true)
		st := night(t, &clock, &synced, false)
		clock.until(12, 0, 0)
		st.run()
		after(time.Second)
		st.up.SetPaused(true)
		after(time.Minute)
		if l := st.up.Link(); l.State != LinkPaused {
			t.Errorf("%+v", l)
		}
		st.up.SetPaused(false)
		after(time.Minute)
		if l := st.up.Link(); l.State != LinkHeld {
			t.Errorf("%+v", l)
		}
	})
}

func TestStopsAreNoFaults(t *testing.T) {
	for _, err := range []error{ErrPaused, ErrWindow, ErrBudget, ErrOvertaken, errors.Join(ErrBudget, ErrLink)} {
		if !isStop(err) {
			t.Error(err)
		}
	}
	if isStop(ErrLink) || isStop(nil) {
		t.Error("a fault is a stop")
	}
}
