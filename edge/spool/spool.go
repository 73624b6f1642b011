package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/wake"
)

// Errors of this package.
var (
	ErrNotFound = errors.New("not in the spool")
	// ErrNoSpace says that a write would break the quota or eat the disk's reserve.
	ErrNoSpace = errors.New("no space")
	// ErrTooLarge says that a file fits neither now nor ever.
	ErrTooLarge = errors.New("too large for the spool")
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
	// LogFile is the size of a value-log file in bytes; 0 means 32 MiB, or 16 MiB
	// with 32-bit addresses. Badger maps every one of them, and twice the size of
	// the one that is being written.
	LogFile int64
	// KeepConfirmed keeps what the cloud has confirmed until its room is needed;
	// then the oldest goes first. What is not confirmed is never deleted.
	KeepConfirmed bool
	// History bounds the records of ended footage that are kept; 0 means 5,000.
	History int
	// Disk reads the size and the free bytes of the file system; nil: statfs.
	Disk func(dir string) (total, free int64, err error)
	Now  func() time.Time // nil: time.Now; only for time stamps that people read
	Log  *slog.Logger
}

const (
	defaultHistory = 5000
	memTable       = 8 << 20
	// valueThreshold puts every value of this package into the value log, records
	// and manifests beside chunks: what is in it can be saved without the tables.
	// Badger's mark at the end of a transaction, a number, must stay out of it: the
	// write-ahead log could not be read again.
	valueThreshold = 32
	storeDir       = "store"
)

// Spool is the buffer. Every method is safe for concurrent use until Close.
type Spool struct {
	o    Options
	db   *badger.DB
	disk *usage
	ram  *resident

	// gate is held for reading by writers, and for writing by garbage collection.
	gate sync.RWMutex
	// collecting says that room is being made already.
	collecting atomic.Bool
	// outbox counts the bytes of messages that were kept since garbage was last
	// collected for them.
	outbox atomic.Int64
	// unsynced is the store's count of failed syncs.
	unsynced *atomic.Int64
	// written, when set, is called after every write; tests look at the disk then.
	written func()
	// collectNow asks Run for a garbage collection; one waiting request is enough.
	collectNow wake.Signal
	// salvaged says what was done when the store could not be opened, nil when it could.
	salvaged *Salvaged

	mu       sync.Mutex
	records  map[footage.ID]*Record
	seq      int64
	ended    int
	onChange []func(Record)
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
	return fmt.Appendf(chunkPrefix(id), "%c%08x", p.letter(), i)
}

// flushPrefix begins the keys that live only while the store is flushed.
const flushPrefix = "g/"

var (
	sessionKey = []byte("x/session")
	pausedKey  = []byte("x/paused")
)

// write runs one synced transaction.
func (s *Spool) write(f func(*badger.Txn) error) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	before := s.unsynced.Load()
	err := s.db.Update(f)
	if noSpace(err) {
		return fmt.Errorf("%w: %w", err, ErrNoSpace)
	}
	if err == nil && s.unsynced.Load() != before {
		return errUnsynced
	}
	if s.written != nil {
		s.written()
	}
	return err
}

// errUnsynced says that what was written may not outlive a power cut.
var errUnsynced = errors.New("the disk did not sync the value log")

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
	return txn.Set(key, padded(b, ' '))
}

// padded makes a value long enough for the value log.
func padded(b []byte, with byte) []byte {
	for len(b) < valueThreshold {
		b = append(b, with)
	}
	return b
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
	err := s.getSetting(pausedKey, "pause", &p)
	return p, err
}

// SetPaused keeps the operator's will.
func (s *Spool) SetPaused(p bool) error { return s.putSetting(pausedKey, "pause", p) }

// storeLog brings Badger's log lines down a level: what it calls information is
// detail here.
type storeLog struct {
	log *slog.Logger
	// unsynced counts the syncs of the value log that failed: Badger logs them and
	// goes on as if the data were safe.
	unsynced *atomic.Int64
}

func (l storeLog) Errorf(f string, a ...any) {
	if strings.Contains(f, "curlf sync") {
		l.unsynced.Add(1)
	}
	l.log.Error("spool store: " + fmt.Sprintf(f, a...))
}

func (l storeLog) Warningf(f string, a ...any) { l.log.Warn("spool store: " + fmt.Sprintf(f, a...)) }
func (l storeLog) Infof(f string, a ...any)    { l.log.Debug("spool store: " + fmt.Sprintf(f, a...)) }
func (l storeLog) Debugf(string, ...any)       {}
