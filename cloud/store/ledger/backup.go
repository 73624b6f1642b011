package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/job"
)

// What a restored ledger is ahead of every number that was given out after the
// backup: subscribers drop what is not above what they heard, and a worker of the
// time before must not be able to write.
const (
	seqAhead   = 1 << 32
	fenceAhead = 1 << 16
)

// Backup writes a copy of the ledger, as it is at one moment, to a file that must not
// exist. Other processes may write meanwhile. The copy is durable when it returns.
func (l *Ledger) Backup(ctx context.Context, path string) (err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("back up ledger to %s: %w", path, err)
	}
	// Made first: it holds the hashes of tokens and is the owner's alone.
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("back up ledger: %w: %w", err, ErrUnwritable)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(abs))
		}
	}()
	if err := l.tables.db.CopyTo(ctx, abs); err != nil {
		return fmt.Errorf("back up ledger to %s: %w", abs, err)
	}
	if err := errors.Join(f.Sync(), syncFolder(filepath.Dir(abs))); err != nil {
		return fmt.Errorf("back up ledger to %s: %w", abs, err)
	}
	return nil
}

// Restore puts a backup in the place of the ledger at path, which no other process
// may have open, and returns where the one that was there is now, "" without one. The
// restored ledger counts on from above all numbers of the one it replaces: MQTT's seq
// does not go back and no fence is given out twice; jobs that had not ended are told
// anew. The error wraps ErrCorrupt when the backup is none, and ErrBusy when somebody
// has the ledger open; the ledger is as it was then.
func Restore(ctx context.Context, backup, path string, now time.Time) (old string, err error) {
	draft := path + ".restoring"
	defer func() {
		err = errors.Join(err, remove(files(draft)))
		if err != nil {
			err = fmt.Errorf("restore ledger from %s: %w", backup, database.Classify(err))
		}
	}()
	if err := errors.Join(remove(files(draft)), copyFile(backup, draft)); err != nil { // one that a crash left
		return "", err
	}
	if err := whole(ctx, draft); err != nil {
		return "", err
	}
	if err := moveOn(ctx, draft); err != nil {
		return "", err
	}
	if old, err = putAside(ctx, path, now); err != nil {
		return old, err
	}
	return old, errors.Join(os.Rename(draft, path), syncFolder(filepath.Dir(path)))
}

// files are a database's own and those that SQLite has beside it.
func files(path string) []string { return []string{path, path + "-wal", path + "-shm"} }

func remove(all []string) error {
	var errs []error
	for _, f := range all {
		if err := os.Remove(f); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// whole looks through every page of a file that should be a ledger.
func whole(ctx context.Context, path string) (err error) {
	if err := database.Whole(ctx, path); err != nil {
		return err
	}
	db, err := database.OpenFile(ctx, path, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var seq int64
	if err := db.Read().QueryRowContext(ctx, `SELECT seq FROM change_counter WHERE id = 1`).Scan(&seq); err != nil {
		return fmt.Errorf("%w: %w", err, ErrCorrupt) // some other database
	}
	return nil
}

// moveOn brings the tables up to date and the numbers ahead.
func moveOn(ctx context.Context, path string) (err error) {
	l, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return l.CountOn(ctx)
}

// CountOn puts the numbers of a ledger ahead that was set back to an earlier time, by
// a backup or by PostgreSQL's own tools: MQTT's seq does not go back then and no fence
// is given out twice; jobs that had not ended are told anew.
func (l *Ledger) CountOn(ctx context.Context) error {
	return l.tables.write(ctx, "count on", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE change_counter SET seq = seq + $1`, seqAhead)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE job SET fence = fence + $1`, fenceAhead)
		}
		for _, state := range job.States() {
			if err == nil && !state.Ended() { // their order stays, below the counter
				_, err = tx.ExecContext(ctx, `UPDATE job SET seq = seq + $1 WHERE state = $2`, seqAhead, state)
			}
		}
		if err == nil {
			err = l.tables.audit(ctx, tx, DeedCountOn, "")
		}
		return err
	})
}

// putAside renames the ledger at path. A damaged one goes with all its files, for
// nothing can be asked of it.
func putAside(ctx context.Context, path string, now time.Time) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	err := database.Whole(ctx, path)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return "", err
	}
	old := path + ".before-" + now.UTC().Format("20060102T150405Z")
	if _, err := os.Stat(old); err == nil {
		return "", fmt.Errorf("%s is there already: %w", old, ErrExists)
	}
	to := files(old)
	for i, f := range files(path) {
		if err := os.Rename(f, to[i]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return old, err
		}
	}
	return old, nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrUnwritable)
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
