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
		check(Built(), "built") // a hint from the network is no proof
		message = noon().AddDate(900, 0, 0)
		check(Built(), "built")
		message = noon()
		check(noon(), "message")
		b.floor.known.GNSS = noon().Add(time.Hour)
		check(noon().Add(time.Hour), "the last time from GNSS")
		b.floor.known.Synced = noon().Add(2 * time.Hour)
		check(noon().Add(2*time.Hour), "the last time this clock was synced")
		b.Add(hint(GNSS, noon().Add(3*time.Hour), time.Second))
		check(noon().Add(3*time.Hour-time.Second), "the time from GNSS")
	})
}

// A synced clock's time is saved hourly. A run that loses the time service carries it
// forward, and the next run begins with the saved time.
func TestSyncedTimeIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.set(time.Unix(60, 0))
		b.run(t)
		pass(3 * time.Hour)
		if b.memory.writes != 0 {
			t.Errorf("%+v is saved although the clock is not synced", b.memory.known)
		}
		b.set(noon()) // a time service sets it
		b.sync(true)
		pass(10 * time.Hour)
		if b.memory.writes < 9 || b.memory.writes > 11 {
			t.Errorf("%d writes in 10 hours", b.memory.writes)
		}
		if late := noon().Add(10 * time.Hour).Sub(b.memory.known.Synced); late < 0 || late > saveEvery+observeEvery {
			t.Errorf("%s old", late)
		}
		b.sync(false) // the time service stops, and the clock jumps
		b.set(time.Unix(60, 0))
		pass(time.Hour)
		if r := b.Read(); r.Floor.Before(noon().Add(11*time.Hour-time.Minute)) || r.Floor.After(noon().Add(11*time.Hour)) {
			t.Errorf("%+v", r)
		}
		next, err := New(Options{Store: b.memory, Synced: func() bool { return false }, Wall: b.o.Wall})
		if err != nil {
			t.Fatal(err)
		}
		if r := next.Read(); !r.Floor.Equal(b.memory.known.Synced) {
			t.Errorf("%+v after a power cut, saved is %+v", r, b.memory.known)
		}
	})
}

// A wrong saved time is replaced when the clock is synced, even by an earlier time.
func TestSyncedClockCorrectsTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.memory.known = spool.KnownTime{Synced: noon().AddDate(2, 0, 0), GNSS: noon().AddDate(20, 0, 0)}
		b.floor.known = b.memory.known
		b.set(noon())
		b.sync(true)
		b.run(t)
		if !b.memory.known.Synced.Equal(noon()) || !b.memory.known.GNSS.IsZero() {
			t.Errorf("%+v", b.memory.known)
		}
		if r := b.Read(); !r.Synced || !r.Floor.Equal(noon()) {
			t.Errorf("%+v", r)
		}
	})
}

// The time from GNSS is saved separately and hourly.
func TestTimeFromGNSSIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.memory.known.Synced = noon().AddDate(0, 0, -1)
		b.floor.known = b.memory.known
		b.set(time.Unix(60, 0))
		b.Add(hint(GNSS, noon(), time.Second))
		b.run(t)
		if k := b.memory.known; !k.GNSS.Equal(noon().Add(-time.Second)) || !k.Synced.Equal(noon().AddDate(0, 0, -1)) {
			t.Errorf("%+v", k)
		}
		pass(30 * time.Minute)
		b.Add(hint(GNSS, noon().AddDate(5, 0, 0), time.Second))
		pass(10 * time.Minute)
		if b.memory.writes != 1 {
			t.Errorf("%d writes within an hour", b.memory.writes)
		}
	})
}

// A failed save is retried after an hour, not every minute.
func TestFailedSaveIsRetriedHourly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.memory.err = errors.New("disk is full")
		b.set(noon())
		b.sync(true)
		b.run(t)
		pass(5 * time.Hour)
		if n := b.memory.writes; n < 5 || n > 6 || !b.memory.known.Synced.IsZero() {
			t.Errorf("%d writes", n)
		}
	})
}
