// Package cache stores footage of a remote blob store as files of this machine, within a limit, in a folder that
// several workers may share.
//
// A file is named DIGEST-RANDOM.EXT. While it is downloaded its name ends in .part. The cache ignores files with other
// names. Every process that reads or writes a file holds a shared lock on it (flock). The lock ends with the process.
// To evict a file, the cache must first get an exclusive lock on it. So a file in use is never evicted, and the
// leftover of a killed process has no lock. The least recently used file is evicted first; its modification time is the
// time of its last use. There is no lock on the folder, so a paused worker blocks no other worker.
//
// A cached file is read as a whole and compared with its digest before each use. Counting costs far more than this
// read. In return the cache needs no sync and no index, and it finds damage by a power cut or by another program.
package cache

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/settings"
)

// Errors of Get; compare with errors.Is. Neither is a fault of the footage.
var (
	// ErrNoSpace: the disk is too full, even with every idle file evicted.
	ErrNoSpace = errors.New("too little space for footage in the worker's cache")
	// ErrContent: the downloaded content does not have the digest of the footage.
	ErrContent = errors.New("the blob store returned other bytes than were stored")
)

const part = ".part"

// Options configure a Cache. Dir is required.
type Options struct {
	Dir string // created when it does not exist
	// Limit is the size of all files in Dir, in bytes. Files in use may exceed it. With 0 only files in use stay.
	Limit int64
	// Spare is the space that the cache leaves free on the disk, in bytes.
	Spare int64
	Log   *slog.Logger // nil means no log
}

// Cache is safe for concurrent use, by several processes too.
type Cache struct {
	o    Options
	free func(dir string) (int64, error) // of the disk
}

// New returns a cache. It does not touch the disk.
func New(o Options) *Cache {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Cache{o: o, free: freeSpace}
}

// Sweep removes partial files of killed processes, and evicts idle files beyond the limit. Get does both as well.
func (c *Cache) Sweep() error {
	if err := c.evict(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cache %s: %w", c.o.Dir, err)
	}
	return nil
}

// Want is a file to get.
type Want struct {
	Digest footage.Digest // of the whole content
	Size   int64          // bytes
	Ext    string         // of the file's name, such as ".mp4"
}

// Get returns the path of a file with the wanted content. The file stays until release is called, once. When the cache
// has no such file, Get downloads it: open returns the content from a byte offset on. Errors are ErrNoSpace,
// ErrContent, those of open and its reader, and those of the disk.
func (c *Cache) Get(ctx context.Context, w Want,
	open func(ctx context.Context, from int64) (io.ReadCloser, error)) (path string, release func(), err error) {
	f, err := c.Begin(ctx, w, open)
	if err != nil {
		return "", nil, err
	}
	if path, err = f.Wait(ctx); err != nil {
		f.Close()
		return "", nil, err
	}
	return path, f.Close, nil
}

// find returns a locked file with the content, or nil.
func (c *Cache) find(ctx context.Context, w Want) (string, *os.File, error) {
	names, err := filepath.Glob(filepath.Join(c.o.Dir, w.Digest.String()+"-*"+w.Ext))
	if err != nil {
		return "", nil, err
	}
	for _, name := range names {
		f, err := openLocked(name)
		if err != nil {
			return "", nil, err
		}
		if f == nil {
			continue // another process is evicting it
		}
		began := time.Now()
		got, n, err := copySum(ctx, io.Discard, f)
		if err == nil && got == w.Digest {
			markUsed(name)
			c.o.Log.Info("footage found in the cache", "file", filepath.Base(name), "bytes", n, "checked_in",
				time.Since(began).Round(time.Millisecond))
			return name, f, nil
		}
		_ = f.Close()
		if ctx.Err() != nil {
			return "", nil, context.Cause(ctx)
		}
		c.o.Log.Warn("cached file damaged; removing", "file", filepath.Base(name), "bytes", n, "err", err)
		if _, err := remove(name); err != nil {
			return "", nil, err
		}
	}
	return "", nil, nil
}

