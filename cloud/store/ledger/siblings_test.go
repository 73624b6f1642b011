package ledger

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// take is one file of a flight.
func take(id, name string) Footage {
	f := sample(id, "content of "+id)
	f.Name = name
	return f
}

// permutations returns all orders of a list.
func permutations[T any](list []T) (all [][]T) {
	if len(list) < 2 {
		return [][]T{list}
	}
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		for _, p := range permutations(rest) {
			all = append(all, append([]T{list[i]}, p...))
		}
	}
	return all
}

// In every order of arrival the file of the wide camera is counted and the others show its
// job.
func TestSiblingsInEveryOrder(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	for i, order := range permutations([]string{"T", "W", "Z", "S"}) {
		id := func(lens string) footage.ID { return footage.ID(fmt.Sprintf("f%d-%s", i, lens)) }
		for _, lens := range order {
			f := take(string(id(lens)), fmt.Sprintf("DJI_2026063005%04d_0001_%s.MP4", i, lens))
			f.Captured = f.Captured.Add(time.Duration(i) * time.Hour)
			if lens == "S" {
				f.Captured = f.Captured.Add(2 * time.Second) // written a moment later
			}
			must.Get(l.Footage.Record(ctx, f))(t)
		}
		wide := must.Get(l.Footage.Get(ctx, id("W")))(t)
		if wide.SiblingOf != "" || wide.Job == nil || wide.Job.Footage != wide.ID || wide.Job.State != job.Uploaded {
			t.Errorf("%v: the wide one is %+v with %+v", order, wide.Footage, wide.Job)
		}
		for _, lens := range []string{"T", "Z", "S"} {
			v := must.Get(l.Footage.Get(ctx, id(lens)))(t)
			if v.SiblingOf != wide.ID || v.Job == nil || v.Job.Footage != wide.ID || v.BlobKey == "" {
				t.Errorf("%v: %s is %+v with %+v", order, lens, v.Footage, v.Job)
			}
		}
	}
	s := must.Get(l.Totals.Stats(ctx))(t)
	if s.Jobs[job.Uploaded] != 24 || s.Footage != 4*24 {
		t.Errorf("%+v, want one job to do for each flight", s)
	}
}

// Footage is no sibling when name, time, camera or device say something else.
func TestNoSiblings(t *testing.T) {
	later := func(f Footage, d time.Duration) Footage { f.Captured = f.Captured.Add(d); return f }
	unknown := func(f Footage) Footage { f.Captured = time.Time{}; return f }
	elsewhere := func(f Footage) Footage { f.Device = "base-2"; return f }
	wide := take("w", "DJI_0001_W.MP4")
	for name, other := range map[string]Footage{
		"the same camera after a reset of its clock": take("x", "DJI_0001_W.MP4"),
		"another flight of the same name":            later(take("x", "DJI_0001_T.MP4"), time.Minute),
		"another number":                             take("x", "DJI_0002_T.MP4"),
		"an unknown time":                            unknown(take("x", "DJI_0001_T.MP4")),
		"another device":                             elsewhere(take("x", "DJI_0001_T.MP4")),
		"the next part of a flight":                  later(take("x", "DJI_0002_W.MP4"), 2*time.Second),
	} {
		for _, order := range permutations([]Footage{wide, other}) {
			l, _ := fresh(t)
			for _, f := range order {
				if rec := must.Get(l.Footage.Record(t.Context(), f))(t); rec.Job == nil || rec.Footage.SiblingOf != "" {
					t.Errorf("%s: %+v", name, rec)
				}
			}
		}
	}
}

// A flight is in the totals once, also when the thermal file was counted before the wide one
// arrived, and when a person has it counted.
func TestSiblingsInTheTotals(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	end := func(j Job, n int) {
		t.Helper()
		must.Do(t, l.Jobs.MarkQueued(ctx, j.ID))
		begun, _, err := l.Attempts.Begin(ctx, j.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, begun.Fence, Count{Unique: n, Low: n, High: n}, "k"))(t)
	}
	thermal := must.Get(l.Footage.Record(ctx, take("t", "DJI_0001_T.MP4")))(t)
	end(*thermal.Job, 40)
	wide := must.Get(l.Footage.Record(ctx, take("w", "DJI_0001_W.MP4")))(t)
	if s := must.Get(l.Totals.Stats(ctx))(t); s.Counts != 0 || s.Animals != 0 {
		t.Errorf("before the wide one is counted: %+v", s)
	}
	end(*wide.Job, 44)
	zoom := must.Get(l.Footage.Record(ctx, take("z", "DJI_0001_Z.MP4")))(t)
	if zoom.Job != nil || zoom.Footage.SiblingOf != "w" {
		t.Fatalf("got zoom file %+v", zoom)
	}
	for id, want := range map[footage.ID]int{"t": 40, "w": 44, "z": 44} {
		v := must.Get(l.Footage.Get(ctx, id))(t)
		n := must.Get(l.Counts.Get(ctx, id))(t)
		if v.Count == nil || v.Count.Unique != want || n.Unique != want {
			t.Errorf("%s shows %+v and %+v, want %d", id, v.Count, n, want)
		}
	}
	end(must.Get(l.Jobs.CountSibling(ctx, "z"))(t), 7)
	if v := must.Get(l.Footage.Get(ctx, "z"))(t); v.Count.Unique != 7 || v.Job.Footage != "z" {
		t.Errorf("got job %+v, count %+v", v.Job, v.Count)
	}
	must.Do(t, l.Totals.Recount(ctx))
	if s := must.Get(l.Totals.Stats(ctx))(t); s.Counts != 1 || s.Animals != 44 {
		t.Errorf("%+v, want one count of 44", s)
	}
	c.Advance(time.Hour)
	var old []footage.ID
	for _, f := range must.Get(l.Footage.ListCounted(ctx, Choice{}, c.Now(), 10))(t) {
		old = append(old, f.ID)
	}
	if slices.Sort(old); !slices.Equal(old, []footage.ID{"t", "w", "z"}) {
		t.Errorf("counted videos %v", old)
	}
}

