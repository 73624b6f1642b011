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

// video returns bytes that look like an MP4.
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
	return Spool{Records: sp.Records, Captures: sp.Captures, Content: sp.Content, Recovery: sp.Recovery, Disk: sp.Disk}
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
	b.spool, b.in = sp, New(parts(sp), slog.New(slog.DiscardHandler))
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

func (b *bench) take(f watch.Finding) {
	b.t.Helper()
	if err := b.in.Take(f); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) until(what string, ok func(spool.Record) bool) spool.Record {
	b.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case r := <-b.changed:
			if ok(r) {
				return r
			}
		case <-limit:
			b.t.Fatalf("%s: never; %+v", what, b.spool.Records.All())
		}
	}
}

func in(s spool.State) func(spool.Record) bool {
	return func(r spool.Record) bool { return r.State == s }
}

// of is in for one file: a change may be told twice, and late.
func of(name string, s spool.State) func(spool.Record) bool {
	return func(r spool.Record) bool { return r.Name == name && r.State == s }
}

func TestWholeFileWithTelemetry(t *testing.T) {
	b := newBench(t)
	content := video(2*footage.ChunkSize + 5)
	f, side := b.file("a.MP4", content), b.file("a.SRT", []byte("1\n00:00"))
	b.take(watch.Finding{Video: f, Telemetry: &side})
	b.run()
	r := b.until("spooled", in(spool.Spooled))
	m, err := b.spool.Content.Manifest(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if m.Video.SHA256 != footage.Sum(content) || len(m.Video.Chunks) != 3 || m.Telemetry == nil || m.Telemetry.SHA256 != footage.Sum([]byte("1\n00:00")) {
		t.Errorf("%+v", m)
	}
	if err := b.spool.Content.Verify(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
	if known, err := b.in.Known(f); err != nil || !known {
		t.Error(known, err)
	}
	b.take(watch.Finding{Video: b.file("copy.MP4", content)})
	if d := b.until("duplicate", in(spool.Duplicate)); d.DuplicateOf != r.ID {
		t.Errorf("%+v", d)
	}
}

// The picture that the camera left goes with its footage.
func TestThumbnailIsSpooled(t *testing.T) {
	b := newBench(t)
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 160, 120)), nil); err != nil {
		t.Fatal(err)
	}
	b.file("DJI_0001.THM", picture.Bytes())
	b.take(watch.Finding{Video: b.file("DJI_0001.MP4", video(5000))})
	b.take(watch.Finding{Video: b.file("DJI_0002.MP4", video(6000))})
	b.run()
	r := b.until("spooled", of("DJI_0001.MP4", spool.Spooled))
	m, err := b.spool.Content.Manifest(r.ID)
	if err != nil || m.Thumbnail == nil || m.Thumbnail.Name != "DJI_0001.jpg" || !r.HasThumbnail {
		t.Fatalf("%+v %v", m, err)
	}
	got, err := b.spool.Content.Chunk(r.ID, spool.Thumbnail, m.Thumbnail.Chunks[0], nil)
	if err != nil || !bytes.Equal(got, picture.Bytes()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r = b.until("spooled", of("DJI_0002.MP4", spool.Spooled))
	if m, err = b.spool.Content.Manifest(r.ID); err != nil || m.Thumbnail != nil || r.HasThumbnail {
		t.Errorf("%+v %v", m, err)
	}
}

func TestBadInput(t *testing.T) {
	b := newBench(t)
	b.run()
	for name, c := range map[string]struct {
		content []byte
		fault   string
		want    string
	}{
		"text.mp4":  {[]byte("just some text"), "", "not a video, whatever its name says"},
		"empty.mp4": {nil, "the file is empty", "the file is empty"},
	} {
		b.take(watch.Finding{Video: b.file(name, c.content), Fault: c.fault})
		if r := b.until(name, of(name, spool.Quarantined)); !strings.Contains(r.Reason, c.want) {
			t.Errorf("%s: %s", name, r.Reason)
		}
	}
	f := b.file("gone.mp4", video(100))
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	b.take(watch.Finding{Video: f})
	if r := b.until("gone", of("gone.mp4", spool.Quarantined)); !strings.Contains(r.Reason, "vanished") {
		t.Error(r.Reason)
	}
	// It comes back.
	f = b.file("gone.mp4", video(100))
	if known, _ := b.in.Known(f); known {
		t.Error("not offered again")
	}
	b.take(watch.Finding{Video: f})
	b.until("back", of("gone.mp4", spool.Spooled))
}

