// Package disk keeps blobs as plain files below one folder: the key is the path.
//
// Order of writes, each step durable before the next: content, its file's
// fsync, the rename to its name, the fsync of the folder and of the folders
// above it. What has a name is therefore whole. Staged blobs are files below
// .staging; no key can begin with a dot, so they are in no listing.
//
// Several processes may use one root, as long as one of them at a time writes
// to a staged blob.
package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/interrupt"
)

const (
	stagingDir = ".staging"
	tempPrefix = ".tmp-"
	bufferSize = 256 << 10
	// staleTemp is when the temporary file of a Put that never ended is removed.
	staleTemp = 24 * time.Hour
	// putAttempts bounds the race of Put with a Delete that removes the folder.
	putAttempts = 5
)

// Store implements blob.Store, blob.Stager and blob.Local.
type Store struct {
	root string
	sys  system
}

var (
	_ blob.Store  = (*Store)(nil)
	_ blob.Stager = (*Store)(nil)
	_ blob.Local  = (*Store)(nil)
)

// New makes the root folder if it is missing and checks that it can be written.
func New(root string) (*Store, error) { return open(root, osSystem{}) }

func open(root string, sys system) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("blob folder %s: %w", root, err)
	}
	s := &Store{root: abs, sys: sys}
	// Only the owner: footage shows whose animals stand where.
	if err := os.MkdirAll(filepath.Join(abs, stagingDir), 0o700); err != nil {
		return nil, fmt.Errorf("blob folder %s: %w", abs, classify(err))
	}
	f, err := createTemp(sys, filepath.Join(abs, stagingDir))
	if err != nil {
		return nil, fmt.Errorf("blob folder %s cannot be written: %w", abs, classify(err))
	}
	if err := errors.Join(f.Close(), sys.remove(f.Name()), s.syncUp(filepath.Join(abs, stagingDir))); err != nil {
		return nil, fmt.Errorf("blob folder %s: %w", abs, classify(err))
	}
	return s, nil
}

// LocalPath implements blob.Local.
func (s *Store) LocalPath(key string) (string, error) {
	if err := blob.CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(s.root, filepath.FromSlash(key)), nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	return s.put(ctx, key, r, s.sys.rename)
}

// put writes r to a file of its own, which name then gives the key's name.
func (s *Store) put(ctx context.Context, key string, r io.Reader, name func(from, to string) error) (blob.Info, error) {
	path, err := s.LocalPath(key)
	if err != nil {
		return blob.Info{}, err
	}
	dir := filepath.Dir(path)
	s.sweep(dir)
	f, err := s.temp(dir)
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, classify(err))
	}
	if err := s.fill(ctx, f, r); err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, errors.Join(classify(err), s.sys.remove(f.Name())))
	}
	own, err := os.Open(f.Name()) // whatever comes to stand under the key later
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, errors.Join(classify(err), s.sys.remove(f.Name())))
	}
	defer own.Close()
	if err := name(f.Name(), path); err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, errors.Join(classify(err), s.sys.remove(f.Name())))
	}
	info, err := own.Stat()
	if err == nil {
		err = s.syncUp(dir)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, classify(err))
	}
	return infoOf(key, info), nil
}

// temp makes a file in dir, and dir itself. Another process that deletes the
// last blob of dir may remove the folder in between.
func (s *Store) temp(dir string) (file, error) {
	for n := 1; ; n++ {
		if err := s.sys.mkdirAll(dir); err != nil {
			return nil, err
		}
		f, err := createTemp(s.sys, dir)
		if !errors.Is(err, fs.ErrNotExist) || n == putAttempts {
			return f, err
		}
	}
}

