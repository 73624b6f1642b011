package cardfile

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkPrint measures the fingerprint of a file of 1 GiB that is in the page cache.
func BenchmarkPrint(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.mp4")
	if err := os.WriteFile(path, []byte("\x00\x00\x00\x18ftypisom"), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := PrintOf(path); err != nil {
			b.Fatal(err)
		}
	}
}
