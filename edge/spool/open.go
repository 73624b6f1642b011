package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	sst "github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/wake"
)

// Open opens or creates the spool in o.Dir, removes chunks that belong to
// nothing and finishes what a crash left half deleted. A store that is broken is
// made anew out of what is readable (see Salvaged), and footage with damaged
// content goes back to be read from the card. The error wraps ErrInUse,
// ErrNoSpace or ErrCorrupt where that is the reason.
func Open(o Options) (*Spool, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	saved, err := finishSalvage(o)
	if err != nil {
		return nil, openError(o.Dir, err)
	}
	s, err := openWhole(o)
	if errors.Is(err, ErrCorrupt) && saved == nil {
		o.Log.Error("the spool is broken; what is readable of it is saved into a new one", "spool", o.Dir, "err", err)
		got, bad := salvage(context.Background(), o, err)
		if bad != nil {
			return nil, fmt.Errorf("%w; keep it and start with an empty one (mv %s %s.broken): footage that is still on the card is read again", openError(o.Dir, errors.Join(bad, err)), o.Dir, o.Dir)
		}
		saved = &got
		s, err = openWhole(o)
	}
	if err != nil {
		return nil, err
	}
	if s.salvaged = saved; saved != nil {
		if err := s.mend(context.Background(), saved); err != nil {
			return nil, errors.Join(fmt.Errorf("spool %s: after the salvage: %w", o.Dir, err), s.Close())
		}
		o.Log.Warn("the spool was broken and is saved", "entries", saved.Entries, "bytes", saved.Bytes, "damaged", saved.Damaged,
			"lost_bytes", saved.Lost, "reread", saved.Reread, "why", saved.Why)
	}
	return s, nil
}

// Salvaged says what Open saved of a broken store, nil when it was whole.
func (s *Spool) Salvaged() *Salvaged { return s.salvaged }

