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
	// Of PostgreSQL, where one process migrates and the others wait.
	lockPeriod, lockAttempts = 1, 60 // seconds, times
)

// Migrate applies the migrations in fsys that the database does not have yet;
// table is where it notes which ones those are, so that packages that share a
// database keep apart.
//
// Of two processes that migrate one file at once both try; each migration and its
// note are one transaction, so the loser fails without a trace and finds the work
// done when it tries again. Tables that a newer program has migrated further are
// refused, because this program would write them wrongly. The error has a class.
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
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithTableName(table), goose.WithDisableGlobalRegistry(true)}
	if db.postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockAttempts), lock.WithUnlockTimeout(lockPeriod, lockAttempts))
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
		return fmt.Errorf("%s is at version %d, this program knows %d: use the newer program", table, have, newest)
	}
	return nil
}
