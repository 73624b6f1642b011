package agent

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cattlecounter/edge/alarm"
	"cattlecounter/edge/clock"
	"cattlecounter/edge/config"
	"cattlecounter/edge/local"
	"cattlecounter/edge/orders"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/job"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// idle is an agent that does not run.
func idle(t *testing.T) *Agent {
	t.Helper()
	c := config.Defaults()
	c.Site, c.Device, c.Token, c.Cloud.URL, c.Watch.Folders = "s", "d", secret.New("cc_t"), "http://127.0.0.1:1",
		[]string{t.TempDir()}
	c.Spool.Dir, c.Spool.MinFree = t.TempDir(), 1<<20
	a, err := Open(c, "test", slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// The uptime of a board that started in 1970 does not jump when its clock is set.
func TestUptimeWithClockJump(t *testing.T) {
	a := idle(t)
	a.started = time.Unix(60, 0)
	if v, s := a.vitals().UptimeSeconds, a.Status().Agent.Uptime; v < 0 || v > 3600 || s < 0 || s > 3600 {
		t.Errorf("up for %v and %v seconds", v, s)
	}
}

// The Date header of the cloud's answers is a hint.
func TestCloudsDateIsAHint(t *testing.T) {
	s := newStation(t)
	s.addVideo("a.mp4", []byte("cows"))
	s.waitFor("through", func(l []spool.Record) bool { return len(l) == 1 && l[0].State == spool.Reclaimed })
	st := s.a.Status()
	h := st.ClockHint
	if h == nil || h.Source != topic.ClockDate || h.From != clock.TheServer || h.Offset > h.Uncertainty ||
		h.Offset < -h.Uncertainty || st.Alarms[alarm.Clock] != "" {
		t.Fatalf("%+v", h)
	}
	v := s.a.vitals()
	if v.ClockOffset == nil || v.ClockSource != topic.ClockDate {
		t.Errorf("%+v", v)
	}
}

// A hint raises the alarm, but does not change whether the clock is synced.
func TestWrongClockIsAnAlarm(t *testing.T) {
	a := idle(t)
	if v := a.vitals(); v.ClockOffset != nil || v.ClockSource != "" || a.Status().ClockHint != nil ||
		a.alarms.Check()[alarm.Clock] != "" {
		t.Errorf("%+v", v)
	}
	if b, err := json.Marshal(a.vitals()); err != nil || strings.Contains(string(b), "clock_offset") ||
		strings.Contains(string(b), "clock_source") {
		t.Errorf("%s %v", b, err)
	}
	before := a.Status().Clock
	now := time.Now()
	a.clock.Add(clock.Hint{Source: clock.GNSS, From: "GNSS", Time: now.Add(90 * time.Minute), At: now})
	if got := a.alarms.Check()[alarm.Clock]; got != "the clock is more than an hour slow by GNSS" {
		t.Error(got)
	}
	if v := a.vitals(); v.ClockSource != topic.ClockGNSS || *v.ClockOffset < 5399 || *v.ClockOffset > 5400 {
		t.Errorf("%+v", v)
	}
	if a.Status().Clock != before {
		t.Error("a hint changed the state of the clock")
	}
}

// The newest message from the cloud is a lower bound of the time, if the cloud's clock was
// synced.
func TestMessagesAreALowerBound(t *testing.T) {
	a := idle(t)
	r, err := a.spool.Captures.Add(spool.Source{Path: "/card/a.mp4", Size: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := clock.Built().AddDate(0, 0, 9)
	put := func(seq int64, at time.Time, c topic.Clock) {
		t.Helper()
		j := topic.Job{Header: topic.Header{Seq: seq, At: at, Clock: c}, Job: "j", Footage: r.ID, State: job.Processing}
		if _, err := a.spool.Records.PutJob(j); err != nil {
			t.Fatal(err)
		}
	}
	put(1, at.AddDate(1, 0, 0), topic.ClockUnsynced)
	if f := a.clock.Read(); !f.Floor.Equal(clock.Built()) {
		t.Errorf("%+v", f)
	}
	put(2, at, topic.ClockSynced)
	if f := a.clock.Read(); !f.Floor.Equal(at) {
		t.Errorf("%+v", f)
	}
}

// An order from the same machine expires by the device's clock, even a wrong one.
func TestLocalOrderIn1970(t *testing.T) {
	s := newStation(t)
	r, err := local.Order(t.Context(), s.a.cfg.Spool.Dir, topic.Command{ID: "o", Name: orders.Pause,
		Expires: time.Unix(3660, 0)})
	for errors.Is(err, local.ErrNotRunning) && t.Context().Err() == nil { // its socket does not exist yet
		r, err = local.Order(t.Context(), s.a.cfg.Spool.Dir, topic.Command{ID: "o", Name: orders.Pause,
			Expires: time.Unix(3660, 0)})
	}
	if err != nil || r.State != topic.Finished || !s.a.uplink.Paused() {
		t.Errorf("%+v %v", r, err)
	}
}
