package ledger

import (
	"reflect"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

func lineSet(name string) boundary.Set {
	return boundary.Set{Lines: []boundary.Line{{Name: name, From: boundary.Point{0, 0.5}, To: boundary.Point{1, 0.5}}}}
}

// A footage is judged by its own lines, else by those of its device.
func TestLines(t *testing.T) {
	l, clock := fresh(t)
	ctx := By(t.Context(), "anna")
	_, err := l.Devices.Add(ctx, "base-1", "north", RoleDevice)
	must.Do(t, err)
	record(t, l, "f1", "moo")
	device, own := LineOwner{DeviceLines, "base-1"}, LineOwner{FootageLines, "f1"}
	fails := func(class error, what func() error) {
		t.Helper()
		must.FailWith(t, what(), class)
	}
	judgedBy := func(want string) {
		t.Helper()
		s, err := l.Lines.For(ctx, "f1")
		must.Do(t, err)
		if len(s.Set.Lines) != 1 || s.Set.Lines[0].Name != want {
			t.Errorf("%+v, want %s", s, want)
		}
	}
	fails(ErrNotFound, func() error { _, err := l.Lines.For(ctx, "f1"); return err })
	fails(ErrNotFound, func() error { _, err := l.Lines.Get(ctx, device); return err })
	fails(ErrNotFound, func() error { return l.Lines.Delete(ctx, device) })

	put := must.Get(l.Lines.Put(ctx, device, lineSet("station")))(t)
	judgedBy("station")
	if got := must.Get(l.Lines.Get(ctx, device))(t); !reflect.DeepEqual(got, put) || !got.Updated.Equal(clock.Now().Truncate(time.Microsecond)) {
		t.Errorf("%+v, want %+v", got, put)
	}
	clock.Advance(time.Minute)
	must.Get(l.Lines.Put(ctx, own, lineSet("mine")))(t)
	must.Get(l.Lines.Put(ctx, own, lineSet("mine again")))(t)
	judgedBy("mine again")
	fails(ErrNotFound, func() error { _, err := l.Lines.Get(ctx, LineOwner{FootageLines, "base-1"}); return err })
	// Without lines of its own on purpose.
	must.Get(l.Lines.Put(ctx, own, boundary.Set{}))(t)
	if s := must.Get(l.Lines.For(ctx, "f1"))(t); !s.Set.Empty() || s.LineOwner != own {
		t.Errorf("%+v", s)
	}
	must.Do(t, l.Lines.Delete(ctx, own))
	judgedBy("station")

	var done []string
	for _, e := range must.Get(l.Audit.List(ctx, 0, 10))(t) {
		done = append(done, e.Action+" "+e.Subject+" "+e.Who)
	}
	want := []string{"remove lines f1 anna", "set lines f1 anna", "set lines f1 anna", "set lines f1 anna", "set lines base-1 anna",
		"add device base-1 anna"}
	if !reflect.DeepEqual(done, want) {
		t.Errorf("%q, want %q", done, want)
	}
}

func TestLinesRefused(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	record(t, l, "f1", "moo")
	record(t, l, "copy", "moo")
	for name, c := range map[string]struct {
		owner LineOwner
		set   boundary.Set
		class error
	}{
		"unknown footage": {LineOwner{FootageLines, "f9"}, lineSet("a"), ErrNotFound},
		"unknown device":  {LineOwner{DeviceLines, "base-1"}, lineSet("a"), ErrNotFound},
		"unknown kind":    {LineOwner{"site", "north"}, lineSet("a"), ErrInvalid},
		"duplicate":       {LineOwner{FootageLines, "copy"}, lineSet("a"), ErrInvalid},
		"not valid":       {LineOwner{FootageLines, "f1"}, lineSet(""), ErrInvalid},
	} {
		_, err := l.Lines.Put(ctx, c.owner, c.set)
		t.Log(name, err)
		must.FailWith(t, err, c.class)
	}
	if entries := must.Get(l.Audit.List(ctx, 0, 10))(t); len(entries) != 0 {
		t.Errorf("%+v", entries)
	}
}

// A count keeps what was found at lines and zones, and the next count of the footage replaces it.
func TestCountHasBoundaries(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	j := begun(t, l, "f1")
	found := boundary.Totals{
		Lines: []boundary.LineTotal{{Name: "gate, \"north\"", In: 3, Out: 1, Net: 2, InLow: 2, InHigh: 4, OutHigh: 1}},
		Zones: []boundary.ZoneTotal{{Name: "pen", Most: 2, Passed: 3, Low: 3, High: 3}},
	}
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 7, Low: 6, High: 8, Boundaries: found}, "k"))(t)
	if c := must.Get(l.Counts.Get(ctx, "f1"))(t); !reflect.DeepEqual(c.Boundaries, found) {
		t.Errorf("%+v", c)
	}
	if v := must.Get(l.Footage.Get(ctx, "f1"))(t); !reflect.DeepEqual(v.Count.Boundaries, found) {
		t.Errorf("%+v", v.Count)
	}
	if changed := must.Get(l.Changes.Counts(ctx, 0, 10))(t); len(changed) != 1 || !reflect.DeepEqual(changed[0].Boundaries, found) {
		t.Errorf("%+v", changed)
	}
}

// Footage is counted again. Its count stays until the new one, and the totals have it once.
func TestCountedAgain(t *testing.T) {
	l, _ := fresh(t)
	ctx := By(t.Context(), "anna")
	j := begun(t, l, "f1")
	_, err := l.Jobs.Recount(ctx, "f1")
	must.FailWith(t, err, job.ErrTransition) // it is counted right now
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 7, Low: 6, High: 8}, "k"))(t)
	record(t, l, "copy", "content of f1")
	for _, id := range []footage.ID{"copy", "f9"} {
		_, err := l.Jobs.Recount(ctx, id)
		must.FailWith(t, err, ErrNotFound)
	}
	if again := must.Get(l.Jobs.Recount(ctx, "f1"))(t); again.State != job.Uploaded || again.ID != j.ID || again.Percent != 0 {
		t.Errorf("%+v", again)
	}
	if c := must.Get(l.Counts.Get(ctx, "f1"))(t); c.Unique != 7 {
		t.Errorf("%+v", c)
	}
	_, err = l.Attempts.UpdateProgress(ctx, j.ID, j.Fence, job.Progress{}) // the worker of the first count
	must.FailWith(t, err, ErrFenced)
	second, _, err := l.Attempts.Begin(ctx, j.ID, "w2")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, j.ID, second.Fence, Count{Unique: 9, Low: 9, High: 9}, "k"))(t)
	if s := must.Get(l.Totals.Stats(ctx))(t); s.Animals != 9 || s.Counts != 1 {
		t.Errorf("%+v", s)
	}
	if e := must.Get(l.Audit.List(ctx, 0, 1))(t); len(e) != 1 || e[0].Action != ActionRecount || e[0].Subject != "f1" {
		t.Errorf("%+v", e)
	}
}
