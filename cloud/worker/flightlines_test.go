package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// A flight is judged by its own lines, else by those of its device, else by those of the configuration. A change needs no
// new count: an idle worker judges again. The documents that no flight names any more are deleted.
func TestFlightIsJudgedAgain(t *testing.T) {
	s := newStage(t)
	counts := 0
	w := s.flightWorker(counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		counts++
		return partCounter(10).Count(ctx, src, p)
	}))
	w.o.Lines, w.o.DefaultLines = s.l.Lines, lineSet("configured")
	must.Get(s.l.Devices.Add(t.Context(), "dock", "ranch", ledger.RoleDevice))(t)
	var id footage.ID
	for i := range 3 {
		id = s.putPart("dock", fmt.Sprintf("GX%02d0007.MP4", i+1), strings.Repeat("x", i+1))
		s.deliver(t.Context(), w)
	}
	f := must.Get(s.l.Footage.Get(t.Context(), id))(t)
	judged := func(want string) ledger.FlightView {
		t.Helper()
		w.swept = time.Time{}
		w.joinStale(t.Context())
		v := must.Get(s.l.Flights.Get(t.Context(), f.Flight))(t)
		got := ""
		if len(v.Boundaries.Lines) > 0 {
			got = v.Boundaries.Lines[0].Name
		}
		if got != want || v.State != ledger.FlightJoined {
			t.Errorf("flight %s is judged by %q, want %q", v.State, got, want)
		}
		var keys []string
		for i, err := range s.b.List(t.Context(), strings.TrimSuffix(v.ResultKey, "json")) {
			must.Do(t, err)
			keys = append(keys, i.Key)
		}
		wantKeys := []string{v.ResultKey}
		if want != "" {
			wantKeys = []string{wire.FlightCrossingsKey(v.ResultKey), v.ResultKey}
		}
		slices.Sort(keys)
		if !slices.Equal(keys, wantKeys) {
			t.Errorf("documents %q, want %q", keys, wantKeys)
		}
		doc := must.Get(s.b.Open(t.Context(), v.ResultKey, 0, -1))(t)
		text := must.Get(io.ReadAll(doc))(t)
		if must.Do(t, doc.Close()); !strings.Contains(string(text), `"grounds"`) {
			t.Errorf("the document has no grounds for the next joining: %s", text)
		}
		return v
	}
	before := judged("configured")
	set := func(o ledger.LineOwner, set boundary.Set) { must.Get(s.l.Lines.Put(t.Context(), o, set))(t) }
	set(ledger.LineOwner{Kind: ledger.DeviceLines, ID: "dock"}, lineSet("device"))
	judged("device")
	set(ledger.LineOwner{Kind: ledger.FlightLines, ID: f.Flight}, lineSet("flight"))
	after := judged("flight")
	if after.Unique != before.Unique || after.Seq <= before.Seq || counts != 3 {
		t.Errorf("%d counts, flight %+v, before %+v", counts, after.Flight, before.Flight)
	}
	set(ledger.LineOwner{Kind: ledger.FlightLines, ID: f.Flight}, boundary.Set{})
	judged("")
	must.Do(t, s.l.Lines.Delete(t.Context(), ledger.LineOwner{Kind: ledger.FlightLines, ID: f.Flight}))
	judged("device")
}

