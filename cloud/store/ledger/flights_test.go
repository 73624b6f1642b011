package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// piece is part n of a flight of one device: five minutes, without a break between parts.
func piece(device string, n int) Footage {
	f := sample(fmt.Sprintf("%s-%d", device, n), fmt.Sprintf("content of part %d of %s", n, device))
	f.Device, f.Name = device, fmt.Sprintf("DJI_%04d.MP4", n)
	f.Captured = f.Captured.Add(time.Duration(n) * 5 * time.Minute)
	return f
}

func partOf(f Footage) Part {
	return Part{Footage: f.ID, Name: f.Name, Started: f.Captured, Duration: 5 * time.Minute, Width: 1920, Height: 1080,
		FPS: 30, Codec: "h264", TraceKey: "trace of " + string(f.ID), Flight: f.Flight}
}

// begin records footage and leases its job.
func begin(t testing.TB, l *Ledger, f Footage) Job {
	t.Helper()
	ctx := t.Context()
	rec := must.Get(l.Footage.Record(ctx, f))(t)
	must.Do(t, l.Jobs.MarkQueued(ctx, rec.Job.ID))
	j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
	must.Do(t, err)
	return j
}

// joinByName puts parts with following numbers into one group, which counts 10 animals and 1 for each further part.
func joinByName(parts []Part) []Group {
	slices.SortFunc(parts, func(a, b Part) int {
		return footage.ReadSequence(a.Name).Number - footage.ReadSequence(b.Name).Number
	})
	var groups []Group
	last := -1
	for _, p := range parts {
		n := footage.ReadSequence(p.Name).Number
		if len(groups) == 0 || n != last+1 {
			groups = append(groups, Group{JointCount: JointCount{Unique: 9, Low: 9, High: 9, ByClass: map[string]int{}}})
		}
		g := &groups[len(groups)-1]
		g.Parts = append(g.Parts, p.Footage)
		g.Unique, g.Low, g.High = g.Unique+1, g.Low+1, g.High+1
		last = n
	}
	return groups
}

// finish counts a part and joins it by its name.
func finish(t testing.TB, l *Ledger, j Job, f Footage, unique int) {
	t.Helper()
	ctx := t.Context()
	p := partOf(f)
	near := must.Get(l.Flights.Neighbors(ctx, f.Device, p))(t)
	all := append(slices.Clone(near), p)
	c := Count{Unique: unique, Low: unique, High: unique}
	must.Get(l.Flights.Finish(ctx, j.ID, j.Fence, c, "k", Joining{Part: p, Neighbors: near, Groups: joinByName(all)}))(t)
}

// In every order of arrival the parts become one flight. It is in the totals once, and other devices with the same
// names are not in it.
func TestPartsInEveryOrder(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	other := piece("other", 2)
	finish(t, l, begin(t, l, other), other, 7)
	orders := permutations([]int{1, 2, 3, 4})
	for i, order := range orders {
		device := fmt.Sprintf("base-%02d", i)
		for _, n := range order {
			f := piece(device, n)
			finish(t, l, begin(t, l, f), f, 100)
		}
		first := must.Get(l.Footage.Get(ctx, piece(device, 1).ID))(t)
		v := must.Get(l.Flights.Get(ctx, first.Flight))(t)
		var places []int
		for _, p := range v.Parts {
			places = append(places, footage.ReadSequence(p.Name).Number, p.Place)
		}
		if v.State != FlightJoined || v.Unique != 13 || v.Flight.Parts != 4 ||
			!slices.Equal(places, []int{1, 1, 2, 2, 3, 3, 4, 4}) {
			t.Fatalf("%v: %+v with parts %v", order, v.Flight, places)
		}
		for n := range 4 {
			if f := must.Get(l.Footage.Get(ctx, piece(device, n+1).ID))(t); f.Flight != v.ID || f.Count.Unique != 100 {
				t.Errorf("%v: part %d is in flight %q with count %+v", order, n+1, f.Flight, f.Count)
			}
		}
	}
	s := must.Get(l.Totals.Stats(ctx))(t)
	if want := int64(13*len(orders) + 7); s.Animals != want {
		t.Errorf("%d animals, want %d", s.Animals, want)
	}
	if vs, _, err := l.Flights.List(ctx, Page{Limit: 100}); err != nil || len(vs) != len(orders) {
		t.Errorf("%d flights, %v; want %d", len(vs), err, len(orders))
	}
	one := must.Get(first(l.Flights.List(ctx, Page{Device: "base-03"})))(t)
	if len(one) != 1 || one[0].Device != "base-03" {
		t.Errorf("flights of one device: %+v", one)
	}
}

