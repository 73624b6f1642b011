package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"image"
	"image/jpeg"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// video returns random bytes with the head of an MP4 file.
func video(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	copy(b, "\x00\x00\x00\x20ftypisom")
	return b
}

type bench struct {
	t       testing.TB
	dir     string
	spool   *spool.Spool
	in      *Ingest
	free    atomic.Int64
	changed chan spool.Record
}

func parts(sp *spool.Spool) Spool {
	return Spool{Records: sp.Records, Captures: sp.Captures, Files: sp.Captures, Content: sp.Content, Recovery: sp.Recovery, Disk: sp.Disk}
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), changed: make(chan spool.Record, 10000)}
	b.free.Store(1 << 40)
	sp, err := spool.Open(spool.Options{Dir: t.TempDir(), MinFree: 1 << 20, Disk: func(string) (int64, int64, error) { return 1 << 40, b.free.Load(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	sp.Records.OnChange(func(r spool.Record) { b.changed <- r })
	b.spool, b.in = sp, New(parts(sp), nil, slog.New(slog.DiscardHandler))
	return b
}

func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.in.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); <-done })
}

func (b *bench) file(name string, content []byte) watch.File {
	b.t.Helper()
	p := filepath.Join(b.dir, name)
	if err := os.WriteFile(p, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return b.stat(p)
}

func (b *bench) stat(p string) watch.File {
	b.t.Helper()
	st, err := os.Stat(p)
	if err != nil {
		b.t.Fatal(err)
	}
	return watch.File{Path: p, Size: st.Size(), ModTime: st.ModTime()}
}

func (b *bench) capture(f watch.Finding) {
	b.t.Helper()
	if err := b.in.Capture(f); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) waitFor(what string, ok func(spool.Record) bool) spool.Record {
	b.t.Helper()
	limit := time.After(3 * time.Minute)
	for {
		select {
		case r := <-b.changed:
			if ok(r) {
				return r
			}
		case <-limit:
			b.t.Fatalf("no record is %s in three minutes; records: %+v", what, b.spool.Records.All())
		}
	}
}

func inState(s spool.State) func(spool.Record) bool {
	return func(r spool.Record) bool { return r.State == s }
}

// namedIn is inState for one file. A change may be reported twice, and late.
func namedIn(name string, s spool.State) func(spool.Record) bool {
	return func(r spool.Record) bool { return r.Name == name && r.State == s }
}

func TestWholeFileWithTelemetry(t *testing.T) {
	b := newBench(t)
	content := video(2*footage.ChunkSize + 5)
	f, side := b.file("a.MP4", content), b.file("a.SRT", []byte("1\n00:00"))
	b.capture(watch.Finding{Video: f, Telemetry: &side})
	b.run()
	r := b.waitFor("spooled", inState(spool.Spooled))
	m, err := b.spool.Content.Manifest(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if m.Video.SHA256 != footage.Sum(content) || len(m.Video.Chunks) != 3 || m.Telemetry == nil || m.Telemetry.SHA256 != footage.Sum([]byte("1\n00:00")) {
		t.Errorf("manifest does not describe the two files: %+v", m)
	}
	if err := b.spool.Content.Verify(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
	if known, err := b.in.Known(watch.Finding{Video: f}); err != nil || !known {
		t.Errorf("spooled file: known %v, error %v, want known", known, err)
	}
	b.capture(watch.Finding{Video: b.file("copy.MP4", content)})
	if d := b.waitFor("duplicate", inState(spool.Duplicate)); d.DuplicateOf != r.ID {
		t.Errorf("copy of %s: got %+v, want a duplicate of it", r.ID, d)
	}
}

// The camera's own picture of a recording is spooled with it.
func TestThumbnailIsSpooled(t *testing.T) {
	b := newBench(t)
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 160, 120)), nil); err != nil {
		t.Fatal(err)
	}
	b.file("DJI_0001.THM", picture.Bytes())
	b.capture(watch.Finding{Video: b.file("DJI_0001.MP4", video(5000))})
	b.capture(watch.Finding{Video: b.file("DJI_0002.MP4", video(6000))})
	b.run()
	r := b.waitFor("spooled", namedIn("DJI_0001.MP4", spool.Spooled))
	m, err := b.spool.Content.Manifest(r.ID)
	if err != nil || m.Thumbnail == nil || m.Thumbnail.Name != "DJI_0001.jpg" || !r.HasThumbnail {
		t.Fatalf("manifest without the thumbnail: %+v, %v", m, err)
	}
	got, err := b.spool.Content.Chunk(r.ID, spool.Thumbnail, m.Thumbnail.Chunks[0], nil)
	if err != nil || !bytes.Equal(got, picture.Bytes()) {
		t.Errorf("thumbnail of %d bytes, error %v, want the camera's %d bytes", len(got), err, picture.Len())
	}
	r = b.waitFor("spooled", namedIn("DJI_0002.MP4", spool.Spooled))
	if m, err = b.spool.Content.Manifest(r.ID); err != nil || m.Thumbnail != nil || r.HasThumbnail {
		t.Errorf("recording without a picture: %+v, %v, want no thumbnail", m, err)
	}
}

