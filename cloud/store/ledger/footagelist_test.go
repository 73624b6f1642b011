package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// pagesOf reads every page of a list, and calls between after each.
func pagesOf(t *testing.T, l *Ledger, p Page, between func()) (ids []string) {
	t.Helper()
	for range 100 {
		vs, next, err := l.Footage.List(t.Context(), p)
		must.Do(t, err)
		for _, v := range vs {
			ids = append(ids, string(v.ID))
		}
		if next == "" {
			return ids
		}
		p.After = next
		between()
	}
	t.Fatal("the list has no end")
	return nil
}

func TestSortedFootage(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	names := map[string]string{"a": "DJI_0001.MP4", "b": "dji_0002.mp4", "c": "50%_a.MP4", "d": "Ñandú.mov",
		"e": "a_b.MP4"}
	animals := map[string]int{"a": 5, "b": 90, "c": 5, "d": 12}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		f := sample(id, "content of "+id)
		f.Name = names[id]
		rec := must.Get(l.Footage.Record(ctx, f))(t)
		if n, counted := animals[id]; counted {
			j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w"+id)
			must.Do(t, err)
			must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: n, High: n}, "k"))(t)
		}
	}
	copied := sample("copy", "content of b")
	copied.Name = "copy.MP4"
	must.Get(l.Footage.Record(ctx, copied))(t)
	for name, c := range map[string]struct {
		page Page
		want string
	}{
		"newest":               {Page{}, "copy e d c b a"},
		"oldest":               {Page{Sort: SortOldest}, "a b c d e copy"},
		"most":                 {Page{Sort: SortMost}, "b d c a"},
		"most of a state":      {Page{Sort: SortMost, State: "failed"}, ""},
		"most of another site": {Page{Sort: SortMost, Sites: SiteSet{"west"}}, ""},
		"named":                {Page{Name: "dji_"}, "b a"},
		"named, oldest":        {Page{Name: "DJI", Sort: SortOldest}, "a b"},
		"named, most":          {Page{Name: ".mp4", Sort: SortMost}, "b c a"},
		"a percent sign":       {Page{Name: "0%"}, "c"},
		"an underscore":        {Page{Name: "a_"}, "e"},
		"a backslash":          {Page{Name: `\`}, ""},
		"other letters":        {Page{Name: "andú"}, "d"},
	} {
		for _, limit := range []int{1, 2, 50} {
			c.page.Limit = limit
			if got := strings.Join(pagesOf(t, l, c.page, func() {}), " "); got != c.want {
				t.Errorf("%s, %d a page: %q, want %q", name, limit, got, c.want)
			}
		}
	}
	for _, p := range []Page{{After: "5.a"}, {Sort: SortOldest, After: "x"}, {Sort: SortMost, After: "5"},
		{Sort: SortMost, After: "-1.a"},
		{Sort: SortMost, After: "x.a"}} {
		_, _, err := l.Footage.List(ctx, p)
		must.FailWith(t, err, ErrCursor)
	}
}

// What arrives between two pages neither repeats nor hides an older entry, in any order.
func TestPagesAreStable(t *testing.T) {
	for _, sort := range []Sort{SortNewest, SortOldest, SortMost} {
		l, _ := fresh(t)
		n := 0
		arrive := func() {
			n++
			id := fmt.Sprintf("f%02d", n)
			rec := record(t, l, id, "content of "+id)
			j, _, err := l.Attempts.Begin(t.Context(), rec.Job.ID, "w"+id)
			must.Do(t, err)
			must.Get(l.Attempts.Finish(t.Context(), j.ID, j.Fence, Count{Unique: n % 4, High: 9}, "k"))(t)
		}
		for range 11 {
			arrive()
		}
		ids := pagesOf(t, l, Page{Sort: sort, Limit: 3}, func() {
			if n < 20 {
				arrive()
			}
		})
		seen := map[string]int{}
		for _, id := range ids {
			seen[id]++
		}
		for i := range 11 {
			if id := fmt.Sprintf("f%02d", i+1); seen[id] != 1 {
				t.Errorf("sort %q: %s is there %d times in %v", sort, id, seen[id], ids)
			}
		}
		if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
			t.Errorf("sort %q: entries are repeated: %v", sort, ids)
		}
	}
}

// FuzzFootageCursor looks for a start of a page that is neither refused nor a list.
func FuzzFootageCursor(f *testing.F) {
	for _, s := range []string{"", "5", "5.a", "-1", "99999999999999999999", "5.\x00", "."} {
		f.Add(s, "most", "a")
	}
	l, _ := fresh(f)
	f.Fuzz(func(t *testing.T, after, sort, name string) {
		_, _, err := l.Footage.List(t.Context(), Page{After: after, Sort: Sort(sort), Name: name})
		if err != nil {
			must.FailWith(t, err, ErrCursor)
		}
	})
}
