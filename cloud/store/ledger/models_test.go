package ledger

import (
	"maps"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

func detector(name string) wire.ModelRef {
	return wire.ModelRef{Name: name, SHA256: footage.Sum([]byte(name))}
}

// A recount's own model comes before that of its site, and this before that for all sites.
func TestWhichModelCounts(t *testing.T) {
	l, _ := fresh(t)
	ctx := By(t.Context(), "root")
	j := begun(t, l, "f1")
	site := must.Get(l.Footage.Get(ctx, "f1"))(t).Site
	want := func(m wire.ModelRef) {
		t.Helper()
		if got := must.Get(l.Models.For(ctx, j.ID))(t); got != m {
			t.Errorf("the job is counted with %s, want %s", got, m)
		}
	}
	want(wire.ModelRef{})
	must.Get(l.Models.Choose(ctx, "", detector("herd")))(t)
	want(detector("herd"))
	must.Get(l.Models.Choose(ctx, "elsewhere", detector("far")))(t)
	must.Get(l.Models.Choose(ctx, site, detector("dunes")))(t)
	want(detector("dunes"))
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 3, Low: 2, High: 4, Model: "dunes", ModelDigest: detector("dunes").SHA256}, "k"))(t)
	again := must.Get(l.Jobs.RecountWith(ctx, "f1", detector("other")))(t)
	if again.Model != detector("other") || again.State != job.Uploaded {
		t.Errorf("the job of the recount: %+v", again)
	}
	want(detector("other"))
	if read := must.Get(l.Jobs.Get(ctx, j.ID))(t); read.Model != detector("other") {
		t.Errorf("read: %+v", read.Model)
	}
	must.Do(t, l.Jobs.Cancel(ctx, j.ID)) // takes the wish back
	want(wire.ModelRef{})                // a job that has ended wants none
	must.Get(l.Jobs.Retry(ctx, j.ID))(t)
	want(detector("dunes"))
	must.Get(l.Models.Choose(ctx, site, wire.ModelRef{}))(t)
	want(detector("herd"))
	must.Get(l.Models.Choose(ctx, "", wire.ModelRef{}))(t)
	want(wire.ModelRef{})

	chosen := must.Get(l.Models.Chosen(ctx))(t)
	if len(chosen) != 3 || chosen[0].Site != "" || !chosen[0].Model.IsZero() || chosen[0].Who != "root" {
		t.Errorf("chosen: %+v", chosen)
	}
	history := must.Get(l.Models.History(ctx, nil, 2))(t)
	if len(history) != 2 || history[0].Site != "" || history[1].Site != site || history[0].N <= history[1].N {
		t.Errorf("history: %+v", history)
	}
	told := must.Get(l.Audit.Find(ctx, AuditQuery{Action: ActionChooseModel, Limit: 9}))(t)
	if len(told) != 5 || told[4].Who != "root" || told[4].Subject != "all sites: "+detector("herd").String() {
		t.Errorf("audit: %+v", told)
	}
	told = must.Get(l.Audit.Find(ctx, AuditQuery{Action: ActionRecount, Limit: 9}))(t)
	if len(told) != 1 || told[0].Subject != "f1: "+detector("other").String() {
		t.Errorf("audit of the recount: %+v", told)
	}
}