func first[T any](v T, _ string, err error) (T, error) { return v, err }

// A part that arrives between two flights makes them one. The readers of changes learn where the other one went.
func TestPartBetweenFlights(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	for _, n := range []int{4, 5, 1, 2} {
		f := piece("base", n)
		finish(t, l, begin(t, l, f), f, 100)
	}
	vs := must.Get(first(l.Flights.List(ctx, Page{})))(t)
	if len(vs) != 2 {
		t.Fatalf("flights %+v", vs)
	}
	older, younger := vs[1], vs[0]
	f := piece("base", 3)
	finish(t, l, begin(t, l, f), f, 100)
	joined, ended := must.Get(l.Flights.Get(ctx, older.ID))(t), must.Get(l.Flights.Get(ctx, younger.ID))(t)
	if joined.Flight.Parts != 5 || joined.Unique != 14 {
		t.Errorf("joined flight %+v", joined.Flight)
	}
	if ended.State != FlightEnded || ended.Next != older.ID || len(ended.Parts) != 0 || ended.Unique != 0 {
		t.Errorf("ended flight %+v", ended.Flight)
	}
	changed := must.Get(l.Changes.Flights(ctx, younger.Seq, 10))(t)
	if len(changed) != 2 {
		t.Errorf("changed flights %+v, want both", changed)
	}
	if s := must.Get(l.Totals.Stats(ctx))(t); s.Animals != 14 {
		t.Errorf("%d animals, want 14", s.Animals)
	}
}

// Two parts that are counted at once see each other: the second has to look again.
func TestPartsAtOnce(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	a, b := piece("base", 1), piece("base", 2)
	ja, jb := begin(t, l, a), begin(t, l, b)
	pb := partOf(b)
	near := must.Get(l.Flights.Neighbors(ctx, "base", pb))(t)
	finish(t, l, ja, a, 10)
	late := Joining{Part: pb, Neighbors: near, Groups: joinByName([]Part{pb})}
	_, err := l.Flights.Finish(ctx, jb.ID, jb.Fence, Count{Unique: 10, Low: 10, High: 10}, "k", late)
	must.FailWith(t, err, ErrJoinedMeanwhile)
	if j := must.Get(l.Jobs.Get(ctx, jb.ID))(t); j.State != job.Processing {
		t.Errorf("job is %s after a refused end", j.State)
	}
	finish(t, l, jb, b, 10)
	before := must.Get(first(l.Flights.List(ctx, Page{})))(t)
	finish(t, l, jb, b, 10) // a repeat with the same fence
	after := must.Get(first(l.Flights.List(ctx, Page{})))(t)
	if len(after) != 1 || after[0].Unique != 11 || after[0].Seq != before[0].Seq {
		t.Errorf("flights %+v, want one of 11 animals as before", after)
	}
	_, err = l.Flights.Finish(ctx, jb.ID, jb.Fence-1, Count{Unique: 99, Low: 99, High: 99}, "k", late)
	must.FailWith(t, err, ErrFenced)
}