func TestChangedSinceCaptured(t *testing.T) {
	b := newBench(t)
	f := b.file("a.mp4", video(100))
	b.file("a.mp4", video(200))
	b.take(watch.Finding{Video: f})
	b.run()
	r := b.until("stale", func(r spool.Record) bool { return r.Stale })
	if !strings.Contains(r.Waiting, "changed") {
		t.Error(r.Waiting)
	}
	b.take(watch.Finding{Video: b.stat(f.Path)})
	if got := b.until("spooled", in(spool.Spooled)); got.ID != r.ID || got.Source.Size != 200 {
		t.Errorf("%+v", got)
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

func TestGrowsWhileRead(t *testing.T) {
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
			b.take(watch.Finding{Video: f})
			b.run()
			r := b.until("void", func(r spool.Record) bool { return r.Stale })
			if r.State != spool.Captured {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestFullDiskWaitsAndGoesOn(t *testing.T) {
	b := newBench(t)
	// Space ends after the first chunk.
	b.in.spool.Content = &growing{b.spool.Content, func() {
		if r := b.spool.Records.All()[0]; r.Read > 0 && b.free.Load() == 1<<40 {
			b.free.Store(4 << 20)
		}
	}}
	f := b.file("a.mp4", video(8<<20))
	b.take(watch.Finding{Video: f})
	b.run()
	r := b.until("waiting", func(r spool.Record) bool { return strings.HasPrefix(r.Waiting, "no space") })
	if !strings.Contains(r.Waiting, "spool.min_free") {
		t.Error(r.Waiting)
	}
	b.free.Store(1 << 50)
	b.in.mu.Lock()
	clear(b.in.again) // no waiting in a test
	b.in.mu.Unlock()
	b.in.Wake()
	r = b.until("spooled", in(spool.Spooled))
	if err := b.spool.Content.Verify(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
}

// A file that could never be spooled whole is set aside and does not hold up the
// others, whatever of it would fit.
func TestLargerThanTheSpool(t *testing.T) {
	b := newBench(t)
	sp, err := spool.Open(spool.Options{Dir: t.TempDir(), Quota: 70 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	sp.Records.OnChange(func(r spool.Record) { b.changed <- r })
	b.spool, b.in = sp, New(parts(sp), slog.New(slog.DiscardHandler))
	b.take(watch.Finding{Video: b.file("long.mp4", video(40<<20))})
	b.take(watch.Finding{Video: b.file("short.mp4", video(9<<20))})
	b.run()
	if r := b.until("set aside", of("long.mp4", spool.Quarantined)); !strings.Contains(r.Reason, "72.8 MiB and the spool may use 70.0 MiB (spool.quota)") {
		t.Error(r.Reason)
	}
	b.until("spooled", of("short.mp4", spool.Spooled))
}

// fixed are records that do not change.
type fixed []spool.Record

func (f fixed) All() []spool.Record { return slices.Clone(f) }

func (fixed) SetWaiting(footage.ID, string) {}

// Two files that are half read could fill the spool for ever: the second one does
// not begin while the first one waits for space.
func TestNothingBeginsBehindAHalf(t *testing.T) {
	r := fixed{{ID: "older", State: spool.Captured}, {ID: "half", State: spool.Spooling}}
	in := New(Spool{Records: r}, slog.New(slog.DiscardHandler))
	now := time.Now()
	if r, _ := in.next(now); r == nil || r.ID != "half" {
		t.Fatalf("%+v", r)
	}
	in.later("half", spaceWait, 0)
	if r, wait := in.next(now); r != nil || wait > 2*spaceWait {
		t.Errorf("%+v %s", r, wait)
	}
	in.later("half", readWait, 1) // a card that cannot be read holds nothing up
	if r, _ := in.next(now); r == nil || r.ID != "older" {
		t.Errorf("%+v", r)
	}
}

func TestUnreadable(t *testing.T) {
	b := newBench(t)
	p := filepath.Join(b.dir, "dir.mp4") // reading a folder fails, also for root
	if err := os.Mkdir(p, 0o700); err != nil {
		t.Fatal(err)
	}
	b.take(watch.Finding{Video: b.stat(p)})
	b.run()
	r := b.until("waiting", func(r spool.Record) bool { return strings.HasPrefix(r.Waiting, "cannot be read") })
	for i := 2; i <= readTries; i++ {
		if err := b.in.tryLater(r, errSource); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.until("given up", in(spool.Quarantined)); !strings.Contains(r.Reason, "cannot be read after 5 tries") {
		t.Error(r.Reason)
	}
}

// BenchmarkIngest measures reading into the spool against writing the same
// bytes to a plain file with a sync per chunk.
func BenchmarkIngest(b *testing.B) {
	const size = 128 << 20
	content := video(size)
	var raw, spooled time.Duration
	for b.Loop() {
		w := newBench(b)
		w.changed = make(chan spool.Record, 1<<20)
		content[100]++ // other content, so that it is no duplicate
		f := w.file("a.mp4", content)
		began := time.Now()
		out, err := os.Create(filepath.Join(b.TempDir(), "raw"))
		if err != nil {
			b.Fatal(err)
		}
		for at := 0; at < size; at += footage.ChunkSize {
			if _, err := out.Write(content[at : at+footage.ChunkSize]); err != nil {
				b.Fatal(err)
			}
			if err := out.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		raw += time.Since(began)
		_ = out.Close()
		w.take(watch.Finding{Video: f})
		began = time.Now()
		r, _ := w.in.next(time.Now())
		if err := w.in.read(b.Context(), *r); err != nil {
			b.Fatal(err)
		}
		spooled += time.Since(began)
	}
	total := float64(b.N) * size / 1e6
	b.ReportMetric(total/spooled.Seconds(), "ingest-MB/s")
	b.ReportMetric(total/raw.Seconds(), "raw-MB/s")
	b.ReportMetric(raw.Seconds()/spooled.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}
