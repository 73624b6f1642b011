package spool

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// A path that is not UTF-8 is stored exactly. Otherwise the file would be read again after
// every scan.
func TestPathThatIsNotUTF8(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	r := fill(t, s, "/card/k\xfche.mp4", 1, 100)
	if other := fill(t, s, "/card/k\xe4he.mp4", 2, 100); other.ID == r.ID || r.Name != `k\xfche.mp4` {
		t.Errorf("got %+v and %+v, want two pieces with printable names", r, other)
	}
	for range 2 {
		if must.Get(s.Captures.Match(r.Source))(t) != Same {
			t.Error("the file on the card is not known")
		}
		closeSpool(t, s)
		s = open(t, dir)
	}
	defer closeSpool(t, s)
	if after, _ := s.Records.Get(r.ID); !after.Source.Same(r.Source) {
		t.Errorf("source after a restart: %+v, want %+v", after.Source, r.Source)
	}
}

// A crash during reading leaves footage to be read again and its finished chunks. These are
// not written twice.
func TestReadingContinuesAfterCrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b, _ := content("", 2, 3*footage.ChunkSize)
	r := must.Get(s.Captures.Add(Source{Path: "/card/b.mp4", Size: int64(len(b))}, nil))(t)
	_, m := content(r.ID, 2, len(b))
	must.Get(s.Captures.BeginRead(r.ID))(t)
	must.Do(t, s.Content.PutChunk(r.ID, Video, m.Video.Chunks[0], b[:footage.ChunkSize]))
	closeSpool(t, s)

	var room atomic.Int64
	room.Store(1 << 40)
	s = open(t, dir, func(o *Options) { o.Disk = func(string) (int64, int64, error) { return 1 << 40, room.Load(), nil } })
	defer closeSpool(t, s)
	if got, _ := s.Records.Get(r.ID); got.State != Spooling || chunkCount(t, s) != 1 {
		t.Fatalf("after the crash: %s with %d chunks, want spooling with 1", got.State, chunkCount(t, s))
	}
	must.Get(s.Captures.BeginRead(r.ID))(t)
	room.Store(0) // a stored chunk needs no space
	must.Do(t, s.Content.PutChunk(r.ID, Video, m.Video.Chunks[0], b[:footage.ChunkSize]))
	err := s.Content.PutChunk(r.ID, Video, m.Video.Chunks[1], b[footage.ChunkSize:2*footage.ChunkSize])
	if !errors.Is(err, ErrNoSpace) {
		t.Fatalf("new chunk on a full disk: got error %v, want ErrNoSpace", err)
	}
	room.Store(1 << 40)
	putChunks(t, s, b, m)
	if got := must.Get(s.Captures.Commit(m))(t); got.State != Spooled {
		t.Fatalf("footage is %s, want spooled", got.State)
	}
}

func TestChangedAndMissingFiles(t *testing.T) {
	s := opened(t)
	src := Source{Path: "/card/d.mp4", Size: 10, ModTime: time.Unix(1, 0)}
	r := must.Get(s.Captures.Add(src, nil))(t)
	must.Get(s.Captures.BeginRead(r.ID))(t)
	b, m := content(r.ID, 5, 10)
	putChunks(t, s, b, m)
	must.Do(t, s.Captures.Discard(r.ID, "it changed"))
	if got, _ := s.Records.Get(r.ID); got.State != Captured || !got.Stale || got.Waiting == "" || chunkCount(t, s) != 0 {
		t.Fatalf("changed file: got %+v, want it captured and stale, without chunks", got)
	}
	if must.Get(s.Captures.Match(src))(t) != New {
		t.Fatal("a changed file counts as known")
	}
	src.Size = 20
	grown := must.Get(s.Captures.Add(src, nil))(t)
	if grown.ID != r.ID || grown.Stale || grown.Source.Size != 20 {
		t.Fatalf("changed file captured again: got %+v, want the same footage", grown)
	}
	must.Do(t, s.Recovery.QuarantineMissing(r.ID, "gone"))
	if must.Get(s.Captures.Match(src))(t) != New {
		t.Fatal("a missing file counts as known")
	}
	if back := must.Get(s.Captures.Add(src, nil))(t); back.ID != r.ID || back.State != Captured || back.Reason != "" {
		t.Fatalf("file on the card again: got %+v, want the same footage, captured", back)
	}
	// After the file was spooled, a new file under its name is other footage.
	must.Get(s.Captures.BeginRead(r.ID))(t)
	putChunks(t, s, b, m)
	must.Get(s.Captures.Commit(m))(t)
	src.ModTime = time.Unix(2, 0)
	if other := must.Get(s.Captures.Add(src, nil))(t); other.ID == r.ID {
		t.Fatal("two recordings share an id")
	}
}
