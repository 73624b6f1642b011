package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// TestAged has five pieces of footage of which two are the newest.
func TestAged(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	if below := must.Get(l.Aged.Below(ctx, 2))(t); below != 0 {
		t.Errorf("an empty ledger: %d", below)
	}
	var born []int64
	for i := range 5 {
		f := record(t, l, fmt.Sprint("f", i), fmt.Sprint(i)).Footage
		born = append(born, f.Born)
		if again := must.Get(l.Footage.Get(ctx, f.ID))(t); again.Born != f.Born || f.Born == 0 {
			t.Errorf("recorded with number %d, read with %d", f.Born, again.Born)
		}
	}
	below := must.Get(l.Aged.Below(ctx, 2))(t)
	if below != born[2] {
		t.Fatalf("below is %d, want %d of %v", below, born[2], born)
	}
	old := must.Get(l.Aged.Footage(ctx, born[0], below, 10))(t)
	if len(old) != 2 || old[0].ID != "f1" || old[1].ID != "f2" || old[0].Job == nil {
		t.Errorf("aged: %+v", old)
	}
	if one := must.Get(l.Aged.Footage(ctx, 0, below, 1))(t); len(one) != 1 || one[0].ID != "f0" {
		t.Errorf("the first: %+v", one)
	}
	if fs := must.Get(l.Aged.Flights(ctx, 0, below, 10))(t); len(fs) != 0 {
		t.Errorf("flights: %+v", fs)
	}
}

// TestNewestPaddocks has two counts of one paddock and a count without a number.
func TestNewestPaddocks(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	three, nine := 3, 9
	for id, list := range map[string][]PaddockCount{
		"old": {{Name: "Hill", Animals: &three, Low: &three, High: &three},
			{Name: "Dam", Animals: &three, Low: &three, High: &three}},
		"new": {{Name: "Hill", Animals: &nine, Low: &three, High: &nine, Seen: 0.5}, {Name: "Dam"}},
		"out": nil,
	} {
		rec := record(t, l, id, id)
		j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 9, High: 9}, "k"))(t)
		g := Ground{Spread: Spread{Way: "camera", Placed: 3, Paddocks: list}, Taken: rec.Footage.Received.AddDate(0, 0, -1)}
		if id == "old" {
			g.Taken = g.Taken.AddDate(-1, 0, 0)
		}
		must.Do(t, l.Grounds.Put(ctx, DueGround{Footage: rec.Footage.ID, Mark: 9}, g))
	}
	list := must.Get(l.Sites.NewestPaddocks(ctx, "north", 10))(t)
	found := map[string]string{}
	for _, p := range list {
		found[p.Name] = fmt.Sprint(p.Footage.ID, *p.Animals, p.Counted.IsZero())
	}
	if len(list) != 2 || found["Hill"] != "new9 false" || found["Dam"] != "old3 false" {
		t.Errorf("%v", found)
	}
	if other := must.Get(l.Sites.NewestPaddocks(ctx, "south", 10))(t); len(other) != 0 {
		t.Errorf("of another site: %+v", other)
	}
}