func TestUnusableFilesAreQuarantined(t *testing.T) {
	b := newBench(t)
	b.run()
	for name, c := range map[string]struct {
		content []byte
		fault   string
		want    string
	}{
		"text.mp4":  {[]byte("just some text"), "", "the file has a video's name but is not a video"},
		"empty.mp4": {nil, "the file is empty", "the file is empty"},
	} {
		b.capture(watch.Finding{Video: b.file(name, c.content), Fault: c.fault})
		if r := b.waitFor(name, namedIn(name, spool.Quarantined)); !strings.Contains(r.Reason, c.want) {
			t.Errorf("%s: reason %q, want %q in it", name, r.Reason, c.want)
		}
	}
	f := b.file("gone.mp4", video(100))
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	b.capture(watch.Finding{Video: f})
	if r := b.waitFor("quarantined", namedIn("gone.mp4", spool.Quarantined)); !strings.Contains(r.Reason, "vanished") {
		t.Errorf("missing file: reason %q, want \"vanished\" in it", r.Reason)
	}
	// The card is inserted again.
	f = b.file("gone.mp4", video(100))
	if known, _ := b.in.Known(watch.Finding{Video: f}); known {
		t.Error("a file that came back counts as known")
	}
	b.capture(watch.Finding{Video: f})
	b.waitFor("spooled", namedIn("gone.mp4", spool.Spooled))
}

func TestFileChangedSinceCapture(t *testing.T) {
	b := newBench(t)
	f := b.file("a.mp4", video(100))
	b.file("a.mp4", video(200))
	b.capture(watch.Finding{Video: f})
	b.run()
	r := b.waitFor("stale", func(r spool.Record) bool { return r.Stale })
	if !strings.Contains(r.Waiting, "changed") {
		t.Errorf("changed file waits because of %q, want \"changed\" in it", r.Waiting)
	}
	b.capture(watch.Finding{Video: b.stat(f.Path)})
	if got := b.waitFor("spooled", inState(spool.Spooled)); got.ID != r.ID || got.Source.Size != 200 {
		t.Errorf("got %+v, want footage %s with 200 bytes", got, r.ID)
	}
}

// growing is content that calls grow before every chunk, as if the file changed while it is read.
type growing struct {
	*spool.Content
	grow func()
}

func (g *growing) PutChunk(id footage.ID, p spool.Part, c footage.Chunk, b []byte) error {
	g.grow()
	return g.Content.PutChunk(id, p, c, b)
}

func TestFileChangesDuringReading(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"grows":   func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("x"), 9<<20), 0o600) },
		"shrinks": func(p string) error { return os.Truncate(p, 5<<20) },
		"touched": func(p string) error { return os.Chtimes(p, time.Unix(5, 0), time.Unix(5, 0)) },
		"replaced": func(p string) error {
			st, err := os.Stat(p)
			if err != nil {
				return err
			}
			if err := os.WriteFile(p+".new", make([]byte, st.Size()), 0o600); err != nil {
				return err
			}
			if err := os.Chtimes(p+".new", st.ModTime(), st.ModTime()); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			f := b.file("a.mp4", video(8<<20+1))
			once := false
			b.in.spool.Content = &growing{b.spool.Content, func() {
				if !once {
					once = true
					if err := change(f.Path); err != nil {
						t.Error(err)
					}
				}
			}}
			b.capture(watch.Finding{Video: f})
			b.run()
			r := b.waitFor("stale", func(r spool.Record) bool { return r.Stale })
			if r.State != spool.Captured {
				t.Errorf("got %+v, want it captured", r)
			}
		})
	}
}

