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

// AdvanceNumbers adds these to a restored ledger's numbers, so that they exceed every
// number used after the backup. Subscribers drop messages whose seq is not above the last
// one, and a worker that started before the restore must not be able to write.
const (
	seqStep   = 1 << 32
	fenceStep = 1 << 16
)

// Backup writes a consistent copy of the ledger to a file that must not exist. Other
// processes may write meanwhile. The copy is durable when it returns.
func (l *Ledger) Backup(ctx context.Context, path string) (err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("back up ledger to %s: %w", path, err)
	}
	// Created first, with access for the owner only: it will hold the hashes of tokens.
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

// Restore replaces the ledger at path by a backup. No other process may have the ledger
// open. It returns the new path of the replaced ledger, "" when there was none. The
// numbers of the restored ledger are above all numbers of the replaced one
// (AdvanceNumbers). The error wraps ErrCorrupt when the backup is not a ledger, and
// ErrBusy when another process has the ledger open. After an error the ledger is
// unchanged.
func Restore(ctx context.Context, backup, path string, now time.Time) (old string, err error) {
	draft := path + ".restoring"
	defer func() {
		err = errors.Join(err, remove(files(draft)))
		if err != nil {
			err = fmt.Errorf("restore ledger from %s: %w", backup, database.Classify(err))
		}
	}()
	// An earlier Restore that crashed may have left a draft.
	if err := errors.Join(remove(files(draft)), copyFile(backup, draft)); err != nil {
		return "", err
	}
	if err := checkBackup(ctx, draft); err != nil {
		return "", err
	}
	if err := advanceFile(ctx, draft); err != nil {
		return "", err
	}
	if old, err = moveAside(ctx, path, now); err != nil {
		return old, err
	}
	return old, errors.Join(os.Rename(draft, path), syncFolder(filepath.Dir(path)))
}

// files returns the file of a database and those that SQLite creates beside it.
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

// checkBackup checks every page of a file, and that the file is a ledger.
func checkBackup(ctx context.Context, path string) (err error) {
	if err := database.CheckFile(ctx, path); err != nil {
		return err
	}
	db, err := database.OpenFile(ctx, path, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var seq int64
	if err := db.Read().QueryRowContext(ctx, `SELECT seq FROM change_counter WHERE id = 1`).Scan(&seq); err != nil {
		return fmt.Errorf("%w: %w", err, ErrCorrupt) // another database
	}
	return nil
}

// advanceFile migrates the tables of a file and advances its numbers.
func advanceFile(ctx context.Context, path string) (err error) {
	l, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return l.AdvanceNumbers(ctx)
}

// AdvanceNumbers advances the numbers of a ledger that was restored to an earlier time,
// from a backup or by PostgreSQL's own tools. Then the seq of MQTT messages does not
// decrease, and no fence is used twice. Jobs that have not ended appear in the change
// feed again.
func (l *Ledger) AdvanceNumbers(ctx context.Context) error {
	return l.tables.write(ctx, "count on", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE change_counter SET seq = seq + $1`, seqStep)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE job SET fence = fence + $1`, fenceStep)
		}
		for _, state := range job.States() {
			if err == nil && !state.Ended() { // they keep their order, below the counter
				_, err = tx.ExecContext(ctx, `UPDATE job SET seq = seq + $1 WHERE state = $2`, seqStep, state)
			}
		}
		if err == nil {
			err = l.tables.audit(ctx, tx, ActionAdvanceNumbers, "")
		}
		return err
	})
}

// moveAside renames the ledger at path with all its files and returns the new path. It
// also renames a damaged ledger.
func moveAside(ctx context.Context, path string, now time.Time) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	err := database.CheckFile(ctx, path)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return "", err
	}
	old := path + ".before-" + now.UTC().Format("20060102T150405Z")
	if _, err := os.Stat(old); err == nil {
		return "", fmt.Errorf("%s exists: %w", old, ErrExists)
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
