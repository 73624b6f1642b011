// Package schema brings a SQLite file to the newest form of its tables. Several
// processes may do so at once: the API and a worker start together.
package schema

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

const (
	attempts   = 6
	firstPause = 20 * time.Millisecond
)

// Migrate applies the migrations in fsys that the database does not have yet;
// table is where it notes which ones those are, so that packages that share a
// file keep apart. db must begin its transactions with the write lock.
//
// Two processes that migrate at once both try; each migration and its note are
// one transaction, so the loser fails without a trace and finds the work done
// when it tries again. A file that a newer program has migrated further is
// refused, because this program would write it wrongly.
func Migrate(ctx context.Context, db *sql.DB, fsys fs.FS, table string) error {
	pause := firstPause
	for n := 1; ; n++ {
		err := migrate(ctx, db, fsys, table)
		if err == nil || n == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func migrate(ctx context.Context, db *sql.DB, fsys fs.FS, table string) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, fsys,
		goose.WithTableName(table), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", table, err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", table, err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", table, err)
	}
	if have > newest {
		return fmt.Errorf("%s is at version %d, this program knows %d: use the newer program", table, have, newest)
	}
	return nil
}
