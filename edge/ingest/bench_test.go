package ingest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
)

// BenchmarkIngest compares reading into the spool with writing the same bytes to a plain file,
// with a sync per chunk.
func BenchmarkIngest(b *testing.B) {
	const size = 128 << 20
	content := video(size)
	var raw, spooled time.Duration
	for b.Loop() {
		w := newBench(b)
		w.changed = make(chan spool.Record, 1<<20)
		content[100]++ // other content, so not a duplicate
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
		w.capture(watch.Finding{Video: f})
		began = time.Now()
		r, _ := w.in.nextCapture(time.Now())
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
