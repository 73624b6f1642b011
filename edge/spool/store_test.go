package spool

import (
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/deploy/testkit/must"
)

// A failed sync of the value log fails the write, although Badger only logs it.
func TestFailedSyncIsAnError(t *testing.T) {
	s := opened(t)
	r := must.Get(s.Captures.Add(Source{Path: "/card/a.mp4", Size: 100}, nil))(t)
	b, m := content(r.ID, 1, 100)
	err := s.store.write(func(txn *badger.Txn) error {
		badgerLog{s.store.o.Log, s.store.unsynced}.Errorf("Error while curlf sync: %v\n", errors.New("input/output error"))
		return txn.Set(chunkKey(r.ID, Video, 0), b)
	})
	if !errors.Is(err, errUnsynced) {
		t.Errorf("got error %v, want errUnsynced", err)
	}
	must.Do(t, s.Content.PutChunk(r.ID, Video, m.Video.Chunks[0], b))
	must.Get(m.Video.SHA256, nil)(t)
}
