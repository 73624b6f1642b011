package uplink

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/spool"
)

// order returns the names of the videos in the order of their completion.
func (st *station) order() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	var names []string
	for _, r := range st.seen {
		if r.State == spool.Reclaimed && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		order      Order
		priorities map[string]int
		want       string
	}{
		{"", nil, "a b c d"},
		{Oldest, map[string]int{"c": 1}, "c a b d"},
		{Newest, nil, "d c b a"},
		{Newest, map[string]int{"a": 2, "b": 2, "d": -1}, "b a c d"},
	} {
		synctest.Test(t, func(t *testing.T) {
			st := newBubble(t, func(_ *CloudOptions, o *Options) { o.Order = c.order })
			for _, name := range []string{"a", "b", "c", "d"} {
				r := st.add(name, 1000, false)
				if p, ok := c.priorities[name]; ok {
					if err := st.up.Prioritise(r.ID, p, false); err != nil {
						t.Fatal(err)
					}
				}
			}
			st.run()
			after(time.Minute)
			if got := strings.Join(st.order(), " "); got != c.want {
				t.Errorf("%q %v: %s, want %s", c.order, c.priorities, got, c.want)
			}
		})
	}
}

// A higher priority waits for the running transfer, unless now is set. A preempted transfer
// resumes later.
func TestPriorityDuringTransfer(t *testing.T) {
	for now, want := range map[bool]string{false: "long b a", true: "b long a"} {
		synctest.Test(t, func(t *testing.T) {
			st := newBubble(t, func(_ *CloudOptions, o *Options) { o.RateLimit = 1 << 20 })
			long, _, b := st.add("long", 10<<20, false), st.add("a", 1000, false), st.add("b", 1000, false)
			st.run()
			after(3 * time.Second)
			if err := st.up.Prioritise(b.ID, 7, now); err != nil {
				t.Fatal(err)
			}
			after(time.Second)
			if rec, _ := st.spool.Records.Get(long.ID); rec.State != spool.Uploading {
				t.Errorf("got record %+v", rec)
			}
			after(time.Minute)
			if got := strings.Join(st.order(), " "); got != want {
				t.Errorf("now %t: %s, want %s", now, got, want)
			}
			if got := st.received(); got != 10<<20+2000 {
				t.Errorf("%d bytes, of which %d twice", got, got-10<<20-2000)
			}
		})
	}
}

// A lower or equal priority never preempts a running transfer.
func TestOnlyHigherPriorityPreempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newBubble(t, func(_ *CloudOptions, o *Options) { o.RateLimit = 1 << 20 })
		long, b := st.add("long", 5<<20, false), st.add("b", 1000, false)
		st.run()
		after(time.Second)
		if err := st.up.Prioritise(long.ID, 3, true); err != nil {
			t.Fatal(err)
		}
		if err := st.up.Prioritise(b.ID, 3, true); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if got := strings.Join(st.order(), " "); got != "long b" {
			t.Error(got)
		}
	})
}

// The times of a file and of its record do not change the order, because the clock may have
// jumped.
func TestOrderByCaptureAlone(t *testing.T) {
	past, future := time.Unix(60, 0), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	first := spool.Record{ID: "zzz", Seq: 1, Source: spool.Source{ModTime: future}, Updated: future}
	second := spool.Record{ID: "aaa", Seq: 2, Source: spool.Source{ModTime: past}, Updated: past}
	for order, want := range map[Order]int{Oldest: -1, Newest: 1} {
		if got := order.compare(first, second); got != want {
			t.Errorf("%s: %d", order, got)
		}
	}
}
