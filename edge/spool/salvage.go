package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/dgraph-io/badger/v4"
)

// Folders of a spool.
const (
	storeDir   = "store"
	salvageDir = "store.salvage" // the new store while it is made from a broken one
	brokenDir  = "store.broken"  // the remains of the last broken store
	damagedDir = "damaged"       // value logs with parts that could not be read
)

// Salvaged describes what was saved of a broken store.
type Salvaged struct {
	Why     string `json:"why"`     // why the store could not be opened
	Entries int    `json:"entries"` // saved records, manifests and chunks
	Bytes   int64  `json:"bytes"`
	Damaged int    `json:"damaged"` // parts of files with nothing readable
	Lost    int64  `json:"lost"`    // bytes in those parts
	Reread  int    `json:"reread"`  // pieces of footage with damaged content, to be read from the card again
}

// errInterrupted is the reason for a salvage that continues an earlier one.
var errInterrupted = errors.New("the salvage of the spool was interrupted")

// finishSalvage continues an interrupted salvage; it returns nil when there is none.
func finishSalvage(o Options) (*Salvaged, error) {
	copying, renaming := unfinishedSalvage(o.Dir)
	if renaming {
		return &Salvaged{Why: errInterrupted.Error()}, replaceStore(o.Dir)
	}
	if !copying {
		return nil, nil
	}
	got, err := salvage(context.Background(), o, errInterrupted)
	return &got, err
}

// salvage makes a store that opens from the readable entries of a broken one. Every value is
// in the value log, so the tables are not needed.
//
// The value logs are copied into a new store one after the other. Each is synced and then
// removed, so the disk needs only a little more space than the largest one. A value log with
// damaged parts is kept in damagedDir. After a crash the next call continues. A key that the
// new store has already is not copied again, because the first index knew its newest version.
func salvage(ctx context.Context, o Options, why error) (Salvaged, error) {
	store, next := filepath.Join(o.Dir, storeDir), filepath.Join(o.Dir, salvageDir)
	out := Salvaged{Why: why.Error()}
	release, err := lock(store, syscall.LOCK_EX)
	if err != nil {
		return out, err
	}
	defer release()
	index, err := indexLogs(store)
	if err != nil {
		return out, fmt.Errorf("salvage %s: %w", store, err)
	}
	out.Damaged, out.Lost = index.damagedParts()
	if err := os.MkdirAll(next, 0o700); err != nil {
		return out, fmt.Errorf("salvage into %s: %w", next, err)
	}
	if err := removeEmptyFiles(next); err != nil {
		return out, fmt.Errorf("salvage into %s: %w", next, err)
	}
	unsynced := new(atomic.Int64)
	db, err := openBadger(next, o, unsynced)
	if err != nil {
		return out, fmt.Errorf("salvage into %s: %w", next, err)
	}
	err = copyLogs(ctx, db, index, o, unsynced, &out)
	if err := errors.Join(err, db.Close()); err != nil {
		return out, fmt.Errorf("salvage %s: %w", store, err)
	}
	return out, replaceStore(o.Dir)
}

// copyLogs copies the live entries of every log, file by file.
func copyLogs(ctx context.Context, db *badger.DB, x *logIndex, o Options, unsynced *atomic.Int64, out *Salvaged) error {
	live := x.liveKeys()
	for name := range live {
		if filepath.Ext(name) != ".vlog" { // small, and stays until the store is replaced
			if err := copyEntries(ctx, db, x, live[name], out); err != nil {
				return err
			}
		}
	}
	for _, name := range x.files {
		if err := copyEntries(ctx, db, x, live[name], out); err != nil {
			return err
		}
		if unsynced.Load() > 0 {
			return errUnsynced // the broken store stays until its copy is safe
		}
		if err := removeCopied(o.Dir, name, len(x.damage[name]) > 0); err != nil {
			return err
		}
		o.Log.Info("value log salvaged", "file", name, "entries", len(live[name]), "damaged", len(x.damage[name]))
	}
	return nil
}

func copyEntries(ctx context.Context, db *badger.DB, x *logIndex, keys []string, out *Salvaged) error {
	for _, key := range keys {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b, err := x.readValue([]byte(key))
		if err != nil {
			return err
		}
		err = db.Update(func(txn *badger.Txn) error {
			if _, err := txn.Get([]byte(key)); !errors.Is(err, badger.ErrKeyNotFound) {
				return err // nil: copied before a crash
			}
			return txn.Set([]byte(key), b)
		})
		if err != nil {
			return fmt.Errorf("key %s: %w", key, err)
		}
		out.Entries++
		out.Bytes += int64(len(b))
	}
	return nil
}

// removeCopied removes a copied value log from the broken store, or moves it to damagedDir.
func removeCopied(dir, name string, damaged bool) error {
	from := filepath.Join(dir, storeDir, name)
	if !damaged {
		return os.Remove(from)
	}
	to := filepath.Join(dir, damagedDir)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return os.Rename(from, filepath.Join(to, name))
}

// replaceStore puts the finished new store in the place of the broken one. After a crash
// between its two steps the next call finishes them.
func replaceStore(dir string) error {
	store, next, broken := filepath.Join(dir, storeDir), filepath.Join(dir, salvageDir), filepath.Join(dir, brokenDir)
	if err := syncDir(next); err != nil {
		return err
	}
	if _, err := os.Stat(store); err == nil {
		if err := os.RemoveAll(broken); err != nil {
			return err
		}
		if err := os.Rename(store, broken); err != nil {
			return err
		}
	}
	if err := os.Rename(next, store); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// unfinishedSalvage reports at which step a salvage was interrupted: while copying entries,
// or while renaming the folders.
func unfinishedSalvage(dir string) (copying, renaming bool) {
	_, store := os.Stat(filepath.Join(dir, storeDir))
	_, next := os.Stat(filepath.Join(dir, salvageDir))
	begun, replaced := next == nil, errors.Is(store, fs.ErrNotExist)
	return begun && !replaced, begun && replaced
}

// finishRecovery makes the records agree with what a salvage saved. Content without a record
// gets one, and footage with damaged content is read from the card again.
func (s *Spool) finishRecovery(ctx context.Context, out *Salvaged) error {
	if err := s.Recovery.recreateRecords(); err != nil {
		return err
	}
	n, err := s.Recovery.CheckAll(ctx)
	out.Reread = n
	return err
}
