package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/smalldisk"
)

var errCrashed = errors.New("the process has crashed")

// crashing is a system that crashes at its crashAt-th call. It does half of a write and
// nothing of any other call. All later calls fail.
type crashing struct {
	osSystem
	crashAt int

	mu    sync.Mutex // Append syncs in another goroutine
	calls int
}

// call reports whether the process has crashed, and whether it crashes in this call.
func (m *crashing) call() (crashed, now bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	return m.calls >= m.crashAt, m.calls == m.crashAt
}

func (m *crashing) crashed() bool {
	crashed, _ := m.call()
	return crashed
}

func (m *crashing) run(f func() error) error {
	if m.crashed() {
		return errCrashed
	}
	return f()
}

func (m *crashing) open(path string, flag int) (file, error) {
	if m.crashed() {
		return nil, errCrashed
	}
	o, err := m.osSystem.open(path, flag)
	if err != nil {
		return nil, err
	}
	return &crashingFile{o, m}, nil
}

func (m *crashing) mkdirAll(d string) error {
	return m.run(func() error { return m.osSystem.mkdirAll(d) })
}
func (m *crashing) rename(a, b string) error {
	return m.run(func() error { return m.osSystem.rename(a, b) })
}
func (m *crashing) link(a, b string) error {
	return m.run(func() error { return m.osSystem.link(a, b) })
}
func (m *crashing) chtimes(p string, at time.Time) error {
	return m.run(func() error { return m.osSystem.chtimes(p, at) })
}
func (m *crashing) remove(p string) error { return m.run(func() error { return m.osSystem.remove(p) }) }

type crashingFile struct {
	file
	m *crashing
}

func (f *crashingFile) Write(b []byte) (int, error) {
	if crashed, now := f.m.call(); crashed {
		if now {
			_, _ = f.file.Write(b[:len(b)/2])
		}
		return 0, errCrashed
	}
	return f.file.Write(b)
}

func (f *crashingFile) Sync() error { return f.m.run(f.file.Sync) }

func (f *crashingFile) Truncate(n int64) error {
	return f.m.run(func() error { return f.file.Truncate(n) })
}

// crashAtEachCall runs work with a crash at each call of the system. After each crash it
// calls check with a new store on the same folder. It ends when work survives.
func crashAtEachCall(t *testing.T, prepare func(*Store), work func(*Store) error,
	check func(t *testing.T, s *Store, survived bool)) {
	for k := 1; ; k++ {
		root := t.TempDir()
		s := fresh(t, root)
		prepare(s)
		s.sys = &crashing{crashAt: k}
		err := work(s)
		t.Run(fmt.Sprintf("crash at call %d", k), func(t *testing.T) { check(t, fresh(t, root), err == nil) })
		if err == nil {
			return
		}
		if k > 200 {
			t.Fatal("the work does not survive after 200 calls")
		}
	}
}

