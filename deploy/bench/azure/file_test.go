package azure

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// footageFile is a file of random bytes with the head of a video. Every copy has its own first bytes and ID, so that no
// server knows it.
type footageFile struct {
	f    *os.File
	size int64
	id   string
	head []byte
}

func newFile(b *testing.B, size int64) *footageFile {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "source.mp4"))
	must.Do(b, err)
	b.Cleanup(func() { f.Close() })
	block := make([]byte, 1<<20)
	_, _ = rand.Read(block) // never fails
	for n := int64(0); n < size; n += int64(len(block)) {
		copy(block, fmt.Sprintf("%020d", n)) // makes every block different
		_, err := f.Write(block[:min(int64(len(block)), size-n)])
		must.Do(b, err)
	}
	must.Do(b, f.Sync())
	return &footageFile{f: f, size: size}
}

// another returns a copy with its own ID.
func (f *footageFile) another() *footageFile {
	id := string(footage.NewID(time.Now()))
	return &footageFile{f: f.f, size: f.size, id: id, head: []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + id)}
}

// from reads n bytes from an offset on.
func (f *footageFile) from(offset, n int64) io.Reader {
	head := f.head[min(offset, int64(len(f.head))):]
	head = head[:min(int64(len(head)), n)]
	rest := io.NewSectionReader(f.f, offset+int64(len(head)), n-int64(len(head)))
	return io.MultiReader(bytes.NewReader(head), rest)
}

func (f *footageFile) sum(t testing.TB) [sha256.Size]byte { return sum(t, f.from(0, f.size)) }

func sum(t testing.TB, r io.Reader) (out [sha256.Size]byte) {
	t.Helper()
	h := sha256.New()
	_, err := io.Copy(h, r)
	must.Do(t, err)
	h.Sum(out[:0])
	return out
}
