package clock

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/spool"
)

func TestFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		message := time.Time{}
		b := newBoard(t, func(o *Options) { o.Messages = func() time.Time { return message } })
		b.set(time.Unix(60, 0))
		check := func(want time.Time, why string) {
			t.Helper()
			r := b.Read()
			if !r.Floor.Equal(want) || !strings.Contains(r.Why, why) || r.Synced {
				t.Errorf("%+v, want %s by %s", r, want, why)
			}
		}
		check(Built(), "built")
		b.Add(hint(NTP, noon().AddDate(9, 0, 0), time.Second))
		b.Add(hint(Date, noon().AddDate(9, 0, 0), time.Second))
		check(Built(), "built") // who speaks over the network proves nothing
		message = noon().AddDate(900, 0, 0)
		check(Built(), "built")
		message = noon()
		check(noon(), "message")
		b.floor.known.GNSS = noon().Add(time.Hour)
		check(noon().Add(time.Hour), "the last time that GNSS gave")
		b.floor.known.Synced = noon().Add(2 * time.Hour)
		check(noon().Add(2*time.Hour), "the last time at which this clock was synced")
		b.Add(hint(GNSS, noon().Add(3*time.Hour), time.Second))
		check(noon().Add(3*time.Hour-time.Second), "the time by GNSS")
	})
}

// While the clock is synced its time is kept hourly; a run that loses the time
// carries it on, and the next run begins with what was kept.
func TestSyncedTimeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.set(time.Unix(60, 0))
		b.run(t)
		pass(3 * time.Hour)
		if b.shelf.writes != 0 {
			t.Errorf("%+v of a clock that is not synced", b.shelf.known)
		}
		b.set(noon()) // a time service sets it
		b.sync(true)
		pass(10 * time.Hour)
		if b.shelf.writes < 9 || b.shelf.writes > 11 {
			t.Errorf("%d writes in 10 hours", b.shelf.writes)
		}
		if late := noon().Add(10 * time.Hour).Sub(b.shelf.known.Synced); late < 0 || late > keepEvery+lookEvery {
			t.Errorf("%s old", late)
		}
		b.sync(false) // the time service dies, and the clock goes wild
		b.set(time.Unix(60, 0))
		pass(time.Hour)
		if r := b.Read(); r.Floor.Before(noon().Add(11*time.Hour-time.Minute)) || r.Floor.After(noon().Add(11*time.Hour)) {
			t.Errorf("%+v", r)
		}
		again, err := New(Options{Store: b.shelf, Synced: func() bool { return false }, Wall: b.o.Wall})
		if err != nil {
			t.Fatal(err)
		}
		if r := again.Read(); !r.Floor.Equal(b.shelf.known.Synced) {
			t.Errorf("%+v after a power cut, kept is %+v", r, b.shelf.known)
		}
	})
}

// What was kept wrong, by a receiver that lied or a clock that was, goes when the
// clock is synced, also when it is behind.
func TestWrongFloorGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.shelf.known = spool.KnownTime{Synced: noon().AddDate(2, 0, 0), GNSS: noon().AddDate(20, 0, 0)}
		b.floor.known = b.shelf.known
		b.set(noon())
		b.sync(true)
		b.run(t)
		if !b.shelf.known.Synced.Equal(noon()) || !b.shelf.known.GNSS.IsZero() {
			t.Errorf("%+v", b.shelf.known)
		}
		if r := b.Read(); !r.Synced || !r.Floor.Equal(noon()) {
			t.Errorf("%+v", r)
		}
	})
}

// GNSS is kept apart and hourly, its newest word counts.
func TestReceiversTimeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.shelf.known.Synced = noon().AddDate(0, 0, -1)
		b.floor.known = b.shelf.known
		b.set(time.Unix(60, 0))
		b.Add(hint(GNSS, noon(), time.Second))
		b.run(t)
		if k := b.shelf.known; !k.GNSS.Equal(noon().Add(-time.Second)) || !k.Synced.Equal(noon().AddDate(0, 0, -1)) {
			t.Errorf("%+v", k)
		}
		pass(30 * time.Minute)
		b.Add(hint(GNSS, noon().AddDate(5, 0, 0), time.Second))
		pass(10 * time.Minute)
		if b.shelf.writes != 1 {
			t.Errorf("%d writes within an hour", b.shelf.writes)
		}
	})
}

// A spool that cannot be written is tried again in an hour, not every minute.
func TestShelfThatIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.shelf.err = errors.New("disk is full")
		b.set(noon())
		b.sync(true)
		b.run(t)
		pass(5 * time.Hour)
		if n := b.shelf.writes; n < 5 || n > 6 || !b.shelf.known.Synced.IsZero() {
			t.Errorf("%d writes", n)
		}
	})
}
