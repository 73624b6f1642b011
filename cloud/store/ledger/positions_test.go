package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// countedAt records footage of a site with a count whose animals are at places.
func countedAt(t testing.TB, l *Ledger, f Footage, places ...Place) {
	t.Helper()
	ctx := t.Context()
	rec := must.Get(l.Footage.Record(ctx, f))(t)
	must.Do(t, l.Jobs.MarkQueued(ctx, rec.Job.ID))
	j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: len(places), High: len(places)}, "k"))(t)
	putPlaces(t, l, f.ID, f.Captured, places...)
}

// putPlaces stores places of a count, with its paddocks.
func putPlaces(t testing.TB, l *Ledger, id footage.ID, taken time.Time, places ...Place) {
	t.Helper()
	g := Ground{Taken: taken, Spread: Spread{Way: "camera", Placed: len(places)}, Places: places}
	for _, p := range places {
		for _, name := range p.Paddocks {
			n := 1
			g.Paddocks = append(g.Paddocks, PaddockCount{Name: name, Animals: &n, Low: &n, High: &n})
		}
	}
	must.Do(t, l.Grounds.Put(t.Context(), DueGround{Footage: id, Mark: 99}, g))
}

// allPositions reads every page of the positions.
func allPositions(t testing.TB, l *Ledger, p Page) (all []Position) {
	t.Helper()
	for range 1000 {
		some, next, err := l.Positions.List(t.Context(), p)
		must.Do(t, err)
		all = append(all, some...)
		if p.After = next; next == "" {
			return all
		}
	}
	t.Fatal("the pages do not end")
	return nil
}

func TestPositionsInAWindow(t *testing.T) {
	l, c := fresh(t)
	r := rand.New(rand.NewPCG(3, 4))
	var want []Position
	for i := range 24 {
		f := sample(fmt.Sprintf("f%02d", i), fmt.Sprint(i))
		f.Site, f.Device = fmt.Sprint("site", i%3), fmt.Sprint("base-", i%4)
		f.Captured = c.Now().Add(time.Duration(i) * time.Hour)
		var places []Place
		for n := range 20 {
			p := Place{ID: n + 1, Class: "cow", Lat: -31.7 + r.Float64()/100, Lon: 24.3 + r.Float64()/100, Radius: 5}
			if n%7 == 0 {
				p.Paddocks = []string{"East", "All"}
			}
			places = append(places, p)
		}
		countedAt(t, l, f, places...)
		for _, p := range places {
			want = append(want, Position{Place: p, Footage: f.ID, Site: f.Site, Device: f.Device, Taken: f.Captured})
		}
	}
	noon := c.Now().Add(12 * time.Hour)
	for name, p := range map[string]Page{
		"all":         {},
		"a window":    {Window: &Window{24.302, -31.698, 24.305, -31.693}},
		"a site":      {Site: "site1"},
		"two sites":   {Sites: SiteSet{"site2", "site0"}},
		"no site":     {Sites: SiteSet{}},
		"no such one": {Site: "site9"},
		"a device":    {Device: "base-2", Window: &Window{24.302, -31.698, 24.308, -31.693}},
		"a time":      {From: noon, To: noon.Add(10 * time.Hour)},
		"a paddock":   {Paddock: "East", Window: &Window{24.302, -31.698, 24.308, -31.693}},
		"none there":  {Window: &Window{25, -31.698, 26, -31.693}},
	} {
		limits := []int{0, 7}
		if p.Window != nil {
			limits = append(limits, 1)
		}
		for _, limit := range limits {
			p.Limit = limit
			got := allPositions(t, l, p)
			key := func(q Position) string { return fmt.Sprintf("%s/%d", q.Footage, q.ID) }
			found := map[string]bool{}
			for _, q := range got {
				if found[key(q)] {
					t.Errorf("%s: %s is there twice", name, key(q))
				}
				found[key(q)] = true
			}
			n := 0
			for _, q := range want {
				in := (p.Window == nil || p.Window.Contains(q.Lat, q.Lon)) && (p.Site == "" || p.Site == q.Site) &&
					(p.Sites == nil || p.Sites.Has(q.Site)) && (p.Device == "" || p.Device == q.Device) &&
					(p.From.IsZero() || !q.Taken.Before(p.From) && q.Taken.Before(p.To)) &&
					(p.Paddock == "" || slices.Contains(q.Paddocks, p.Paddock))
				if in {
					n++
				}
				if in != found[key(q)] {
					t.Errorf("%s, limit %d: %s is listed: %v, want %v", name, limit, key(q), found[key(q)], in)
				}
			}
			if n == 0 && name != "no site" && name != "no such one" && name != "none there" {
				t.Errorf("%s: nothing is wanted", name)
			}
		}
	}
	got := allPositions(t, l, Page{Window: &Window{24.3, -31.7, 24.31, -31.69}, Limit: 100})
	if i := slices.IndexFunc(got, func(q Position) bool { return q.Footage == "f07" && q.ID == 8 }); i < 0 ||
		fmt.Sprint(got[i]) != fmt.Sprint(want[7*20+7]) {
		t.Errorf("a position is %+v", got[max(i, 0)])
	}
}