func content(t *testing.T, r io.ReadCloser, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCrashInPut(t *testing.T) {
	ctx := t.Context()
	body := strings.Repeat("new ", 200_000)
	crashAtEachCall(t,
		func(s *Store) { _, _ = s.Put(ctx, "f/x/k", strings.NewReader("old")) },
		func(s *Store) error { _, err := s.Put(ctx, "f/x/k", strings.NewReader(body)); return err },
		func(t *testing.T, s *Store, survived bool) {
			r, err := s.Open(ctx, "f/x/k", 0, -1)
			got := content(t, r, err)
			if got != body && (survived || got != "old") {
				t.Fatalf("the blob has %d bytes: %.20q", len(got), got)
			}
			for info, err := range s.List(ctx, "") {
				if err != nil || info.Key != "f/x/k" {
					t.Fatalf("listed: %+v %v", info, err)
				}
			}
		})
}

// After a crash the old blob or the new one is there, Stat returns its version, and
// another Replace with that version works.
func TestCrashInReplace(t *testing.T) {
	ctx := t.Context()
	var version string
	for name, prepare := range map[string]func(*Store){
		"the first": func(*Store) { version = "" },
		"a later one": func(s *Store) {
			info, err := s.Replace(ctx, "f/x/k", "", strings.NewReader("old"))
			if err != nil {
				t.Fatal(err)
			}
			version = info.Version
			future := time.Now().Add(time.Hour) // as after a clock was set back
			if err := os.Chtimes(filepath.Join(s.root, "f/x/k"), future, future); err != nil {
				t.Fatal(err)
			}
			if info, err = s.Stat(ctx, "f/x/k"); err != nil || info.Version == version {
				t.Fatalf("%+v %v", info, err)
			}
			version = info.Version
		},
	} {
		t.Run(name, func(t *testing.T) {
			crashAtEachCall(t, prepare,
				func(s *Store) error {
					_, err := s.Replace(ctx, "f/x/k", version, strings.NewReader("new"))
					return err
				},
				func(t *testing.T, s *Store, survived bool) {
					got, at := "", ""
					if info, err := s.Stat(ctx, "f/x/k"); err == nil {
						at = info.Version
						r, err := s.Open(ctx, "f/x/k", 0, -1)
						got = content(t, r, err)
					} else if !errors.Is(err, blob.ErrNotFound) {
						t.Fatal(err)
					}
					if got != "new" && (survived || got == "" != (version == "") || got != "" && got != "old") {
						t.Fatalf("the blob has %q", got)
					}
					if got == "new" && at == version || got == "old" && at != version {
						t.Errorf("%q has version %s, the old version is %s", got, at, version)
					}
					if _, err := s.Replace(ctx, "f/x/k", at, strings.NewReader("next")); err != nil {
						t.Error(err)
					}
				})
		})
	}
}

func TestCrashInAppend(t *testing.T) {
	ctx := t.Context()
	old, body := "old bytes", strings.Repeat("0123456789", 1_000_000) // two syncs
	var reported int64
	crashAtEachCall(t,
		func(s *Store) {
			_ = s.Stage(ctx, "u")
			_, _ = s.Append(ctx, "u", 0, strings.NewReader(old))
		},
		func(s *Store) (err error) {
			reported, err = s.Append(ctx, "u", int64(len(old)), strings.NewReader(body))
			return err
		},
		func(t *testing.T, s *Store, survived bool) {
			n, err := s.Staged(ctx, "u")
			if err != nil || n < int64(len(old))+reported || survived && n != int64(len(old)+len(body)) {
				t.Fatalf("staged %d, reported %d more than %d: %v", n, reported, len(old), err)
			}
			r, err := s.OpenStaged(ctx, "u", 0, -1)
			if got := content(t, r, err); got != (old + body)[:n] {
				t.Fatal("the staged bytes differ from the sent bytes")
			}
			if _, err := s.Append(ctx, "u", n, strings.NewReader((old + body)[n:])); err != nil {
				t.Fatal(err)
			}
		})
}

func TestCrashInCommit(t *testing.T) {
	ctx := t.Context()
	crashAtEachCall(t,
		func(s *Store) {
			_ = s.Stage(ctx, "u")
			_, _ = s.Append(ctx, "u", 0, strings.NewReader("whole"))
		},
		func(s *Store) error { _, err := s.Commit(ctx, "u", "footage/f/original.mp4"); return err },
		func(t *testing.T, s *Store, _ bool) {
			if info, err := s.Commit(ctx, "u", "footage/f/original.mp4"); err != nil || info.Size != 5 {
				t.Fatalf("%+v %v", info, err)
			}
			r, err := s.Open(ctx, "footage/f/original.mp4", 0, -1)
			if got := content(t, r, err); got != "whole" {
				t.Fatalf("%q", got)
			}
			if _, err := s.Staged(ctx, "u"); !errors.Is(err, blob.ErrNotFound) {
				t.Fatal(err)
			}
		})
}

// broken is a system whose writes and syncs of files can fail. Folders never fail.
type broken struct {
	osSystem
	room    int // bytes until the disk is full
	syncErr error
	// failOnce makes one fsync fail.
	failOnce atomic.Bool
}

func (b *broken) open(path string, flag int) (file, error) {
	f, err := b.osSystem.open(path, flag)
	if err != nil || flag == os.O_RDONLY {
		return f, err
	}
	return &brokenFile{f, b}, nil
}

type brokenFile struct {
	file
	b *broken
}

func (f *brokenFile) Write(p []byte) (int, error) {
	if len(p) > f.b.room {
		n, _ := f.file.Write(p[:f.b.room])
		f.b.room = 0
		return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	f.b.room -= len(p)
	return f.file.Write(p)
}

func (f *brokenFile) Sync() error {
	if f.b.failOnce.Swap(false) {
		return syscall.EIO
	}
	if f.b.syncErr != nil {
		return f.b.syncErr
	}
	return f.file.Sync()
}

func TestNoSpace(t *testing.T) {
	ctx := t.Context()
	s := fresh(t, t.TempDir())
	if err := s.Stage(ctx, "u"); err != nil {
		t.Fatal(err)
	}
	sys := &broken{room: 300_000}
	s.sys = sys
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	n, err := s.Append(ctx, "u", 0, bytes.NewReader(body))
	if !errors.Is(err, blob.ErrNoSpace) || n != 300_000 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := s.Put(ctx, "k", strings.NewReader("x")); !errors.Is(err, blob.ErrNoSpace) {
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(filepath.Join(s.root, tempPrefix+"*")); len(names) != 0 {
		t.Fatalf("left: %q", names)
	}
	sys.room = 1 << 30
	if m, err := s.Append(ctx, "u", n, bytes.NewReader(body[n:])); err != nil || n+m != int64(len(body)) {
		t.Fatalf("%d %v", m, err)
	}
}

// Bytes whose fsync failed do not count, because the state of the disk is unknown.
func TestFailedSync(t *testing.T) {
	ctx := t.Context()
	s := fresh(t, t.TempDir())
	if err := s.Stage(ctx, "u"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(ctx, "u", 0, strings.NewReader("safe")); err != nil {
		t.Fatal(err)
	}
	sys := &broken{room: 1 << 30, syncErr: syscall.EIO}
	s.sys = sys
	if n, err := s.Append(ctx, "u", 4, strings.NewReader("lost")); n != 0 || !errors.Is(err, syscall.EIO) {
		t.Fatalf("%d %v", n, err)
	}
	sys.syncErr = nil
	if n, err := s.Staged(ctx, "u"); n != 4 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	// The system reports a failed write-back once. The next fsync succeeds, although the
	// bytes are lost.
	sys.failOnce.Store(true)
	n, err := s.Append(ctx, "u", 4, io.LimitReader(endless{}, 40<<20))
	if !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if have, err := s.Staged(ctx, "u"); have != 4+n || n != 0 || err != nil {
		t.Fatalf("staged %d, reported %d: %v", have, n, err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestFullFileSystem fills a real file system, which needs the right to mount.
func TestFullFileSystem(t *testing.T) {
	ctx := t.Context()
	root := smalldisk.Mount(t, "4m")
	s := fresh(t, root)
	if err := s.Stage(ctx, "u"); err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	n, err := s.Append(ctx, "u", 0, bytes.NewReader(body))
	if !errors.Is(err, blob.ErrNoSpace) || n == 0 || n >= int64(len(body)) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := s.Put(ctx, "k", bytes.NewReader(body)); !errors.Is(err, blob.ErrNoSpace) {
		t.Fatal(err)
	}
	if have, err := s.Staged(ctx, "u"); have != n || err != nil {
		t.Fatalf("%d of %d bytes: %v", have, n, err)
	}
	r, err := s.OpenStaged(ctx, "u", 0, -1)
	if got := content(t, r, err); got != string(body[:n]) {
		t.Fatal("the staged bytes differ from the sent bytes")
	}
	if err := s.Discard(ctx, "u"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "k", strings.NewReader("there is space again")); err != nil {
		t.Fatal(err)
	}
}

func TestBadRoot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(filepath.Join(file, "blobs")); err == nil || !strings.Contains(err.Error(), file) {
		t.Fatalf("got %v", err)
	}
}

func TestKeyBelowABlob(t *testing.T) {
	ctx := t.Context()
	s := fresh(t, t.TempDir())
	for _, key := range []string{"a", "b/c"} {
		if _, err := s.Put(ctx, key, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a/below", "b"} {
		if _, err := s.Put(ctx, key, strings.NewReader("x")); err == nil {
			t.Errorf("blob %s was stored over a folder or a file", key)
		}
	}
	if _, err := s.Stat(ctx, "a/below"); err == nil {
		t.Error("found a blob below a blob")
	}
	r, err := s.Open(ctx, "b/c", 0, -1)
	if content(t, r, err) != "x" {
		t.Error("blob b/c has changed")
	}
}

func TestStaleTempIsRemoved(t *testing.T) {
	ctx := t.Context()
	s := fresh(t, t.TempDir())
	stale, young := filepath.Join(s.root, tempPrefix+"stale"), filepath.Join(s.root, tempPrefix+"young")
	for _, p := range []string{stale, young} {
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * staleTemp)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "k", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Error("the stale temporary file was not removed")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("the temporary file of a running Put was removed")
	}
}