// Footage of a flight is judged by the flight's lines in the picture; what lies on the ground belongs to the anchor alone.
func TestFootageHasLinesOfItsFlight(t *testing.T) {
	s := newStage(t)
	seen := map[footage.ID]boundary.Set{}
	w := s.flightWorker(counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		seen[src.Footage] = src.Lines
		return partCounter(10).Count(ctx, src, p)
	}))
	w.o.Lines = s.l.Lines
	var ids []footage.ID
	for i := range 2 {
		ids = append(ids, s.putPart("dock", fmt.Sprintf("GX%02d0007.MP4", i+1), strings.Repeat("x", i+1)))
		s.deliver(t.Context(), w)
	}
	set := lineSet("picture")
	set.Lines = append(set.Lines, boundary.Line{Name: "ground", To: boundary.Point{1, 1}, Place: boundary.Place{Frame: boundary.Ground}})
	flight := must.Get(s.l.Footage.Get(t.Context(), ids[0]))(t).Flight
	must.Get(s.l.Lines.Put(t.Context(), ledger.LineOwner{Kind: ledger.FlightLines, ID: flight}, set))(t)
	for _, id := range ids {
		j := must.Get(s.l.Jobs.Recount(t.Context(), id))(t)
		must.Do(t, errors.Join(s.q.Enqueue(t.Context(), j.ID), s.l.Jobs.MarkQueued(t.Context(), j.ID)))
		s.deliver(t.Context(), w)
	}
	if a, b := seen[ids[0]].Lines, seen[ids[1]].Lines; len(a) != 2 || len(b) != 1 || b[0].Name != "picture" {
		t.Errorf("lines of the anchor %+v, of the other part %+v", a, b)
	}
}

// What a person joined or divided stays so: after the worker has done it, after a recount and when other parts arrive.
func TestFlightsByHandStay(t *testing.T) {
	s := newStage(t)
	w := s.flightWorker(partCounter(10))
	add := func(name string) footage.ID {
		id := s.putPart("dock", name, "content of "+name)
		s.deliver(t.Context(), w)
		return id
	}
	flightOf := func(id footage.ID) string { return must.Get(s.l.Footage.Get(t.Context(), id))(t).Flight }
	parts := func(id footage.ID) (names []string) {
		for _, p := range must.Get(s.l.Flights.Get(t.Context(), flightOf(id)))(t).Parts {
			names = append(names, p.Name)
		}
		return names
	}
	settle := func() {
		w.swept = time.Time{}
		w.joinStale(t.Context())
	}
	a, b, c := add("GX010007.MP4"), add("GX020007.MP4"), add("GX030007.MP4")
	lone := add("walk.MP4")
	must.Do(t, s.l.Flights.SplitByHand(t.Context(), flightOf(a), c))
	settle()
	if flightOf(c) != "" || len(parts(a)) != 2 {
		t.Errorf("divided into %v and flight %q", parts(a), flightOf(c))
	}
	must.Get(s.l.Flights.JoinByHand(t.Context(), []footage.ID{c, lone}))(t)
	settle()
	check := func(when string) {
		t.Helper()
		if got := parts(c); !slices.Equal(got, []string{"GX030007.MP4", "walk.MP4"}) || flightOf(lone) != flightOf(c) {
			t.Errorf("%s: joined %v", when, got)
		}
		if v := must.Get(s.l.Flights.Get(t.Context(), flightOf(c)))(t); v.State != ledger.FlightJoined || v.Unique < 10 || v.Unique > 20 {
			t.Errorf("%s: %+v", when, v.Flight)
		}
		if got := parts(a); !slices.Equal(got[:2], []string{"GX010007.MP4", "GX020007.MP4"}) || flightOf(a) == flightOf(c) {
			t.Errorf("%s: first flight %v", when, got)
		}
	}
	check("joined")
	add("GX000007.MP4")
	for _, id := range []footage.ID{b, c, lone} {
		j := must.Get(s.l.Jobs.Recount(t.Context(), id))(t)
		must.Do(t, errors.Join(s.q.Enqueue(t.Context(), j.ID), s.l.Jobs.MarkQueued(t.Context(), j.ID)))
		s.deliver(t.Context(), w)
	}
	settle()
	if got := parts(c); !slices.Equal(got, []string{"GX030007.MP4", "walk.MP4"}) {
		t.Errorf("after recounts: %v", got)
	}
	stats := must.Get(s.l.Totals.Stats(t.Context()))(t)
	sum := int64(0)
	vs, _, err := s.l.Flights.List(t.Context(), ledger.Page{})
	must.Do(t, err)
	for _, v := range vs {
		sum += int64(v.Unique)
	}
	if stats.Animals != sum {
		t.Errorf("%d animals in the totals, the flights have %d", stats.Animals, sum)
	}
}
