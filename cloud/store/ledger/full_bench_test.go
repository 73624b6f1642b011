package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/job"
)

// full fills a ledger with a long history.
func full(b testing.TB, n int) *Ledger {
	b.Helper()
	// Longer than a test waits: the statements below take a while.
	l := must.Get(openAt(b.Context(), newPlace(b), Options{Now: clock.New().Now, Busy: 5 * time.Minute}))(b)
	b.Cleanup(func() { _ = l.Close() })
	// Numbers 1..n; every tenth is a duplicate of the one before it.
	const (
		numbers = `WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < $1) `
		name    = `substr('00000000' || i, length('00000000' || i) - 7)`
		before  = `substr('00000000' || (i - 1), length('00000000' || (i - 1)) - 7)`
		digest  = `substr('` + zeros + `' || (CASE WHEN i % 10 = 0 THEN i - 1 ELSE i END), length('` + zeros +
			`' || (CASE WHEN i % 10 = 0 THEN i - 1 ELSE i END)) - 63)`
	)
	must.Do(b, l.tables.write(b.Context(), "fill", func(ctx context.Context, tx *sql.Tx) error {
		for _, q := range []string{
			`INSERT INTO footage (id, site, device, name, size, sha256, blob_key, telemetry_key, captured, received,
				duplicate_of, born, seq, sibling_of) ` + numbers + `SELECT 'f' || ` + name + `, 'north',
				'base-' || (i % 7), 'DJI_' || ` + name + ` || '.MP4', 1000 + i, ` + digest + `, 'k', '', NULL, i,
				CASE WHEN i % 10 = 0 THEN 'f' || ` + before + ` END, 3 * i, 3 * i, NULL FROM s`,
			`UPDATE footage SET taken = ` + fmt.Sprint(firstTaken) + ` + 20000000 * born WHERE $1 > 0`,
			`INSERT INTO name_gram (gram, born) WITH RECURSIVE p(born, name, i) AS (
				SELECT born, LOWER(name), 1 FROM footage WHERE $1 > 0 UNION ALL SELECT born, name, i + 1 FROM p WHERE i < LENGTH(name))
				SELECT DISTINCT SUBSTR(name, i, 3), born FROM p`,
			`INSERT INTO gram (gram, n) SELECT gram, COUNT(*) FROM name_gram WHERE $1 > 0 GROUP BY gram`,
			`INSERT INTO job (id, footage, state, attempt, fence, worker, reason, stage, frames_done, frames_total, percent, fps,
				eta_seconds, animals, result_key, created, updated, born, seq) ` + numbers + `SELECT 'j' || ` + name + `, 'f' || ` + name +
				`, CASE WHEN i % 50 = 1 THEN 'failed' ELSE 'done' END,
				1, 1, 'w', '', 'report', 10, 10, 100, 5, NULL, 7, 'k', i, i, 3 * i + 1, 3 * i + 1 FROM s WHERE i % 10 <> 0`,
			`INSERT INTO animal_count ` + numbers + `SELECT 'f' || ` + name + `, 'j' || ` + name +
				`, 7, 6, 8, '{"cow":7}', 'femto', '', i, 3 * i + 2, ''
				FROM s WHERE i % 10 <> 0 AND i % 50 <> 1`,
			`UPDATE change_counter SET seq = 3 * $1 + 3`,
		} {
			if _, err := tx.ExecContext(ctx, q, n); err != nil {
				return err
			}
		}
		return nil
	}))
	must.Do(b, l.Totals.Recount(b.Context()))
	if os.Getenv(onPostgres) != "" { // autovacuum does this after a while
		_, err := l.DB().Read().ExecContext(b.Context(), `VACUUM ANALYZE`)
		must.Do(b, err)
	}
	return l
}

// firstTaken is when the first footage of a full ledger was recorded, in microseconds; one a minute follows.
const firstTaken = int64(1_700_000_000_000_000)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func BenchmarkPagesOf100000(b *testing.B) {
	ctx := b.Context()
	l := full(b, 100_000)
	middle := Page{After: "150000"}
	for name, f := range map[string]func() error{
		"footage first":  func() error { _, _, err := l.Footage.List(ctx, Page{}); return err },
		"footage middle": func() error { _, _, err := l.Footage.List(ctx, middle); return err },
		"jobs failed":    func() error { _, _, err := l.Jobs.List(ctx, job.Failed, middle); return err },
		"jobs queued":    func() error { _, _, err := l.Jobs.List(ctx, job.Queued, Page{}); return err },
		"counts":         func() error { _, _, err := l.Counts.List(ctx, middle); return err },
		"changes":        func() error { _, err := l.Changes.Jobs(ctx, 299_900, 100); return err },
		"footage device": func() error { _, _, err := l.Footage.List(ctx, Page{Device: "base-3"}); return err },
		"jobs device":    func() error { _, _, err := l.Jobs.List(ctx, "", Page{Device: "base-3"}); return err },
		"counts device":  func() error { _, _, err := l.Counts.List(ctx, Page{Device: "base-3"}); return err },
		"no such device": func() error { _, _, err := l.Counts.List(ctx, Page{Device: "base-9"}); return err },
		"footage oldest": func() error { _, _, err := l.Footage.List(ctx, Page{Sort: SortOldest, After: "150000"}); return err },
		"footage most":   func() error { _, _, err := l.Footage.List(ctx, Page{Sort: SortMost, After: "7.f00050000"}); return err },
		"most at a site": func() error { _, _, err := l.Footage.List(ctx, Page{Sort: SortMost, Site: "south"}); return err },
		"footage named":  func() error { _, _, err := l.Footage.List(ctx, Page{Name: "dji"}); return err },
		"no such name":   func() error { _, _, err := l.Footage.List(ctx, Page{Name: "xyz"}); return err },
		"most, no name":  func() error { _, _, err := l.Footage.List(ctx, Page{Sort: SortMost, Name: "xyz"}); return err },
		"old videos":     func() error { _, err := l.Footage.ListCounted(ctx, Choice{}, l.tables.now(), 100); return err },
		"one":            func() error { _, err := l.Footage.Get(ctx, "f00050000"); return err },
		"statistics":     func() error { _, err := l.Totals.Stats(ctx); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				must.Do(b, f())
			}
		})
	}
}
