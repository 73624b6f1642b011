package clock

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/spool"
)

// memory is a spool that stores the known time.
type memory struct {
	known  spool.KnownTime
	writes int
	err    error
}

func (s *memory) KnownTime() (spool.KnownTime, error) { return s.known, nil }

func (s *memory) SetKnownTime(k spool.KnownTime) error {
	s.writes++
	if s.err == nil {
		s.known = k
	}
	return s.err
}

// board is a device whose wall clock a test sets.
type board struct {
	*Clock
	memory *memory
	log    bytes.Buffer
	mu     sync.Mutex
	off    time.Duration // of the wall clock, from a bubble's
	synced bool
}

func newBoard(t *testing.T, change ...func(*Options)) *board {
	t.Helper()
	b := &board{memory: &memory{}}
	o := Options{Store: b.memory, Synced: func() bool { return b.locked(func() bool { return b.synced }) },
		NTPEvery: 15 * time.Minute,
		Wall: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return time.Now().Add(b.off).Round(0)
		}, Log: slog.New(slog.NewTextHandler(&b.log, nil))}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Clock = c
	b.askNTP = func(context.Context, string) (Hint, error) { return Hint{}, errors.New("no answer") }
	b.askGPSD = func(context.Context, string) (Hint, error) { return Hint{}, ErrNoFix }
	return b
}

func (b *board) locked(f func() bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return f()
}

// set sets the wall clock.
func (b *board) set(t time.Time) { b.mu.Lock(); b.off = t.Sub(time.Now().Round(0)); b.mu.Unlock() }

func (b *board) sync(yes bool) { b.mu.Lock(); b.synced = yes; b.mu.Unlock() }

// run runs the clock within a bubble.
func (b *board) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
}

func pass(d time.Duration) { <-time.After(d); synctest.Wait() }

func hint(s Source, t time.Time, within time.Duration) Hint {
	return Hint{Source: s, From: map[Source]string{GNSS: "GNSS", NTP: "time.example", Date: TheServer}[s], Time: t,
		Uncertainty: within, At: time.Now()}
}

// The estimate follows the monotonic clock. A jump of the wall clock changes only the
// difference to it.
func TestWallClockJumpsDoNotMoveTheEstimate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		if e, ok := b.Best(); ok {
			t.Errorf("%+v without a hint", e)
		}
		b.set(time.Unix(100, 0))
		b.Add(hint(NTP, noon(), 100*time.Millisecond))
		pass(time.Minute)
		e, ok := b.Best()
		if !ok || !e.Now.Equal(noon().Add(time.Minute)) || e.Ahead != noon().Sub(time.Unix(100, 0)) || e.Age != time.Minute ||
			e.Uncertainty != 130*time.Millisecond {
			t.Errorf("%+v", e)
		}
		b.set(noon().Add(time.Minute)) // set right
		if e, _ := b.Best(); e.Ahead != 0 || !e.Now.Equal(noon().Add(time.Minute)) || e.WrongBy() != 0 {
			t.Errorf("%+v", e)
		}
		b.set(noon().Add(-time.Hour)) // set wrong
		if e, _ := b.Best(); e.Ahead != time.Hour+time.Minute || e.WrongBy() != e.Ahead-e.Uncertainty ||
			!strings.Contains(e.Text(), "the clock is 1h1m0s slow") {
			t.Errorf("%+v %s", e, e.Text())
		}
		pass(expired)
		if e, ok := b.Best(); ok {
			t.Errorf("%+v after a day", e)
		}
	})
}

func TestBestSourceWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		wins := func(want Source) {
			t.Helper()
			if e, ok := b.Best(); !ok || e.Source != want {
				t.Errorf("%+v, want %s", e, want)
			}
		}
		b.Add(hint(Date, noon(), time.Second))
		wins(Date)
		b.Add(hint(NTP, noon(), time.Millisecond))
		wins(NTP)
		b.Add(hint(GNSS, noon(), time.Second))
		wins(GNSS)
		if strings.Contains(b.log.String(), "do not agree") || b.Disagreement() != "" {
			t.Error(b.log.String())
		}
		pass(fresh) // only the server gives a new hint
		b.Add(hint(Date, noon().Add(fresh), time.Second))
		wins(Date)
		pass(fresh)
		wins(GNSS) // none is fresh
	})
}

// A less certain hint does not replace a better one that it agrees with.
func TestBetterHintStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.Add(hint(Date, noon(), 600*time.Millisecond))
		pass(time.Second)
		b.Add(hint(Date, noon(), 10*time.Second))
		if e, _ := b.Best(); e.Age != time.Second {
			t.Errorf("%+v", e)
		}
		b.Add(hint(Date, noon().Add(time.Hour), 10*time.Second)) // a hint that disagrees replaces it
		if e, _ := b.Best(); e.Age != 0 {
			t.Errorf("%+v", e)
		}
		pass(fresh)
		b.Add(hint(Date, noon().Add(2*fresh), 20*time.Second))
		if e, _ := b.Best(); e.Age != 0 {
			t.Errorf("%+v", e)
		}
	})
}

// A disagreement is logged once an hour, not with every hint.
func TestDisagreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		logged := func() int { return strings.Count(b.log.String(), "do not agree") }
		for i := range 100 {
			b.Add(hint(GNSS, noon().Add(time.Duration(i)*time.Second), time.Second))
			b.Add(hint(Date, noon().AddDate(1, 0, i), time.Second))
			pass(time.Second)
		}
		if d := b.Disagreement(); !strings.HasPrefix(d, "GNSS gives 2") || !strings.Contains(d, ", the server gives ") {
			t.Errorf("%q", d)
		}
		if logged() != 1 || !strings.Contains(b.log.String(), "wins=gnss") {
			t.Errorf("logged %d times: %s", logged(), b.log.String())
		}
		pass(logEvery)
		b.Add(hint(GNSS, noon().Add(2*logEvery), time.Second))
		b.Add(hint(Date, noon(), time.Second))
		if logged() != 2 {
			t.Errorf("logged %d times", logged())
		}
	})
}

