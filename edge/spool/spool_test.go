package spool

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) {
	// Badger's dependencies start this goroutine for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// Badger does not stop these when it cannot open a store.
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

func open(t testing.TB, dir string, change ...func(*Options)) *Spool {
	t.Helper()
	o := Options{Dir: dir}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeSpool(t testing.TB, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func opened(t testing.TB, change ...func(*Options)) *Spool {
	s := open(t, t.TempDir(), change...)
	t.Cleanup(func() { closeSpool(t, s) })
	return s
}

// content returns random bytes, the same for the same seed, and their manifest.
func content(id footage.ID, seed uint64, size int) ([]byte, footage.Manifest) {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	f := footage.File{Name: "a.mp4", Size: int64(size), SHA256: footage.Sum(b)}
	for at := 0; at < size; at += footage.ChunkSize {
		c := b[at:min(at+footage.ChunkSize, size)]
		f.Chunks = append(f.Chunks, footage.Chunk{Index: len(f.Chunks), Size: int64(len(c)), SHA256: footage.Sum(c)})
	}
	return b, footage.Manifest{Version: footage.ManifestVersion, Footage: id, Video: f}
}

func putChunks(t testing.TB, s *Spool, b []byte, m footage.Manifest) {
	t.Helper()
	for _, c := range m.Video.Chunks {
		at := c.Index * footage.ChunkSize
		must.Do(t, s.Content.PutChunk(m.Footage, Video, c, b[at:at+int(c.Size)]))
	}
}

// fill captures and reads footage; its record is returned as spooled, or as a duplicate.
func fill(t testing.TB, s *Spool, path string, seed uint64, size int) Record {
	t.Helper()
	r := must.Get(s.Captures.Add(Source{Path: path, Size: int64(size), ModTime: time.Unix(1, 0)}, nil))(t)
	b, m := content(r.ID, seed, size)
	must.Get(s.Captures.BeginRead(r.ID))(t)
	putChunks(t, s, b, m)
	return must.Get(s.Captures.Commit(m))(t)
}

// confirm uploads, confirms and reclaims footage.
func confirm(t testing.TB, s *Spool, id footage.ID) {
	t.Helper()
	must.Get(s.Uploads.Begin(id))(t)
	must.Do(t, s.Uploads.Accept(id))
	must.Do(t, s.Uploads.Confirm(id, ""))
	must.Do(t, s.Disk.Reclaim(id))
}

func chunkCount(t testing.TB, s *Spool) int {
	t.Helper()
	return len(must.Get(s.store.keys([]byte("c/")))(t))
}

func TestLifeAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	const size = 2*footage.ChunkSize + 17
	s := open(t, dir)
	r := fill(t, s, "/card/a.mp4", 1, size)
	if r.State != Spooled || r.Name != "a.mp4" {
		t.Fatalf("got %+v, want spooled footage a.mp4", r)
	}
	must.Do(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "http://x/files/1", Offset: 7}))
	must.Do(t, s.Link.SetPaused(true))
	if n := must.Get(s.NextSession())(t); n != 1 {
		t.Fatalf("first session is %d, want 1", n)
	}
	closeSpool(t, s)

	s = open(t, dir)
	b, m := content(r.ID, 1, size)
	got := must.Get(s.Content.Manifest(r.ID))(t)
	if got.Video.SHA256 != m.Video.SHA256 {
		t.Fatal("the manifest has another digest after a restart")
	}
	var all, buf []byte
	for _, c := range got.Video.Chunks {
		buf = must.Get(s.Content.Chunk(r.ID, Video, c, buf))(t)
		all = append(all, buf...)
	}
	if !bytes.Equal(all, b) {
		t.Fatal("the content differs after a restart")
	}
	must.Do(t, s.Content.Verify(t.Context(), r.ID))
	after, _ := s.Records.Get(r.ID)
	if after.Video.URL == "" || after.Video.Offset != 7 || !must.Get(s.Link.Paused())(t) || must.Get(s.NextSession())(t) != 2 {
		t.Fatalf("transfer, pause or session lost in a restart: %+v", after)
	}
	confirm(t, s, r.ID)
	closeSpool(t, s)

	s = open(t, dir)
	defer closeSpool(t, s)
	after, _ = s.Records.Get(r.ID)
	if after.State != Reclaimed || chunkCount(t, s) != 0 {
		t.Fatalf("confirmed footage is %s with %d chunks, want reclaimed without", after.State, chunkCount(t, s))
	}
	if _, err := s.Content.Manifest(r.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("manifest of reclaimed footage: got error %v, want ErrNotFound", err)
	}
	// The same file is not read again, the same content not sent second.
	if must.Get(s.Captures.Match(after.Source))(t) != Same {
		t.Error("the file on the card is not known after its footage was reclaimed")
	}
	second := fill(t, s, "/card/copy.mp4", 1, size)
	if second.State != Duplicate || second.DuplicateOf != r.ID || chunkCount(t, s) != 0 {
		t.Errorf("same content again: %+v with %d chunks, want a duplicate without", second, chunkCount(t, s))
	}
}

func TestRunCollectsAndStops(t *testing.T) {
	s := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.store.requestCollection()
	cancel()
	must.Do(t, <-done)
}
