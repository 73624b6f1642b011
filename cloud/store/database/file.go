package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", pure Go

	"cattlecounter/shared/interrupt"
)

const (
	sqlite         = "sqlite"
	openAttempts   = 8
	firstOpenPause = 10 * time.Millisecond
)

// OpenFile opens or creates a SQLite file. Its folder must exist. busy is how long a write
// waits for another process before it fails with ErrBusy; 0 means 10 s. The error wraps
// ErrCorrupt, ErrUnwritable, ErrNoSpace or ErrBusy.
func OpenFile(ctx context.Context, path string, busy time.Duration) (*DB, error) {
	if busy == 0 {
		busy = defaultBusy
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db := &DB{name: abs, busy: busy}
	if err := db.openFile(ctx); err != nil {
		return nil, Classify(errors.Join(err, db.Close()))
	}
	return db, nil
}

func (db *DB) openFile(ctx context.Context) (err error) {
	if err := create(db.name); err != nil {
		return err
	}
	// FULL: a commit is on the disk before its caller deletes other copies of the data.
	common := []string{
		fmt.Sprintf("busy_timeout(%d)", db.busy.Milliseconds()),
		"foreign_keys(1)", "journal_mode(WAL)", "synchronous(FULL)",
	}
	if db.w, err = sql.Open(sqlite, dsn(db.name, "immediate", common)); err != nil {
		return err
	}
	db.w.SetMaxOpenConns(1)
	if db.r, err = sql.Open(sqlite, dsn(db.name, "deferred", append(common, "query_only(1)"))); err != nil {
		return err
	}
	db.r.SetMaxOpenConns(readers)
	db.r.SetMaxIdleConns(readers)
	return db.connect(ctx)
}

// connect makes the first connection. SQLite does not wait while another process also
// changes a new file to WAL mode, so connect tries again.
func (db *DB) connect(ctx context.Context) error {
	pause := firstOpenPause
	for n := 1; ; n++ {
		err := db.w.PingContext(ctx)
		if err == nil || n == openAttempts || !errors.Is(Classify(err), ErrBusy) {
			return err
		}
		if err := interrupt.Pause(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
}

// create makes an empty file that only its owner can read, because it will hold the
// hashes of tokens. It does not open an existing file: closing that would release the
// locks of this process's other connections.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			err = fmt.Errorf("the path is a folder, want a file: %w", ErrUnwritable)
		}
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", err, ErrUnwritable)
	}
	return f.Close()
}

func dsn(path, lock string, pragmas []string) string {
	q := url.Values{"_txlock": {lock}, "_pragma": pragmas}
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// CopyTo writes a consistent copy of the SQLite file into an empty file. Other processes
// may write meanwhile.
func (db *DB) CopyTo(ctx context.Context, path string) error {
	if db.postgres {
		return fmt.Errorf("cannot copy %s; use PostgreSQL's own tools, such as pg_dump: %w", db.name, errors.ErrUnsupported)
	}
	_, err := db.w.ExecContext(ctx, `VACUUM INTO $1`, path)
	return Classify(err)
}

// CheckFile checks every page of a SQLite file and merges its WAL into it. No other process
// may have the file open. The error wraps ErrCorrupt, or ErrBusy when another process
// has it open.
func CheckFile(ctx context.Context, path string) (err error) {
	db, err := sql.Open(sqlite, dsn(path, "immediate", []string{"busy_timeout(0)"}))
	if err != nil {
		return err
	}
	defer func() { err = Classify(errors.Join(err, db.Close())) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `PRAGMA journal_mode = DELETE`); err != nil {
		return err
	}
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("%s: %w", found, ErrCorrupt)
	}
	return nil
}