func TestReadingContinuesWhenSpaceIsFree(t *testing.T) {
	b := newBench(t)
	// The disk is full after the first chunk.
	b.in.spool.Content = &growing{b.spool.Content, func() {
		if r := b.spool.Records.All()[0]; r.Read > 0 && b.free.Load() == 1<<40 {
			b.free.Store(4 << 20)
		}
	}}
	f := b.file("a.mp4", video(8<<20))
	b.capture(watch.Finding{Video: f})
	b.run()
	r := b.waitFor("waiting", func(r spool.Record) bool { return strings.HasPrefix(r.Waiting, "no space") })
	if !strings.Contains(r.Waiting, "spool.min_free") {
		t.Errorf("full disk: waits because of %q, want spool.min_free in it", r.Waiting)
	}
	b.free.Store(1 << 50)
	b.in.mu.Lock()
	clear(b.in.postponed) // a test does not wait
	b.in.mu.Unlock()
	b.in.Wake()
	r = b.waitFor("spooled", inState(spool.Spooled))
	if err := b.spool.Content.Verify(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
}

// A file that is larger than the spool is quarantined, and the next file is read.
func TestFileLargerThanTheSpool(t *testing.T) {
	b := newBench(t)
	sp, err := spool.Open(spool.Options{Dir: t.TempDir(), Quota: 70 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	sp.Records.OnChange(func(r spool.Record) { b.changed <- r })
	b.spool, b.in = sp, New(parts(sp), nil, slog.New(slog.DiscardHandler))
	b.capture(watch.Finding{Video: b.file("long.mp4", video(40<<20))})
	b.capture(watch.Finding{Video: b.file("short.mp4", video(9<<20))})
	b.run()
	if r := b.waitFor("quarantined", namedIn("long.mp4", spool.Quarantined)); !strings.Contains(r.Reason, "72.8 MiB and the spool may use 70.0 MiB (spool.quota)") {
		t.Errorf("reason %q does not name the sizes", r.Reason)
	}
	b.waitFor("spooled", namedIn("short.mp4", spool.Spooled))
}

// fixed are records that do not change.
type fixed []spool.Record

func (f fixed) All() []spool.Record { return slices.Clone(f) }

func (fixed) SetWaiting(footage.ID, string) {}

func (fixed) VideoOf(spool.Source) (spool.Source, bool) { return spool.Source{}, false }

// Two half-read files could fill the spool with nothing to send. So the second one does not
// begin while the first one waits for space.
func TestHalfReadFileComesFirst(t *testing.T) {
	r := fixed{{ID: "older", State: spool.Captured}, {ID: "half", State: spool.Spooling}}
	in := New(Spool{Records: r}, nil, slog.New(slog.DiscardHandler))
	now := time.Now()
	if r, _ := in.nextCapture(now); r == nil || r.ID != "half" {
		t.Fatalf("next is %+v, want the half-read file", r)
	}
	in.postpone("half", spaceWait, 0)
	if r, wait := in.nextCapture(now); r != nil || wait > 2*spaceWait {
		t.Errorf("next is %+v in %s, want nothing before the half-read file gets space", r, wait)
	}
	in.postpone("half", readWait, 1) // an unreadable file does not block others
	if r, _ := in.nextCapture(now); r == nil || r.ID != "older" {
		t.Errorf("next is %+v, want the other file", r)
	}
}

func TestUnreadableFileIsQuarantined(t *testing.T) {
	b := newBench(t)
	p := filepath.Join(b.dir, "dir.mp4") // reading a folder fails, also for root
	if err := os.Mkdir(p, 0o700); err != nil {
		t.Fatal(err)
	}
	b.capture(watch.Finding{Video: b.stat(p)})
	b.run()
	r := b.waitFor("waiting", func(r spool.Record) bool { return strings.HasPrefix(r.Waiting, "cannot be read") })
	for i := 2; i <= maxAttempts; i++ {
		if err := b.in.retryOrQuarantine(r, errSource); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.waitFor("quarantined", inState(spool.Quarantined)); !strings.Contains(r.Reason, "cannot be read after 5 attempts") {
		t.Errorf("reason %q does not name the attempts", r.Reason)
	}
}
