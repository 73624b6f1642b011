// Package ledger keeps the history: footage, jobs, counts, devices and upload
// sessions, in one SQLite file that several processes may open at once.
//
// Every write is one transaction that holds the write lock from its beginning
// and is durable when the method returns. Every state of a job follows from
// job.Next. Every written row of footage, job and count takes a new Seq from
// one counter in the same transaction: reading the rows above a Seq gives every
// change once it is committed, in order and without gaps, which is how MQTT and
// the dashboard learn of it.
//
// A Ledger is safe for concurrent use.
package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", pure Go

	"cattlecounter/cloud/ledger/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	driver         = "sqlite"
	versionTable   = "ledger_version"
	defaultBusy    = 10 * time.Second
	readers        = 4
	openAttempts   = 8
	firstOpenPause = 10 * time.Millisecond
)

// Options of Open; the zero value is ready for use.
type Options struct {
	// Now is the clock of every stored time; nil means time.Now.
	Now func() time.Time
	// Busy is how long a write waits for another process; 0 means 10 s. After
	// that it fails with ErrBusy.
	Busy time.Duration
}

// Ledger is an open ledger file.
type Ledger struct {
	path string
	// Writes go through one connection, so that goroutines of one process queue
	// fairly in Go and only processes meet at SQLite's lock, which polls.
	w   *sql.DB
	r   *sql.DB
	now func() time.Time
}

// Open opens or creates the file and brings its tables up to date. The folder
// must exist. The error wraps ErrCorrupt, ErrUnwritable, ErrNoSpace or ErrBusy.
func Open(ctx context.Context, path string, o Options) (*Ledger, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Busy == 0 {
		o.Busy = defaultBusy
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	l := &Ledger{path: abs, now: o.Now}
	if err := l.open(ctx, o.Busy); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", abs, translate(err))
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context, busy time.Duration) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if err := create(l.path); err != nil {
		return err
	}
	// FULL: a commit is on the disk before its caller deletes the other copy.
	common := []string{
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()),
		"foreign_keys(1)", "journal_mode(WAL)", "synchronous(FULL)",
	}
	if l.w, err = sql.Open(driver, dsn(l.path, "immediate", common)); err != nil {
		return err
	}
	l.w.SetMaxOpenConns(1)
	if l.r, err = sql.Open(driver, dsn(l.path, "deferred", append(common, "query_only(1)"))); err != nil {
		return err
	}
	l.r.SetMaxOpenConns(readers)
	l.r.SetMaxIdleConns(readers)
	if err := l.connect(ctx); err != nil {
		return err
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return schema.Migrate(ctx, l.w, sub, versionTable)
}

// connect makes the first connection. Turning a new file to WAL does not wait
// for another process that does the same, so that is tried again.
func (l *Ledger) connect(ctx context.Context) error {
	pause := firstOpenPause
	for n := 1; ; n++ {
		err := l.w.PingContext(ctx)
		if err == nil || n == openAttempts || !errors.Is(translate(err), ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// create makes an empty file that only its owner can read, because it will hold
// the hashes of tokens. It does not touch an existing file: closing it would
// drop the locks that other connections of this process hold on it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			err = fmt.Errorf("is a folder, want a file: %w", ErrUnwritable)
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

// Close closes the file. Methods called afterwards fail.
func (l *Ledger) Close() error {
	var errs []error
	for _, db := range []*sql.DB{l.r, l.w} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// DB is the writing connection, for the embedded queue, which lives in the same
// file. Its transactions begin with the write lock.
func (l *Ledger) DB() *sql.DB { return l.w }

// Ping reports whether the ledger can be read.
func (l *Ledger) Ping(ctx context.Context) error {
	var seq int64
	if err := l.r.QueryRowContext(ctx, `SELECT seq FROM change_counter WHERE id = 1`).Scan(&seq); err != nil {
		return fmt.Errorf("ledger %s: %w", l.path, translate(err))
	}
	return nil
}

// write runs f in one transaction and names the deed in its error.
func (l *Ledger) write(ctx context.Context, deed string, f func(*sql.Tx) error) error {
	err := func() error {
		tx, err := l.w.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := f(tx); err != nil {
			// The cause is what counts; a rollback that fails leaves the same state.
			_ = tx.Rollback()
			return err
		}
		return tx.Commit()
	}()
	if err != nil {
		return fmt.Errorf("%s: %w", deed, translate(err))
	}
	return nil
}

// nextSeq takes the next number of the change counter. The counter's row is the
// last lock of every writer, so numbers become visible in their order.
func nextSeq(ctx context.Context, tx *sql.Tx) (int64, error) {
	var seq int64
	err := tx.QueryRowContext(ctx, `UPDATE change_counter SET seq = seq + 1 WHERE id = 1 RETURNING seq`).Scan(&seq)
	return seq, err
}

// micros stores a time; the zero time is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

func pointer(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	t := fromMicros(n)
	return &t
}
