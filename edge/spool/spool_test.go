package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/goleak"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

func TestMain(m *testing.M) {
	// Badger's dependencies keep these for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// Badger leaves these behind when it cannot open a store.
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

func shut(t testing.TB, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func opened(t testing.TB, change ...func(*Options)) *Spool {
	s := open(t, t.TempDir(), change...)
	t.Cleanup(func() { shut(t, s) })
	return s
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content returns random bytes and their manifest.
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
		ok(t, s.Content.PutChunk(m.Footage, Video, c, b[at:at+int(c.Size)]))
	}
}

// fill takes footage up to Spooled.
func fill(t testing.TB, s *Spool, path string, seed uint64, size int) Record {
	t.Helper()
	r := must[Record](t)(s.Captures.Add(Source{Path: path, Size: int64(size), ModTime: time.Unix(1, 0)}, nil))
	b, m := content(r.ID, seed, size)
	must[Record](t)(s.Captures.BeginRead(r.ID))
	putChunks(t, s, b, m)
	return must[Record](t)(s.Captures.Commit(m))
}

func confirm(t testing.TB, s *Spool, id footage.ID) {
	t.Helper()
	must[Record](t)(s.Uploads.Begin(id))
	ok(t, s.Uploads.Accept(id))
	ok(t, s.Uploads.Confirm(id, ""))
	ok(t, s.Disk.Reclaim(id))
}

func chunkCount(t testing.TB, s *Spool) int {
	t.Helper()
	return len(must[[][]byte](t)(s.store.keys([]byte("c/"))))
}

func TestTable(t *testing.T) {
	reached, seen := map[State]bool{Captured: true}, map[string]bool{}
	for _, row := range table.Rows {
		key := fmt.Sprint(row.From, row.Event)
		if seen[key] {
			t.Errorf("%s stands twice", key)
		}
		seen[key], reached[row.To] = true, true
		if row.From.Ended() && row.Event != Reread {
			t.Errorf("%s is ended and goes on", row.From)
		}
	}
	for _, s := range States() {
		if !reached[s] {
			t.Errorf("%s is never reached", s)
		}
	}
	// Content goes only after the cloud has confirmed it.
	for _, row := range table.Rows {
		if row.To == Reclaimed && row.From != Confirmed {
			t.Errorf("%s is reclaimed", row.From)
		}
	}
	if _, err := Next(Reclaimed, Upload); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
}

func TestLifeAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	const size = 2*footage.ChunkSize + 17
	s := open(t, dir)
	r := fill(t, s, "/card/a.mp4", 1, size)
	if r.State != Spooled || r.Name != "a.mp4" {
		t.Fatalf("%+v", r)
	}
	ok(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "http://x/files/1", Offset: 7}))
	ok(t, s.Link.SetPaused(true))
	if n := must[int64](t)(s.NextSession()); n != 1 {
		t.Fatal(n)
	}
	shut(t, s)

	s = open(t, dir)
	b, m := content(r.ID, 1, size)
	got := must[footage.Manifest](t)(s.Content.Manifest(r.ID))
	if got.Video.SHA256 != m.Video.SHA256 {
		t.Fatal("another manifest")
	}
	var all, buf []byte
	for _, c := range got.Video.Chunks {
		buf = must[[]byte](t)(s.Content.Chunk(r.ID, Video, c, buf))
		all = append(all, buf...)
	}
	if !bytes.Equal(all, b) {
		t.Fatal("content differs")
	}
	ok(t, s.Content.Verify(t.Context(), r.ID))
	kept, _ := s.Records.Get(r.ID)
	if kept.Video.URL == "" || kept.Video.Offset != 7 || !must[bool](t)(s.Link.Paused()) || must[int64](t)(s.NextSession()) != 2 {
		t.Fatalf("%+v", kept)
	}
	confirm(t, s, r.ID)
	shut(t, s)

	s = open(t, dir)
	defer shut(t, s)
	kept, _ = s.Records.Get(r.ID)
	if kept.State != Reclaimed || chunkCount(t, s) != 0 {
		t.Fatalf("%s with %d chunks", kept.State, chunkCount(t, s))
	}
	if _, err := s.Content.Manifest(r.ID); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	// The same file is not read again, the same content not sent again.
	if !must[bool](t)(s.Captures.Known(kept.Source)) {
		t.Error("the file on the card is forgotten")
	}
	again := fill(t, s, "/card/copy.mp4", 1, size)
	if again.State != Duplicate || again.DuplicateOf != r.ID || chunkCount(t, s) != 0 {
		t.Errorf("%+v with %d chunks", again, chunkCount(t, s))
	}
}

