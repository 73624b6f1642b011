package ledger

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// The footage of a paddock is the same whether it is found by its two indexes in their order, as for a paddock with many
// counts, or chosen first, as for one with few.
func TestFootageOfAPaddockIsTheSameEitherWay(t *testing.T) {
	const n = 500
	l, ctx := placed(t, n), t.Context()
	noon := time.UnixMicro(firstTaken).Add(n / 2 * time.Minute)
	for _, name := range []string{"old", "camp 5", "camp 9", "rare", "none"} {
		for _, sort := range []Sort{SortNewest, SortOldest} {
			for i, p := range []Page{{}, {Site: "north", Device: "base-3"}, {From: noon}, {Site: "south"}, {To: noon, Sites: SiteSet{"north"}}} {
				p.Paddock, p.Sort, p.Limit = name, sort, 3
				duplicates := 0
				for pages := 0; ; pages++ {
					want, next, err := l.Footage.List(ctx, p)
					must.Do(t, err)
					if got := inOrder(t, l, p); !slices.EqualFunc(got, want, func(a bornView, b FootageView) bool { return a.ID == b.ID }) {
						t.Fatalf("%s, %q, choice %d, page %d: %d entries differ from %d", name, sort, i, pages, len(got), len(want))
					}
					for _, v := range want {
						if v.DuplicateOf != "" {
							duplicates++
						}
					}
					if p.After = next; next == "" {
						break
					}
				}
				if i == 0 && name == "old" && duplicates == 0 {
					t.Error("no duplicate is in the list")
				}
			}
		}
	}
}

// inOrder reads a page by filter.inPaddock.
func inOrder(t *testing.T, l *Ledger, p Page) []bornView {
	t.Helper()
	limit, after, err := p.bounds()
	must.Do(t, err)
	f, order := p.filter("f.born", after, limit), ` ORDER BY f.born DESC LIMIT $2`
	if p.Sort == SortOldest {
		if p.After == "" {
			f.args[0] = int64(0)
		}
		f.where[0], order = `f.born > $1`, ` ORDER BY f.born LIMIT $2`
	}
	f.taken(p)
	where := f.inPaddock(p.Paddock, order)
	vs, err := list(t.Context(), l.DB().Read(), scanView, viewQuery+where+order, f.args...)
	must.Do(t, err)
	return vs
}

// SQLite, which has no statistics, reads neither all footage of a site nor sorts it.
func TestFootageOfAPaddockIsReadInItsOrder(t *testing.T) {
	l := placed(t, 500)
	if os.Getenv(onPostgres) != "" {
		t.Skip("PostgreSQL plans by its statistics")
	}
	f, order := Page{Site: "north"}.filter("f.born", 1000, 50), ` ORDER BY f.born DESC LIMIT $2`
	where := f.inPaddock("old", order)
	rows, err := list(t.Context(), l.DB().Read(), lastColumn, `EXPLAIN QUERY PLAN `+viewQuery+where+order, f.args...)
	must.Do(t, err)
	plan := strings.Join(rows, "\n")
	for _, want := range []string{"spread_born", "footage_copy"} {
		if !strings.Contains(plan, want) {
			t.Error(fmt.Sprint("no ", want, ":\n", plan))
		}
	}
}
