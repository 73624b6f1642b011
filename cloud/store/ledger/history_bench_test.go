package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

const (
	pastures  = 20
	variants  = 10  // of the places in a pasture
	eachCount = 114 // positions
	fillWrite = 1000
)

// flown is where the animals of a count are, as the ledger stores it.
type flown struct {
	places string
	tiles  map[int64]string
	box    extent
}

// pasture is the corner of one of the pastures of a site, some two kilometres from the next.
func pasture(n int) (lat, lon float64) { return -31.7 + 0.02*float64(n/5), 24.3 + 0.02*float64(n%5) }

// inPasture places animals on 250 m of a pasture.
func inPasture(b *testing.B, r *rand.Rand, n int, paddock string) flown {
	lat, lon := pasture(n)
	g := Ground{}
	tiles := map[int64][]Place{}
	for i := range eachCount {
		p := Place{ID: i + 1, Class: "cow", Lat: lat + 0.00225*r.Float64(), Lon: lon + 0.0026*r.Float64(), Radius: 5.1,
			Seconds: float64(i) / 7, Paddocks: []string{paddock}}
		g.Places = append(g.Places, p)
		c := cellOf(tileOf(p.Lat, p.Lon, placeLevel))
		tiles[c] = append(tiles[c], p)
	}
	f := flown{places: string(must.Get(json.Marshal(g.Places))(b)), tiles: map[int64]string{}, box: extentOf(g)}
	for c, ps := range tiles {
		f.tiles[c] = string(must.Get(json.Marshal(ps))(b))
	}
	return f
}

// bulk inserts rows with few statements.
type bulk struct {
	head string
	rows int // of one statement
	args []any
	n    int
	each int
}

func (k *bulk) add(ctx context.Context, tx *sql.Tx, row ...any) error {
	k.args, k.each = append(k.args, row...), len(row)
	if k.n++; k.n < k.rows {
		return nil
	}
	return k.flush(ctx, tx)
}

func (k *bulk) flush(ctx context.Context, tx *sql.Tx) error {
	if k.n == 0 {
		return nil
	}
	marks := make([]string, k.n)
	for i := range marks {
		one := make([]string, k.each)
		for c := range one {
			one[c] = fmt.Sprintf("$%d", i*k.each+c+1)
		}
		marks[i] = "(" + strings.Join(one, ", ") + ")"
	}
	_, err := tx.ExecContext(ctx, k.head+` VALUES `+strings.Join(marks, ", "), k.args...)
	k.args, k.n = nil, 0
	return err
}