// Names that look like parts of the stored text change nothing about where the places of a tile are.
func TestPlacesOfATile(t *testing.T) {
	l, _ := fresh(t)
	odd := []string{`},{"id":9`, `"lat":5,`, `\"lon":6}`, `]`, "\u2028<&>", ""}
	var want []Place
	for i, name := range odd {
		want = append(want, Place{ID: i, Class: name, Lat: -31.7 + float64(i)*1e-5, Lon: 24.3, Radius: 5, Paddocks: []string{name, "All"}})
	}
	countedAt(t, l, sample("f1", "1"), want...)
	var got []Place
	for _, q := range allPositions(t, l, Page{}) {
		got = append(got, q.Place)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the places are %+v, want %+v", got, want)
	}
	for i, p := range want {
		at := allPositions(t, l, Page{Window: &Window{24.3, p.Lat, 24.3, p.Lat}})
		if len(at) != 1 || at[0].ID != i {
			t.Errorf("at place %d is %+v", i, at)
		}
	}
}

// Positions that are added while pages are read move no other one. A count that is repeated has its new positions only.
func TestPositionsWhileTheyAreRead(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	at := func(n int) (places []Place) {
		for i := range n {
			places = append(places, Place{ID: i + 1, Class: "cow", Lat: -31.7 + float64(i)/2000, Lon: 24.3})
		}
		return places
	}
	for i := range 5 {
		countedAt(t, l, sample(fmt.Sprint("f", i), fmt.Sprint(i)), at(10)...)
	}
	seen := map[string]int{}
	p := Page{Limit: 3}
	for n := 0; ; n++ {
		some, next, err := l.Positions.List(ctx, p)
		must.Do(t, err)
		for _, q := range some {
			seen[fmt.Sprintf("%s/%d", q.Footage, q.ID)]++
		}
		if p.After = next; next == "" {
			break
		}
		if n < 4 {
			countedAt(t, l, sample(fmt.Sprint("new", n), fmt.Sprint("new", n)), at(10)...)
		}
	}
	for i := range 5 {
		for n := range 10 {
			if k := fmt.Sprintf("f%d/%d", i, n+1); seen[k] != 1 {
				t.Errorf("%s was listed %d times", k, seen[k])
			}
		}
	}

	putPlaces(t, l, "f3", c.Now(), Place{ID: 77, Class: "cow", Lat: 5, Lon: 6})
	var again []int
	for _, q := range allPositions(t, l, Page{}) {
		if q.Footage == "f3" {
			again = append(again, q.ID)
		}
	}
	if !slices.Equal(again, []int{77}) {
		t.Errorf("the repeated count has the animals %v", again)
	}
	putPlaces(t, l, "f3", c.Now())
	if got := allPositions(t, l, Page{Window: &Window{5, 4, 7, 6}}); len(got) != 0 {
		t.Errorf("a count without positions has %v", got)
	}
}

