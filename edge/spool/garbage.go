package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const (
	// discardRatio is the part of a value-log file that must be garbage before it
	// is rewritten: lower frees more, higher spares the flash.
	discardRatio = 0.2
	// logEntries is how many entries a value-log file takes at most. Badger closes
	// a file for its size or for their number, never on demand.
	logEntries = 4096
	// rotateAbove is the size from which the file being written is closed for
	// collection; what it holds at most stays on the disk otherwise.
	rotateAbove = 4 << 20
)

// Run collects garbage after footage was reclaimed, and deletes confirmed content
// that is left, until ctx ends.
func (s *Spool) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.reclaimLeft()
			continue
		case <-s.collectNow.C():
		}
		s.collecting.Store(true)
		if err := s.Collect(ctx); err != nil {
			s.o.Log.Error("spool garbage stays for now", "err", err)
		}
		s.collecting.Store(false)
	}
}

// reclaimLeft deletes confirmed content of which the deletion failed, on a full
// disk for instance.
func (s *Spool) reclaimLeft() {
	if s.o.KeepConfirmed {
		return
	}
	for _, r := range s.Records() {
		if r.State != Confirmed {
			continue
		}
		if err := s.Reclaim(r.ID); err != nil {
			s.o.Log.Error("confirmed content stays for now", "footage", r.ID, "err", err)
		}
	}
}

func (s *Spool) wantCollect() {
	s.collecting.Store(true)
	s.collectNow.Set()
}

// Collect gives the space of deleted chunks back to the disk, all but rotateAbove
// bytes and what shares a value-log file with live content.
//
// Badger learns what is garbage only when it compacts, and compacts only full
// memtables, which chunks (whose values lie in the value log) fill once in many
// gigabytes. Dropping a prefix is its one public way to flush and compact now.
func (s *Spool) Collect(ctx context.Context) error {
	if err := s.flush(); err != nil {
		return fmt.Errorf("flush before garbage collection: %w", err)
	}
	for ctx.Err() == nil {
		if err := s.rescue(); err != nil {
			return fmt.Errorf("before value log garbage collection: %w", err)
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

// rewriteLog collects one value-log file. Badger reads the newest version of its
// memtable there without a lock, so nothing is written meanwhile; a file is small.
func (s *Spool) rewriteLog() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	return s.db.RunValueLogGC(discardRatio)
}

// flush closes the value-log file that is being written, if it is worth it, and
// makes Badger flush and compact.
func (s *Spool) flush() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	n := 1 // Badger does nothing for a prefix without a key
	if s.newestLog() > rotateAbove {
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

// newestLog returns the size on disk of the value log that is being written.
func (s *Spool) newestLog() int64 {
	names, err := logFiles(s.storePath(), ".vlog")
	if err != nil || len(names) == 0 {
		return 0
	}
	info, err := os.Stat(filepath.Join(s.storePath(), names[len(names)-1]))
	if err != nil {
		return 0
	}
	return onDisk(info)
}

// rescue writes again what lies behind damage in the value log that is collected
// next: Badger stops reading a file at the first entry that is not right, and
// would delete it with all that follows.
func (s *Spool) rescue() error {
	name, err := s.nextCollected()
	if err != nil || name == "" {
		return err
	}
	path := filepath.Join(s.storePath(), name)
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
		s.o.Log.Warn("value log is damaged, what follows is written anew", "file", name, "parts", len(damage), "entries", len(entries))
	}
	for _, e := range entries {
		if err := s.rewrite([]byte(e.key)); err != nil {
			return err
		}
	}
	return nil
}

// rewrite writes the newest value of a key once more, if it has one.
func (s *Spool) rewrite(key []byte) error {
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
			continue // somebody wrote it meanwhile
		case errors.Is(err, badger.ErrKeyNotFound):
			return nil
		}
		return err
	}
}

// nextCollected reads in Badger's DISCARD file which value log has most garbage,
// "" when none has any. The file holds pairs of numbers, file and bytes, big
// endian, up to the first file 0.
func (s *Spool) nextCollected() (string, error) {
	b, err := os.ReadFile(filepath.Join(s.storePath(), "DISCARD"))
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