func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.set(noon())
		check := func(want string) {
			t.Helper()
			if got := b.Alarm(); !strings.Contains(got, want) || (got == "") != (want == "") {
				t.Errorf("%q, want %q", got, want)
			}
		}
		check("")
		b.set(time.Unix(60, 0))
		check("before this program was built")
		b.Add(hint(GNSS, noon(), time.Second))
		check("by GNSS it is more than a day slow")
		for _, c := range []struct {
			off  time.Duration // of the clock
			want string
		}{
			{0, ""}, {-2 * time.Minute, ""}, {-122 * time.Second, "more than two minutes slow by GNSS"},
			{-112 * time.Second, "two minutes"}, {-100 * time.Second, ""},
			{3 * time.Minute, "two minutes fast"}, {2 * time.Hour, "an hour fast"}, {55*time.Minute + 2*time.Second, "an hour"},
			{50 * time.Minute, "two minutes"}, {25 * time.Hour, "a day"}, {0, ""},
		} {
			b.set(noon().Add(c.off))
			check(c.want)
		}
	})
}

func TestCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		b.set(time.Unix(60, 0))
		c := &x509.Certificate{NotBefore: noon().AddDate(0, 0, -1), NotAfter: noon().AddDate(0, 0, 1)}
		if why, clock := b.Certificate(c); !clock || !strings.HasSuffix(why,
			"this device's clock shows 1970-01-01T00:01:00Z") {
			t.Error(why)
		}
		b.Add(hint(GNSS, noon(), time.Second))
		if why, clock := b.Certificate(c); !clock || !strings.HasSuffix(why, "GNSS gives "+stamp(noon())) {
			t.Error(why)
		}
		c.NotAfter = noon().Add(-time.Hour)
		if why, clock := b.Certificate(c); clock {
			t.Error(why)
		}
	})
}

// Time servers are asked every quarter of an hour in order, sooner after a fault. One
// that refuses queries is not asked for a day.
func TestTimeServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, answers := map[string]int{}, map[string]error{}
		b := newBoard(t, func(o *Options) { o.NTP = []string{"a", "b"} })
		b.askNTP = func(_ context.Context, s string) (Hint, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			asked[s]++
			return hint(NTP, noon(), time.Millisecond), answers[s]
		}
		expect := func(what string, errA, errB error, d time.Duration, wantA, wantB int) {
			t.Helper()
			b.mu.Lock()
			clear(asked)
			answers["a"], answers["b"] = errA, errB
			b.mu.Unlock()
			pass(d)
			b.mu.Lock()
			defer b.mu.Unlock()
			if asked["a"] != wantA || asked["b"] != wantB {
				t.Errorf("%s: %v, want %d and %d", what, asked, wantA, wantB)
			}
		}
		noAnswer := errors.New("no answer")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		defer func() { cancel(); <-done }()
		go func() { done <- b.Run(ctx) }()
		expect("no link: at 0, 1, 3, 7, 15, 30 and 45 minutes", noAnswer, noAnswer, 59*time.Minute, 7, 7)
		expect("a link", nil, nil, time.Hour, 4, 0)
		expect("refused", fmt.Errorf("a: %w", ErrRefused), nil, time.Hour, 1, 4)
		if n := strings.Count(b.log.String(), "time source gives no hint"); n != 1 {
			t.Errorf("logged %d times: %s", n, b.log.String())
		}
	})
}

// On a metered link no time server is asked, unless the configuration wants it.
func TestTimeServersOnAMeteredLink(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int64
			b := newBoard(t, func(o *Options) {
				o.NTP, o.NTPMetered, o.Metered = []string{"a"}, wanted,
					func() bool { return true }
			})
			b.askNTP = func(context.Context, string) (Hint, error) { asked.Add(1); return hint(NTP, noon(), 0), nil }
			b.run(t)
			pass(time.Hour)
			if (asked.Load() > 0) != wanted {
				t.Errorf("asked %d times, wanted %v", asked.Load(), wanted)
			}
		})
	}
}

func TestReceiverIsAskedEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		b := newBoard(t, func(o *Options) { o.GPSD = "127.0.0.1:2947" })
		b.askGPSD = func(_ context.Context, at string) (Hint, error) {
			if asked.Add(1) < 5 || at != "127.0.0.1:2947" {
				return Hint{}, ErrNoFix
			}
			return hint(GNSS, noon(), time.Second), nil
		}
		b.run(t)
		pass(time.Second)
		if _, ok := b.Best(); ok {
			t.Error("a hint without a fix")
		}
		pass(10 * time.Minute)
		if e, ok := b.Best(); !ok || e.Source != GNSS || e.Age > gpsdEvery || asked.Load() != 11 {
			t.Errorf("%+v, asked %d times", e, asked.Load())
		}
	})
}

func TestAddDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		for range 50 {
			b.AddDate("", 0)
			b.AddDate("Thu, 01 Jan 1970 00:00:00 GMT", 0)
		}
		if _, ok := b.Best(); ok || strings.Count(b.log.String(), "time source gives no hint") != 1 {
			t.Error(b.log.String())
		}
		b.AddDate(noon().Format("Mon, 02 Jan 2006 15:04:05 GMT"), time.Second)
		if e, ok := b.Best(); !ok || e.Source != Date || e.Uncertainty != time.Second {
			t.Errorf("%+v", e)
		}
	})
}
