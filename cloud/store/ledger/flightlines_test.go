package ledger

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

// countParts counts parts of one device and returns the flight of the last one.
func countParts(t *testing.T, l *Ledger, device string, numbers ...int) FlightView {
	t.Helper()
	var id footage.ID
	for _, n := range numbers {
		f := piece(device, n)
		finish(t, l, begin(t, l, f), f, 100)
		id = f.ID
	}
	return must.Get(l.Flights.Get(t.Context(), must.Get(l.Footage.Get(t.Context(), id))(t).Flight))(t)
}

// rejoin stores the groups of a stale flight as a worker does that judged by the lines that apply.
func rejoin(t *testing.T, l *Ledger, v FlightView, found boundary.Totals) {
	t.Helper()
	groups := joinByName(slices.Clone(v.Parts))
	for i := range groups {
		groups[i].Boundaries = found
		if s, err := l.Lines.ForFlight(t.Context(), v.Device, v.ID); err == nil {
			groups[i].Judged = s.Updated
		}
	}
	must.Do(t, l.Flights.Rejoin(t.Context(), v, groups))
}

// A flight is judged by its own lines, else by those of its device; footage by its own, else by those of its flight. Each
// change makes the flights stale to which the lines apply, and no others.
func TestLinesOfFlights(t *testing.T) {
	l, clock := fresh(t)
	ctx := By(t.Context(), "anna")
	for _, d := range []string{"base", "other"} {
		must.Get(l.Devices.Add(ctx, d, "north", RoleDevice))(t)
	}
	v := countParts(t, l, "base", 1, 2)
	w := countParts(t, l, "base", 101, 102)
	foreign := countParts(t, l, "other", 1, 2)
	device, own := LineOwner{DeviceLines, "base"}, LineOwner{FlightLines, v.ID}
	stale := func() (ids []string) {
		clock.Advance(time.Second)
		for _, s := range must.Get(l.Flights.ListStale(ctx, 10))(t) {
			ids = append(ids, s.ID)
			rejoin(t, l, s, boundary.Totals{Lines: []boundary.LineTotal{{Name: "gate", In: 3, Net: 3, NotJudged: 1}}})
		}
		slices.Sort(ids)
		return ids
	}
	sorted := func(ids ...string) []string { slices.Sort(ids); return ids }
	wantStale := func(what string, want ...string) {
		t.Helper()
		if got := stale(); !slices.Equal(got, want) {
			t.Errorf("%s: stale flights %v, want %v", what, got, want)
		}
		if got := stale(); got != nil {
			t.Errorf("%s: flights %v are stale after they were judged", what, got)
		}
	}
	judgedBy := func(id footage.ID, flight string, want ...string) {
		t.Helper()
		got := []string{"", ""}
		if s, err := l.Lines.For(ctx, id); err == nil {
			got[0] = s.Set.Lines[0].Name
		}
		if s, err := l.Lines.ForFlight(ctx, "base", flight); err == nil {
			got[1] = s.Set.Lines[0].Name
		}
		if !slices.Equal(got, want) {
			t.Errorf("footage and flight are judged by %q, want %q", got, want)
		}
	}
	part := v.Parts[1].Footage
	wantStale("before")
	judgedBy(part, v.ID, "", "")
	must.Get(l.Lines.Put(ctx, device, lineSet("station")))(t)
	judgedBy(part, v.ID, "station", "station")
	wantStale("lines of the device", sorted(v.ID, w.ID)...)
	put := must.Get(l.Lines.Put(ctx, own, lineSet("mine")))(t)
	if put.Anchor != v.Parts[0].Footage {
		t.Errorf("anchor %q, want the first part %q", put.Anchor, v.Parts[0].Footage)
	}
	judgedBy(part, v.ID, "mine", "mine")
	judgedBy(w.Parts[0].Footage, w.ID, "station", "station")
	wantStale("own lines", v.ID)
	must.Get(l.Lines.Put(ctx, LineOwner{FootageLines, string(part)}, lineSet("piece")))(t)
	judgedBy(part, v.ID, "piece", "mine")
	wantStale("lines of footage")
	must.Get(l.Lines.Put(ctx, device, lineSet("station 2")))(t)
	wantStale("lines of the device, one has its own", w.ID)
	must.Do(t, l.Lines.Delete(ctx, own))
	judgedBy(part, v.ID, "piece", "station 2")
	wantStale("own lines removed", v.ID)
	must.Do(t, l.Lines.Delete(ctx, device))
	wantStale("lines of the device removed", sorted(v.ID, w.ID)...)
	must.FailWith(t, l.Lines.Delete(ctx, own), ErrNotFound)
	_, err := l.Lines.Put(ctx, LineOwner{FlightLines, "none"}, lineSet("a"))
	must.FailWith(t, err, ErrNotFound)

	got := must.Get(l.Flights.Get(ctx, v.ID))(t)
	want := boundary.Totals{Lines: []boundary.LineTotal{{Name: "gate", In: 3, Net: 3, NotJudged: 1}}}
	if !reflect.DeepEqual(got.Boundaries, want) || got.Unique != v.Unique {
		t.Errorf("flight %+v", got.Flight)
	}
	if changed := must.Get(l.Changes.Flights(ctx, foreign.Seq, 10))(t); len(changed) != 2 ||
		!reflect.DeepEqual(changed[0].Boundaries, want) {
		t.Errorf("changes %+v", changed)
	}
}

