package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// counted records footage of a site and counts it alone.
func counted(t testing.TB, l *Ledger, site, id string, captured time.Time, unique int) {
	t.Helper()
	f := sample(id, "content of "+id)
	f.Site, f.Device, f.Name, f.Captured = site, "base-"+site, id+".mp4", captured
	j := begin(t, l, f)
	c := Count{Unique: unique, Low: unique - 1, High: unique + 2}
	must.Get(l.Attempts.Finish(t.Context(), j.ID, j.Fence, c, "k"))(t)
}

// brief is what a sighting says, in short.
func brief(all []Sighting) string {
	var text []string
	for _, s := range all {
		text = append(text, fmt.Sprintf("%s%s:%d", s.Footage, strings.Repeat("flight", min(len(s.Flight), 1)), s.Unique))
	}
	return strings.Join(text, " ")
}

func TestSightings(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	now := c.Now()
	counted(t, l, "south", "s1", now.Add(-time.Hour), 20)
	counted(t, l, "north", "n1", now.Add(-3*24*time.Hour), 30)
	// Counted last, but recorded before.
	counted(t, l, "north", "n0", now.Add(-9*24*time.Hour), 40)
	// Without a time, and with one in the future: they count by their arrival.
	counted(t, l, "east", "e1", time.Time{}, 5)
	c.Advance(time.Minute)
	counted(t, l, "east", "e2", c.Now().Add(30*24*time.Hour), 6)
	// A duplicate, footage without a count and a failed one are no sightings.
	dup := sample("n1-copy", "content of n1")
	must.Get(l.Footage.Record(ctx, dup))(t)
	must.Get(l.Footage.Record(ctx, sample("waits", "waits")))(t)

	if names := must.Get(l.Sites.Names(ctx, 10))(t); !slices.Equal(names, []string{"east", "north", "south"}) {
		t.Errorf("sites %v", names)
	}
	if names := must.Get(l.Sites.Names(ctx, 2))(t); len(names) != 2 {
		t.Errorf("sites %v", names)
	}
	for site, want := range map[string]string{"north": "n1:30 n0:40", "south": "s1:20", "east": "e2:6 e1:5", "west": ""} {
		if got := brief(must.Get(l.Sites.Newest(ctx, site, Scope{}, time.Time{}, 5))(t)); got != want {
			t.Errorf("%s: %s, want %s", site, got, want)
		}
	}
	if n := must.Get(l.Sites.Count(ctx, "north", Scope{}, now.Add(-7*24*time.Hour)))(t); n != 1 {
		t.Errorf("%d sightings within a week", n)
	}
	if got := brief(must.Get(l.Sites.Newest(ctx, "north", Scope{Device: "base-south"}, time.Time{}, 5))(t)); got != "" {
		t.Errorf("another device reads %s", got)
	}
	week := now.Add(-7 * 24 * time.Hour)
	if got := brief(must.Get(l.Sites.History(ctx, "", Scope{}, week, 3))(t)); got != "e2:6 e1:5 s1:20" {
		t.Errorf("history %s", got)
	}
	in := Scope{Sites: SiteSet{"south", "west"}}
	if got := brief(must.Get(l.Sites.History(ctx, "", in, time.Time{}, 9))(t)); got != "s1:20" {
		t.Errorf("of two sites: %s", got)
	}
	if got := must.Get(l.Sites.Count(ctx, "north", in, time.Time{}))(t); got != 0 {
		t.Errorf("of another site: %d", got)
	}
	got := must.Get(l.Sites.History(ctx, "north", Scope{}, time.Time{}, 10))(t)
	if brief(got) != "n1:30 n0:40" || got[0].Low != 29 || got[0].High != 32 || got[0].Name != "n1.mp4" ||
		!got[0].At.Equal(now.Add(-3*24*time.Hour).Truncate(time.Microsecond)) || !got[0].Captured.Equal(got[0].At) {
		t.Errorf("history %+v", got)
	}
}

