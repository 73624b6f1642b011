package intake

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// film yields size bytes that begin like an MP4 and differ from seed to seed.
func film(seed byte, size int64) io.Reader {
	head := strings.NewReader("\x00\x00\x00\x20ftypisom")
	return io.LimitReader(io.MultiReader(head, readFunc(func(b []byte) (int, error) {
		for i := range b {
			b[i] = seed
		}
		return len(b), nil
	})), size)
}

func (s *site) stream(path string, offset int64, body io.Reader, size int64) reply {
	s.t.Helper()
	req := must.Get(http.NewRequestWithContext(context.Background(), "PATCH", s.server.URL+path, body))(s.t)
	req.ContentLength = size
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	resp := must.Get(s.server.Client().Do(req))(s.t)
	defer func() { _ = resp.Body.Close() }()
	return reply{status: resp.StatusCode, header: resp.Header, body: must.Get(io.ReadAll(resp.Body))(s.t)}
}

// counting counts the staged bytes that are read again.
type counting struct {
	Blobs
	read atomic.Int64
}

func (c *counting) OpenStaged(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	r, err := c.Blobs.OpenStaged(ctx, id, offset, length)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{readFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		c.read.Add(int64(n))
		return n, err
	}), r}, nil
}

// forgetful does not save offsets above a limit, as after a crash.
type forgetful struct {
	received
	beyond int64
}

func (f forgetful) SaveOffset(ctx context.Context, id string, offset int64, hashState []byte) error {
	if offset > f.beyond {
		return nil
	}
	return f.received.SaveOffset(ctx, id, offset, hashState)
}

// After a crash only the bytes after the last saved hash are read again.
func TestCrashReadsOnlyTheGapAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 80 MiB")
	}
	const size, cut = saveEvery + 16<<20, saveEvery + 8<<20
	options := func(o *Options) { o.MaxSize = 1 << 30 }
	s := newSite(t, t.TempDir(), options)
	s.in.received = forgetful{s.in.received, saveEvery}
	path := s.create(size)
	if r := s.stream(path, 0, io.LimitReader(film(7, size), cut), cut); r.status != http.StatusNoContent {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
	s.close()
	s = newSite(t, s.dir, options)
	c := &counting{Blobs: s.blobs}
	s.in.blobs = c
	rest := film(7, size)
	_, err := io.CopyN(io.Discard, rest, cut)
	must.Do(t, err)
	if r := s.stream(path, cut, rest, size-cut); r.status != http.StatusNoContent {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
	if got := c.read.Load(); got < cut-saveEvery || got >= cut {
		t.Errorf("%d bytes were read again, want %d, or some more on a slow machine", got, cut-saveEvery)
	}
	r := newRolling()
	_, err = io.Copy(r, film(7, size))
	must.Do(t, err)
	if f := s.footageOf(path); f.SHA256 != r.digest() {
		t.Fatalf("got footage %+v", f)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 128 MiB")
	}
	s := newSite(t, t.TempDir(), func(o *Options) { o.MaxSize = 1 << 30 })
	taken := func(size int64) uint64 {
		path := s.create(int(size))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if r := s.stream(path, 0, film(byte(size>>20), size), size); r.status != http.StatusNoContent {
			t.Fatalf("got status %d, body %s", r.status, r.body)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := taken(8<<20), taken(120<<20)
	// Every saved hash state needs a few KiB of memory per saveEvery.
	if large > small+4<<20 || small > 8<<20 {
		t.Errorf("8 MiB took %d bytes of memory, 120 MiB %d", small, large)
	}
}

// BenchmarkUpload compares an upload over loopback HTTP with a plain copy and one fsync of
// the same bytes. The upload is verified and recorded. Both take turns within one run;
// "ratio" is the throughput of the upload as a share of that of the copy.
func BenchmarkUpload(b *testing.B) {
	const size = 256 << 20
	s := newSite(b, b.TempDir(), func(o *Options) { o.MaxSize = 1 << 30 })
	b.SetBytes(size)
	var ours, plain time.Duration
	n := 0
	for b.Loop() {
		n++
		began := time.Now()
		f := must.Get(os.Create(filepath.Join(s.dir, "plain")))(b)
		_, err := io.CopyBuffer(struct{ io.Writer }{f}, film(byte(n), size), make([]byte, pumpBuffer))
		must.Do(b, err)
		must.Do(b, f.Sync())
		must.Do(b, f.Close())
		plain += time.Since(began)
		must.Do(b, os.Remove(f.Name()))
		path := s.create(size, "footage", fmt.Sprint("f", n))
		began = time.Now()
		if r := s.stream(path, 0, film(byte(n), size), size); r.status != http.StatusNoContent {
			b.Fatalf("%d %s", r.status, r.body)
		}
		ours += time.Since(began)
		u := must.Get(s.ledger.Footage.Get(b.Context(), s.footageOf(path).ID))(b)
		must.Do(b, s.blobs.Delete(b.Context(), u.BlobKey))
	}
	b.ReportMetric(plain.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(float64(n)*size/1e6/ours.Seconds(), "upload-MB/s")
	b.ReportMetric(float64(n)*size/1e6/plain.Seconds(), "copy-MB/s")
}
