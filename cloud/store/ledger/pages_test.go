package ledger

import (
	"context"
	"fmt"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// Every list has each of its entries once while others are added and changed between its pages.
func TestPagesWhileTheyAreRead(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	n := 0
	add := func() {
		n++
		f := sample(fmt.Sprintf("f%03d", n), fmt.Sprint(n))
		countedAt(t, l, f, Place{ID: 1, Class: "cow", Lat: -31.7 + float64(n)/1000, Lon: 24.3, Paddocks: []string{"East"}})
		must.Get(l.Surveys.Add(ctx, Survey{Site: "north", Name: fmt.Sprint(n)}))(t)
		for _, id := range []string{"a", "b"} {
			must.Do(t, l.Thumbnails.Put(ctx, Thumbnail{Footage: footage.ID(fmt.Sprintf("t%03d%s", n, id)), Site: "north", Device: "base-1",
				Name: "n", Size: 3, BlobKey: "k", Received: c.Now()}))
		}
	}
	for range 9 {
		add()
	}
	change := func() { // an entry that is on no page yet becomes the newest change
		for _, id := range []footage.ID{"f001", "f002"} {
			j := must.Get(l.Jobs.Recount(ctx, id))(t)
			must.Do(t, l.Jobs.MarkQueued(ctx, j.ID))
			j, _, err := l.Attempts.Begin(ctx, j.ID, "w")
			must.Do(t, err)
			must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 2, High: 3}, "k"))(t)
			putPlaces(t, l, id, c.Now(), Place{ID: 1, Class: "cow", Lat: -31.7, Lon: 24.3, Paddocks: []string{"East"}})
		}
	}
	keys := func(list func(context.Context, Page) ([]string, string, error)) func(*testing.T, Page) {
		return func(t *testing.T, p Page) {
			want := map[string]bool{}
			first, next, err := list(ctx, Page{Limit: 200, Paddock: p.Paddock, Sort: p.Sort, Window: p.Window, Name: p.Name})
			must.Do(t, err)
			if len(first) < 9 || next != "" {
				t.Fatalf("%d entries, next %q", len(first), next)
			}
			for _, k := range first {
				want[k] = true
			}
			seen := map[string]int{}
			p.Limit = 2
			for i := 0; ; i++ {
				some, next, err := list(ctx, p)
				must.Do(t, err)
				for _, k := range some {
					seen[k]++
				}
				if p.After = next; next == "" {
					break
				}
				if i == 0 {
					add()
					change()
				}
			}
			for k := range want {
				if seen[k] != 1 {
					t.Errorf("%s was listed %d times", k, seen[k])
				}
			}
			for k, n := range seen {
				if n != 1 {
					t.Errorf("%s was listed %d times", k, n)
				}
			}
		}
	}
	films := keys(keysOf(l.Footage.List, func(v FootageView) string { return string(v.ID) }))
	counts := keys(keysOf(l.Counts.List, func(v CountView) string { return string(v.Count.Footage) }))
	world := &Window{-180, -90, 180, 90}
	for name, list := range map[string]func(*testing.T){
		"footage":              func(t *testing.T) { films(t, Page{}) },
		"footage, oldest":      func(t *testing.T) { films(t, Page{Sort: SortOldest}) },
		"footage of a paddock": func(t *testing.T) { films(t, Page{Paddock: "East"}) },
		"footage in a window":  func(t *testing.T) { films(t, Page{Window: world}) },
		"footage by name":      func(t *testing.T) { films(t, Page{Name: "dji"}) },
		"counts":               func(t *testing.T) { counts(t, Page{}) },
		"counts of a paddock":  func(t *testing.T) { counts(t, Page{Paddock: "East"}) },
		"surveys":              func(t *testing.T) { keys(keysOf(l.Surveys.List, func(s Survey) string { return s.ID }))(t, Page{}) },
		"thumbnails": func(t *testing.T) {
			keys(keysOf(l.Thumbnails.ListWaiting, func(v Thumbnail) string { return string(v.Footage) }))(t, Page{})
		},
		"jobs": func(t *testing.T) {
			keys(keysOf(func(ctx context.Context, p Page) ([]JobView, string, error) { return l.Jobs.List(ctx, "", p) },
				func(v JobView) string { return v.ID }))(t, Page{})
		},
	} {
		t.Run(name, list)
	}
}

// keysOf is a list of keys.
func keysOf[T any](list func(context.Context, Page) ([]T, string, error), key func(T) string) func(context.Context, Page) ([]string,
	string, error) {
	return func(ctx context.Context, p Page) ([]string, string, error) {
		vs, next, err := list(ctx, p)
		var out []string
		for _, v := range vs {
			out = append(out, key(v))
		}
		return out, next, err
	}
}
