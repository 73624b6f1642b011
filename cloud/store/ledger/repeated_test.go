package ledger

import (
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// Jobs that took several attempts are listed by the time of their end. Those of one moment come together.
func TestListRepeated(t *testing.T) {
	l, clock := fresh(t)
	ctx := t.Context()
	start := clock.Now()
	for i, id := range []footage.ID{"a", "b", "c", "d"} {
		j := record(t, l, string(id), string(id)).Job
		for k := range 2 {
			if k == 1 {
				if id == "b" {
					break // one attempt
				}
				must.Get(l.Jobs.Recount(ctx, id))(t)
			}
			begun, _, err := l.Attempts.Begin(ctx, j.ID, "w")
			must.Do(t, err)
			must.Get(l.Attempts.Finish(ctx, j.ID, begun.Fence, Count{Unique: 1, High: 1}, "k"))(t)
		}
		if i != 2 { // c and d end in one moment
			clock.Advance(time.Minute)
		}
	}
	names := func(from, to time.Duration, limit int) (s string) {
		for _, j := range must.Get(l.Jobs.ListRepeated(ctx, start.Add(from), start.Add(to), limit))(t) {
			s += string(j.Footage)
		}
		return s
	}
	for _, c := range []struct {
		from, to time.Duration
		limit    int
		want     string
	}{
		{-time.Hour, time.Hour, 10, "acd"}, {-time.Hour, time.Hour, 1, "a"}, {0, time.Hour, 1, "cd"}, {0, time.Hour, 2, "cd"},
		{-time.Hour, time.Minute, 10, "a"}, {time.Hour, 2 * time.Hour, 10, ""},
	} {
		if got := names(c.from, c.to, c.limit); got != c.want {
			t.Errorf("from %v to %v, %d at most: %q, want %q", c.from, c.to, c.limit, got, c.want)
		}
	}
	if !must.Get(l.Footage.IsCounted(ctx, "a", start.Add(time.Hour)))(t) || must.Get(l.Footage.IsCounted(ctx, "a", start))(t) {
		t.Error("footage is counted before an hour after its count, and not before its count")
	}
	must.Get(l.Jobs.Recount(ctx, "a"))(t)
	if must.Get(l.Footage.IsCounted(ctx, "a", start.Add(time.Hour)))(t) {
		t.Error("footage that is counted again is counted")
	}
}
