package doctor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/status"
	"cattlecounter/shared/topic"
)

func TestHintsOfTheTime(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(cloud))
	defer srv.Close()
	gnss := func(off time.Duration, err error) func(*Options) {
		return func(o *Options) {
			o.Config.Clock.GPSD = "127.0.0.1:2947"
			o.Probes.GPSD = func(context.Context, string) (clock.Hint, error) {
				return hint(clock.GNSS, "GNSS", time.Now().Add(off)), err
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Options)
		level  Level
		want   string
		do     string
	}{
		{"clock by GNSS", gnss(0, nil), OK, "ok    clock    kept by a time service, right within 1s by GNSS", ""},
		{"clock of 1970 by GNSS", both(func(o *Options) {
			o.Probes.Now = func() time.Time { return time.Unix(60, 0) }
			o.Probes.Clock = func() topic.Clock { return topic.ClockUnsynced }
		}, gnss(0, nil)), Fail, "fail  clock    the clock shows 1970-01-01T00:01:00Z, which is ",
			"years off by GNSS"},
		{"GNSS without a fix", gnss(0, clock.ErrNoFix), Warn,
			"warn  clock    the GNSS receiver does not know the time: no GNSS fix", "view of the sky"},
		{"no gpsd", gnss(0, syscall.ECONNREFUSED), Warn,
			"warn  clock    cannot ask gpsd for the time: connection refused", "systemctl status gpsd"},
		{"sources that disagree", gnss(time.Hour, nil), Fail,
			"warn  clock    time sources do not agree: GNSS gives ", "which source is wrong"},
		{"time servers of the configuration", func(o *Options) {
			o.Config.Clock.NTP = o.NTP
			o.Probes.NTP = func(context.Context, string) (clock.Hint, error) { return clock.Hint{}, errors.New("no way") }
		}, Warn, "warn  clock    no time server answers: no way", "UDP port 123"},
		{"alarm of the clock", func(o *Options) {
			s := running()
			s.Alarms = map[string]string{"clock": "slow"}
			o.Probes.Agent = func(context.Context, string) (status.Status, error) { return s, nil }
		}, Warn, "warn  agent    alarm clock: slow", "see the finding on the clock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := healthyStation(srv.URL)
			c.change(o)
			if r, text := run(t, o); r.Level != c.level || !strings.Contains(text, c.want) || !strings.Contains(text, c.do) {
				t.Errorf("level %s, want %s, %q and %q in\n%s", r.Level, c.level, c.want, c.do, text)
			}
		})
	}
}
