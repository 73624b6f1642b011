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

// Folders of a spool beside the store.
const (
	salvageDir = "store.salvage" // a store that is being made out of a broken one
	brokenDir  = "store.broken"  // what is left of the last broken one
	damagedDir = "damaged"       // value logs of which a part could not be read
)

// Salvaged says what was saved of a broken store.
type Salvaged struct {
	Why     string `json:"why"`     // why the store could not be opened
	Entries int    `json:"entries"` // records, manifests and chunks that were saved
	Bytes   int64  `json:"bytes"`
	Damaged int    `json:"damaged"` // parts of files that hold nothing readable
	Lost    int64  `json:"lost"`    // bytes in those parts
	Reread  int    `json:"reread"`  // pieces of footage with damaged content, to be read from the card again
}

// salvage makes a store that opens out of the readable entries of a broken one.
// Every value lies in the value log, so the tables are not needed.
//
// One value log after the other is copied into a new store, synced and removed,
// so little more room is needed than for the largest of them; one with damaged
// parts is kept aside. After a crash the next call goes on where this one was: a
// key that the new store has is not copied again, since the first index knew its
// newest version.
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
	for _, parts := range index.damage {
		out.Damaged += len(parts)
		for _, p := range parts {
			out.Lost += p.To - p.From
		}
	}
	if err := os.MkdirAll(next, 0o700); err != nil {
		return out, fmt.Errorf("salvage into %s: %w", next, err)
	}
	if err := clearEmpty(next); err != nil {
		return out, fmt.Errorf("salvage into %s: %w", next, err)
	}
	unsynced := new(atomic.Int64)
	db, err := openStore(next, o, unsynced)
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
	live := x.live()
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
		if err := retire(o.Dir, name, len(x.damage[name]) > 0); err != nil {
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
		b, err := x.value([]byte(key))
		if err != nil {
			return err
		}
		err = db.Update(func(txn *badger.Txn) error {
			if _, err := txn.Get([]byte(key)); !errors.Is(err, badger.ErrKeyNotFound) {
				return err // nil: it is there from before a crash
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

// retire takes a copied value log out of the broken store.
func retire(dir, name string, keep bool) error {
	from := filepath.Join(dir, storeDir, name)
	if !keep {
		return os.Remove(from)
	}
	to := filepath.Join(dir, damagedDir)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return os.Rename(from, filepath.Join(to, name))
}

// replaceStore puts the finished new store in the place of the broken one. A
// crash between its two steps is finished by the next call.
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

// unfinished reports how far a salvage that was cut short had come: copying, or
// only the names to change.
func unfinished(dir string) (copying, renaming bool) {
	_, store := os.Stat(filepath.Join(dir, storeDir))
	_, next := os.Stat(filepath.Join(dir, salvageDir))
	there := next == nil
	gone := errors.Is(store, fs.ErrNotExist)
	return there && !gone, there && gone
}