// The way back of a site does not depend on how often others have chosen since, and repeated choices of one model are one.
func TestModelBefore(t *testing.T) {
	l, _ := fresh(t)
	ctx := By(t.Context(), "root")
	choose := func(site, name string) {
		t.Helper()
		m := wire.ModelRef{}
		if name != "" {
			m = detector(name)
		}
		must.Get(l.Models.Choose(ctx, site, m))(t)
	}
	other := wire.ModelRef{Name: "herd", SHA256: footage.Sum([]byte("another network"))}
	for _, c := range [][2]string{{"north", "old"}, {"north", "herd"}, {"north", "herd"}, {"south", "herd"}, {"west", "herd"}, {"west", ""}} {
		choose(c[0], c[1])
	}
	must.Get(l.Models.Choose(ctx, "", other))(t)
	for range 60 {
		choose("busy", "a")
		choose("busy", "b")
	}
	choose("", "herd")
	got := map[string]wire.ModelRef{}
	for _, c := range must.Get(l.Models.Before(ctx))(t) {
		got[c.Site] = c.Model
	}
	want := map[string]wire.ModelRef{"north": detector("old"), "west": detector("herd"), "busy": detector("a"), "": other}
	if !maps.Equal(got, want) {
		t.Errorf("before: %v, want %v", got, want)
	}
	choose("north", "old") // a roll-back can be rolled back
	if b := must.Get(l.Models.Before(ctx))(t); b[2].Site != "north" || b[2].Model != detector("herd") {
		t.Errorf("after the roll-back: %+v", b)
	}
	sites := map[string]int{}
	for _, c := range must.Get(l.Models.History(ctx, SiteSet{"north", "south"}, 50))(t) {
		sites[c.Site]++
	}
	if !maps.Equal(sites, map[string]int{"": 2, "north": 4, "south": 1}) {
		t.Errorf("choices of two sites: %v", sites)
	}
}

func TestRefusedModels(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	for _, m := range []wire.ModelRef{{Name: "herd"}, {SHA256: footage.Sum(nil)}, {Name: "a\x00b", SHA256: footage.Sum(nil)}} {
		must.FailWith(t, errOf(l.Models.Choose(ctx, "", m)), ErrInvalid)
		must.FailWith(t, errOf(l.Jobs.RecountWith(ctx, "f1", m)), ErrInvalid)
	}
	must.FailWith(t, errOf(l.Models.Choose(ctx, "no/site", detector("herd"))), ErrInvalid)
	must.FailWith(t, errOf(l.Models.For(ctx, "none")), ErrNotFound)
}

// Counts of two models of the same footage are compared, also where the newer one has replaced the older one.
func TestCompareModelsByCounts(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	count := func(j Job, model string, n int) {
		t.Helper()
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: n, Low: n - 1, High: n + 2, Model: model, ModelDigest: detector(model).SHA256}, "k"))(t)
	}
	for i, id := range []string{"f1", "f2", "f3"} {
		count(begun(t, l, id), "herd", 10+i)
		if id == "f3" {
			continue
		}
		again := must.Get(l.Jobs.RecountWith(ctx, footage.ID(id), detector("dunes")))(t)
		again, _, err := l.Attempts.Begin(ctx, again.ID, "w1")
		must.Do(t, err)
		count(again, "dunes", 20+i)
		if done := must.Get(l.Jobs.Get(ctx, again.ID))(t); !done.Model.IsZero() {
			t.Errorf("a job that is done still wants %s", done.Model)
		}
	}
	both := must.Get(l.Models.Compare(ctx, detector("herd"), detector("dunes"), Scope{}, 9))(t)
	if len(both) != 2 || both[0].Footage.ID != "f2" || both[0].Old != (wire.Interval{Unique: 11, Low: 10, High: 13}) ||
		both[0].New != (wire.Interval{Unique: 21, Low: 20, High: 23}) {
		t.Errorf("compared: %+v", both)
	}
	if none := must.Get(l.Models.Compare(ctx, detector("herd"), detector("dunes"), Scope{Sites: SiteSet{"elsewhere"}}, 9))(t); len(none) != 0 {
		t.Errorf("of another site: %+v", none)
	}
}

