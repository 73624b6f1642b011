// Package disk stores blobs as plain files below one folder. The key is the path.
//
// A write has these steps, each durable before the next: content, fsync of its file,
// rename to its name, fsync of the folder and of the folders above it. A file with the
// name of a key is therefore complete. Staged blobs are files below .staging. No key
// can begin with a dot, so they are in no listing.
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
	// staleTemp is the age at which the temporary file of an interrupted Put is removed.
	staleTemp = 24 * time.Hour
	// putAttempts limits the repeats of a Put whose folder a Delete removes.
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

// New creates the root folder if it is missing and checks that it is writable.
func New(root string) (*Store, error) { return open(root, osSystem{}) }

func open(root string, sys system) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("blob folder %s: %w", root, err)
	}
	s := &Store{root: abs, sys: sys}
	// Only the owner has access: footage shows whose animals are where.
	if err := os.MkdirAll(filepath.Join(abs, stagingDir), 0o700); err != nil {
		return nil, fmt.Errorf("blob folder %s: %w", abs, classify(err))
	}
	f, err := createTemp(sys, filepath.Join(abs, stagingDir))
	if err != nil {
		return nil, fmt.Errorf("cannot write to blob folder %s: %w", abs, classify(err))
	}
	if err := errors.Join(f.Close(), sys.remove(f.Name()), s.syncUpToRoot(filepath.Join(abs, stagingDir))); err != nil {
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

// put writes r to a temporary file. name then moves that file to the key's path.
func (s *Store) put(ctx context.Context, key string, r io.Reader, name func(from, to string) error) (blob.Info, error) {
	path, err := s.LocalPath(key)
	if err != nil {
		return blob.Info{}, err
	}
	dir := filepath.Dir(path)
	s.removeStaleTemps(dir)
	f, err := s.createTempIn(dir)
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, classify(err))
	}
	if err := s.writeAndSync(ctx, f, r); err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, errors.Join(classify(err), s.sys.remove(f.Name())))
	}
	own, err := os.Open(f.Name()) // Stat below must see this file, also when another replaces it
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, errors.Join(classify(err), s.sys.remove(f.Name())))
	}
	defer own.Close()
	if err := name(f.Name(), path); err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, errors.Join(classify(err), s.sys.remove(f.Name())))
	}
	info, err := own.Stat()
	if err == nil {
		err = s.syncUpToRoot(dir)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, classify(err))
	}
	return infoOf(key, info), nil
}

// createTempIn creates dir and a temporary file in it. It tries again when another
// process removes the folder in between, because it deletes the last blob there.
func (s *Store) createTempIn(dir string) (file, error) {
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

func (s *Store) writeAndSync(ctx context.Context, f file, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{f}, interrupt.Reader(ctx, r), make([]byte, bufferSize))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncUpToRoot makes the entries of dir durable, and those of all folders above it up
// to the root. A folder without changes costs almost nothing. After a crash between
// the creation of a folder and its fsync, the next write repeats the fsync.
func (s *Store) syncUpToRoot(dir string) error {
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

// removeStaleTemps removes temporary files of killed Puts. It ignores errors: the Put
// that follows reports them.
func (s *Store) removeStaleTemps(dir string) {
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

// sizeOf returns the size of a regular file. Anything else is no blob: ErrNotFound.
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

// Delete implements blob.Store. It also removes folders that become empty.
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
	// The removal of a folder that is not empty fails, and ends the loop.
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

// list walks one folder. dir is empty or ends with a slash. It returns false when the
// caller wants no more or an error was yielded.
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
	// A folder sorts with its slash, as its keys do: "a.b" is before "a/b".
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
		// A blob has the path of a folder of the key, or the reverse.
		return fmt.Errorf("%w: %w", blob.ErrKey, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	}
	return err
}