// TestPaddockSightings has three counts of a paddock below newer footage that no paddock has.
func TestPaddockSightings(t *testing.T) {
	ctx := t.Context()
	l, clock := fresh(t)
	add := func(id string, animals int) {
		f := sample(id, id)
		f.Captured = clock.Now()
		rec := must.Get(l.Footage.Record(ctx, f))(t)
		j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 9, High: 9}, "k"))(t)
		if animals > 0 {
			must.Do(t, l.Grounds.Put(ctx, DueGround{Footage: rec.Footage.ID, Mark: 9}, Ground{Spread: Spread{Way: "camera",
				Placed: animals, Paddocks: []PaddockCount{{Name: "Hill", Animals: &animals, Low: &animals, High: &animals}}}}))
		}
		clock.Advance(time.Minute)
	}
	for n := range 3 {
		add(fmt.Sprint("placed-", n), n+1)
	}
	list := must.Get(l.Sites.PaddockSightings(ctx, "north", Scope{}, 10, 2))(t)
	if len(list) != 2 || *list[0].Animals != 3 || *list[1].Animals != 2 || list[0].Footage.ID != "placed-2" {
		t.Errorf("the newest two: %+v", list)
	}
	for n := range perSighting + 1 {
		add(fmt.Sprint("elsewhere-", n), 0)
	}
	for most, want := range map[int]int{1: 0, 2: 2} {
		if list := must.Get(l.Sites.PaddockSightings(ctx, "north", Scope{}, most, 2))(t); len(list) != want {
			t.Errorf("of the newest %d: %d, want %d", most, len(list), want)
		}
	}
	for _, in := range []Scope{{Device: "other"}, {Sites: SiteSet{"south"}}} {
		if list := must.Get(l.Sites.PaddockSightings(ctx, "north", in, 10, 2))(t); len(list) != 0 {
			t.Errorf("%+v reads %+v", in, list)
		}
	}
}

// TestCountsOfAPaddock pages through the counts of a paddock, from a site and from all.
func TestCountsOfAPaddock(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	three := 3
	for i := range 6 {
		rec := record(t, l, fmt.Sprint("f", i), fmt.Sprint(i))
		j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 9, High: 9}, "k"))(t)
		name := []string{"Hill", "Dam"}[i%2]
		must.Do(t, l.Grounds.Put(ctx, DueGround{Footage: rec.Footage.ID, Mark: 9}, Ground{Spread: Spread{Way: "camera",
			Paddocks: []PaddockCount{{Name: name, Animals: &three, Low: &three, High: &three}}}}))
	}
	for _, p := range []Page{{Paddock: "Dam", Limit: 2}, {Paddock: "Dam", Limit: 2, Site: "north", Device: "base-1"}} {
		var ids []string
		for more := true; more; more = p.After != "" {
			vs, next, err := l.Counts.List(ctx, p)
			must.Do(t, err)
			for _, v := range vs {
				ids = append(ids, string(v.Footage.ID))
			}
			p.After = next
		}
		if got := fmt.Sprint(ids); got != "[f5 f3 f1]" {
			t.Errorf("%+v: %s", p, got)
		}
	}
	if vs, _, err := l.Counts.List(ctx, Page{Paddock: "Dam", Site: "south"}); err != nil || len(vs) != 0 {
		t.Errorf("of another site: %+v %v", vs, err)
	}
}

// A program before the number of spread goes on placing counts until it is replaced. They come into the history of their
// paddock.
func TestSpreadOfOlderPrograms(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	for i, paddock := range []string{"Dam", "Dam", "Hill"} {
		f := sample(fmt.Sprint("f", i), fmt.Sprint(i))
		countedAt(t, l, f, Place{ID: 1, Paddocks: []string{paddock}})
	}
	must.Do(t, l.tables.write(ctx, "as an older program", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM spread WHERE footage <> 'f0'`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO spread (footage, paddock) VALUES ('f1', 'Dam'), ('f2', 'Hill')`)
		return err
	}))
	listed := func() (ids []string) {
		for _, paddock := range []string{"Dam", "Hill"} {
			vs, _, err := l.Counts.List(ctx, Page{Paddock: paddock})
			must.Do(t, err)
			for _, v := range vs {
				ids = append(ids, string(v.Footage.ID))
			}
		}
		return ids
	}
	if got := listed(); !slices.Equal(got, []string{"f0"}) {
		t.Errorf("before: %q", got)
	}
	for _, want := range []int64{2, 0} {
		if n := must.Get(l.Grounds.NumberSpread(ctx))(t); n != want {
			t.Errorf("%d got a number, want %d", n, want)
		}
	}
	if got := listed(); !slices.Equal(got, []string{"f1", "f0", "f2"}) {
		t.Errorf("after: %q", got)
	}
}