// A joining that loses a part, has it twice or has a stranger is refused, and the job stays.
func TestGroupsAreComplete(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	a, b := piece("base", 1), piece("base", 2)
	for _, f := range []Footage{a, piece("base", 0)} {
		finish(t, l, begin(t, l, f), f, 10)
	}
	jb, pb := begin(t, l, b), partOf(b)
	near := must.Get(l.Flights.Neighbors(ctx, "base", pb))(t)
	for name, groups := range map[string][]Group{
		"a part is missing": {{Parts: []footage.ID{b.ID, a.ID}}}, // base-0 is in the flight of a
		"a part twice":      {{Parts: []footage.ID{b.ID, a.ID, b.ID}}},
		"a stranger":        {{Parts: []footage.ID{b.ID, a.ID, "x"}}},
		"a wrong interval":  {{Parts: []footage.ID{b.ID, a.ID}, JointCount: JointCount{Unique: 3, Low: 4, High: 5}}},
	} {
		_, err := l.Flights.Finish(ctx, jb.ID, jb.Fence, Count{Unique: 1, Low: 1, High: 1}, "k",
			Joining{Part: pb, Neighbors: near, Groups: groups})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v := must.Get(l.Footage.Get(ctx, b.ID))(t); v.Count != nil {
		t.Errorf("a refused end left a count %+v", v.Count)
	}
}

// A wide file that arrives after the thermal one takes its place. A flight of two ends, one of three is joined again.
func TestPartBecomesSibling(t *testing.T) {
	for _, n := range []int{2, 3} {
		ctx := t.Context()
		l, _ := fresh(t)
		thermal := func(i int) Footage {
			f := piece("base", i)
			f.Name = fmt.Sprintf("DJI_%04d_T.MP4", i)
			return f
		}
		for i := range n {
			f := thermal(i + 1)
			finish(t, l, begin(t, l, f), f, 50)
		}
		wide := piece("base", 1)
		wide.ID, wide.SHA256 = "wide", footage.Sum([]byte("wide"))
		wide.Name = "DJI_0001_W.MP4"
		begin(t, l, wide)
		f := must.Get(l.Footage.Get(ctx, thermal(1).ID))(t)
		if f.SiblingOf != "wide" || f.Flight != "" {
			t.Fatalf("thermal part is %+v", f.Footage)
		}
		stale := must.Get(l.Flights.ListStale(ctx, 10))(t)
		switch {
		case n == 2 && len(stale) != 0:
			t.Errorf("stale flights %+v of one part", stale)
		case n == 3:
			if len(stale) != 1 || len(stale[0].Parts) != 2 {
				t.Fatalf("stale flights %+v", stale)
			}
			must.Do(t, l.Flights.Rejoin(ctx, stale[0], joinByName(slices.Clone(stale[0].Parts))))
			must.FailWith(t, l.Flights.Rejoin(ctx, stale[0], joinByName(stale[0].Parts)), ErrJoinedMeanwhile)
		}
		if s := must.Get(l.Totals.Stats(ctx))(t); s.Animals != map[int]int64{2: 50, 3: 11}[n] {
			t.Errorf("%d parts: %d animals", n, s.Animals)
		}
		must.Do(t, l.Totals.Recount(ctx))
	}
}

// Far numbers with far times are no neighbors, whatever their device.
func TestNeighbors(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	for _, n := range []int{1, 6, 100} {
		f := piece("base", n)
		if n == 100 {
			f.Captured = time.Time{}
		}
		finish(t, l, begin(t, l, f), f, 1)
	}
	ask := func(n int, at time.Time) (ids []footage.ID) {
		f := piece("base", n)
		f.ID, f.Captured = "new", at
		for _, p := range must.Get(l.Flights.Neighbors(ctx, "base", partOf(f)))(t) {
			ids = append(ids, p.Footage)
		}
		return ids
	}
	day := piece("base", 0).Captured
	for name, c := range map[string]struct {
		got, want []footage.ID
	}{
		"number, no time":       {ask(2, time.Time{}), []footage.ID{"base-1", "base-6"}},
		"number, far time":      {ask(101, day.AddDate(1, 0, 0)), []footage.ID{"base-100"}},
		"number, another month": {ask(2, day.AddDate(0, 1, 0)), nil},
		"time":                  {ask(50, day), []footage.ID{"base-1", "base-6"}},
		"neither":               {ask(50, day.AddDate(0, 0, 1)), nil},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

// The footage that was recorded just before is a neighbor, however much other footage has near numbers or starts, and
// whatever was counted first.
func TestNearestNeighborIsFound(t *testing.T) {
	day := piece("base", 0).Captured
	for name, c := range map[string]struct {
		other func(i int) (string, time.Time)
		near  string // a name without number or with the one before, counted as the last
		at    time.Time
	}{
		"numbers that begin again each day": {func(i int) (string, time.Time) { return "DJI_0002.MP4", day.AddDate(0, 0, -i) },
			"DJI_0001.MP4", day.Add(-5 * time.Minute)},
		"no numbers": {func(i int) (string, time.Time) {
			at := day.Add(-20*time.Minute - time.Duration(i)*time.Minute)
			return at.Format("20060102_150405") + ".mp4", at
		}, day.Add(-5*time.Minute).Format("20060102_150405") + ".mp4", day.Add(-5 * time.Minute)},
		"no times": {func(int) (string, time.Time) { return "DJI_0001.MP4", time.Time{} }, "DJI_0001.MP4", time.Time{}},
		"clocks that are not set": {func(int) (string, time.Time) { return "DJI_0001.MP4", time.Unix(5, 0) },
			"DJI_0001.MP4", time.Unix(9, 0)},
	} {
		ctx := t.Context()
		l, _ := fresh(t)
		record := func(id, name string, at time.Time) {
			f := sample(id, "content of "+id)
			f.Device, f.Name, f.Captured = "base", name, at
			j := begin(t, l, f)
			must.Get(l.Flights.Finish(ctx, j.ID, j.Fence, Count{}, "k", Joining{Part: partOf(f),
				Neighbors: must.Get(l.Flights.Neighbors(ctx, "base", partOf(f)))(t)}))(t)
		}
		for i := range maxNeighbors + 5 {
			other, at := c.other(i)
			record(fmt.Sprintf("other-%d", i), other, at)
		}
		record("near", c.near, c.at)
		asked := Part{Footage: "new", Name: "DJI_0002.MP4", Started: day}
		near := must.Get(l.Flights.Neighbors(ctx, "base", asked))(t)
		if !slices.ContainsFunc(near, func(p Part) bool { return p.Footage == "near" }) {
			t.Errorf("%s: the nearest is not among %d neighbors", name, len(near))
		}
		if far := slices.IndexFunc(near, func(p Part) bool {
			return !p.Started.IsZero() && p.Started.Sub(day).Abs() > seriesWindow
		}); far >= 0 {
			t.Errorf("%s: a neighbor of %v", name, near[far].Started)
		}
	}
}

// A part that is counted again stays in its flight, and the totals have the new count of the flight.
func TestPartIsCountedAgain(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	for _, n := range []int{1, 2} {
		f := piece("base", n)
		finish(t, l, begin(t, l, f), f, 50)
	}
	before := must.Get(l.Footage.Get(ctx, "base-2"))(t)
	must.Get(l.Jobs.Recount(ctx, before.ID))(t)
	j, f, err := l.Attempts.Begin(ctx, before.Job.ID, "w")
	must.Do(t, err)
	old := partOf(f)
	old.Flight = "" // as it was before another part came
	near := must.Get(l.Flights.Neighbors(ctx, f.Device, old))(t)
	_, err = l.Flights.Finish(ctx, j.ID, j.Fence, Count{}, "k", Joining{Part: old, Neighbors: near})
	must.FailWith(t, err, ErrJoinedMeanwhile)
	if now, hand, err := l.Flights.FlightOf(ctx, f.ID); err != nil || now != before.Flight || hand.Decided {
		t.Errorf("flight %q, %+v, want %q", now, hand, before.Flight)
	}
	finish(t, l, j, f, 70)
	v := must.Get(l.Flights.Get(ctx, before.Flight))(t)
	if v.State != FlightJoined || len(v.Parts) != 2 || v.Parts[1].Unique != 70 || v.Unique != 11 {
		t.Errorf("flight %+v", v)
	}
	if s := must.Get(l.Totals.Stats(ctx))(t); s.Animals != 11 || s.Counts != 2 {
		t.Errorf("%+v, want one flight of 11 animals", s)
	}
}