// create returns a new file, locked. The sweep of another process may remove the file before it is locked; then create
// tries again.
func (c *Cache) create(w Want) (*os.File, error) {
	const tries = 10
	for range tries {
		name := filepath.Join(c.o.Dir, w.Digest.String()+"-"+strings.ToLower(rand.Text()[:8])+w.Ext+part)
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return nil, noSpace(err)
		}
		ok, err := lock(f, unix.LOCK_SH)
		if ok {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("another process removed each of %d new files; stop workers of other versions that share this folder", tries)
}

// reserve allocates the whole size on the disk before the download, so that a full disk shows at once and other workers
// see the space as used. It evicts idle files to make room, first those beyond the limit.
func (c *Cache) reserve(f *os.File, size int64) error {
	if err := f.Truncate(size); err != nil { // from here on other workers add its size to their sum
		return err
	}
	if err := c.evict(); err != nil {
		return err
	}
	for {
		free, err := c.free(c.o.Dir)
		if err != nil {
			return err
		}
		if free-size >= c.o.Spare {
			err = allocate(f, size)
			if !errors.Is(noSpace(err), ErrNoSpace) {
				return err
			}
		}
		evicted, err := c.evictOldest()
		if err != nil {
			return err
		}
		if !evicted {
			return fmt.Errorf("%w: %s are needed, %s are free, of which intake.min_free reserves %s; free space on the disk, lower worker.cache or run fewer workers",
				ErrNoSpace, settings.ByteSize(size).Short(), settings.ByteSize(free).Short(), settings.ByteSize(c.o.Spare).Short())
		}
	}
}

// entry is one file of the cache.
type entry struct {
	path string
	size int64
	used time.Time
	part bool
}

// cacheName matches the names of the cache's files. The cache removes no others.
var cacheName = regexp.MustCompile(`^[0-9a-f]{64}-[a-z0-9]{8}(\.[A-Za-z0-9]+)*$`)

// entries lists the files, the least recently used first.
func (c *Cache) entries() ([]entry, error) {
	list, err := os.ReadDir(c.o.Dir)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, e := range list {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() && cacheName.MatchString(e.Name()) {
			all = append(all, entry{filepath.Join(c.o.Dir, e.Name()), info.Size(), info.ModTime(),
				strings.HasSuffix(e.Name(), part)})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
	return all, nil
}

// evict removes partial files of killed processes, and idle files beyond the limit.
func (c *Cache) evict() error {
	all, err := c.entries()
	if err != nil {
		return err
	}
	var total int64
	for _, e := range all {
		total += e.size
	}
	for _, e := range all {
		if !e.part && total <= c.o.Limit {
			continue
		}
		removed, err := c.removeIdle(e)
		if err != nil {
			return err
		}
		if removed {
			total -= e.size
		}
	}
	return nil
}

// evictOldest removes the least recently used idle file, if there is one.
func (c *Cache) evictOldest() (bool, error) {
	all, err := c.entries()
	if err != nil {
		return false, err
	}
	for _, e := range all {
		if removed, err := c.removeIdle(e); removed || err != nil {
			return removed, err
		}
	}
	return false, nil
}

func (c *Cache) removeIdle(e entry) (bool, error) {
	removed, err := remove(e.path)
	if removed {
		c.o.Log.Info("footage evicted from the cache", "file", filepath.Base(e.path), "bytes", e.size, "last_used",
			e.used.UTC(), "left_over", e.part)
	}
	return removed, err
}

// remove removes a file that no process has locked.
func remove(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if ok, err := lock(f, unix.LOCK_EX); !ok {
		return false, err
	}
	if mine, err := f.Stat(); err != nil {
		return false, err
	} else if now, err := os.Lstat(path); err != nil || !os.SameFile(mine, now) {
		return false, nil // another process renamed or replaced it
	}
	return true, os.Remove(path)
}

// openLocked opens a file and locks it against eviction. It returns nil when the file is missing or being evicted.
func openLocked(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ok, err := lock(f, unix.LOCK_SH); !ok {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lock locks a file without waiting. It returns false when another process has an excluding lock, or when the file has
// been removed.
func lock(f *os.File, how int) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		var st unix.Stat_t
		err = unix.Fstat(int(f.Fd()), &st)
		return err == nil && st.Nlink > 0, err
	}
}

// markUsed sets the time of the last use. After an error the file is evicted earlier, nothing worse.
func markUsed(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// copySum copies r to w until the end of r or of ctx, and returns the digest of the copied bytes.
func copySum(ctx context.Context, w io.Writer, r io.Reader) (d footage.Digest, n int64, err error) {
	h := sha256.New()
	for buf := make([]byte, 1<<20); err == nil; {
		var got int
		got, err = r.Read(buf)
		if ctx.Err() != nil {
			return d, n, context.Cause(ctx)
		}
		h.Write(buf[:got])
		written, writeErr := w.Write(buf[:got])
		n += int64(written)
		if writeErr != nil {
			return d, n, writeErr
		}
	}
	if !errors.Is(err, io.EOF) {
		return d, n, err
	}
	return footage.Digest(h.Sum(nil)), n, nil
}

func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // other systems have other types
}

// noSpace adds ErrNoSpace to the error of a full disk.
func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
