package ledger

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

func TestReviews(t *testing.T) {
	l, clock := fresh(t)
	ctx := By(t.Context(), "anna")
	r := Review{Footage: "f1", Reviewer: "anna", Counted: clock.Now(), Document: []byte(`{"animals":[]}`), Animals: 90, Judged: 3, Tracks: 92}
	put := func(r Review) error { _, err := l.Reviews.Put(ctx, r); return err }
	must.FailWith(t, put(r), ErrNotFound)
	count(t, l, "f1")
	f := must.Get(l.Footage.Get(ctx, "f1"))(t)
	r.Counted = f.Count.At.Add(-time.Second)
	must.FailWith(t, put(r), ErrInvalid)
	r.Counted = f.Count.At
	first := must.Get(l.Reviews.Put(ctx, r))(t)
	if all := must.Get(l.Reviews.List(ctx, "f1"))(t); len(all) != 1 || !reflect.DeepEqual(all[0], first) {
		t.Errorf("%+v, want %+v", all, first)
	}
	clock.Advance(time.Minute)
	r.Animals, r.Judged = 91, 92
	must.Get(l.Reviews.Put(ctx, r))(t)
	if all := must.Get(l.Reviews.List(ctx, "f1"))(t); len(all) != 1 || all[0].Animals != 91 || all[0].Judged != 92 {
		t.Errorf("%+v", all)
	}
	for i := range mostReviewers - 1 {
		r.Reviewer = "r" + strconv.Itoa(i)
		must.Do(t, put(r))
	}
	r.Reviewer = "one too many"
	must.FailWith(t, put(r), ErrInvalid)
	must.Do(t, l.Reviews.Delete(ctx, "f1", "anna"))
	must.FailWith(t, l.Reviews.Delete(ctx, "f1", "anna"), ErrNotFound)
	must.Do(t, put(r))
	if none := must.Get(l.Reviews.List(ctx, "f2"))(t); len(none) != 0 {
		t.Errorf("%+v", none)
	}
}