// A worker that does not write again in time is no longer alive, and is forgotten after a day.
func TestLivingWorkers(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	l := must.Get(openAt(t.Context(), newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	ctx := t.Context()
	models := []wire.InstalledModel{{ModelRef: detector("herd"), Size: 9, Threshold: 0.4, Since: now.Add(-time.Hour), Loaded: true, Own: true,
		Comparison: &wire.ModelComparison{Verdict: "better", Reasons: []string{"F1 is higher"}, Compared: now}}}
	must.Do(t, l.Workers.Report(ctx, Worker{Name: "w1", Started: now, Until: now.Add(time.Minute), Models: models}))
	must.Do(t, l.Workers.Report(ctx, Worker{Name: "w2", Started: now, Until: now.Add(time.Hour)}))
	must.Do(t, l.Workers.Report(ctx, Worker{Name: "w1", Started: now, Until: now.Add(2 * time.Minute), Models: models}))
	alive := must.Get(l.Workers.Alive(ctx))(t)
	if len(alive) != 2 || alive[0].Name != "w1" || !alive[0].Started.Equal(now) || len(alive[0].Models) != 1 ||
		alive[0].Models[0].ModelRef != detector("herd") || alive[0].Models[0].Comparison.Verdict != "better" {
		t.Errorf("alive: %+v", alive)
	}
	now = now.Add(3 * time.Minute)
	if alive = must.Get(l.Workers.Alive(ctx))(t); len(alive) != 1 || alive[0].Name != "w2" {
		t.Errorf("w1 is late: %+v", alive)
	}
	must.Do(t, l.Workers.Remove(ctx, "w2"))
	must.Do(t, l.Workers.Remove(ctx, "w2"))
	if alive = must.Get(l.Workers.Alive(ctx))(t); len(alive) != 0 {
		t.Errorf("after its end: %+v", alive)
	}
	now = now.Add(2 * forgetWorkers)
	must.Do(t, l.Workers.Report(ctx, Worker{Name: "w3", Started: now, Until: now.Add(time.Minute)}))
	var rows int
	must.Do(t, l.DB().Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM worker`).Scan(&rows))
	if rows != 1 {
		t.Errorf("%d workers are remembered, want 1", rows)
	}
}

// A worker with a wrong clock neither looks dead nor makes others forgotten.
func TestWorkersWithWrongClocks(t *testing.T) {
	place, ctx := newPlace(t), t.Context()
	wrong := func(d time.Duration) *Ledger {
		l := must.Get(openAt(ctx, place, Options{}))(t)
		t.Cleanup(func() { must.Do(t, l.Close()) })
		l.tables.now = func() time.Time { return time.Now().Add(d) }
		return l
	}
	right, fast, slow := wrong(0), wrong(2*forgetWorkers), wrong(-time.Hour)
	for name, l := range map[string]*Ledger{"fast": fast, "slow": slow, "right": right} {
		must.Do(t, l.Workers.Report(ctx, Worker{Name: name, Started: l.tables.now(), Until: l.tables.now().Add(30 * time.Minute)}))
	}
	must.Do(t, fast.Workers.Report(ctx, Worker{Name: "fast", Started: fast.tables.now(), Until: fast.tables.now().Add(30 * time.Minute)}))
	for what, l := range map[string]*Ledger{"fast": fast, "slow": slow, "right": right} {
		var names []string
		for _, w := range must.Get(l.Workers.Alive(ctx))(t) {
			names = append(names, w.Name)
			if left := time.Until(w.Until); left <= 0 || left > time.Hour {
				t.Errorf("%s is alive for %s", w.Name, left)
			}
		}
		if !slices.Equal(names, []string{"fast", "right", "slow"}) {
			t.Errorf("alive for one whose clock is %s: %v", what, names)
		}
	}
}

// A report that cannot be read costs the models of its worker, and nothing of others.
func TestReportThatCannotBeRead(t *testing.T) {
	l, ctx := must.Get(openAt(t.Context(), newPlace(t), Options{}))(t), t.Context()
	defer l.Close()
	for _, name := range []string{"new", "old"} {
		must.Do(t, l.Workers.Report(ctx, Worker{Name: name, Started: time.Now(), Until: time.Now().Add(time.Hour), Models: []wire.InstalledModel{{ModelRef: detector("herd")}}}))
	}
	must.Get(l.DB().Exec(ctx, `UPDATE worker SET document = '[{"name":"herd"},{"size":"large"}]' WHERE name = 'new'`))(t)
	alive := must.Get(l.Workers.Alive(ctx))(t)
	if len(alive) != 2 || alive[0].Name != "new" || len(alive[0].Models) != 0 || len(alive[1].Models) != 1 {
		t.Errorf("alive: %+v", alive)
	}
}
