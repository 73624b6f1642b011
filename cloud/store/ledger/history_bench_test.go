package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// placed gives each count of a full ledger 100 positions and a paddock out of 20; two counts have the paddock rare.
func placed(b *testing.B, n int) *Ledger {
	b.Helper()
	l := full(b, n)
	var places []Place
	for i := range 100 {
		places = append(places, Place{ID: i, Class: "cow", Lat: -31.7 + float64(i)/1e5, Lon: 24.3 + float64(i)/1e5, Radius: 5.1,
			Seconds: float64(i) / 7})
	}
	text := string(must.Get(json.Marshal(places))(b))
	const name = `CASE WHEN c.seq IN (3008, 150008) THEN 'rare' ELSE 'camp ' || (c.seq % 20) END`
	must.Do(b, l.tables.write(b.Context(), "fill", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO spread (footage, paddock) SELECT c.footage, `+name+
			` FROM animal_count c`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO ground (footage, mark, done, way, placed, places, footprint, paddocks)
			SELECT c.footage, 1, 1, 'camera', 100, CAST($1 AS TEXT), '[]', '[{"name":"' || `+name+
			` || '","animals":7,"low":6,"high":8,"border":0,"near":0,"area_m2":1000,"seen":1}]' FROM animal_count c`, text)
		return err
	}))
	if os.Getenv(onPostgres) != "" {
		_, err := l.DB().Read().ExecContext(b.Context(), `VACUUM ANALYZE`)
		must.Do(b, err)
	}
	return l
}

// BenchmarkPaddocksOf100000 asks a ledger with 100,000 pieces of footage and nine million positions for its paddocks.
func BenchmarkPaddocksOf100000(b *testing.B) {
	ctx := b.Context()
	l := placed(b, 100_000)
	list := func(name string, p Page, want int, find func(context.Context, Page) (int, error)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := find(ctx, p); err != nil || n != want {
					b.Fatal(fmt.Errorf("%d entries, want %d: %w", n, want, err))
				}
			}
		})
	}
	counts := func(ctx context.Context, p Page) (int, error) {
		vs, _, err := l.Counts.List(ctx, p)
		return len(vs), err
	}
	footage := func(ctx context.Context, p Page) (int, error) {
		vs, _, err := l.Footage.List(ctx, p)
		return len(vs), err
	}
	list("counts of a paddock", Page{Paddock: "camp 5", Site: "north"}, 50, counts)
	list("counts of a rare paddock", Page{Paddock: "rare", Site: "north"}, 2, counts)
	list("counts of no paddock", Page{Paddock: "none"}, 0, counts)
	list("footage of a paddock", Page{Paddock: "camp 5", Site: "north"}, 50, footage)
	list("footage of a rare paddock", Page{Paddock: "rare", Site: "north"}, 2, footage)
	list("newest of each paddock", Page{Site: "north"}, 18, func(ctx context.Context, p Page) (int, error) {
		vs, err := l.Sites.NewestPaddocks(ctx, p.Site, 500)
		return len(vs), err
	})
	list("positions of one count", Page{}, 100, func(ctx context.Context, _ Page) (int, error) {
		g, err := l.Grounds.Get(ctx, "f00050002")
		return len(g.Places), err
	})
	list("a place of each of 100 counts", Page{Site: "north"}, 100, func(ctx context.Context, p Page) (int, error) {
		ps, err := l.Grounds.ListPlaced(ctx, p.Site, 100)
		return len(ps), err
	})
}