// The readers of changes learn that a count is that of a sibling now, and of which.
func TestSiblingsInTheChanges(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	thermal := must.Get(l.Footage.Record(ctx, take("t", "DJI_0001_T.MP4")))(t)
	begun, _, err := l.Attempts.Begin(ctx, thermal.Job.ID, "w")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, begun.ID, begun.Fence, Count{}, "k"))(t)
	var read int64
	for _, leader := range []struct{ id, name string }{{"z", "DJI_0001_Z.MP4"}, {"w", "DJI_0001_W.MP4"}} {
		for _, c := range must.Get(l.Changes.Counts(ctx, read, 10))(t) {
			read = c.Seq
		}
		must.Get(l.Footage.Record(ctx, take(leader.id, leader.name)))(t)
		changed := must.Get(l.Changes.Counts(ctx, read, 10))(t)
		if len(changed) != 1 || changed[0].Footage.ID != "t" || changed[0].Footage.SiblingOf != footage.ID(leader.id) {
			t.Errorf("changed counts after %s: %+v", leader.id, changed)
		}
	}
}

// The video of a sibling without a job goes by the age of the count that stands for it.
func TestSiblingVideosAreOld(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	must.Get(l.Footage.Record(ctx, take("t", "DJI_0001_T.MP4")))(t) // its job is canceled
	wide := must.Get(l.Footage.Record(ctx, take("w", "DJI_0001_W.MP4")))(t)
	must.Get(l.Footage.Record(ctx, take("z", "DJI_0001_Z.MP4")))(t) // it has no job
	c.Advance(time.Hour)
	if fs := must.Get(l.Footage.ListCounted(ctx, Choice{}, c.Now(), 10))(t); len(fs) != 0 {
		t.Errorf("%+v before the count", fs)
	}
	begun, _, err := l.Attempts.Begin(ctx, wide.Job.ID, "w")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, begun.ID, begun.Fence, Count{}, "k"))(t)
	c.Advance(time.Hour)
	if fs := must.Get(l.Footage.ListCounted(ctx, Choice{}, c.Now(), 10))(t); len(fs) != 3 {
		t.Errorf("%d videos, want 3: %+v", len(fs), fs)
	}
}

// Counting a sibling makes one job, or retries the one that was canceled in its favor.
func TestCountSibling(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	thermal := must.Get(l.Footage.Record(ctx, take("t", "DJI_0001_T.MP4")))(t)
	must.Get(l.Footage.Record(ctx, take("w", "DJI_0001_W.MP4")))(t)
	must.Get(l.Footage.Record(ctx, take("z", "DJI_0001_Z.MP4")))(t)
	for id, want := range map[footage.ID]error{"unknown": ErrNotFound, "w": job.ErrTransition} {
		_, err := l.Jobs.CountSibling(ctx, id)
		must.FailWith(t, err, want)
	}
	if j := must.Get(l.Jobs.Get(ctx, thermal.Job.ID))(t); j.State != job.Canceled || j.Reason == "" {
		t.Errorf("%+v, want it canceled with a reason", j)
	}
	for _, id := range []footage.ID{"t", "z"} {
		j := must.Get(l.Jobs.CountSibling(ctx, id))(t)
		if j.State != job.Uploaded || j.Footage != id {
			t.Errorf("got job %+v", j)
		}
		_, err := l.Jobs.CountSibling(ctx, id)
		must.FailWith(t, err, job.ErrTransition)
		if v := must.Get(l.Footage.Get(ctx, id))(t); v.Job.ID != j.ID || v.SiblingOf != "w" {
			t.Errorf("got footage %+v, job %+v", v.Footage, v.Job)
		}
	}
	if as := must.Get(l.Audit.List(ctx, 0, 10))(t); len(as) != 2 || as[0].Action != ActionCountSibling {
		t.Errorf("got attempts %+v", as)
	}
}

// A byte copy of a sibling is a duplicate and shows the same count.
func TestDuplicateOfASibling(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	must.Get(l.Footage.Record(ctx, take("w", "DJI_0001_W.MP4")))(t)
	must.Get(l.Footage.Record(ctx, take("t", "DJI_0001_T.MP4")))(t)
	f := take("copy", "DJI_0009_T.MP4")
	f.SHA256 = footage.Sum([]byte("content of t"))
	must.Get(l.Footage.Record(ctx, f))(t)
	if v := must.Get(l.Footage.Get(ctx, "copy"))(t); v.DuplicateOf != "t" || v.Job == nil || v.Job.Footage != "w" {
		t.Errorf("got footage %+v, job %+v", v.Footage, v.Job)
	}
}

// Two servers record the files of one flight at the same time. One file is counted.
func TestSiblingsRace(t *testing.T) {
	ctx := t.Context()
	place := newPlace(t)
	servers := []*Ledger{open(t, place, clock.New()), open(t, place, clock.New())}
	var all sync.WaitGroup
	for i := range 5 {
		for n, lens := range []string{"W", "T", "Z", "S"} {
			f := take(fmt.Sprintf("f%d-%s", i, lens), fmt.Sprintf("DJI_%04d_%s.MP4", i, lens))
			all.Go(func() {
				if _, err := servers[n%2].Footage.Record(ctx, f); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if s := must.Get(servers[0].Totals.Stats(ctx))(t); s.Jobs[job.Uploaded] != 5 {
		t.Errorf("%+v, want 5 jobs to do", s)
	}
}