func (s *Store) fill(ctx context.Context, f file, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{f}, interrupt.Reader(ctx, r), make([]byte, bufferSize))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncUp makes the entries of dir durable, and dir's own in the folders above,
// up to the root. Clean folders cost next to nothing, and a crash between the
// making of a folder and its fsync is healed by the next write.
func (s *Store) syncUp(dir string) error {
	for {
		if err := syncDir(s.sys, dir); err != nil {
			return err
		}
		if dir == s.root || len(dir) <= len(s.root) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// sweep removes what a Put into dir left behind when it was killed. It is a
// courtesy: faults are left for the Put that follows to meet.
func (s *Store) sweep(dir string) {
	names, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	if err != nil {
		return
	}
	for _, n := range names {
		if info, err := os.Stat(n); err == nil && time.Since(info.ModTime()) > staleTemp {
			_ = s.sys.remove(n)
		}
	}
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	path, err := s.LocalPath(key)
	if err != nil {
		return nil, err
	}
	r, err := openRange(ctx, path, offset, length)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", key, err)
	}
	return r, nil
}

func openRange(ctx context.Context, path string, offset, length int64) (io.ReadCloser, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, classify(err)
	}
	size, err := sizeOf(f)
	if err == nil && (offset < 0 || offset > size) {
		err = fmt.Errorf("read from %d of %d bytes: %w", offset, size, blob.ErrOffset)
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(classify(err), f.Close())
	}
	if length < 0 || length > size-offset {
		length = size - offset
	}
	return struct {
		io.Reader
		io.Closer
	}{interrupt.Reader(ctx, io.LimitReader(f, length)), f}, nil
}

// sizeOf refuses folders, which are no blobs.
func sizeOf(f interface{ Stat() (fs.FileInfo, error) }) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, blob.ErrNotFound
	}
	return info.Size(), nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	path, err := s.LocalPath(key)
	if err != nil {
		return blob.Info{}, err
	}
	if ctx.Err() != nil {
		return blob.Info{}, context.Cause(ctx)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = blob.ErrNotFound
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, classify(err))
	}
	return infoOf(key, info), nil
}

func infoOf(key string, info fs.FileInfo) blob.Info {
	return blob.Info{Key: key, Size: info.Size(), Modified: info.ModTime().UTC(), Version: version(info)}
}

// Delete implements blob.Store. Folders that become empty go as well.
func (s *Store) Delete(ctx context.Context, key string) error {
	if _, err := s.Stat(ctx, key); errors.Is(err, blob.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	path := filepath.Join(s.root, filepath.FromSlash(key))
	if err := s.sys.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete blob %s: %w", key, classify(err))
	}
	dir := filepath.Dir(path)
	// Removing a folder that is not empty fails, which is the test for it.
	for dir != s.root && s.sys.remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
	if err := syncDir(s.sys, dir); err != nil {
		return fmt.Errorf("delete blob %s: %w", key, classify(err))
	}
	return nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) { s.list(ctx, "", prefix, yield) }
}

// list walks one folder, dir ending with a slash or empty. It returns false
// when the walk is over.
func (s *Store) list(ctx context.Context, dir, prefix string, yield func(blob.Info, error) bool) bool {
	fail := func(err error) bool {
		yield(blob.Info{}, fmt.Errorf("list blobs %s: %w", prefix, err))
		return false
	}
	entries, err := os.ReadDir(filepath.Join(s.root, filepath.FromSlash(dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	} else if err != nil {
		return fail(classify(err))
	}
	// A folder sorts as its keys do, with the slash: "a.b" comes before "a/b".
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(sortName(a), sortName(b)) })
	for _, e := range entries {
		if ctx.Err() != nil {
			return fail(context.Cause(ctx))
		}
		key := dir + e.Name()
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			sub := key + "/"
			if (strings.HasPrefix(sub, prefix) || strings.HasPrefix(prefix, sub)) && !s.list(ctx, sub, prefix, yield) {
				return false
			}
		case strings.HasPrefix(key, prefix):
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			} else if err != nil {
				return fail(classify(err))
			}
			if !yield(infoOf(key, info), nil) {
				return false
			}
		}
	}
	return true
}

func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

// classify gives an error of the system its class.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", blob.ErrNoSpace, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		// A blob stands where a folder of the key should be, or the reverse.
		return fmt.Errorf("%w: %w", blob.ErrKey, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	}
	return err
}