func (o Options) withDefaults() Options {
	if o.History == 0 {
		o.History = defaultHistory
	}
	if o.LogFile == 0 {
		if o.LogFile = 32 << 20; strconv.IntSize == 32 {
			o.LogFile = 16 << 20
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Disk == nil {
		o.Disk = diskSpace
	}
	return o
}

// finishSalvage goes on with a salvage that was cut short; nil without one.
func finishSalvage(o Options) (*Salvaged, error) {
	copying, renaming := unfinished(o.Dir)
	if renaming {
		return &Salvaged{Why: "its salvage was cut short"}, replaceStore(o.Dir)
	}
	if !copying {
		return nil, nil
	}
	got, err := salvage(context.Background(), o, errors.New("its salvage was cut short"))
	return &got, err
}

// openWhole opens the store as it is.
func openWhole(o Options) (*Spool, error) {
	dir := filepath.Join(o.Dir, storeDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	if err := ready(dir); err != nil {
		return nil, openError(o.Dir, err)
	}
	unsynced := new(atomic.Int64)
	db, err := openStore(dir, o, unsynced)
	if err != nil {
		return nil, openError(o.Dir, err)
	}
	s := &Spool{o: o, db: db, unsynced: unsynced, disk: newUsage(dir, o.Disk), ram: &resident{dir: dir}, records: map[footage.ID]*Record{}, collectNow: wake.New()}
	if err := errors.Join(s.load(), s.sweep()); err != nil {
		return nil, errors.Join(openError(o.Dir, err), db.Close())
	}
	return s, nil
}

// ready looks at everything that Badger would take amiss or make worse.
func ready(store string) error {
	release, err := lock(store, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer release()
	if err := clearEmpty(store); err != nil {
		return err
	}
	return errors.Join(whole(store), unbroken(store), rightTables(store))
}

// whole refuses a store that lost its manifest: Badger would begin a new one and
// delete the tables, and with them footage that may be nowhere else.
func whole(store string) error {
	_, err := os.Stat(filepath.Join(store, badger.ManifestFilename))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, pattern := range []string{"*.sst", "*.vlog"} {
		files, err := filepath.Glob(filepath.Join(store, pattern))
		if err != nil {
			return err
		}
		if len(files) > 0 {
			return fmt.Errorf("%s is missing beside %d files of data", badger.ManifestFilename, len(files))
		}
	}
	return nil
}

// unbroken looks at the logs that Badger reads when it opens: the write-ahead
// logs and the last value log. It cuts each off at the first entry that is not
// right, as a torn write leaves it; what is readable behind that place would be
// lost.
func unbroken(store string) error {
	ahead, err := logFiles(store, ".mem")
	if err != nil {
		return err
	}
	values, err := logFiles(store, ".vlog")
	if err != nil {
		return err
	}
	for _, name := range append(ahead, values[max(0, len(values)-1):]...) {
		last := int64(0)
		damage, err := scanLog(filepath.Join(store, name), func(e entry) error { last = e.Offset; return nil })
		if err != nil {
			return err
		}
		if len(damage) > 0 && damage[0].From < last {
			return fmt.Errorf("%s is damaged at %d, before readable entries", name, damage[0].From)
		}
	}
	return nil
}

// clearEmpty removes empty files: a process that is killed while Badger makes a file
// leaves it so, and Badger does not open the store again.
func clearEmpty(store string) error {
	for _, suffix := range []string{".vlog", ".mem", ".sst"} {
		names, err := logFiles(store, suffix)
		if err != nil {
			return err
		}
		for _, name := range names {
			path := filepath.Join(store, name)
			info, err := os.Stat(path)
			if err == nil && info.Size() == 0 {
				err = os.Remove(path)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// rightTables opens every table and compares its checksums, here, where a panic
// can be caught: Badger opens them in goroutines of its own, and a spoilt one
// takes the process with it. They are small, since they hold keys alone. One that
// the manifest does not name is what a crash left of its making; Badger deletes it.
func rightTables(store string) (err error) {
	names, err := tables(store)
	if err != nil {
		return err
	}
	name := ""
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("table %s cannot be read", name)
		}
	}()
	for _, name = range names {
		f, err := z.OpenMmapFile(filepath.Join(store, name), os.O_RDONLY, 0)
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		_, err = sst.OpenTable(f, sst.Options{ReadOnly: true, ChkMode: options.OnTableAndBlockRead})
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		if err := f.Close(-1); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	return nil
}

// tables returns the names of the tables that Badger's manifest has.
func tables(store string) ([]string, error) {
	f, err := os.Open(filepath.Join(store, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // whole says so where it matters
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(store).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	var names []string
	for id := range m.Tables {
		names = append(names, sst.IDToFilename(id))
	}
	slices.Sort(names)
	return names, nil
}

// openStore turns Badger's panics on spoilt files into errors.
func openStore(dir string, o Options, unsynced *atomic.Int64) (db *badger.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%v", p)
		}
	}()
	// Sizes for a board with 512 MiB: two memtables, no caches (values are not
	// compressed, so blocks are read through the page cache).
	return badger.Open(badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithVerifyValueChecksum(true).
		WithMemTableSize(memTable).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(o.LogFile).
		WithValueLogMaxEntries(logEntries).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumGoroutines(1).
		WithMetricsEnabled(false).
		WithLogger(storeLog{o.Log, unsynced}))
}

func openError(dir string, err error) error {
	switch {
	case noSpace(err):
		return fmt.Errorf("spool %s: the disk is full, free some space on it: %w: %w", dir, err, ErrNoSpace)
	case isErrno(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("spool %s: another edge-agent runs on it; stop that one, or set another spool.dir: %w", dir, ErrInUse)
	case isErrno(err, syscall.EACCES), isErrno(err, syscall.EPERM), isErrno(err, syscall.EROFS):
		return fmt.Errorf("spool %s: cannot be written, check its owner and mount: %w", dir, err)
	}
	return fmt.Errorf("spool %s cannot be opened: %w: %w", dir, err, ErrCorrupt)
}

func (s *Spool) storePath() string { return filepath.Join(s.o.Dir, storeDir) }