func TestPositionsOverTheMeridian(t *testing.T) {
	l, _ := fresh(t)
	countedAt(t, l, sample("f1", "1"), Place{ID: 1, Class: "cow", Lat: -17, Lon: 179.9995}, Place{ID: 2, Class: "cow", Lat: -17, Lon: -179.9995},
		Place{ID: 3, Class: "cow", Lat: -17, Lon: 180}, Place{ID: 4, Class: "cow", Lat: -17, Lon: -180})
	countedAt(t, l, sample("f2", "2"), Place{ID: 1, Class: "cow", Lat: -17, Lon: 0})
	for name, c := range map[string]struct {
		window        Window
		want, footage int
	}{
		"over it":    {Window{179.99, -18, -179.99, -16}, 4, 1},
		"its west":   {Window{179.99, -18, 180, -16}, 2, 1},
		"its east":   {Window{-180, -18, -179.99, -16}, 2, 1},
		"the rest":   {Window{-179.99, -18, 179.99, -16}, 1, 1},
		"the world":  {Window{-180, -90, 180, 90}, 5, 2},
		"a point":    {Window{0, -17, 0, -17}, 1, 1},
		"over a gap": {Window{10, -18, -10, -16}, 4, 1},
	} {
		if got := allPositions(t, l, Page{Window: &c.window}); len(got) != c.want {
			t.Errorf("%s has %d positions, want %d", name, len(got), c.want)
		}
		fs, _, err := l.Footage.List(t.Context(), Page{Window: &c.window})
		if err != nil || len(fs) != c.footage {
			t.Errorf("%s has %d pieces of footage, want %d: %v", name, len(fs), c.footage, err)
		}
	}
}

func TestFaultyCursorsOfPositions(t *testing.T) {
	l, _ := fresh(t)
	countedAt(t, l, sample("f1", "1"), Place{ID: 1, Lat: 1, Lon: 1})
	for _, bad := range []string{"x", "north.1.f1", "north.x.f1.1", "north.-1.f1.1", "north.1.f1.-1", "a.b.c.d.e", "..."} {
		_, _, err := l.Positions.List(t.Context(), Page{After: bad})
		must.FailWith(t, err, ErrCursor)
	}
	for _, odd := range []string{"zzz.1.f1.1", "north.0.a.0", "\x00.1.\xff.1"} {
		_, _, err := l.Positions.List(t.Context(), Page{After: odd})
		must.Do(t, err)
	}
}

// Lists of footage and flights have what touches a window; duplicates go with their original.
func TestListsInAWindow(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	for i := range 6 {
		countedAt(t, l, sample(fmt.Sprint("f", i), fmt.Sprint(i)), Place{ID: 1, Lat: 10, Lon: 20 + float64(i)})
	}
	record(t, l, "copy", "2")
	must.Do(t, l.Grounds.Put(ctx, DueGround{Footage: "f4", Mark: 99}, Ground{Taken: c.Now(), Spread: Spread{Way: "camera"},
		Footprint: [][][][2]float64{{{{22, 9}, {24.5, 9}, {24.5, 10.5}, {22, 9}}}}})) // no animals, but it saw the ground
	list := func(p Page) (ids []footage.ID) {
		vs, _, err := l.Footage.List(ctx, p)
		must.Do(t, err)
		for _, v := range vs {
			ids = append(ids, v.ID)
		}
		return ids
	}
	w := &Window{21.9, 9.9, 23, 10.1}
	if got, want := list(Page{Window: w}), []footage.ID{"copy", "f4", "f3", "f2"}; !slices.Equal(got, want) {
		t.Errorf("in the window are %v, want %v", got, want)
	}
	if got, want := list(Page{Window: w, Sort: SortOldest, Limit: 2}), []footage.ID{"f2", "f3"}; !slices.Equal(got, want) {
		t.Errorf("the oldest in the window are %v, want %v", got, want)
	}
	if got, want := list(Page{Window: w, Sort: SortMost}), []footage.ID{"f4", "f3", "f2"}; len(got) != len(want) {
		t.Errorf("the largest in the window are %v, want %v", got, want)
	}
	if got := list(Page{Window: &Window{-20, 9.9, 19, 10.1}}); len(got) != 0 {
		t.Errorf("nothing is in this window: %v", got)
	}
}

