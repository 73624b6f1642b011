package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"cattlecounter/shared/footage"
)

// Errors of this package.
var (
	ErrNotFound = errors.New("not in the spool")
	// ErrNoSpace says that a write would break the quota or eat the disk's reserve.
	ErrNoSpace = errors.New("no space")
	// ErrDamaged marks a chunk that is missing or has another digest than the manifest says.
	ErrDamaged = errors.New("spool content is damaged")
	// ErrInUse says that another process has this spool open.
	ErrInUse = errors.New("spool is in use")
	// ErrCorrupt says that the spool's files cannot be opened.
	ErrCorrupt = errors.New("spool is corrupt")
)

// Options configure a Spool. Dir is required.
type Options struct {
	Dir     string
	Quota   int64 // bytes on disk, 0: none
	MinFree int64 // bytes that stay free on the disk
	// History bounds the records of ended footage that are kept; 0 means 5,000.
	History int
	// Disk reads the size and the free bytes of the file system; nil: statfs.
	Disk func(dir string) (total, free int64, err error)
	Now  func() time.Time // nil: time.Now; only for time stamps that people read
	Log  *slog.Logger
}

const (
	defaultHistory = 5000
	valueLogFile   = 64 << 20
	memTable       = 8 << 20
	// valueThreshold keeps records in the tree and chunks in the value log.
	valueThreshold = 64 << 10
	storeDir       = "store"
)

// Spool is the buffer. Every method is safe for concurrent use until Close.
type Spool struct {
	o    Options
	db   *badger.DB
	disk *usage
	ram  *resident

	// gate is held for reading by writers, and for writing while garbage
	// collection flushes: Badger refuses writes meanwhile.
	gate sync.RWMutex
	// collectNow asks Run for a garbage collection; one waiting request is enough.
	collectNow chan struct{}

	mu       sync.Mutex
	records  map[footage.ID]*Record
	seq      int64
	ended    int
	onChange []func(Record)
}

// Open opens or creates the spool in o.Dir, removes chunks that belong to
// nothing and finishes what a crash left half deleted. The error wraps ErrInUse
// or ErrCorrupt where that is the reason.
func Open(o Options) (*Spool, error) {
	if o.History == 0 {
		o.History = defaultHistory
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
	dir := filepath.Join(o.Dir, storeDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	if err := whole(dir); err != nil {
		return nil, openError(o.Dir, dir, err)
	}
	db, err := openStore(dir, o.Log)
	if err != nil {
		return nil, openError(o.Dir, dir, err)
	}
	s := &Spool{o: o, db: db, disk: newUsage(dir, o.Disk), ram: &resident{dir: dir}, records: map[footage.ID]*Record{}, collectNow: make(chan struct{}, 1)}
	if err := errors.Join(s.load(), s.sweep()); err != nil {
		return nil, errors.Join(openError(o.Dir, dir, err), db.Close())
	}
	return s, nil
}

// whole refuses a store that lost its manifest: Badger would begin a new one and
// delete the tables, and with them footage that may be nowhere else.
func whole(store string) error {
	_, err := os.Stat(filepath.Join(store, badger.ManifestFilename))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tables, err := filepath.Glob(filepath.Join(store, "*.sst"))
	if err == nil && len(tables) > 0 {
		err = fmt.Errorf("%s is missing beside %d tables", badger.ManifestFilename, len(tables))
	}
	return err
}

// openStore turns Badger's panics on spoilt files into errors.
func openStore(dir string, log *slog.Logger) (db *badger.DB, err error) {
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
		WithValueLogFileSize(valueLogFile).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumGoroutines(1).
		WithMetricsEnabled(false).
		WithLogger(storeLog{log}))
}

func openError(dir, store string, err error) error {
	switch {
	case noSpace(err):
		return fmt.Errorf("spool %s: the disk is full, free some space on it: %w: %w", dir, err, ErrNoSpace)
	case isErrno(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("spool %s: another edge-agent runs on it; stop that one, or set another spool.dir: %w", dir, ErrInUse)
	case isErrno(err, syscall.EACCES), isErrno(err, syscall.EPERM), isErrno(err, syscall.EROFS):
		return fmt.Errorf("spool %s: cannot be written, check its owner and mount: %w", dir, err)
	}
	return fmt.Errorf("spool %s cannot be opened; keep it and start with an empty one (mv %s %s.broken): footage that is still on the card is read again: %w: %w",
		dir, store, store, err, ErrCorrupt)
}

// Close writes out everything. Run must have ended.
func (s *Spool) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close spool: %w", err)
	}
	return nil
}

