package spool

import (
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/deploy/testkit/must"
)

func TestDamagedChunk(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/f.mp4", 7, 100)
	m := must.Get(s.Content.Manifest(r.ID))(t)
	must.Do(t, s.store.write(func(txn *badger.Txn) error { return txn.Set(chunkKey(r.ID, Video, 0), []byte("broken")) }))
	if _, err := s.Content.Chunk(r.ID, Video, m.Video.Chunks[0], nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("read of a broken chunk: got error %v, want ErrDamaged", err)
	}
	if err := s.Content.Verify(t.Context(), r.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("check with a broken chunk: got error %v, want ErrDamaged", err)
	}
	must.Do(t, s.store.deleteKeys([][]byte{chunkKey(r.ID, Video, 0)}))
	if err := s.Content.Verify(t.Context(), r.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("check with a missing chunk: got error %v, want ErrDamaged", err)
	}
}
