package alarm

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// station is a station without faults, whose faults a test sets.
type station struct {
	records   []spool.Record
	space     spool.Space
	spaceErr  error
	salvaged  *spool.Salvaged
	clock     string
	reconcile uplink.Reconciliation
	link      uplink.Link
	changes   int
	log       strings.Builder
}

func newStation() *station { return &station{space: spool.Space{Total: 1 << 40, Limit: 1 << 40}} }

func (s *station) alarms(change ...func(*Options)) *Alarms {
	o := Options{Records: func() []spool.Record { return s.records },
		Space:    func() (spool.Space, error) { return s.space, s.spaceErr },
		Salvaged: func() *spool.Salvaged { return s.salvaged }, Clock: func() string { return s.clock },
		Reconciliation: func() uplink.Reconciliation { return s.reconcile }, Link: func() uplink.Link { return s.link },
		OnChange: func() { s.changes++ }, Log: slog.New(slog.NewTextHandler(&s.log, nil))}
	for _, f := range change {
		f(&o)
	}
	return New(o)
}

func TestSpaceLevel(t *testing.T) {
	level := 0
	for _, c := range []struct {
		percent float64
		want    int
	}{{10, 0}, {79.9, 0}, {80, 80}, {79, 80}, {77.9, 0}, {91, 90}, {89, 90}, {87, 80}, {100, 100}, {98.5, 100}, {97, 90},
		{50, 0}} {
		if level = spaceLevel(c.percent, level); level != c.want {
			t.Errorf("%v %%: %d, want %d", c.percent, level, c.want)
		}
	}
}

func TestEachFaultIsAnAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*station)
		want   string
	}{
		Space: {func(s *station) { s.spaceErr = errors.New("disk is gone") }, "disk is gone"},
		Spool: {func(s *station) { s.salvaged = &spool.Salvaged{Entries: 7} },
			"was broken when the agent started: 7 entries saved"},
		Quarantine: {func(s *station) { s.records = []spool.Record{{State: spool.Quarantined}, {}} },
			"1 pieces of footage are in quarantine"},
		Cloud: {func(s *station) { s.reconcile.Lost = 2 }, "2 pieces of footage are lost"},
		Clock: {func(s *station) { s.clock = "the clock is slow" }, "the clock is slow"},
		Token: {func(s *station) {
			s.link = uplink.Link{State: uplink.LinkRefused, Detail: "the token of dock-1 expired (HTTP 401)",
				Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		}, "since 2026-03-01 12:00:00 UTC: the token of dock-1 expired (HTTP 401); ask an admin for a code"},
	} {
		s := newStation()
		a := s.alarms()
		if found := a.Check(); len(found) != 0 {
			t.Errorf("%v without a fault", found)
		}
		c.change(s)
		if found := a.Check(); len(found) != 1 || !strings.Contains(found[name], c.want) {
			t.Errorf("%s: %v", name, found)
		}
		if all, line := a.All(); all[name] != line || line == "" {
			t.Errorf("%s: %v, %q", name, all, line)
		}
	}
}

// An alarm is logged and published when it begins and when it ends, not in between.
func TestAlarmIsLoggedOnce(t *testing.T) {
	s := newStation()
	a := s.alarms()
	for _, step := range []struct {
		clock         string
		raised, ended int
	}{{"", 0, 0}, {"slow", 1, 0}, {"slow", 1, 0}, {"slower", 2, 0}, {"", 2, 1}, {"", 2, 1}} {
		s.clock = step.clock
		a.Check()
		raised, ended := strings.Count(s.log.String(), "alarm raised"), strings.Count(s.log.String(), "alarm ended")
		if raised != step.raised || ended != step.ended || s.changes != raised+ended {
			t.Errorf("%q: raised %d times, ended %d times, published %d times", step.clock, raised, ended, s.changes)
		}
	}
}

func TestRunChecksUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation()
		var slow atomic.Bool
		a := s.alarms(func(o *Options) {
			o.Clock = func() string {
				if slow.Load() {
					return "slow"
				}
				return ""
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		synctest.Wait()
		slow.Store(true)
		<-time.After(checkEvery + time.Second)
		if all, _ := a.All(); all[Clock] != "slow" {
			t.Errorf("%v", all)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestSpaceAlarmNamesTheLimit(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		used, quota, minFree int64
		want                 string
	}{
		{1 * gib, 0, 0, ""},
		{85 * gib / 10, 0, 2 * gib, "more than 80 % full; its limit is 8.0 GiB"},
		{10 * gib, 9 * gib, 0, "full at its limit of 9.0 GiB"},
	} {
		s := newStation()
		s.space = spool.Space{Total: 10 * gib, Limit: 10 * gib, Used: c.used}
		a := s.alarms(func(o *Options) { o.Quota, o.MinFree = c.quota, c.minFree })
		if got := a.Check()[Space]; !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
