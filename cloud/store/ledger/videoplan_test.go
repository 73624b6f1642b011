package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/job"
)

// Retention reads the footage that still has a video, whatever the choice of sites, and not every count of the past.
func TestOldVideosAreFoundByAnIndex(t *testing.T) {
	l, ctx := full(t, 3000), t.Context()
	must.Do(t, l.tables.write(ctx, "most videos are gone", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE footage SET blob_key = '', site = CASE WHEN born % 2 = 0 THEN 'north' ELSE 'south' END WHERE born < 8900`)
		return err
	}))
	explain := `EXPLAIN QUERY PLAN `
	if os.Getenv(onPostgres) != "" {
		explain = `EXPLAIN `
	}
	must.Get(l.DB().Exec(ctx, `ANALYZE`))(t)
	for name, in := range map[string]Choice{"one site": {Only: "north"}, "all but one": {Except: []string{"south"}}, "all": {}} {
		where, args := in.condition("f.site", 3)
		var plan []string
		must.Do(t, l.tables.write(ctx, "explain", func(ctx context.Context, tx *sql.Tx) (err error) {
			if os.Getenv(onPostgres) != "" { // the table is small
				if _, err := tx.ExecContext(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
					return err
				}
			}
			plan, err = list(ctx, tx, lastColumn, explain+listVideos(`f.id`, where), append([]any{job.Done, int64(math.MaxInt64), 100}, args...)...)
			return err
		}))
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, "footage_video") || strings.Contains(text, "job_done") || strings.Contains(text, "SCAN j") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	var want int
	must.Do(t, l.DB().Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM footage f JOIN job j ON j.footage = f.id
		WHERE f.blob_key <> '' AND j.state = 'done' AND f.site = 'north'`).Scan(&want))
	if left := must.Get(l.Footage.ListCounted(ctx, Choice{Only: "north"}, time.UnixMicro(math.MaxInt64), 100))(t); len(left) != want || want == 0 {
		t.Errorf("%d videos are left, want %d", len(left), want)
	}
}

// lastColumn is the text of the last column of a row.
func lastColumn(rows *sql.Rows) (string, error) {
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(any)
	}
	err = rows.Scan(values...)
	return fmt.Sprint(*values[len(values)-1].(*any)), err
}