// placed gives each count of a full ledger 114 positions and a paddock out of twenty; two counts have the paddock rare.
func placed(b *testing.B, n int) *Ledger {
	b.Helper()
	l := full(b, n)
	r := rand.New(rand.NewPCG(5, 6))
	var all [pastures][variants]flown
	for p := range all {
		for v := range all[p] {
			all[p][v] = inPasture(b, r, p, fmt.Sprint("camp ", p))
		}
	}
	rare := inPasture(b, r, 2, "rare")
	for from := 1; from <= n; from += fillWrite {
		must.Do(b, l.tables.write(b.Context(), "fill", func(ctx context.Context, tx *sql.Tx) error {
			ground := bulk{head: `INSERT INTO ground (footage, mark, done, way, placed, places, footprint, paddocks)`, rows: 100}
			tiles := bulk{head: `INSERT INTO place_tile (site, cell, footage, places)`, rows: 500}
			cells := bulk{head: `INSERT INTO ground_cell (cell, footage, west, south, east, north)`, rows: 500}
			spread := bulk{head: `INSERT INTO spread (footage, paddock)`, rows: 500}
			for i := from; i < from+fillWrite && i <= n; i++ {
				if i%10 == 0 || i%50 == 1 {
					continue // a duplicate, or a failed job
				}
				id, name, f := fmt.Sprintf("f%08d", i), fmt.Sprint("camp ", i%pastures), all[i%pastures][i/pastures%variants]
				if i == n/100+2 || i == n/2+2 {
					name, f = "rare", rare
				}
				if err := ground.add(ctx, tx, id, 1, 1, "camera", eachCount, f.places, "[]", fmt.Sprintf(`[{"name":%q,"animals":7,`+
					`"low":6,"high":8,"border":0,"near":0,"area_m2":1000,"seen":1}]`, name)); err != nil {
					return err
				}
				for c, text := range f.tiles {
					if err := tiles.add(ctx, tx, "north", c, id, text); err != nil {
						return err
					}
				}
				for _, c := range f.box.cells() {
					if err := cells.add(ctx, tx, c, id, f.box.west, f.box.south, f.box.east, f.box.north); err != nil {
						return err
					}
				}
				if err := spread.add(ctx, tx, id, name); err != nil {
					return err
				}
			}
			for _, k := range []*bulk{&ground, &tiles, &cells, &spread} {
				if err := k.flush(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	fillFlights(b, l)
	if os.Getenv(onPostgres) != "" {
		_, err := l.DB().Read().ExecContext(b.Context(), `VACUUM ANALYZE`)
		must.Do(b, err)
	}
	return l
}

// fillFlights makes flights of two parts of four fifths of the footage.
func fillFlights(b *testing.B, l *Ledger) {
	b.Helper()
	const first = `FROM footage f WHERE (f.born / 3) % 10 IN (2, 4, 6, 8)`
	must.Do(b, l.tables.write(b.Context(), "fill", func(ctx context.Context, tx *sql.Tx) error {
		for _, q := range []string{
			`INSERT INTO flight (` + flightColumns + `) SELECT 'g' || f.id, f.site, f.device, 'joined', '', 2, 9, 8, 10, '{"cow":9}',
				'[]', '', f.received, f.received, f.born, f.born, '' ` + first,
			`UPDATE footage SET flight = 'g' || id WHERE (born / 3) % 10 IN (2, 4, 6, 8)`,
			`UPDATE footage SET flight = (SELECT 'g' || o.id FROM footage o WHERE o.born = footage.born - 3)
				WHERE (born / 3) % 10 IN (3, 5, 7, 9)`,
			`INSERT INTO part (footage, device, series, number, started, duration, width, height, fps, codec, trace_key, place)
				SELECT f.id, f.device, '', 0, f.taken, 60000000, 1920, 1080, 30, 'h264', '', 1 + (f.born / 3) % 2 FROM footage f
				WHERE f.flight IS NOT NULL`,
		} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}))
	must.Do(b, l.Totals.Recount(b.Context()))
}

// anyNumber is for a page that ends early.
const anyNumber = -1

// ask measures one question. The reported median is of at least as many answers as -benchtime says.
func ask(b *testing.B, name string, want int, find func(context.Context) (int, error)) {
	b.Run(name, func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			n, err := find(b.Context())
			took = append(took, time.Since(began))
			if err != nil || n != want && want != anyNumber {
				b.Fatal(fmt.Errorf("%d entries, want %d: %w", n, want, err))
			}
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	})
}

// listed is how many entries a list has.
func listed[T any](list func(context.Context, Page) ([]T, string, error), p Page) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		vs, _, err := list(ctx, p)
		return len(vs), err
	}
}

// BenchmarkHistoryOf100000 asks a ledger with 100,000 pieces of footage and ten million positions what its pages ask.
// The environment variable LEDGER_BENCH_FOOTAGE sets another number of pieces.
func BenchmarkHistoryOf100000(b *testing.B) {
	n := 100_000
	if v := os.Getenv("LEDGER_BENCH_FOOTAGE"); v != "" {
		n = must.Get(strconv.Atoi(v))(b)
	}
	filled := time.Now()
	l := placed(b, n)
	b.Logf("%d pieces of footage with %d positions, filled in %s", n, 88*n/100*eachCount, time.Since(filled).Round(time.Second))
	half := fmt.Sprint(3 * n / 2)
	lat, lon := pasture(7)
	field := &Window{lon - 0.001, lat - 0.001, lon + 0.004, lat + 0.004}
	corner := &Window{lon + 0.001, lat + 0.001, lon + 0.0012, lat + 0.0012} // 20 m
	site := &Window{24.2, -31.8, 24.5, -31.5}
	elsewhere := &Window{lon + 0.008, lat + 0.008, lon + 0.012, lat + 0.012}
	noon := time.UnixMicro(firstTaken).Add(time.Duration(n/2) * time.Minute)
	middle := fmt.Sprintf("north.%d.f%08d.0", cellOf(tileOf(lat+0.001, lon+0.001, placeLevel)), n/2)

	ask(b, "footage: first page", 50, listed(l.Footage.List, Page{Site: "north"}))
	ask(b, "footage: middle page", 50, listed(l.Footage.List, Page{Site: "north", After: half}))
	ask(b, "counts: middle page", 50, listed(l.Counts.List, Page{Site: "north", After: half}))
	ask(b, "flights: first page", 50, listed(l.Flights.List, Page{Site: "north"}))
	ask(b, "flights: middle page", 50, listed(l.Flights.List, Page{Site: "north", After: half}))

	ask(b, "map: a field, first page", 1000, listed(l.Positions.List, Page{Window: field}))
	ask(b, "map: a field, middle page", 1000, listed(l.Positions.List, Page{Window: field, After: middle}))
	ask(b, "map: 20 m of it", anyNumber, listed(l.Positions.List, Page{Window: corner, Site: "north"}))
	ask(b, "map: the site", 1000, listed(l.Positions.List, Page{Window: site}))
	ask(b, "map: a field on one day", 1000, listed(l.Positions.List, Page{Window: field, From: noon, To: noon.Add(24 * time.Hour)}))
	ask(b, "map: a rare paddock", 2*eachCount, listed(l.Positions.List, Page{Window: site, Paddock: "rare"}))
	ask(b, "map: nothing there", 0, listed(l.Positions.List, Page{Window: elsewhere}))
	ask(b, "map: footage of a field", 50, listed(l.Footage.List, Page{Window: field}))
	ask(b, "map: footage of the site", 50, listed(l.Footage.List, Page{Window: site}))
	ask(b, "map: footage of nowhere", 0, listed(l.Footage.List, Page{Window: elsewhere}))
	ask(b, "map: flights of a field", 50, listed(l.Flights.List, Page{Window: field}))
	ask(b, "map: flights of the site", 50, listed(l.Flights.List, Page{Window: site}))

	ask(b, "paddock: counts", 50, listed(l.Counts.List, Page{Paddock: "camp 5", Site: "north"}))
	ask(b, "paddock: counts of a rare one", 2, listed(l.Counts.List, Page{Paddock: "rare", Site: "north"}))
	ask(b, "paddock: footage", 50, listed(l.Footage.List, Page{Paddock: "camp 5", Site: "north"}))
	ask(b, "paddock: footage of a rare one", 2, listed(l.Footage.List, Page{Paddock: "rare", Site: "north"}))
	ask(b, "paddock: footage of none", 0, listed(l.Footage.List, Page{Paddock: "none"}))
	ask(b, "paddock: newest count of each", 18, func(ctx context.Context) (int, error) {
		vs, err := l.Sites.NewestPaddocks(ctx, "north", 500)
		return len(vs), err
	})
	ask(b, "paddock: a place of each of 100 counts", 100, func(ctx context.Context) (int, error) {
		ps, err := l.Grounds.ListPlaced(ctx, "north", 100)
		return len(ps), err
	})

	ask(b, "name: that all have", 50, listed(l.Footage.List, Page{Name: "dji"}))
	ask(b, "name: that one has", 1, listed(l.Footage.List, Page{Name: fmt.Sprintf("%08d", n/2+3)}))
	ask(b, "name: that none has", 0, listed(l.Footage.List, Page{Name: "herd"}))
	ask(b, "name: that none has, common parts", 0, listed(l.Footage.List, Page{Name: "dji_0001.mp4"}))
	ask(b, "name: that none has, largest counts", 0, listed(l.Footage.List, Page{Name: "herd", Sort: SortMost}))
	ask(b, "name: two letters that none has", 0, listed(l.Footage.List, Page{Name: "qq"}))
}
