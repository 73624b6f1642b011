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
	"syscall"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

const (
	pastures  = 20
	variants  = 10  // of the places in a pasture
	eachCount = 114 // positions
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
func inPasture(b testing.TB, r *rand.Rand, n int, paddock string) flown {
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

// placed gives each count of a full ledger 114 positions and a paddock out of twenty; two counts have the paddock rare. The
// database copies the rows from those of one count of each kind, which are in tables of their own meanwhile.
func placed(b testing.TB, n int) *Ledger {
	b.Helper()
	l := full(b, n)
	fill(b, l, `CREATE TABLE kind (pasture BIGINT NOT NULL, variant BIGINT NOT NULL, places TEXT NOT NULL, paddocks TEXT NOT NULL,
			paddock TEXT NOT NULL, PRIMARY KEY (pasture, variant))`,
		`CREATE TABLE kind_tile (pasture BIGINT NOT NULL, variant BIGINT NOT NULL, cell BIGINT NOT NULL, places TEXT NOT NULL,
			PRIMARY KEY (pasture, variant, cell))`,
		`CREATE TABLE kind_cell (pasture BIGINT NOT NULL, variant BIGINT NOT NULL, cell BIGINT NOT NULL, west DOUBLE PRECISION,
			south DOUBLE PRECISION, east DOUBLE PRECISION, north DOUBLE PRECISION, PRIMARY KEY (pasture, variant, cell))`,
		`CREATE TABLE kind_of (footage TEXT NOT NULL PRIMARY KEY, pasture BIGINT NOT NULL, variant BIGINT NOT NULL)`)
	r := rand.New(rand.NewPCG(5, 6))
	must.Do(b, l.tables.write(b.Context(), "fill", func(ctx context.Context, tx *sql.Tx) error {
		for p := range pastures {
			for v := range variants {
				name := fmt.Sprint("camp ", p)
				if err := putKind(ctx, tx, p, v, name, inPasture(b, r, p, name)); err != nil {
					return err
				}
			}
		}
		return putKind(ctx, tx, -1, 0, "rare", inPasture(b, r, 2, "rare"))
	}))
	// A duplicate and a failed job have no positions.
	const number = `(f.born / 3)`
	rare := fmt.Sprintf(number+` IN (%d, %d)`, n/100+2, n/2+2)
	fill(b, l, fmt.Sprintf(`INSERT INTO kind_of (footage, pasture, variant) SELECT f.id, CASE WHEN `+rare+` THEN -1
			ELSE `+number+` %% %d END, CASE WHEN `+rare+` THEN 0 ELSE (`+number+` / %d) %% %d END
			FROM footage f WHERE `+number+` %% 10 <> 0 AND `+number+` %% 50 <> 1 ORDER BY f.id`, pastures, pastures, variants),
		fmt.Sprintf(`INSERT INTO ground (footage, mark, done, way, placed, places, footprint, paddocks)
			SELECT o.footage, 1, 1, 'camera', %d, k.places, '[]', k.paddocks FROM kind_of o
			JOIN kind k ON k.pasture = o.pasture AND k.variant = o.variant ORDER BY o.footage`, eachCount),
		`INSERT INTO place_tile (site, cell, footage, places) SELECT 'north', k.cell, o.footage, k.places FROM kind_of o
			JOIN kind_tile k ON k.pasture = o.pasture AND k.variant = o.variant ORDER BY o.footage, k.cell`,
		`INSERT INTO ground_cell (cell, footage, west, south, east, north)
			SELECT k.cell, o.footage, k.west, k.south, k.east, k.north FROM kind_of o
			JOIN kind_cell k ON k.pasture = o.pasture AND k.variant = o.variant ORDER BY o.footage, k.cell`,
		`INSERT INTO spread (footage, paddock, born) SELECT o.footage, k.paddock, f.born FROM kind_of o
			JOIN kind k ON k.pasture = o.pasture AND k.variant = o.variant JOIN footage f ON f.id = o.footage ORDER BY o.footage`,
		fmt.Sprintf(`INSERT INTO spread (footage, paddock, born) SELECT o.footage, 'old', f.born FROM kind_of o
			JOIN footage f ON f.id = o.footage WHERE `+number+` <= %d`, n/20),
		`DROP TABLE kind`, `DROP TABLE kind_tile`, `DROP TABLE kind_cell`, `DROP TABLE kind_of`)
	fillFlights(b, l)
	if os.Getenv(onPostgres) != "" {
		_, err := l.DB().Read().ExecContext(b.Context(), `VACUUM ANALYZE`)
		must.Do(b, err)
	}
	return l
}

// fill runs statements in one transaction.
func fill(b testing.TB, l *Ledger, statements ...string) {
	b.Helper()
	must.Do(b, l.tables.write(b.Context(), "fill", func(ctx context.Context, tx *sql.Tx) error {
		for _, q := range statements {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("%.40s: %w", q, err)
			}
		}
		return nil
	}))
}

// putKind stores the rows of one count, from which those of others are copied.
func putKind(ctx context.Context, tx *sql.Tx, pasture, variant int, paddock string, f flown) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO kind (pasture, variant, places, paddocks, paddock) VALUES ($1, $2, $3, $4, $5)`,
		pasture, variant, f.places, fmt.Sprintf(`[{"name":%q,"animals":7,"low":6,"high":8,"border":0,"near":0,"area_m2":1000,`+
			`"seen":1}]`, paddock), paddock)
	if err != nil {
		return err
	}
	for cell, places := range f.tiles {
		if _, err := tx.ExecContext(ctx, `INSERT INTO kind_tile (pasture, variant, cell, places) VALUES ($1, $2, $3, $4)`,
			pasture, variant, cell, places); err != nil {
			return err
		}
	}
	for _, cell := range f.box.cells() {
		if _, err := tx.ExecContext(ctx, `INSERT INTO kind_cell (pasture, variant, cell, west, south, east, north)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, pasture, variant, cell, f.box.west, f.box.south, f.box.east,
			f.box.north); err != nil {
			return err
		}
	}
	return nil
}