// A flight of several parts is one sighting, also while a part has left it.
func TestFlightIsOneSighting(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	for n := 1; n <= 3; n++ {
		f := piece("base-1", n)
		finish(t, l, begin(t, l, f), f, 9+n)
	}
	want := "flight:12"
	got := must.Get(l.Sites.Newest(ctx, "north", Scope{}, time.Time{}, 5))(t)
	if brief(got) != want || got[0].Name != "DJI_0001.MP4" || got[0].Footage != "" {
		t.Fatalf("got %+v", got)
	}
	must.Do(t, l.tables.write(ctx, "leave", func(ctx context.Context, tx *sql.Tx) error {
		return l.tables.leaveFlight(ctx, tx, footage.ID("base-1-1"))
	}))
	got = must.Get(l.Sites.Newest(ctx, "north", Scope{}, time.Time{}, 5))(t)
	if brief(got) != "flight:12 base-1-1:10" {
		t.Errorf("after the first part has left: %s", brief(got))
	}
	if n := must.Get(l.Sites.Count(ctx, "north", Scope{}, time.Time{}))(t); n != 2 {
		t.Errorf("%d sightings", n)
	}
}

func TestWork(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	if b := must.Get(l.Work.Backlog(ctx, Scope{}))(t); b != (Backlog{}) {
		t.Errorf("empty: %+v", b)
	}
	first := record(t, l, "w1", "one")
	waits := c.Now()
	c.Advance(time.Minute)
	record(t, l, "w2", "two")
	held := begun(t, l, "h1")
	began := c.Now()
	c.Advance(time.Minute)
	must.Get(l.Attempts.UpdateProgress(ctx, held.ID, held.Fence, job.Progress{Percent: 40, FPS: 12}))(t)
	failed := begun(t, l, "x1")
	c.Advance(time.Second)
	must.Get(l.Attempts.Fail(ctx, failed.ID, failed.Fence, "cut off"))(t)
	ended := c.Now()

	b := must.Get(l.Work.Backlog(ctx, Scope{}))(t)
	if b.Waiting != 2 || b.Held != 1 || !b.Oldest.Equal(waits.Truncate(time.Microsecond)) {
		t.Errorf("backlog %+v, want 2 and 1 since %s", b, waits)
	}
	if b := must.Get(l.Work.Backlog(ctx, Scope{Device: "base-9"}))(t); b != (Backlog{}) {
		t.Errorf("another device: %+v", b)
	}
	own := Scope{Device: "base-1", Sites: SiteSet{"north"}}
	if b := must.Get(l.Work.Backlog(ctx, own))(t); b.Waiting != 2 || b.Held != 1 {
		t.Errorf("its device: %+v", b)
	}
	south := Scope{Sites: SiteSet{"south"}}
	if b := must.Get(l.Work.Backlog(ctx, south))(t); b != (Backlog{}) {
		t.Errorf("another site: %+v", b)
	}
	if js := must.Get(l.Work.Jobs(ctx, job.Processing, south, false, 5))(t); len(js) != 0 {
		t.Errorf("another site has the jobs %+v", js)
	}
	js := must.Get(l.Work.Jobs(ctx, job.Processing, Scope{}, false, 5))(t)
	if len(js) != 1 || !js[0].Began.Equal(began.Truncate(time.Microsecond)) || js[0].Progress.Percent != 40 ||
		js[0].Footage.ID != "h1" {
		t.Errorf("held jobs %+v", js)
	}
	js = must.Get(l.Work.Jobs(ctx, job.Uploaded, Scope{Device: "base-1"}, false, 1))(t)
	if len(js) != 1 || js[0].ID != first.Job.ID || !js[0].Began.IsZero() {
		t.Errorf("waiting jobs %+v", js)
	}
	if js = must.Get(l.Work.Jobs(ctx, job.Uploaded, Scope{}, true, 1))(t); len(js) != 1 || js[0].Footage.ID != "w2" {
		t.Errorf("newest waiting job %+v", js)
	}
	idle := must.Get(l.Work.Idle(ctx, waits, 5))(t)
	if len(idle) != 1 || !idle[0].Since.Equal(ended.Truncate(time.Microsecond)) {
		t.Errorf("idle workers %+v", idle)
	}
	if idle = must.Get(l.Work.Idle(ctx, c.Now(), 5))(t); len(idle) != 0 {
		t.Errorf("idle workers %+v", idle)
	}
}

