package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

const (
	// discardRatio is the part of a value-log file that must be garbage before Badger
	// rewrites the file: a lower one frees more space, a higher one spares the flash.
	discardRatio = 0.2
	// logEntries is the largest number of entries in a value-log file. Badger closes a file
	// because of its size or this number, never on demand.
	logEntries = 4096
	// rotateAbove is the size from which a collection closes the file being written. A
	// smaller file stays on the disk with its garbage.
	rotateAbove = 4 << 20
)

// collect gives the space of deleted values back to the disk.
//
// Badger learns what is garbage only when it compacts, and it compacts only full memtables.
// Chunks, whose values are in the value log, fill a memtable once in many gigabytes.
// Dropping a prefix is Badger's one public way to flush and compact now.
func (s *store) collect(ctx context.Context) error {
	if err := s.flush(); err != nil {
		return fmt.Errorf("flush before garbage collection: %w", err)
	}
	for ctx.Err() == nil {
		if err := s.rewriteBehindDamage(); err != nil {
			return fmt.Errorf("check the value log before garbage collection: %w", err)
		}
		err := s.rewriteLog()
		if errors.Is(err, badger.ErrNoRewrite) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("value log garbage collection: %w", err)
		}
	}
	return nil
}

// rewriteLog collects one value-log file. Badger reads its memtable without a lock during
// that, so writers wait; a file is small.
func (s *store) rewriteLog() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	return s.db.RunValueLogGC(discardRatio)
}

// flush makes Badger flush and compact. Before that it closes the value-log file being
// written when that file is larger than rotateAbove.
func (s *store) flush() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	n := 1 // Badger does nothing for a prefix without a key
	if s.newestLogSize() > rotateAbove {
		n = logEntries + 1
	}
	err := s.db.Update(func(txn *badger.Txn) error {
		for i := range n {
			if err := txn.Set(fmt.Appendf(nil, "%s%04x", flushPrefix, i), padded(nil, '.')); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.db.DropPrefix([]byte(flushPrefix))
}

// newestLogSize returns the size on disk of the value-log file being written.
func (s *store) newestLogSize() int64 {
	names, err := logFiles(s.path(), ".vlog")
	if err != nil || len(names) == 0 {
		return 0
	}
	info, err := os.Stat(filepath.Join(s.path(), names[len(names)-1]))
	if err != nil {
		return 0
	}
	return onDisk(info)
}

// rewriteBehindDamage rewrites the entries behind damage in the value-log file that is collected next.
// Badger stops reading a file at the first damaged entry, and would delete the file with all
// that follows.
func (s *store) rewriteBehindDamage() error {
	name, err := s.nextToCollect()
	if err != nil || name == "" {
		return err
	}
	path := filepath.Join(s.path(), name)
	type at struct {
		key    string
		offset int64
	}
	var entries []at
	damage, err := scanLog(path, func(e entry) error {
		entries = append(entries, at{string(e.Key), e.Offset})
		return nil
	})
	if errors.Is(err, os.ErrNotExist) || err == nil && len(damage) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e at) bool { return e.offset < damage[0].From })
	if len(entries) > 0 {
		s.o.Log.Warn("value log is damaged; rewriting the entries behind the damage",
			"file", name, "parts", len(damage), "entries", len(entries))
	}
	for _, e := range entries {
		if err := s.rewriteKey([]byte(e.key)); err != nil {
			return err
		}
	}
	return nil
}

// rewriteKey writes the newest value of a key once more, if it has one.
func (s *store) rewriteKey(key []byte) error {
	for {
		err := s.write(func(txn *badger.Txn) error {
			item, err := txn.Get(key)
			if err != nil {
				return err
			}
			b, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			return txn.Set(key, b)
		})
		switch {
		case errors.Is(err, badger.ErrConflict):
			continue // another transaction wrote the key meanwhile
		case errors.Is(err, badger.ErrKeyNotFound):
			return nil
		}
		return err
	}
}

// nextToCollect returns the value-log file with the most garbage, "" when none has any, from
// Badger's DISCARD file. That file holds pairs of big-endian numbers, file and bytes, up to
// the first file 0.
func (s *store) nextToCollect() (string, error) {
	b, err := os.ReadFile(filepath.Join(s.path(), "DISCARD"))
	if err != nil {
		return "", err
	}
	var file, most uint64
	for ; len(b) >= 16 && binary.BigEndian.Uint64(b) != 0; b = b[16:] {
		if n := binary.BigEndian.Uint64(b[8:]); n > most {
			file, most = binary.BigEndian.Uint64(b), n
		}
	}
	if file == 0 {
		return "", nil
	}
	return fmt.Sprintf("%06d.vlog", file), nil
}
