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

// night is a station with the window 22:00-06:00 in UTC, and a rate at which a file takes
// more than a minute.
func night(t *testing.T, clock *skew, synced *atomic.Bool, metered bool) *station {
	t.Helper()
	w, err := schedule.Parse([]string{"22:00-06:00"}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return newBubble(t, func(co *CloudOptions, o *Options) {
		o.Windows, o.Now, o.Synced, o.RateLimit = w, clock.now, synced.Load, 100<<10
		co.Budget = mustBudget(t, o.Spool.Link.(*spool.Link), BudgetOptions{Metered: metered, Now: clock.now,
			Synced: synced.Load})
	})
}

func mustBudget(t *testing.T, sp *spool.Link, o BudgetOptions) *Budget {
	t.Helper()
	o.Store, o.Zone = sp, time.UTC
	b, err := NewBudget(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// skew is a wall clock that a test sets forward. Passing hours in the bubble would take
// minutes, because the spool's store has tickers of milliseconds.
type skew struct{ ahead atomic.Int64 }

func (s *skew) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())).UTC() }

// until sets the clock to the next h:m:s and waits until every part has noticed.
func (s *skew) until(h, m, sec int) {
	now := s.now()
	to := time.Date(now.Year(), now.Month(), now.Day(), h, m, sec, 0, time.UTC)
	if !to.After(now) {
		to = to.AddDate(0, 0, 1)
	}
	s.ahead.Add(int64(to.Sub(now)))
	after(checkEvery)
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
		if l := st.up.Link(); l.State != LinkHeld || !strings.Contains(l.Detail,
			"outside the windows 22:00-06:00, resumes at 22:00") || rec.Waiting != l.Detail {
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
			t.Errorf("got hold %+v", h)
		}
		after(10 * time.Minute)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Reclaimed || st.up.Report().Hold != nil {
			t.Errorf("got record %+v", rec)
		}
		if got := st.received(); got != 20<<20 {
			t.Errorf("%d bytes twice", got-20<<20)
		}
	})
}

// Without a synced clock the hour is unknown. An unmetered link is used at once, and stops
// when the clock is synced and outside the window.
func TestWindowWithoutSyncedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		st := night(t, &clock, &synced, false)
		clock.until(12, 0, 0)
		r := st.add("day.mp4", 20<<20, false)
		st.run()
		after(time.Minute)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Uploading || rec.Waiting != "" {
			t.Errorf("got record %+v", rec)
		}
		synced.Store(true)
		after(checkEvery + time.Second)
		if l := st.up.Link(); l.State != LinkHeld {
			t.Errorf("got link %+v", l)
		}
	})
}

// A metered link waits for the clock, until an order makes it unmetered.
func TestMeteredLinkWaitsForTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		st := night(t, &clock, &synced, true)
		r := st.add("day.mp4", 1000, false)
		st.run()
		clock.until(23, 0, 0) // by a clock that may be wrong
		if l := st.up.Link(); l.State != LinkHeld || !strings.Contains(l.Detail, "the clock is not synced") ||
			st.received() != 0 {
			t.Errorf("got link %+v", l)
		}
		if err := st.up.SetMetered(false); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("got record %+v", rec)
		}
		if rep := st.up.Report(); rep.Metered || !rep.MeteredOrdered {
			t.Errorf("got report %+v", rep)
		}
		if err := st.up.ResetMetered(); err != nil || !st.up.Report().Metered || st.up.Report().MeteredOrdered {
			t.Errorf("got error %v, report %+v", err, st.up.Report())
		}
	})
}

// The clock is set and marked as synced between two reads: the window is judged by the new
// time, not by midnight in 1970.
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
		if h, _ := st.up.currentHold(); !errors.Is(h.cause, ErrWindow) || h.until.UTC().Hour() != 22 {
			t.Errorf("got hold %+v", h)
		}
	})
}

// The windows follow a synced clock that jumps during an upload. Nothing is sent twice or
// lost.
func TestWindowWhileTheClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		var synced atomic.Bool
		st := night(t, &clock, &synced, false)
		r := st.add("night.mp4", 20<<20, false)
		st.run()
		jump := func(to time.Time, trusted bool) {
			clock.ahead.Store(int64(time.Until(to)))
			synced.Store(trusted)
			after(checkEvery)
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
		if rec := st.record(r.ID); rec.State != spool.Reclaimed || st.received() != 20<<20 {
			t.Errorf("%+v, %d bytes", rec, st.received())
		}
	})
}

// An operator's pause overrides every other hold and is shown.
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
			t.Errorf("got link %+v", l)
		}
		st.up.SetPaused(false)
		after(time.Minute)
		if l := st.up.Link(); l.State != LinkHeld {
			t.Errorf("got link %+v", l)
		}
	})
}

func TestStopsAreNotFaults(t *testing.T) {
	for _, err := range []error{ErrPaused, ErrWindow, ErrBudget, ErrPreempted, errors.Join(ErrBudget, ErrLink)} {
		if !isStop(err) {
			t.Error(err)
		}
	}
	if isStop(ErrLink) || isStop(nil) {
		t.Error("a fault counts as a stop")
	}
}
