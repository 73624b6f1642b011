package ledger

import (
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// The last decision about a part counts: one part follows on another one, none in a circle, and a joining undoes a
// division. Until a worker has joined the tracks, the count is that of the largest part, and never the sum.
func TestDecisionsByHand(t *testing.T) {
	l, _ := fresh(t)
	ctx := By(t.Context(), "anna")
	v := countParts(t, l, "base", 1, 2)
	for _, n := range []int{50, 90} {
		f := piece("base", n)
		finish(t, l, begin(t, l, f), f, 7)
	}
	ids := []footage.ID{piece("base", 1).ID, piece("base", 2).ID, piece("base", 50).ID, piece("base", 90).ID}
	want := func(what string, follows ...Hand) {
		t.Helper()
		for i, id := range ids {
			if _, got, err := l.Flights.FlightOf(ctx, id); err != nil || got != follows[i] {
				t.Errorf("%s: part %d is decided as %+v, want %+v; %v", what, i, got, follows[i], err)
			}
		}
	}
	no, first := Hand{}, Hand{Decided: true}
	after := func(i int) Hand { return Hand{true, ids[i]} }
	want("at first", no, no, no, no)
	before := must.Get(l.Totals.Stats(ctx))(t).Animals
	must.Do(t, l.Flights.SplitByHand(ctx, v.ID, ids[1]))
	want("divided", no, first, no, no)
	must.Get(l.Flights.JoinByHand(ctx, []footage.ID{ids[1], ids[2]}))(t)
	want("joined", no, first, after(1), no)
	must.Get(l.Flights.JoinByHand(ctx, []footage.ID{ids[1], ids[3]}))(t) // in the place of the one before
	want("another one follows", no, first, no, after(1))
	must.Get(l.Flights.JoinByHand(ctx, []footage.ID{ids[3], ids[0], ids[1]}))(t)
	want("no circle", after(3), after(0), no, no)
	f := must.Get(l.Flights.Get(ctx, v.ID))(t)
	if f.State != FlightStale || len(f.Parts) != 4 || len(f.Warnings) != 1 || f.Unique != v.Unique || f.Low > f.Unique ||
		f.High <= f.Unique {
		t.Errorf("flight %+v", f.Flight)
	}
	got := must.Get(l.Totals.Stats(ctx))(t).Animals
	if got >= before || int(got) != f.Unique {
		t.Errorf("%d animals in the totals, %d before, %d in the flight", got, before, f.Unique)
	}
	must.Do(t, l.Totals.Recount(ctx))
	if again := must.Get(l.Totals.Stats(ctx))(t).Animals; again != got {
		t.Errorf("%d animals after the totals were summed again, want %d", again, got)
	}
}