// Lines that change while a worker judges leave the flight stale, whether the worker ends a job or joins again.
func TestLinesChangeWhileJudged(t *testing.T) {
	l, clock := fresh(t)
	ctx := t.Context()
	must.Get(l.Devices.Add(ctx, "base", "north", RoleDevice))(t)
	v := countParts(t, l, "base", 1, 2)
	own := LineOwner{FlightLines, v.ID}
	must.Get(l.Lines.Put(ctx, own, lineSet("first")))(t)
	stale := must.Get(l.Flights.ListStale(ctx, 10))(t)
	clock.Advance(time.Second)
	must.Get(l.Lines.Put(ctx, own, lineSet("second")))(t)
	must.FailWith(t, l.Flights.Rejoin(ctx, stale[0], joinByName(slices.Clone(v.Parts))), ErrJoinedMeanwhile)
	rejoin(t, l, must.Get(l.Flights.ListStale(ctx, 10))(t)[0], boundary.Totals{})

	third := piece("base", 3) // judged by the lines before
	p := partOf(third)
	near := must.Get(l.Flights.Neighbors(ctx, "base", p))(t)
	groups := joinByName(append(slices.Clone(near), p))
	groups[0].Judged = must.Get(l.Lines.ForFlight(ctx, "base", v.ID))(t).Updated
	j := begin(t, l, third)
	clock.Advance(time.Second)
	must.Get(l.Lines.Put(ctx, own, lineSet("third")))(t)
	joining := Joining{Part: p, Neighbors: near, Groups: groups}
	must.Get(l.Flights.Finish(ctx, j.ID, j.Fence, Count{Unique: 5, Low: 5, High: 5}, "k", joining))(t)
	if got := must.Get(l.Flights.ListStale(ctx, 10))(t); len(got) != 1 || len(got[0].Parts) != 3 {
		t.Errorf("stale flights %+v", got)
	}
}

// A flight that becomes a part of another one passes its lines and their anchor on, unless the other one has its own.
func TestLinesOfAnEndedFlight(t *testing.T) {
	for _, olderHas := range []bool{false, true} {
		l, clock := fresh(t)
		ctx := t.Context()
		older := countParts(t, l, "base", 1, 2)
		late := countParts(t, l, "base", 4, 5)
		set := must.Get(l.Lines.Put(ctx, LineOwner{FlightLines, late.ID}, lineSet("late")))(t)
		want := "late"
		if olderHas {
			clock.Advance(time.Second)
			must.Get(l.Lines.Put(ctx, LineOwner{FlightLines, older.ID}, lineSet("old")))(t)
			want = "old"
		}
		countParts(t, l, "base", 3)
		s := must.Get(l.Lines.ForFlight(ctx, "base", older.ID))(t)
		if s.Set.Lines[0].Name != want || !olderHas && s.Anchor != set.Anchor {
			t.Errorf("judged by %+v, want %s", s, want)
		}
		if got := must.Get(l.Flights.ListStale(ctx, 10))(t); len(got) != 1 || got[0].ID != older.ID {
			t.Errorf("stale flights %+v", got) // the finish judged by no lines
		}
		_, err := l.Lines.Get(ctx, LineOwner{FlightLines, late.ID})
		must.FailWith(t, err, ErrNotFound)
		removed := slices.ContainsFunc(must.Get(l.Audit.List(ctx, 0, 100))(t), func(e AuditEntry) bool {
			return e.Action == ActionRemoveLines && e.Subject == late.ID
		})
		if removed != olderHas {
			t.Errorf("the audit log has that the lines were removed: %t, want %t", removed, olderHas)
		}
		_, err = l.Lines.Put(ctx, LineOwner{FlightLines, late.ID}, lineSet("a"))
		must.FailWith(t, err, ErrInvalid)
	}
}

