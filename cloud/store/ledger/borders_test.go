package ledger

import (
	"context"
	"database/sql"
	"strconv"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// A version holds from its time on, and only counts of footage from then on are divided again.
func TestBorders(t *testing.T) {
	ctx := By(t.Context(), "boss")
	l, c := fresh(t)
	day := time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC) // of the footage of record
	c.Advance(day.Add(48 * time.Hour).Sub(c.Now()))
	record(t, l, "a", "cows")
	settle := func() {
		t.Helper()
		for _, d := range must.Get(l.Grounds.ListDue(ctx, "", 10))(t) {
			must.Do(t, l.Grounds.Put(ctx, d, Ground{}))
		}
	}
	put := func(from time.Time, doc string, version int64, due int) Borders {
		t.Helper()
		settle()
		b := must.Get(l.Borders.Put(ctx, Borders{Site: "north", From: from, Document: doc, Paddocks: 2}))(t)
		if n := len(must.Get(l.Grounds.ListDue(ctx, "", 10))(t)); b.Version != version || n != due {
			t.Fatalf("%s: version %d with %d due, want %d with %d", doc, b.Version, n, version, due)
		}
		return b
	}
	_, err := l.Borders.At(ctx, "north", day)
	must.FailWith(t, err, ErrNotFound)
	first := put(day.Add(24*time.Hour), "one", 1, 1)
	if !first.From.IsZero() || first.Who != "boss" {
		t.Errorf("first version %+v", first)
	}
	put(time.Time{}, "one", 1, 0)            // the same
	put(time.Time{}, "two", 2, 0)            // from now on: the footage is older
	put(time.Time{}, "two", 2, 0)            // the same again
	put(day.Add(time.Hour), "three", 3, 1)   // from before the footage
	put(day.Add(24*time.Hour), "four", 4, 0) // from after it
	for _, q := range []struct {
		at      time.Time
		version int64
	}{{day, 1}, {day.Add(5 * time.Hour), 3}, {day.Add(30 * time.Hour), 4}, {day.Add(72 * time.Hour), 2}, {time.Unix(0, 0), 1}} {
		if b := must.Get(l.Borders.At(ctx, "north", q.at))(t); b.Version != q.version {
			t.Errorf("at %s version %d, want %d", q.at, b.Version, q.version)
		}
	}
	if b := must.Get(l.Borders.Get(ctx, "north", 3))(t); b.Document != "three" || !b.From.Equal(day.Add(time.Hour)) {
		t.Errorf("version 3: %+v", b)
	}
	if bs := must.Get(l.Borders.List(ctx, "north", 2))(t); len(bs) != 2 || bs[0].Version != 4 || bs[0].Document != "" {
		t.Errorf("versions %+v", bs)
	}
	_, err = l.Borders.Get(ctx, "north", 9)
	must.FailWith(t, err, ErrNotFound)
	_, err = l.Borders.Put(ctx, Borders{Site: "a/b", Document: "x"})
	must.FailWith(t, err, ErrInvalid)
	if es := must.Get(l.Audit.List(ctx, 0, 1))(t); es[0].Action != ActionSetPaddocks || es[0].Subject != "north version 4" {
		t.Errorf("audit %+v", es)
	}
}

// A count gets a new number when its paddocks are others, so that its readers see them.
func TestSpread(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	rec := record(t, l, "a", "cows")
	j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 3, High: 3}, "k"))(t)
	count := func() Count { t.Helper(); return must.Get(l.Counts.Get(ctx, "a"))(t) }
	before := count().Seq
	three := 3
	g := Ground{Spread: Spread{Way: "camera", Placed: 3, Borders: 2, Paddocks: []PaddockCount{
		{Name: "Hill", Animals: &three, Low: &three, High: &three, Seen: 1}, {Name: "Dam", Seen: 0.5}}},
		Places: []Place{{ID: 1, Lat: -31, Lon: 24, Radius: 3}}, Footprint: [][][][2]float64{{{{1, 2}, {2, 3}, {3, 1}}}}}
	d := must.Get(l.Grounds.ListDue(ctx, "", 1))(t)[0]
	must.Do(t, l.Grounds.Put(ctx, d, g))
	placed := count().Seq
	for range 2 {
		must.Do(t, l.Grounds.Put(ctx, d, g))
		c := count()
		if placed <= before || c.Seq != placed || c.Spread.Placed != 3 || *c.Spread.Paddocks[0].Animals != 3 || c.Spread.Paddocks[1].Animals != nil {
			t.Errorf("count %+v after number %d", c, before)
		}
	}
	if got := must.Get(l.Grounds.Get(ctx, "a"))(t); len(got.Places) != 1 || got.Places[0].Lat != -31 || len(got.Footprint) != 1 {
		t.Errorf("ground %+v", got)
	}
	if ps := must.Get(l.Grounds.ListPlaced(ctx, "north", 5))(t); len(ps) != 1 || ps[0].Lon != 24 {
		t.Errorf("places %+v", ps)
	}
	v := must.Get(l.Footage.Get(ctx, "a"))(t)
	if v.Count.Spread.Borders != 2 || v.Count.Spread.Paddocks[0].Name != "Hill" {
		t.Errorf("in the footage view: %+v", v.Count)
	}
	must.Do(t, l.Grounds.Put(ctx, d, Ground{}))
	if c := count(); c.Spread.Way != "" || c.Spread.Paddocks != nil || c.Seq <= placed {
		t.Errorf("without a log: %+v", c)
	}
}

// A site has a bounded number of versions, in a day and in all. Another site is not concerned.
func TestVersionsOfBordersAreBounded(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	put := func(site, doc string) error {
		_, err := l.Borders.Put(ctx, Borders{Site: site, Document: doc, Paddocks: 1})
		return err
	}
	for i := range maxDayVersions {
		must.Do(t, put("north", strconv.Itoa(i)))
		c.Advance(time.Second)
	}
	must.FailWith(t, put("north", "one more"), ErrLimit)
	must.Do(t, put("north", strconv.Itoa(maxDayVersions-1))) // what holds is no new version
	must.Do(t, put("south", "one"))
	c.Advance(24 * time.Hour)
	must.Do(t, put("north", "the next day"))
	must.Do(t, l.tables.write(ctx, "fill", func(ctx context.Context, tx *sql.Tx) error {
		for i := maxDayVersions + 2; i <= maxVersions; i++ {
			if _, err := tx.ExecContext(ctx, `INSERT INTO border_version (site, version, valid_from, document, paddocks, created,
				who) VALUES ('north', $1, $1, 'x', 1, $1, '')`, i); err != nil {
				return err
			}
		}
		return nil
	}))
	must.FailWith(t, put("north", "too many"), ErrLimit)
}