func TestFaultyFlightLogs(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	for i, state := range []LogState{LogOK, LogUnreadable, LogMissing, LogNoFix, LogDoesNotFit} {
		id := fmt.Sprintf("f%d", i)
		record(t, l, id, id)
		d := must.Get(l.Grounds.ListDue(ctx, "", 10))(t)[0]
		must.Do(t, l.Grounds.Put(ctx, d, Ground{Log: FlightLog{State: state, Why: "line " + id}}))
	}
	ids := func(in Scope, limit int) (ids string) {
		t.Helper()
		for _, v := range must.Get(l.Grounds.ListFaulty(ctx, in, limit))(t) {
			ids += string(v.Footage.ID) + " " + v.Log.Why + ";"
		}
		return ids
	}
	for want, got := range map[string]string{
		"f4 line f4;f3 line f3;f1 line f1;": ids(Scope{}, 10), "f4 line f4;": ids(Scope{Device: "base-1"}, 1),
		"": ids(Scope{Device: "base-2"}, 10) + ids(Scope{Sites: SiteSet{"south"}}, 10),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestStationDocuments(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	if all := must.Get(l.Stations.All(ctx))(t); len(all) != 0 {
		t.Errorf("got %v", all)
	}
	must.Do(t, l.Stations.Put(ctx, "dock-1", "one"))
	must.Do(t, l.Stations.Put(ctx, "dock-2", "two"))
	must.Do(t, l.Stations.Put(ctx, "dock-1", "new\x00"))
	if all := must.Get(l.Stations.All(ctx))(t); len(all) != 2 || all["dock-1"] != "new\uFFFD" || all["dock-2"] != "two" {
		t.Errorf("got %v", all)
	}
}

func BenchmarkOverviewOf100000(b *testing.B) {
	ctx := b.Context()
	l := full(b, 100_000)
	week := time.UnixMicro(99_000) // 1,000 pieces of footage
	for name, f := range map[string]func() error{
		"sites":   func() error { _, err := l.Sites.Names(ctx, maxSites); return err },
		"newest":  func() error { _, err := l.Sites.Newest(ctx, "north", Scope{}, time.Time{}, 2); return err },
		"week":    func() error { _, err := l.Sites.Count(ctx, "north", Scope{}, week); return err },
		"history": func() error { _, err := l.Sites.History(ctx, "", Scope{}, time.Time{}, 2000); return err },
		"backlog": func() error { _, err := l.Work.Backlog(ctx, Scope{}); return err },
		"failed":  func() error { _, err := l.Work.Jobs(ctx, job.Failed, Scope{}, true, 50); return err },
		"logs":    func() error { _, err := l.Grounds.ListFaulty(ctx, Scope{}, 50); return err },
		"idle":    func() error { _, err := l.Work.Idle(ctx, time.Time{}, 100); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				must.Do(b, f())
			}
		})
	}
}

// A site is known by its footage, by a token or by its paddocks.
func TestUnknownSites(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	counted(t, l, "filmed", "f1", c.Now(), 20)
	must.Get(l.Devices.Add(ctx, "dock-1", "equipped", RoleDevice))(t)
	must.Do(t, l.Devices.Revoke(ctx, "dock-1"))
	must.Get(l.Borders.Put(ctx, Borders{Site: "fenced", Document: "x", Paddocks: 1}))(t)
	asked := []string{"flimed", "filmed", "equipped", "dock-1", "fenced", "", "a'b"}
	if got := must.Get(l.Sites.Unknown(ctx, asked))(t); !slices.Equal(got, []string{"flimed", "dock-1", "", "a'b"}) {
		t.Errorf("%q are unknown", got)
	}
}