// fillFlights makes flights of two parts of four fifths of the footage.
func fillFlights(b testing.TB, l *Ledger) {
	b.Helper()
	const first = `FROM footage f WHERE (f.born / 3) % 10 IN (2, 4, 6, 8)`
	fill(b, l, `INSERT INTO flight (`+flightColumns+`) SELECT 'g' || f.id, f.site, f.device, 'joined', '', 2, 9, 8, 10, '{"cow":9}',
			'[]', '', f.received, f.received, f.born, f.born, '' `+first,
		`UPDATE footage SET flight = 'g' || id WHERE (born / 3) % 10 IN (2, 4, 6, 8)`,
		`UPDATE footage SET flight = (SELECT 'g' || o.id FROM footage o WHERE o.born = footage.born - 3)
			WHERE (born / 3) % 10 IN (3, 5, 7, 9)`,
		`INSERT INTO part (footage, device, series, number, started, duration, width, height, fps, codec, trace_key, place)
			SELECT f.id, f.device, '', 0, f.taken, 60000000, 1920, 1080, 30, 'h264', '', 1 + (f.born / 3) % 2 FROM footage f
			WHERE f.flight IS NOT NULL`)
	must.Do(b, l.Totals.Recount(b.Context()))
}

// anyNumber is for a page that ends early.
const anyNumber = -1

// ask measures one question. The reported median is of at least as many answers as -benchtime says. best-ms is the fastest
// answer, and cpu-ms the processor time of the median answer, without that of a server of PostgreSQL: on a busy machine
// both tell more than the median.
func ask(b *testing.B, name string, want int, find func(context.Context) (int, error)) {
	b.Run(name, func(b *testing.B) {
		var took, cpu []time.Duration
		for b.Loop() {
			began, used := time.Now(), cpuTime(b)
			n, err := find(b.Context())
			took, cpu = append(took, time.Since(began)), append(cpu, cpuTime(b)-used)
			if err != nil || n != want && want != anyNumber {
				b.Fatal(fmt.Errorf("%d entries, want %d: %w", n, want, err))
			}
		}
		slices.Sort(took)
		slices.Sort(cpu)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(ms(took[len(took)/2]), "median-ms")
		b.ReportMetric(ms(took[0]), "best-ms")
		b.ReportMetric(ms(cpu[len(cpu)/2]), "cpu-ms")
		b.ReportMetric(0, "ns/op")
	})
}

// cpuTime is what this process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	must.Do(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// listed is how many entries a list has.
func listed[T any](list func(context.Context, Page) ([]T, string, error), p Page) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		vs, _, err := list(ctx, p)
		return len(vs), err
	}
}

// TestShortHistory fills a ledger as the bench does, and asks it some of the questions.
func TestShortHistory(t *testing.T) {
	const n = 500
	l := placed(t, n)
	lat, lon := pasture(7)
	field := &Window{lon - 0.001, lat - 0.001, lon + 0.004, lat + 0.004}
	for name, c := range map[string]struct {
		want int
		find func(context.Context) (int, error)
	}{
		"footage":             {50, listed(l.Footage.List, Page{Site: "north"})},
		"flights":             {50, listed(l.Flights.List, Page{Site: "north"})},
		"a field":             {1000, listed(l.Positions.List, Page{Window: field})},
		"a rare paddock":      {2 * eachCount, listed(l.Positions.List, Page{Paddock: "rare"})},
		"counts of a rare":    {2, listed(l.Counts.List, Page{Paddock: "rare", Site: "north"})},
		"counts of an old":    {22, listed(l.Counts.List, Page{Paddock: "old", Site: "north"})},
		"footage of a field":  {24, listed(l.Footage.List, Page{Window: field})},
		"footage of no place": {0, listed(l.Footage.List, Page{Window: &Window{1, 1, 2, 2}})},
	} {
		if got, err := c.find(t.Context()); err != nil || got != c.want {
			t.Errorf("%s: %d entries, want %d: %v", name, got, c.want, err)
		}
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
	ask(b, "map: flights of nowhere", 0, listed(l.Flights.List, Page{Window: elsewhere, Site: "north"}))
	ask(b, "map: flights of the site", 50, listed(l.Flights.List, Page{Window: site}))

	ask(b, "paddock: counts", 50, listed(l.Counts.List, Page{Paddock: "camp 5", Site: "north"}))
	ask(b, "paddock: counts of a rare one", 2, listed(l.Counts.List, Page{Paddock: "rare", Site: "north"}))
	ask(b, "paddock: counts of an old one", 50, listed(l.Counts.List, Page{Paddock: "old", Site: "north"}))
	ask(b, "paddock: footage", 50, listed(l.Footage.List, Page{Paddock: "camp 5", Site: "north"}))
	ask(b, "paddock: footage of an old one", 50, listed(l.Footage.List, Page{Paddock: "old", Site: "north"}))
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