// The parts of a flight that is split keep its lines, also a part that is alone then; what is drawn on the ground stays with
// the footage that it is drawn into.
func TestLinesOfASplitFlight(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	v := countParts(t, l, "base", 1, 2, 3, 4)
	set := lineSet("gate")
	ground := set.Lines[0]
	ground.Name, ground.Frame = "trough", boundary.Ground
	set.Lines = append(set.Lines, ground)
	must.Get(l.Lines.Put(ctx, LineOwner{FlightLines, v.ID}, set))(t)
	split := func(sizes ...int) {
		t.Helper()
		now := must.Get(l.Flights.Get(ctx, v.ID))(t)
		var groups []Group
		for _, n := range sizes {
			g := Group{JointCount: JointCount{Unique: 100, Low: 90, High: 110}}
			for _, p := range now.Parts[:n] {
				g.Parts = append(g.Parts, p.Footage)
			}
			now.Parts = now.Parts[n:]
			groups = append(groups, g)
		}
		must.Do(t, l.Flights.Rejoin(ctx, now, groups))
	}
	names := func(o LineOwner) (list []string) {
		s := must.Get(l.Lines.Get(ctx, o))(t)
		for _, line := range s.Set.Lines {
			list = append(list, line.Name)
		}
		return list
	}
	split(2, 2)
	other := must.Get(l.Footage.Get(ctx, v.Parts[2].Footage))(t).Flight
	if other == "" || other == v.ID {
		t.Fatalf("the third part is in flight %q", other)
	}
	if got := names(LineOwner{FlightLines, other}); !slices.Equal(got, []string{"gate"}) {
		t.Errorf("lines of the later flight: %v", got)
	}
	if got := names(LineOwner{FlightLines, v.ID}); !slices.Equal(got, []string{"gate", "trough"}) {
		t.Errorf("lines of the flight with the first parts: %v", got)
	}
	split(1, 1)
	for i, want := range [][]string{{"gate", "trough"}, {"gate"}} {
		if got := names(LineOwner{FootageLines, string(v.Parts[i].Footage)}); !slices.Equal(got, want) {
			t.Errorf("lines of part %d alone: %v, want %v", i+1, got, want)
		}
	}
	_, err := l.Lines.Get(ctx, LineOwner{FlightLines, v.ID})
	must.FailWith(t, err, ErrNotFound)
}

// Results that no flight names are found among others.
func TestUnnamedResults(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	v := countParts(t, l, "base", 1, 2)
	must.Get(l.Lines.Put(ctx, LineOwner{FlightLines, v.ID}, lineSet("a")))(t)
	v = must.Get(l.Flights.ListStale(ctx, 1))(t)[0]
	groups := joinByName(slices.Clone(v.Parts))
	groups[0].ResultKey = "flights/b.json"
	must.Do(t, l.Flights.Rejoin(ctx, v, groups))
	got := must.Get(l.Flights.UnnamedResults(ctx, []string{"flights/a.json", "flights/b.json", ""}))(t)
	if !slices.Equal(got, []string{"flights/a.json", ""}) {
		t.Errorf("unnamed %q", got)
	}
	if p := must.Get(l.Flights.Get(ctx, v.ID))(t).Parts[0]; p.FlightResult != "flights/b.json" {
		t.Errorf("part %+v", p)
	}
}

// Lines of a flight on the ground are judged in the footage that they are drawn into and in the flight, not in other parts.
func TestGroundLinesOfAFlight(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	v := countParts(t, l, "base", 1, 2)
	set := lineSet("gate")
	road := set.Lines[0]
	road.Name, road.Frame = "road", boundary.Ground
	set.Lines = append(set.Lines, road)
	anchor := must.Get(l.Lines.Put(ctx, LineOwner{FlightLines, v.ID}, set))(t).Anchor
	for _, p := range must.Get(l.Flights.Get(ctx, v.ID))(t).Parts {
		want := 1
		if p.Footage == anchor {
			want = 2
		}
		if s := must.Get(l.Lines.For(ctx, p.Footage))(t); len(s.Set.Lines) != want || s.Set.Lines[0].Name != "gate" {
			t.Errorf("footage %s is judged by %+v, want %d", p.Footage, s.Set.Lines, want)
		}
	}
	if s := must.Get(l.Lines.ForFlight(ctx, "base", v.ID))(t); len(s.Set.Lines) != 2 {
		t.Errorf("the flight is judged by %+v", s.Set.Lines)
	}
}