// A path need not be UTF-8; it is found again exactly, or the file would be read
// anew at every look.
func TestForeignNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	r := fill(t, s, "/card/k\xfche.mp4", 1, 100)
	if other := fill(t, s, "/card/k\xe4he.mp4", 2, 100); other.ID == r.ID || r.Name != "k\uFFFDhe.mp4" {
		t.Errorf("%+v, %+v", r, other)
	}
	for range 2 {
		if !must[bool](t)(s.Captures.Known(r.Source)) {
			t.Error("the file on the card is forgotten")
		}
		shut(t, s)
		s = open(t, dir)
	}
	defer shut(t, s)
	if kept, _ := s.Records.Get(r.ID); !kept.Source.Same(r.Source) {
		t.Errorf("%+v", kept.Source)
	}
}

// A crash at any point of reading leaves a record to be read again and no chunk
// that nobody needs; what is there is not written twice.
func TestCrashWhileReading(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b, _ := content("", 2, 3*footage.ChunkSize)
	r := must[Record](t)(s.Captures.Add(Source{Path: "/card/b.mp4", Size: int64(len(b))}, nil))
	_, m := content(r.ID, 2, len(b))
	must[Record](t)(s.Captures.BeginRead(r.ID))
	ok(t, s.Content.PutChunk(r.ID, Video, m.Video.Chunks[0], b[:footage.ChunkSize]))
	shut(t, s)

	var room atomic.Int64
	room.Store(1 << 40)
	s = open(t, dir, func(o *Options) { o.Disk = func(string) (int64, int64, error) { return 1 << 40, room.Load(), nil } })
	defer shut(t, s)
	if got, _ := s.Records.Get(r.ID); got.State != Spooling || chunkCount(t, s) != 1 {
		t.Fatalf("%s, %d chunks", got.State, chunkCount(t, s))
	}
	must[Record](t)(s.Captures.BeginRead(r.ID))
	room.Store(0) // a chunk that is there needs no room
	ok(t, s.Content.PutChunk(r.ID, Video, m.Video.Chunks[0], b[:footage.ChunkSize]))
	if err := s.Content.PutChunk(r.ID, Video, m.Video.Chunks[1], b[footage.ChunkSize:2*footage.ChunkSize]); !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	room.Store(1 << 40)
	putChunks(t, s, b, m)
	if got := must[Record](t)(s.Captures.Commit(m)); got.State != Spooled {
		t.Fatal(got.State)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	r := fill(t, s, "/card/c.mp4", 3, 100)
	_, m := content("nobody", 4, 100)
	b, _ := content("nobody", 4, 100)
	putChunks(t, s, b, m) // no record has them
	must[Record](t)(s.Uploads.Begin(r.ID))
	ok(t, s.Uploads.Accept(r.ID))
	ok(t, s.Uploads.Confirm(r.ID, "")) // and now the power goes, before Reclaim
	shut(t, s)
	s = open(t, dir)
	defer shut(t, s)
	if got, _ := s.Records.Get(r.ID); got.State != Reclaimed || chunkCount(t, s) != 0 {
		t.Fatalf("%s, %d chunks", got.State, chunkCount(t, s))
	}
}

func TestChangedAndVanishedFiles(t *testing.T) {
	s := opened(t)
	src := Source{Path: "/card/d.mp4", Size: 10, ModTime: time.Unix(1, 0)}
	r := must[Record](t)(s.Captures.Add(src, nil))
	must[Record](t)(s.Captures.BeginRead(r.ID))
	b, m := content(r.ID, 5, 10)
	putChunks(t, s, b, m)
	ok(t, s.Captures.Discard(r.ID, "it changed"))
	if got, _ := s.Records.Get(r.ID); got.State != Captured || !got.Stale || got.Waiting == "" || chunkCount(t, s) != 0 {
		t.Fatalf("%+v", got)
	}
	if must[bool](t)(s.Captures.Known(src)) {
		t.Fatal("a changed file is not offered again")
	}
	src.Size = 20
	grown := must[Record](t)(s.Captures.Add(src, nil))
	if grown.ID != r.ID || grown.Stale || grown.Source.Size != 20 {
		t.Fatalf("%+v", grown)
	}
	ok(t, s.Recovery.QuarantineMissing(r.ID, "gone"))
	if must[bool](t)(s.Captures.Known(src)) {
		t.Fatal("a file that came back is not offered again")
	}
	if back := must[Record](t)(s.Captures.Add(src, nil)); back.ID != r.ID || back.State != Captured || back.Reason != "" {
		t.Fatalf("%+v", back)
	}
	// After it was read whole, a new file under the old name is new footage.
	must[Record](t)(s.Captures.BeginRead(r.ID))
	putChunks(t, s, b, m)
	must[Record](t)(s.Captures.Commit(m))
	src.ModTime = time.Unix(2, 0)
	if other := must[Record](t)(s.Captures.Add(src, nil)); other.ID == r.ID {
		t.Fatal("two recordings share an id")
	}
}

func TestQuarantineAndRetry(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/e.mp4", 6, 100)
	ok(t, s.Recovery.Quarantine(r.ID, "refused"))
	if got, _ := s.Records.Get(r.ID); got.State != Quarantined || got.Reason != "refused" || chunkCount(t, s) != 1 {
		t.Fatalf("%+v", got)
	}
	ok(t, s.Recovery.Retry(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Spooled || got.Reason != "" {
		t.Fatalf("%+v", got)
	}
	ok(t, s.Recovery.Reread(r.ID))
	if got, _ := s.Records.Get(r.ID); got.State != Captured || chunkCount(t, s) != 1 {
		t.Fatalf("%+v", got)
	}
	if err := s.Recovery.Retry(r.ID); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
	if err := s.Recovery.Retry("nobody"); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
	if err := s.Disk.Reclaim(r.ID); !errors.Is(err, ErrTransition) {
		t.Errorf("unconfirmed content was reclaimed: %v", err)
	}
}

func TestDamagedChunk(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/f.mp4", 7, 100)
	m := must[footage.Manifest](t)(s.Content.Manifest(r.ID))
	ok(t, s.store.write(func(txn *badger.Txn) error { return txn.Set(chunkKey(r.ID, Video, 0), []byte("spoilt")) }))
	if _, err := s.Content.Chunk(r.ID, Video, m.Video.Chunks[0], nil); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if err := s.Content.Verify(t.Context(), r.ID); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	ok(t, s.store.deleteKeys([][]byte{chunkKey(r.ID, Video, 0)}))
	if err := s.Content.Verify(t.Context(), r.ID); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestQuota(t *testing.T) {
	s := opened(t, func(o *Options) { o.Quota = 40 << 20 })
	r := must[Record](t)(s.Captures.Add(Source{Path: "/card/h.mp4", Size: 80 << 20}, nil))
	b, m := content(r.ID, 10, 80<<20)
	must[Record](t)(s.Captures.BeginRead(r.ID))
	var err error
	for _, c := range m.Video.Chunks {
		at := c.Index * footage.ChunkSize
		if err = s.Content.PutChunk(r.ID, Video, c, b[at:at+int(c.Size)]); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "spool.quota") {
		t.Fatal(err)
	}
	if used := must[Space](t)(s.Disk.Space()).Used; used > 40<<20 {
		t.Errorf("the spool takes %d bytes", used)
	}
}

func TestHowFull(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		sp   Space
		want float64
	}{
		{Space{Limit: 1000 * mb}, 0}, {Space{Used: 800 * mb, Limit: 1000 * mb}, 80}, {Space{Used: 997 * mb, Limit: 1000 * mb}, 100},
		{Space{Used: 5 * mb, Limit: 0}, 100}, {Space{Used: 5 * mb, Limit: -mb}, 100}, {Space{Used: 2000 * mb, Limit: 1000 * mb}, 100},
	} {
		if got := c.sp.Percent(); got != c.want {
			t.Errorf("%+v: %v %%", c.sp, got)
		}
	}
	disk := func(string) (int64, int64, error) { return 10_000 * mb, 700 * mb, nil }
	for _, c := range []struct{ quota, minFree int64 }{{0, 0}, {0, 100}, {500, 100}, {900, 100}} {
		s := opened(t, func(o *Options) { o.Quota, o.MinFree, o.Disk = c.quota*mb, c.minFree*mb, disk })
		sp := must[Space](t)(s.Disk.Space())
		want := sp.Used + (700-c.minFree)*mb
		if c.quota > 0 {
			want = min(want, c.quota*mb)
		}
		if sp.Limit != want {
			t.Errorf("%+v: limit %d MiB, want %d MiB", c, sp.Limit/mb, want/mb)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s := opened(t, func(o *Options) { o.History = 3 })
	var first Record
	for i := range 6 {
		r := fill(t, s, fmt.Sprintf("/card/%d.mp4", i), uint64(20+i), 50)
		confirm(t, s, r.ID)
		if i == 0 {
			first = r
		}
	}
	if n := len(s.Records.All()); n != 3 {
		t.Errorf("%d records", n)
	}
	if !must[bool](t)(s.Captures.Known(first.Source)) {
		t.Error("a forgotten record is read again")
	}
	if again := fill(t, s, "/card/again.mp4", 20, 50); again.State != Duplicate {
		t.Errorf("forgotten content is sent again: %s", again.State)
	}
}

func TestNewestJobWins(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/i.mp4", 30, 50)
	at := time.Now()
	put := func(j topic.Job) bool { t.Helper(); j.Footage = r.ID; return must[bool](t)(s.Records.PutJob(j)) }
	if !put(topic.Job{Header: topic.Header{Seq: 5}, Job: "j1", State: job.Processing, Progress: job.Progress{Percent: 50}, Updated: at}) ||
		put(topic.Job{Header: topic.Header{Seq: 4}, Job: "j1", State: job.Processing, Progress: job.Progress{Percent: 40}, Updated: at}) ||
		put(topic.Job{Header: topic.Header{Seq: 9}, Job: "j0", State: job.Processing, Updated: at.Add(-time.Hour)}) ||
		!put(topic.Job{Header: topic.Header{Seq: 6}, Job: "j1", State: job.Done, Progress: job.Progress{Percent: 100}, Updated: at}) {
		t.Error("order of jobs")
	}
	if got, _ := s.Records.Get(r.ID); got.Job.State != job.Done {
		t.Error(got.Job)
	}
	if _, err := s.Records.PutJob(topic.Job{Footage: "nobody"}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestReplies(t *testing.T) {
	s := opened(t)
	for i := range maxReplies + 5 {
		ok(t, s.Replies.Put(Reply{ID: fmt.Sprintf("o%d", i), State: topic.Finished}))
	}
	if n := len(must[[]Reply](t)(s.Replies.All())); n != maxReplies {
		t.Errorf("%d replies are kept", n)
	}
	if _, err := s.Replies.Get("o0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the oldest stays: %v", err)
	}
	if r, err := s.Replies.Get(fmt.Sprintf("o%d", maxReplies)); err != nil || r.State != topic.Finished {
		t.Error(r, err)
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "another edge-agent") {
		t.Errorf("in use: %v", err)
	}
	shut(t, s)
	file := filepath.Join(dir, "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(Options{Dir: file}); err == nil {
		t.Error("a file was taken as a folder")
	}
}
