// Package database opens the database with the cloud's tables: a SQLite file that
// several processes of one machine share, or a PostgreSQL database that several machines
// share. Its users write one SQL for both. Parameters are $1, $2 and so on. Columns are
// TEXT, INTEGER, BIGINT or DOUBLE PRECISION. No statement uses what only one of the two
// supports.
//
// Both have one writer at a time: a write holds the write lock from its beginning, sees
// all earlier writes, and is durable when it returns. A DB is safe for concurrent use.
package database

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	defaultBusy = 10 * time.Second
	readers     = 4
	// writeTime limits a write to this multiple of the time it may wait for another.
	writeTime = 3
	// readTime is the same limit for an answer of PostgreSQL.
	readTime = 4
)

// DB is an open database. Make it with OpenFile or OpenPostgres.
type DB struct {
	name     string
	postgres bool
	busy     time.Duration
	// Writes use one connection. So the goroutines of a process wait for each other in
	// Go, and only processes compete for the database's lock.
	w, r *sql.DB
}

// Name returns the file's path, or the database's address without its password.
func (db *DB) Name() string { return db.name }

// Read returns the connections for queries. Writes through them fail.
func (db *DB) Read() *sql.DB { return db.r }

// Write runs f in one transaction that holds the write lock. f must use the context that
// it gets, which ends when the write takes too long. The error has a class. When the
// connection breaks during the commit, the write may have succeeded although Write
// fails. So f must be harmless when repeated.
func (db *DB) Write(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, writeTime*db.busy, ErrBusy)
	defer cancel()
	err := db.write(ctx, f)
	if cause := context.Cause(ctx); errors.Is(cause, ErrBusy) &&
		(errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrTxDone)) {
		err = errors.Join(ErrBusy, err)
	}
	return Classify(err)
}

// Now returns the time of the machine with the database: that of PostgreSQL's server, or of this machine for a file.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	if !db.postgres {
		return time.Now(), nil
	}
	var us int64
	err := db.r.QueryRowContext(ctx, `SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT`).Scan(&us)
	return time.UnixMicro(us), Classify(err)
}

// Exec runs one statement as a Write and returns the number of affected rows.
func (db *DB) Exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err == nil {
			rows, err = res.RowsAffected()
		}
		return err
	})
	return rows, err
}

func (db *DB) write(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if db.postgres {
		_, err = tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, writeLock)
	}
	if err == nil {
		err = f(ctx, tx)
	}
	if err != nil {
		// A rollback that fails leaves the same state, so only err is returned.
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// Close closes the database. Methods called afterwards fail.
func (db *DB) Close() error {
	var errs []error
	for _, d := range []*sql.DB{db.r, db.w} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}
