package ledger

import (
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

func TestSurveys(t *testing.T) {
	ctx := By(t.Context(), "boss")
	l, _ := fresh(t)
	for _, id := range []string{"a", "b", "c"} {
		rec := record(t, l, id, "cows of "+id)
		j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 3, High: 3}, "k"))(t)
	}
	record(t, l, "copy", "cows of a")
	record(t, l, "uncounted", "more cows")
	day := time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC)
	for _, d := range must.Get(l.Grounds.ListDue(ctx, "", 9))(t) {
		g := Ground{}
		if d.Footage == "b" {
			g = Ground{Taken: day.Add(30 * time.Hour), Spread: Spread{Way: "camera", Placed: 1}, Places: []Place{{ID: 1, Lat: -31}},
				Footprint: [][][][2]float64{{{{1, 2}}}}}
		}
		must.Do(t, l.Grounds.Put(ctx, d, g))
	}
	parts := func(s Survey) (ids string) {
		t.Helper()
		s.Site = "north"
		for _, p := range must.Get(l.Surveys.Parts(ctx, s))(t) {
			ids += string(p.Footage.ID)
			if p.Count.Unique != 3 || p.Footage.ID == "b" && (len(p.Ground.Places) != 1 || p.Ground.Placed != 1) {
				t.Errorf("part %+v", p)
			}
		}
		return ids
	}
	for want, s := range map[string]Survey{"acb": {}, "b": {From: day.Add(24 * time.Hour)}, "ac": {To: day.Add(24 * time.Hour)},
		"cb": {Footage: []footage.ID{"b", "c", "copy", "none"}}, "": {Footage: []footage.ID{"none"}}} {
		if got := parts(s); got != want {
			t.Errorf("%+v: parts %q, want %q", s, got, want)
		}
	}
	for _, name := range []string{"first", "second"} {
		s := must.Get(l.Surveys.Add(ctx, Survey{Site: "north", Name: name, From: day, Footage: []footage.ID{"a"}}))(t)
		if got := must.Get(l.Surveys.Get(ctx, s.ID))(t); got.Name != name || got.Who != "boss" || !got.From.Equal(day) || len(got.Footage) != 1 {
			t.Errorf("survey %+v", got)
		}
	}
	must.Get(l.Surveys.Add(ctx, Survey{Site: "south"}))(t)
	list, next, err := l.Surveys.List(ctx, Page{Site: "north", Limit: 1})
	if err != nil || len(list) != 1 || list[0].Name != "second" || next == "" {
		t.Errorf("surveys %+v, next %q, %v", list, next, err)
	}
	if list, next, err = l.Surveys.List(ctx, Page{Sites: SiteSet{"north"}, After: next}); err != nil || len(list) != 1 || next != "" {
		t.Errorf("next page %+v, %q, %v", list, next, err)
	}
	_, err = l.Surveys.Get(ctx, "none")
	must.FailWith(t, err, ErrNotFound)
	_, err = l.Surveys.Add(ctx, Survey{Site: "a/b"})
	must.FailWith(t, err, ErrInvalid)
	_, err = l.Surveys.Add(ctx, Survey{Site: "north", Footage: []footage.ID{}})
	must.FailWith(t, err, ErrInvalid)
	if got := parts(Survey{Footage: []footage.ID{}}); got != "" {
		t.Errorf("no footage: parts %q", got)
	}
	if es := must.Get(l.Audit.List(ctx, 0, 1))(t); es[0].Action != ActionAddSurvey || es[0].Who != "boss" {
		t.Errorf("audit %+v", es)
	}
}

func TestBook(t *testing.T) {
	ctx := By(t.Context(), "boss")
	l, _ := fresh(t)
	day := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	n := func(v int) *int { return &v }
	must.Do(t, l.Book.Put(ctx, "north", day, []Expected{{Paddock: "Hill", Animals: n(40)}, {Paddock: "", Animals: n(90)}}))
	must.Do(t, l.Book.Put(ctx, "north", day.AddDate(0, 0, 5), []Expected{{Paddock: "Hill", Animals: n(38)}, {Paddock: "Dam", Animals: n(0)}}))
	at := func(days int) map[string]int {
		t.Helper()
		got := map[string]int{}
		for _, e := range must.Get(l.Book.At(ctx, "north", day.AddDate(0, 0, days)))(t) {
			got[e.Paddock] = *e.Animals
		}
		return got
	}
	if got := at(-1); len(got) != 0 {
		t.Errorf("before the first: %v", got)
	}
	if got := at(2); len(got) != 2 || got["Hill"] != 40 || got[""] != 90 {
		t.Errorf("at first: %v", got)
	}
	if got := at(6); len(got) != 2 || got["Hill"] != 38 || got["Dam"] != 0 {
		t.Errorf("later: %v", got)
	}
	es := must.Get(l.Book.History(ctx, "north", 10))(t)
	if len(es) != 5 || es[0].Paddock != "" || es[0].Animals != nil || es[0].Who != "boss" {
		t.Errorf("history %+v", es)
	}
	same := []Expected{{Paddock: "Dam", Animals: n(0)}, {Paddock: "Hill", Animals: n(38)}}
	audited := must.Get(l.Audit.List(ctx, 0, 1))(t)
	must.Do(t, l.Book.Put(ctx, "north", day.AddDate(0, 0, 7), same))
	if es := must.Get(l.Book.History(ctx, "north", 10))(t); len(es) != 5 || must.Get(l.Audit.List(ctx, 0, 1))(t)[0].N != audited[0].N {
		t.Errorf("the same numbers again are stored: %+v", es)
	}
	same[1].Animals = n(37)
	must.Do(t, l.Book.Put(ctx, "north", day.AddDate(0, 0, 8), same))
	if es := must.Get(l.Book.History(ctx, "north", 10))(t); len(es) != 6 || es[0].Paddock != "Hill" || *es[0].Animals != 37 {
		t.Errorf("one number is another one: %+v", es)
	}
	// A name that the database cannot store keeps its number when it is sent again.
	odd := []Expected{{Paddock: "K\xe4lber", Animals: n(4)}}
	for days := range 2 {
		must.Do(t, l.Book.Put(ctx, "south", day.AddDate(0, 0, days), odd))
		if es := must.Get(l.Book.At(ctx, "south", day.AddDate(0, 0, days)))(t); len(es) != 1 || *es[0].Animals != 4 {
			t.Errorf("day %d: %+v", days, es)
		}
	}
	must.FailWith(t, l.Book.Put(ctx, "north", day, []Expected{{Paddock: "x", Animals: n(-1)}}), ErrInvalid)
	must.FailWith(t, l.Book.Put(ctx, "north", day, []Expected{{Paddock: "x", Animals: n(1)}, {Paddock: "x", Animals: n(1)}}), ErrInvalid)
	must.FailWith(t, l.Book.Put(ctx, "a b", day, nil), ErrInvalid)
}