// Names are found by any part of them, also by one or two characters and in any case.
func TestFootageByName(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	names := []string{"DJI_0001.MP4", "DJI_0002.MP4", "herd 100%.mov", "a", "ab", "", "ä_Ö.mp4", "back\\slash.mp4"}
	for i, name := range names {
		f := sample(fmt.Sprint("f", i), fmt.Sprint(i))
		f.Name = name
		must.Get(l.Footage.Record(ctx, f))(t)
	}
	for text, want := range map[string]int{"DJI": 2, "dji_0001": 1, "0002.mp4": 1, "mp4": 4, "p4": 4, "4": 4, "0%": 1, "%": 1, "_": 3,
		"a": 3, "ab": 1, "xyz": 0, "q": 0, "qq": 0, "dji_0003": 0, "0001.mov": 0, `k\s`: 1, "ä_": 1, "mp4x": 0, "herd 100%.mov": 1} {
		for _, sort := range []Sort{SortNewest, SortOldest} {
			vs, _, err := l.Footage.List(ctx, Page{Name: text, Sort: sort})
			if err != nil || len(vs) != want {
				t.Errorf("%q finds %d names, want %d: %v", text, len(vs), want, err)
			}
		}
	}
}

// An index that finds too much is left out, and the list is the same.
func TestListsByRareAndCommon(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	countedAt(t, l, sample("f1", "1"), Place{ID: 1, Lat: 10, Lon: 20, Paddocks: []string{"East"}})
	countedAt(t, l, sample("f2", "2"), Place{ID: 1, Lat: 11, Lon: 20, Paddocks: []string{"West"}})
	record(t, l, "f3", "1")
	for name, s := range map[string]selection{"paddock": inPaddock("East"), "window": inWindow(Window{19, 9.5, 21, 10.5})} {
		must.Do(t, s.count(ctx, l.tables.db.Read()))
		if s.n != 1 || !s.rare() {
			t.Errorf("%s selects %d", name, s.n)
		}
		for shape, condition := range map[string]string{"rare": copies(s.query), "common": `COALESCE(f.duplicate_of, f.id) IN (` + s.query + `)`} {
			f := Page{}.filter("f.born", 1<<40, 10)
			f.add(condition, s.args...)
			vs, err := list(context.WithoutCancel(ctx), l.tables.db.Read(), scanView, viewQuery+f.String()+` ORDER BY f.born LIMIT $2`, f.args...)
			if err != nil || len(vs) != 2 || vs[0].ID != "f1" || vs[1].ID != "f3" {
				t.Errorf("%s, %s: %d entries, error %v", name, shape, len(vs), err)
			}
		}
	}
}

// A flight is in a window that one of its parts saw, by the index and without it.
func TestFlightsInAWindow(t *testing.T) {
	l, c := fresh(t)
	v := countParts(t, l, "base", 1, 2)
	putPlaces(t, l, piece("base", 2).ID, c.Now(), Place{ID: 1, Class: "cow", Lat: 10, Lon: 20})
	for name, c := range map[string]struct {
		window Window
		want   int
	}{"around it": {Window{19, 9, 21, 11}, 1}, "beside it": {Window{21, 9, 22, 11}, 0}, "the world": {Window{-180, -90, 180, 90}, 1}} {
		fs, _, err := l.Flights.List(t.Context(), Page{Window: &c.window})
		if err != nil || len(fs) != c.want || c.want == 1 && fs[0].ID != v.ID {
			t.Errorf("%s: %+v, %v", name, fs, err)
		}
		touch, args := overlaps(c.window)
		f := &filter{}
		f.add(touch, args...)
		boxes, err := list(t.Context(), l.tables.db.Read(), func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) },
			`SELECT DISTINCT g.footage FROM ground_cell g `+f.String(), f.args...)
		if err != nil || len(boxes) != c.want {
			t.Errorf("%s: boxes %v, %v", name, boxes, err)
		}
	}
}
