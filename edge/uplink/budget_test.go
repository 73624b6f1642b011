package uplink

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/spool"
)

// memory is a dataUseStore in memory.
type memory struct {
	use    spool.DataUse
	orders spool.LinkOrders
	writes int
	err    error
}

func (s *memory) DataUse() (spool.DataUse, error)   { return s.use, nil }
func (s *memory) Orders() (spool.LinkOrders, error) { return s.orders, nil }
func (s *memory) SetDataUse(d spool.DataUse) error {
	if s.err == nil {
		s.use = d
	}
	s.writes++
	return s.err
}

// wall is a wall clock that a test sets.
type wall struct {
	now    time.Time
	synced bool
}

func day(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

func newMemoryBudget(t *testing.T, s *memory, w *wall, perDay, perMonth int64) *Budget {
	t.Helper()
	b, err := NewBudget(BudgetOptions{Store: s, Metered: true, Day: perDay, Month: perMonth, Zone: time.UTC,
		Now: func() time.Time { return w.now }, Synced: func() bool { return w.synced }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const mib = 1 << 20

func TestOnlyTrustedClockStartsNewDay(t *testing.T) {
	s, w := &memory{}, &wall{now: day("1970-01-01 00:10")}
	b := newMemoryBudget(t, s, w, 10*mib, 25*mib)
	use := func(n int64) error { _, err := b.reserve(n, n); return err }
	step := func(name string, want error, until string) {
		t.Helper()
		err := use(10 * mib)
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if h := b.hold(); (h.cause == nil) != (until == "") || !strings.HasSuffix(h.detail, until) {
			t.Errorf("%s: %+v, want %q", name, h, until)
		}
	}
	step("the first day, without a clock", nil,
		"day is used up: 10.0 MiB of 10.0 MiB, resumes when the clock is synced and the next day has begun")
	w.now = day("1970-01-03 00:00")
	step("days later without a clock", ErrBudget, "has begun")
	w.now, w.synced = day("2026-11-28 23:00"), true
	step("the first trusted date only names the day", ErrBudget, "10.0 MiB of 10.0 MiB, resumes at 00:00")
	w.now = day("2026-11-29 00:00")
	step("the next day", nil, "resumes at 00:00")
	w.now = day("2026-11-28 23:59")
	step("set back by a minute", ErrBudget, "resumes at 00:00")
	w.now, w.synced = day("2030-01-01 00:00"), false
	step("far ahead and not trusted", ErrBudget, "has begun")
	w.now, w.synced = day("2026-11-30 12:00"), true
	step("the rest of the month is less than a day's", ErrBudget, "")
	if err := use(5 * mib); err != nil {
		t.Error(err)
	}
	if h := b.hold(); !strings.HasSuffix(h.detail,
		"data budget of the month is used up: 25.0 MiB of 25.0 MiB, resumes at 00:00") {
		t.Errorf("got hold %+v", h)
	}
	w.now = day("2026-12-01 00:00")
	step("the next month", nil, "resumes at 00:00")
	// A trusted clock was wrong: its day is replaced, its bytes still count.
	w.now = day("2026-11-10 12:00")
	step("weeks back", ErrBudget, "resumes at 00:00")
	w.now = day("2026-11-11 12:00")
	step("and the day after", nil, "resumes at 00:00")
}

// A crash between two pieces wastes at most the bytes saved ahead, and every sent byte is
// counted.
func TestBudgetAfterCrash(t *testing.T) {
	s, w := &memory{}, &wall{now: day("2026-11-24 12:00"), synced: true}
	b := newMemoryBudget(t, s, w, 100*mib, 0)
	sent := int64(0)
	for range 700 {
		n, err := b.body(64 << 10)
		if err != nil {
			t.Fatal(err)
		}
		sent += int64(n)
		if wasted := s.use.DayBytes - sent; wasted < 0 || wasted > saveStep {
			t.Fatalf("%d saved, %d sent", s.use.DayBytes, sent)
		}
	}
	if s.writes > 50 {
		t.Errorf("%d writes for %d MiB", s.writes, sent/mib)
	}
	if err := b.Close(); err != nil || s.use.DayBytes != sent {
		t.Errorf("a clean stop saves %d, sent are %d: %v", s.use.DayBytes, sent, err)
	}
}

// Failed writes of the count do not stop the upload, which frees the disk.
func TestBudgetWithFailedWrites(t *testing.T) {
	s, w := &memory{err: errors.New("disk is full")}, &wall{now: day("2026-11-24 12:00"), synced: true}
	b := newMemoryBudget(t, s, w, 2*mib, 0)
	for sum := 0; sum < 2*mib; {
		n, err := b.body(64 << 10)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if _, err := b.body(1); !errors.Is(err, ErrBudget) || s.writes > 10 {
		t.Errorf("%v after %d writes", err, s.writes)
	}
}

// The transfer stops within the budget, shows it, and resumes after midnight.
func TestBudgetOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		st := newBubble(t, func(co *CloudOptions, o *Options) {
			co.Budget = mustBudget(t, o.Spool.Link.(*spool.Link), BudgetOptions{Metered: true, Day: 8 * mib, Month: 100 * mib,
				Now: clock.now})
		})
		r := st.add("big.mp4", 20*mib, false)
		st.run()
		for d := range 3 {
			clock.until(12, 0, 0)
			rep, rec := st.up.Report(), st.record(r.ID)
			if rec.State == spool.Reclaimed {
				break
			}
			want := "data budget of the day is used up: 8.0 MiB of 8.0 MiB, resumes at 00:00"
			if l := st.up.Link(); l.State != LinkHeld || l.Detail != want || rec.Waiting != want {
				t.Errorf("day %d: %+v, waiting %q", d, l, rec.Waiting)
			}
			if rep.Day.Used > 8*mib || rep.Day.Used < 8*mib-leastUse || rep.Hold == nil || rep.Hold.Reason != "budget" {
				t.Errorf("day %d: %+v", d, rep)
			}
			if got := st.received(); got > int64(d+1)*8*mib {
				t.Errorf("day %d: %d bytes", d, got)
			}
		}
		if rec := st.record(r.ID); rec.State != spool.Reclaimed || st.received() != 20*mib {
			t.Errorf("%d bytes, %+v", st.received(), rec)
		}
		if rep := st.up.Report(); rep.Month.Used < 20*mib || rep.Month.Used > 21*mib {
			t.Errorf("got month %+v", rep.Month)
		}
	})
}

// A used up budget does not stop a link that an order makes free of charge.
func TestOrderEndsTheBudgetsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newBubble(t, func(co *CloudOptions, o *Options) {
			co.Budget = mustBudget(t, o.Spool.Link.(*spool.Link), BudgetOptions{Metered: true, Day: 2 * mib})
		})
		r := st.add("big.mp4", 5*mib, false)
		st.run()
		after(time.Minute)
		if l := st.up.Link(); l.State != LinkHeld {
			t.Errorf("got link %+v", l)
		}
		if err := st.up.SetMetered(false); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if rec := st.record(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("got record %+v", rec)
		}
		restarted := mustBudget(t, st.spool.Link, BudgetOptions{Metered: true, Day: 2 * mib})
		if restarted.Metered() {
			t.Error("the order does not survive a restart")
		}
	})
}
