// Package database opens where the cloud keeps its tables: a SQLite file that
// several processes of one machine share, or a PostgreSQL database that machines
// share. Those who use it write one SQL for both: parameters are $1, $2 and so on;
// columns are TEXT, INTEGER, BIGINT or DOUBLE PRECISION; there is nothing that only
// one of the two knows.
//
// There is one writer at a time, with either: a write holds the write lock from its
// beginning, sees everything that was written before, and is durable when it returns.
// A DB is safe for concurrent use.
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
	// writeTime bounds a write by so many times what it may wait for another.
	writeTime = 3
	// readTime does the same for an answer of PostgreSQL.
	readTime = 4
)

// DB is an open database. Make it with OpenFile or OpenPostgres.
type DB struct {
	name     string
	postgres bool
	busy     time.Duration
	// Writes go through one connection, so that goroutines of one process queue
	// fairly in Go and only processes meet at the database's lock.
	w, r *sql.DB
}

// Name is the file's path, or the database's address without its password.
func (db *DB) Name() string { return db.name }

// Read is for queries; what is written there fails.
func (db *DB) Read() *sql.DB { return db.r }

// Write runs f in one transaction that holds the write lock. f uses the context it
// is given, which ends when the write has taken far too long. The error has a class.
// When the connection breaks at the very end the write may have been done, so it
// must be harmless when repeated.
func (db *DB) Write(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, writeTime*db.busy, ErrBusy)
	defer cancel()
	err := db.write(ctx, f)
	if cause := context.Cause(ctx); errors.Is(cause, ErrBusy) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrTxDone)) {
		err = errors.Join(ErrBusy, err)
	}
	return Classify(err)
}

// Exec runs one statement as a Write and returns how many rows it met.
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
		// The cause is what counts; a rollback that fails leaves the same state.
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
