package disk

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkAppend compares Append with a plain copy and one fsync of the same bytes.
// Both run in turns. The metric "ratio" is the throughput of Append divided by that of
// the copy.
func BenchmarkAppend(b *testing.B) {
	const size = 256 << 20
	s := fresh(b, b.TempDir())
	source := filepath.Join(b.TempDir(), "source")
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i * 7)
	}
	f, err := os.Create(source)
	if err != nil {
		b.Fatal(err)
	}
	for range size / len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	var ours, plain time.Duration
	n := 0
	for b.Loop() {
		n++
		plain += timed(b, source, func(src io.Reader) error { return plainCopy(filepath.Join(s.root, "plain"), src) })
		id := fmt.Sprint("u", n)
		if err := s.Stage(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		ours += timed(b, source, func(src io.Reader) error {
			_, err := s.Append(b.Context(), id, 0, src)
			return err
		})
		if err := s.Discard(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(plain.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(float64(n)*size/1e6/ours.Seconds(), "append-MB/s")
	b.ReportMetric(float64(n)*size/1e6/plain.Seconds(), "copy-MB/s")
}

func timed(b *testing.B, source string, f func(io.Reader) error) time.Duration {
	b.Helper()
	src, err := os.Open(source)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	began := time.Now()
	// The plain io.Reader keeps both sides from a copy inside the kernel.
	if err := f(struct{ io.Reader }{src}); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func plainCopy(to string, src io.Reader) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(to) }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, src, make([]byte, bufferSize)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
