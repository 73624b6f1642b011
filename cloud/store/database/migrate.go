package database

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"cattlecounter/shared/interrupt"
)

const (
	migrateAttempts   = 6
	firstMigratePause = 20 * time.Millisecond
	// With PostgreSQL one process migrates and the others wait.
	lockPeriod, lockAttempts = 1, 60 // seconds, times
)

// Migrate applies the migrations in fsys that the database does not have yet. It records
// them in table; each package that shares the database has its own.
//
// Several processes may migrate one file at once. Each migration and its record are one
// transaction, so a process that fails leaves nothing behind and finds the work done when
// it tries again. Migrate refuses tables that a newer program has migrated, because this
// program would write wrong rows. The error has a class.
func (db *DB) Migrate(ctx context.Context, fsys fs.FS, table string) error {
	pause := firstMigratePause
	for n := 1; ; n++ {
		err := db.migrate(ctx, fsys, table)
		if err == nil || n == migrateAttempts {
			return Classify(err)
		}
		if interrupt.Pause(ctx, pause) != nil {
			return err
		}
		pause *= 2
	}
}

func (db *DB) migrate(ctx context.Context, fsys fs.FS, table string) error {
	dialect, options := goose.DialectSQLite3,
		[]goose.ProviderOption{goose.WithTableName(table), goose.WithDisableGlobalRegistry(true)}
	if db.postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockAttempts),
			lock.WithUnlockTimeout(lockPeriod, lockAttempts))
		if err != nil {
			return err
		}
		dialect, options = goose.DialectPostgres, append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, db.w, fsys, options...)
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
		return fmt.Errorf("%s has version %d and this program knows only %d; use the newer program", table, have, newest)
	}
	return nil
}
