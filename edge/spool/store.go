package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/wake"
)

// valueThreshold puts every value of this package into the value log: records and manifests
// as well as chunks. What is in the value log can be saved without the tables. Badger marks the end of a transaction
// with a number. That number must stay below the threshold, or the write-ahead log could not be read again.
const valueThreshold = 32

// store is the Badger database below every part of the spool: synced transactions, keys,
// and the garbage that deletions leave. It is safe for concurrent use.
type store struct {
	o        Options
	db       *badger.DB
	resident *resident

	// gate is held for reading by writers, and for writing by garbage collection.
	gate sync.RWMutex
	// unsynced counts the syncs of the value log that failed.
	unsynced *atomic.Int64
	// collectNow asks Run for a garbage collection.
	collectNow wake.Signal
	// collecting is true from a request until its collection has ended.
	collecting atomic.Bool
	// written, when set, is called after every write; tests look at the disk then.
	written func()
}

func (s *store) path() string { return filepath.Join(s.o.Dir, storeDir) }

// write runs one synced transaction.
func (s *store) write(f func(*badger.Txn) error) error {
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

// errUnsynced marks a write that a power cut may undo.
var errUnsynced = errors.New("the disk did not sync the value log")

func noSpace(err error) bool {
	return isErrno(err, syscall.ENOSPC) || isErrno(err, syscall.EDQUOT)
}

// isErrno also reads the text, because Badger wraps some causes as text only.
func isErrno(err error, no syscall.Errno) bool {
	return err != nil && (errors.Is(err, no) || strings.Contains(err.Error(), no.Error()))
}

// readRaw returns the value of a key, in buf where it fits.
func (s *store) readRaw(key, buf []byte) ([]byte, error) {
	err := s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err != nil {
			return err
		}
		buf, err = item.ValueCopy(buf)
		return err
	})
	return buf, err
}

// readJSON fails with ErrNotFound when the key is not in the store.
func (s *store) readJSON(key []byte, v any) error {
	return s.db.View(func(txn *badger.Txn) error { return getJSON(txn, key, v) })
}

// readSetting leaves v as it is when the key is not in the store. The noun names the setting in errors.
func (s *store) readSetting(key []byte, noun string, v any) error {
	if err := s.readJSON(key, v); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("read %s: %w", noun, err)
	}
	return nil
}

// saveSetting writes v durably. The noun names the setting in errors.
func (s *store) saveSetting(key []byte, noun string, v any) error {
	if err := s.write(func(txn *badger.Txn) error { return setJSON(txn, key, v) }); err != nil {
		return fmt.Errorf("save %s: %w", noun, err)
	}
	return nil
}

// keys returns every key with a prefix, in order.
func (s *store) keys(prefix []byte) ([][]byte, error) {
	var keys [][]byte
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			keys = append(keys, it.Item().KeyCopy(nil))
		}
		return nil
	})
	return keys, err
}

// deleteKeys deletes in several transactions: a crash may leave a part of the keys.
func (s *store) deleteKeys(keys [][]byte) error {
	const perTransaction = 500
	for len(keys) > 0 {
		n := min(len(keys), perTransaction)
		err := s.write(func(txn *badger.Txn) error {
			for _, k := range keys[:n] {
				if err := txn.Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// deleteContent deletes the chunks and the manifest of a piece of footage.
func (s *store) deleteContent(id footage.ID) error {
	keys, err := s.keys(chunkPrefix(id))
	if err != nil {
		return err
	}
	if err := s.deleteKeys(append(keys, manifestKey(id))); err != nil {
		return fmt.Errorf("delete content of %s: %w", id, err)
	}
	s.requestCollection()
	return nil
}

// requestCollection makes Run collect garbage soon.
func (s *store) requestCollection() {
	s.collecting.Store(true)
	s.collectNow.Set()
}

// getJSON fails with ErrNotFound when the key is not in the store.
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
