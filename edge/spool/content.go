package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
)

// PutChunk stores one chunk durably. A chunk that is there with the same digest
// is not written again, which is how reading goes on after a crash. The error
// wraps ErrNoSpace when there is no room; then nothing was written.
func (s *Spool) PutChunk(id footage.ID, p Part, c footage.Chunk, data []byte) error {
	key := chunkKey(id, p, c.Index)
	defer s.ram.touch(len(data))
	if old, err := s.chunk(key, c, nil); err == nil && footage.Sum(old) == c.SHA256 {
		return nil
	}
	if err := s.MakeRoom(int64(len(data))); err != nil {
		return fmt.Errorf("spool chunk %d of %s: %w", c.Index, id, err)
	}
	if len(data) < valueThreshold {
		data = padded(bytes.Clone(data), 0)
	}
	if err := s.write(func(txn *badger.Txn) error { return txn.Set(key, data) }); err != nil {
		return fmt.Errorf("spool chunk %d of %s: %w", c.Index, id, err)
	}
	return nil
}

// Chunk returns a chunk, in buf where it fits. The error wraps ErrDamaged when
// the chunk is gone or is not what the manifest says.
func (s *Spool) Chunk(id footage.ID, p Part, c footage.Chunk, buf []byte) ([]byte, error) {
	b, err := s.chunk(chunkKey(id, p, c.Index), c, buf)
	s.ram.touch(len(b))
	if err != nil {
		return nil, fmt.Errorf("spool chunk %d of %s: %w: %w", c.Index, id, err, ErrDamaged)
	}
	if footage.Sum(b) != c.SHA256 {
		return nil, fmt.Errorf("spool chunk %d of %s has another digest: %w", c.Index, id, ErrDamaged)
	}
	return b, nil
}

// chunk reads a chunk without its padding.
func (s *Spool) chunk(key []byte, c footage.Chunk, buf []byte) ([]byte, error) {
	b, err := s.raw(key, buf)
	return b[:min(int64(len(b)), c.Size)], err
}

func (s *Spool) raw(key, buf []byte) ([]byte, error) {
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

// Manifest returns the manifest of spooled footage; ErrNotFound without one.
func (s *Spool) Manifest(id footage.ID) (footage.Manifest, error) {
	b, err := s.raw(manifestKey(id), nil)
	if errors.Is(err, badger.ErrKeyNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return footage.Manifest{}, fmt.Errorf("manifest of %s: %w", id, err)
	}
	m, err := footage.DecodeManifest(b)
	if err != nil {
		return footage.Manifest{}, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	return m, nil
}

// Verify compares every chunk with the manifest. The error wraps ErrDamaged when
// one differs.
func (s *Spool) Verify(ctx context.Context, id footage.ID) error {
	if _, err := s.Manifest(id); err != nil {
		return err
	}
	f, err := s.Faults(ctx, id)
	if err == nil && f != nil {
		err = fmt.Errorf("%d of %d chunks: %s: %w", f.Damaged, f.Chunks, f.Detail, ErrDamaged)
	}
	return err
}

// dropContent deletes every chunk and the manifest of a piece of footage.
func (s *Spool) dropContent(id footage.ID) error {
	keys, err := s.keys(chunkPrefix(id))
	if err != nil {
		return err
	}
	if err := s.deleteKeys(append(keys, manifestKey(id))); err != nil {
		return fmt.Errorf("delete content of %s: %w", id, err)
	}
	s.wantCollect()
	return nil
}

func (s *Spool) keys(prefix []byte) ([][]byte, error) {
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

func (s *Spool) deleteKeys(keys [][]byte) error {
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

// sweep finishes deletions that a crash cut short and deletes chunks that
// belong to no footage in need of them.
func (s *Spool) sweep() error {
	chunks, err := s.keys([]byte("c/"))
	if err != nil {
		return err
	}
	manifests, err := s.withManifest()
	if err != nil {
		return err
	}
	var orphans [][]byte
	for _, k := range chunks {
		id, _, _ := cutChunkKey(k)
		if r := s.records[id]; r == nil && !manifests[id] || r != nil && (r.State.Ended() || r.State == Captured && !manifests[id]) {
			orphans = append(orphans, k)
		}
	}
	if len(orphans) > 0 {
		s.o.Log.Info("chunks without footage deleted", "chunks", len(orphans))
		if err := s.deleteKeys(orphans); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		s.wantCollect()
	}
	for id, r := range s.records {
		if r.State == Confirmed && (!s.o.KeepConfirmed || !manifests[id]) {
			if err := s.Reclaim(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// withManifest returns the footage that has a manifest, whatever its state.
func (s *Spool) withManifest() (map[footage.ID]bool, error) {
	keys, err := s.keys([]byte("m/"))
	if err != nil {
		return nil, err
	}
	there := map[footage.ID]bool{}
	for _, k := range keys {
		there[footage.ID(k[len("m/"):])] = true
	}
	return there, nil
}

func cutChunkKey(k []byte) (id footage.ID, part byte, ok bool) {
	const prefix, tail = len("c/"), len("/v00000000")
	if len(k) <= prefix+tail {
		return "", 0, false
	}
	return footage.ID(k[prefix : len(k)-tail]), k[len(k)-tail+1], true
}
