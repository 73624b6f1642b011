package cardfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cattlecounter/shared/footage"
)

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

func box(kind string, content []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(content))), kind...), content...)
}

func mustPrint(t *testing.T, b []byte) footage.Digest {
	t.Helper()
	p, err := Print(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Two recordings with equal heads, tails and sizes have different fingerprints, wherever the difference is.
func TestPrintTellsRecordingsApart(t *testing.T) {
	const size = 4 << 20
	ftyp, head := box("ftyp", []byte("isom\x00\x00\x02\x00")), random(1, 100<<10)
	// clip has a head that is the same for all, content and index of its own, and is padded to one size.
	clip := func(seed uint64, indexFirst bool) []byte {
		mdat, moov := box("mdat", append(bytes.Clone(head), random(seed, 20<<10)...)), box("moov", random(seed+10, 9000))
		parts := [][]byte{ftyp, mdat, moov}
		if indexFirst {
			parts = [][]byte{ftyp, box("free", make([]byte, 70<<10)), moov, mdat}
		}
		b := bytes.Join(parts, nil)
		return append(b, box("free", make([]byte, size-8-len(b)))...)
	}
	middle := bytes.Repeat([]byte{7}, size)
	other := bytes.Clone(middle)
	copy(other[size/2-size/20:], random(3, size/10))
	// small is a recording at the beginning or the end of a file without boxes; zeros fill the rest.
	small := func(seed uint64, at int) []byte {
		b := make([]byte, 64<<20)
		copy(b, head)
		copy(b[at:], random(seed, 100<<10))
		return b
	}
	for name, pair := range map[string][2][]byte{
		"padded, no boxes":    {small(1, 100<<10), small(2, 100<<10)},
		"small at the end":    {small(1, 63<<20), small(2, 63<<20)},
		"padded":              {clip(1, false), clip(2, false)},
		"padded, index first": {clip(1, true), clip(2, true)},
		"middle":              {middle, other},
		"size":                {middle, middle[:size-1]},
		"small file":          {[]byte("cows"), []byte("bull")},
		"last byte":           {append(bytes.Clone(middle), 1), append(bytes.Clone(middle), 2)},
		"empty":               {nil, []byte{0}},
	} {
		if mustPrint(t, pair[0]) == mustPrint(t, pair[1]) {
			t.Errorf("%s: two files have one fingerprint", name)
		}
		if mustPrint(t, pair[0]) != mustPrint(t, bytes.Clone(pair[0])) {
			t.Errorf("%s: one file has two fingerprints", name)
		}
	}
}

// A fingerprint reads little, so that it can be taken of every new file on a card.
func TestPrintReadsLittle(t *testing.T) {
	r := &counting{size: 16 << 30}
	if _, err := Print(r, r.size); err != nil {
		t.Fatal(err)
	}
	if r.read > 2<<20 || r.reads > 300 {
		t.Errorf("%d bytes in %d reads of a file of 16 GiB", r.read, r.reads)
	}
}

// counting is a large file of zeros behind a header.
type counting struct {
	size, read int64
	reads      int
}

func (c *counting) ReadAt(b []byte, at int64) (int, error) {
	n := int(min(int64(len(b)), c.size-at))
	clear(b[:n])
	if at == 0 {
		copy(b, "\x00\x00\x00\x18ftypisom")
	}
	c.read += int64(n)
	c.reads++
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

var errCard = errors.New("card error")

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errCard }

func TestPrintOfABrokenCard(t *testing.T) {
	for _, size := range []int64{100, 10 << 20} {
		if _, err := Print(broken{}, size); !errors.Is(err, errCard) {
			t.Errorf("%d bytes: got error %v, want the card's", size, err)
		}
	}
}

func FuzzPrint(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"), uint32(wholeSize+100))
	f.Add(box("ftyp", []byte("isom")), uint32(wholeSize+1))
	f.Fuzz(func(t *testing.T, b []byte, size uint32) {
		all := append(b, make([]byte, size%(1<<20))...)
		p, err := Print(bytes.NewReader(all), int64(len(all)))
		if err != nil || p.IsZero() {
			t.Fatalf("%d bytes: %v, %v", len(all), p, err)
		}
	})
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readAll(ctx context.Context, r *Reading) error {
	for {
		if done, err := r.Step(ctx); done || err != nil {
			return err
		}
	}
}

func TestReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	for _, size := range []int{0, 1, stepSize - 1, stepSize, stepSize + 1, 2 * stepSize} {
		b := random(uint64(size), size)
		write(t, path, b)
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := readAll(t.Context(), r); err != nil || r.Digest() != footage.Sum(b) {
			t.Errorf("%d bytes: error %v, digest %s", size, err, r.Digest())
		}
		if err := errors.Join(r.Unchanged(), r.Close()); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	stop := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := readAll(ctx, r); !errors.Is(err, stop) {
		t.Errorf("stopped: got error %v, want the cause", err)
	}
}

// Every change of the file between Open and Unchanged is found, also one that leaves size and time as they were.
func TestChangedWhileReading(t *testing.T) {
	old := time.Unix(1e9, 0)
	for name, change := range map[string]func(path string) error{
		"appended": func(p string) error { return os.WriteFile(p, []byte("cows and more"), 0o600) },
		"cut off":  func(p string) error { return os.Truncate(p, 2) },
		"overwritten with the old time": func(p string) error {
			return errors.Join(os.WriteFile(p, []byte("bull"), 0o600), os.Chtimes(p, old, old))
		},
		"replaced with the old time": func(p string) error {
			return errors.Join(os.WriteFile(p+".new", []byte("cows"), 0o600), os.Chtimes(p+".new", old, old), os.Rename(p+".new", p))
		},
		"removed": os.Remove,
		"linked":  func(p string) error { return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p)) },
	} {
		path := filepath.Join(t.TempDir(), "a.mp4")
		write(t, path, []byte("cows"))
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Unchanged(); err != nil {
			t.Errorf("%s: before the change: %v", name, err)
		}
		nextTick(t, path)
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if err := r.Unchanged(); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: got error %v, want ErrChanged", name, err)
		}
		_ = r.Close()
	}
}

// nextTick waits until the file system's clock, which may move in steps of milliseconds, is beyond the change time of
// a file.
func nextTick(t *testing.T, path string) {
	t.Helper()
	changed := func(p string) time.Time {
		info, err := os.Lstat(p)
		if err != nil {
			t.Fatal(err)
		}
		return StatOf(info).Changed
	}
	probe := path + ".probe"
	for before := changed(path); ; {
		write(t, probe, []byte("x"))
		if changed(probe).After(before) {
			return
		}
	}
}

func TestOpenTakesRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "a.mp4"), filepath.Join(dir, "b.mp4"), filepath.Join(dir, "c.mp4")
	write(t, file, []byte("cows"))
	if err := errors.Join(os.Symlink(file, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe, dir, filepath.Join(dir, "none")} {
		if r, err := Open(path); err == nil {
			t.Errorf("%s can be opened", path)
			_ = r.Close()
		}
		if _, _, err := PrintOf(path); err == nil {
			t.Errorf("%s has a fingerprint", path)
		}
	}
	sum, head, err := PrintOf(file)
	if err != nil || string(head) != "cows" || sum != mustPrint(t, []byte("cows")) {
		t.Errorf("got %s, %q, %v", sum, head, err)
	}
	if v, err := VolumeOf(dir); err != nil || !v.Inodes {
		t.Errorf("volume of a temporary folder: %+v, %v", v, err)
	}
}