// OnChange registers a function that is told about every changed record, also
// about changes that live in memory only. It must not block and not call the
// spool. Register before the spool is used.
func (s *Spool) OnChange(f func(Record)) { s.onChange = append(s.onChange, f) }

// Keys. Names are short because every chunk repeats them.
func recordKey(id footage.ID) []byte    { return []byte("f/" + string(id)) }
func manifestKey(id footage.ID) []byte  { return []byte("m/" + string(id)) }
func digestKey(d footage.Digest) []byte { return []byte("h/" + d.String()) }
func sourceKey(path string) []byte      { return []byte("s/" + footage.Sum([]byte(path)).String()) }
func chunkPrefix(id footage.ID) []byte  { return []byte("c/" + string(id) + "/") }
func replyKey(id string) []byte         { return []byte("r/" + id) }
func chunkKey(id footage.ID, p Part, i int) []byte {
	return fmt.Appendf(chunkPrefix(id), "%c%08x", p[0], i)
}

var (
	sessionKey = []byte("x/session")
	pausedKey  = []byte("x/paused")
	flushKey   = []byte("g/flush")
)

// write runs one synced transaction.
func (s *Spool) write(f func(*badger.Txn) error) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	err := s.db.Update(f)
	if noSpace(err) {
		return fmt.Errorf("%w: %w", err, ErrNoSpace)
	}
	return err
}

func noSpace(err error) bool {
	return isErrno(err, syscall.ENOSPC) || isErrno(err, syscall.EDQUOT)
}

// isErrno also reads the text: Badger's wrapping keeps nothing else of a cause.
func isErrno(err error, no syscall.Errno) bool {
	return err != nil && (errors.Is(err, no) || strings.Contains(err.Error(), no.Error()))
}

func setJSON(txn *badger.Txn, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return txn.Set(key, b)
}

// getJSON fails with ErrNotFound when the key is not there.
func getJSON(txn *badger.Txn, key []byte, v any) error {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return item.Value(func(b []byte) error { return json.Unmarshal(b, v) })
}

// load reads every record into memory.
func (s *Spool) load() error {
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte("f/"), PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var r Record
			if err := it.Item().Value(func(b []byte) error { return json.Unmarshal(b, &r) }); err != nil {
				return fmt.Errorf("record %s: %w", it.Item().Key(), err)
			}
			s.records[r.ID] = &r
			s.seq = max(s.seq, r.Seq)
			if r.State.Ended() {
				s.ended++
			}
		}
		return nil
	})
}

// NextSession counts the starts of this device: 1, 2, …
func (s *Spool) NextSession() (int64, error) {
	var n int64
	err := s.write(func(txn *badger.Txn) error {
		if err := getJSON(txn, sessionKey, &n); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		n++
		return setJSON(txn, sessionKey, n)
	})
	if err != nil {
		return 0, fmt.Errorf("next session: %w", err)
	}
	return n, nil
}

// Paused reports whether an operator stopped the upload, also before a restart.
func (s *Spool) Paused() (bool, error) {
	var p bool
	err := s.db.View(func(txn *badger.Txn) error { return getJSON(txn, pausedKey, &p) })
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, fmt.Errorf("read pause: %w", err)
	}
	return p, nil
}

// SetPaused keeps the operator's will.
func (s *Spool) SetPaused(p bool) error {
	if err := s.write(func(txn *badger.Txn) error { return setJSON(txn, pausedKey, p) }); err != nil {
		return fmt.Errorf("keep pause: %w", err)
	}
	return nil
}

// Run collects garbage after footage was reclaimed, until ctx ends.
func (s *Spool) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.collectNow:
		}
		if err := s.Collect(ctx); err != nil {
			s.o.Log.Error("spool garbage stays for now", "err", err)
		}
	}
}

// storeLog brings Badger's log lines down a level: what it calls information is
// detail here.
type storeLog struct{ log *slog.Logger }

func (l storeLog) Errorf(f string, a ...any)   { l.log.Error("spool store: " + fmt.Sprintf(f, a...)) }
func (l storeLog) Warningf(f string, a ...any) { l.log.Warn("spool store: " + fmt.Sprintf(f, a...)) }
func (l storeLog) Infof(f string, a ...any)    { l.log.Debug("spool store: " + fmt.Sprintf(f, a...)) }
func (l storeLog) Debugf(string, ...any)       {}
