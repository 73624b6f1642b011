package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/deploy/testkit/smalldisk"
	"cattlecounter/edge/config"
	"cattlecounter/edge/local"
	"cattlecounter/edge/orders"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/status"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/job"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// station is an agent in this process.
type station struct {
	t       *testing.T
	a       *Agent
	card    string
	cloud   *fakecloud.Cloud
	changed chan struct{}
}

func newStation(t *testing.T, change ...func(*config.Config)) *station {
	t.Helper()
	s := &station{t: t, card: t.TempDir(), cloud: fakecloud.New("cc_t"), changed: make(chan struct{}, 1)}
	srv := httptest.NewServer(s.cloud)
	t.Cleanup(srv.Close)
	c := config.Defaults()
	c.Site, c.Device, c.Token, c.Cloud.URL = "s", "d", secret.New("cc_t"), srv.URL
	c.Watch.Folders, c.Watch.Stable, c.Watch.Sidecar, c.Watch.Poll = []string{s.card}, 100*time.Millisecond, 0,
		20*time.Millisecond
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c.Spool.Dir, c.Spool.MinFree = dir, 1<<20
	for _, f := range change {
		f(&c)
	}
	if s.a, err = Open(c, "test", slog.New(slog.DiscardHandler), new(slog.LevelVar)); err != nil {
		t.Fatal(err)
	}
	s.a.spool.Records.OnChange(func(spool.Record) {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.a.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *station) addVideo(name string, content []byte) {
	s.t.Helper()
	s.put(name, append([]byte("\x00\x00\x00\x20ftypisom"), content...), time.Now())
}

func (s *station) waitFor(what string, ok func([]spool.Record) bool) []spool.Record {
	s.t.Helper()
	limit := time.NewTimer(3 * time.Minute)
	defer limit.Stop()
	poll := time.NewTicker(50 * time.Millisecond) // not every condition changes a record
	defer poll.Stop()
	for {
		if list := s.a.spool.Records.All(); ok(list) {
			return list
		}
		select {
		case <-s.changed:
		case <-poll.C:
		case <-limit.C:
			s.t.Fatalf("%s: not within the time limit; %+v", what, s.a.spool.Records.All())
		}
	}
}

// Every order is in the published contract, and every command of the contract is an order.
func TestOrdersAreInTheContract(t *testing.T) {
	names := slices.Sorted(maps.Keys(new(orders.Station).Actions()))
	if !slices.Equal(names, topic.CommandNames()) {
		t.Errorf("the station has the orders %v, the contract %v", names, topic.CommandNames())
	}
}

func TestOrdersOfTheLink(t *testing.T) {
	s := newStation(t)
	if err := s.a.station().SetPaused(true); err != nil {
		t.Fatal(err)
	}
	s.addVideo("a.mp4", []byte("cows"))
	id := string(s.waitFor("spooled", func(l []spool.Record) bool {
		return len(l) == 1 &&
			l[0].State == spool.Spooled
	})[0].ID)
	actions := s.a.station().Actions()
	for _, c := range []struct {
		name string
		args map[string]string
		want string // in the answer or the refusal
		ok   bool
	}{
		{orders.Prioritise, map[string]string{"footage": id, "priority": "7", "now": "true"}, "has priority 7", true},
		{orders.Prioritise, map[string]string{"footage": id}, "has priority 1", true},
		{orders.Prioritise, map[string]string{"footage": "unknown"}, "not in the spool", false},
		{orders.Prioritise, nil, "set the argument footage", false},
		{orders.Prioritise, map[string]string{"footage": id, "priority": "high"}, "not a number", false},
		{orders.Prioritise, map[string]string{"footage": id, "now": "yes"}, "not true or false", false},
		{orders.Limit, map[string]string{"rate": "512KiB"}, "limited to 512KiB per second", true},
		{orders.Limit, map[string]string{"rate": "none"}, "no limit", true},
		{orders.Limit, map[string]string{"rate": "configured"}, "configured limit", true},
		{orders.Limit, map[string]string{"rate": "fast"}, "fast", false},
		{orders.Limit, map[string]string{"rate": "0"}, "above 0", false},
		{orders.Limit, map[string]string{"rate": "1"}, "at least 4096", false},
		{orders.Limit, nil, "set the argument rate", false},
		{orders.Metered, map[string]string{"link": "yes"}, "as metered", true},
		{orders.Metered, map[string]string{"link": "no"}, "not metered", true},
		{orders.Metered, map[string]string{"link": "configured"}, "as configured", true},
		{orders.Metered, nil, "set the argument link", false},
		{orders.Log, map[string]string{"level": "debug"}, "level debug until", true},
		{orders.Log, map[string]string{"level": "loud"}, "not debug, info", false},
		{orders.Rescan, nil, "scanned now", true},
		{orders.Fsck, nil, "is whole", true},
	} {
		why, err := actions[c.name].Do(t.Context(), c.args)
		if got := fmt.Sprint(why, err); (err == nil) != c.ok || !strings.Contains(got, c.want) {
			t.Errorf("%s %v: %s", c.name, c.args, got)
		}
	}
	if s.a.level.Level() != slog.LevelDebug {
		t.Error("the order did not change the log's level")
	}
}

func TestOrdersAndResults(t *testing.T) {
	s := newStation(t)
	if err := s.a.station().SetPaused(true); err != nil {
		t.Fatal(err)
	}
	s.addVideo("a.mp4", []byte("cows"))
	list := s.waitFor("spooled", func(l []spool.Record) bool { return len(l) == 1 && l[0].State == spool.Spooled })
	if !s.a.Status().Agent.Paused || s.a.Status().Link.State != uplink.LinkPaused {
		t.Error("not paused")
	}
	retry := func(footage string) (string, error) {
		return s.a.station().Actions()[orders.Retry].Do(t.Context(), map[string]string{"footage": footage})
	}
	for _, footage := range []string{"", "../x"} {
		if _, err := retry(footage); err == nil {
			t.Errorf("retry of %q is not refused", footage)
		}
	}
	if err := s.a.spool.Recovery.Quarantine(list[0].ID, "by hand"); err != nil {
		t.Fatal(err)
	}
	if why, err := retry("all"); err != nil || why != "1 pieces of footage are retried" {
		t.Error(why, err)
	}
	if err := s.a.station().SetPaused(false); err != nil {
		t.Fatal(err)
	}
	s.waitFor("reclaimed", func(l []spool.Record) bool { return l[0].State == spool.Reclaimed })
	s.cloud.Lock()
	f := s.cloud.Footage[list[0].ID]
	f.Job = &wire.Job{ID: "j1", State: job.Done, Seq: 4, Attempt: 1, Progress: job.Progress{Percent: 100, Count: 92}}
	f.Count = &wire.Count{Unique: 92, Low: 88, High: 97}
	s.cloud.Unlock()
	r := s.a.spool.Records.All()[0]
	if err := s.a.results.Fetch(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	st, err := local.Status(t.Context(), s.a.cfg.Spool.Dir)
	if err != nil || len(st.Footage) != 1 || st.Footage[0].Phase != status.PhaseDone || st.Footage[0].Count.High != 97 ||
		st.Totals[status.PhaseDone] != 1 {
		t.Errorf("%v %+v", err, st)
	}
	if v := s.a.vitals(); v.DiskTotal == 0 || !v.LinkUp || v.SpoolFootage != 0 {
		t.Errorf("%+v", v)
	}
}

// Other files fill a real small disk: the status shows it, nothing is lost, and the
// station continues by itself when there is space.
func TestFullDisk(t *testing.T) {
	dir := smalldisk.Mount(t, "160m")
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 100<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStation(t, func(c *config.Config) { c.Spool.Dir, c.Spool.MinFree = filepath.Join(dir, "spool"), 32<<20 })
	s.addVideo("big.mp4", bytes.Repeat([]byte("cow "), 10<<20))
	s.waitFor("waiting", func(l []spool.Record) bool { return len(l) == 1 && strings.HasPrefix(l[0].Waiting, "no space") })
	if st := s.a.Status(); !strings.Contains(st.Footage[0].Waiting, "spool.min_free") {
		t.Errorf("%+v", st.Footage)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.waitFor("through", func(l []spool.Record) bool { return l[0].State == spool.Reclaimed })
}
