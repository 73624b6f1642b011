// Package cache keeps footage of a remote blob store as files of this machine, within a
// bound, in a folder that several workers may share.
//
// A file is DIGEST-RANDOM.EXT, with .part at its end until all of it is there and has the
// digest; files with other names are none of its own and stay. Whoever uses a file or writes one holds a shared lock on it (flock), which ends
// with the process however that ends; whoever removes one must get the lock for itself
// alone first. So a file in use never goes, and what a killed process left behind is
// known by that nobody holds it. Files go in the order in which they were used last, which
// is their modification time. Nothing is locked for the folder as a whole: a worker that is
// paused holds up nobody.
//
// A file that is there is read as a whole before it is used again, and must have the
// digest. That is a small part of what counting it costs, happens when a job is tried
// again, and lets the cache do without a sync, a list of its files and any trust in the
// disk: what a power cut tore and what somebody wrote into is found in the same way.
package cache

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
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

// Errors of Get; compare with errors.Is. Neither is the footage's fault.
var (
	// ErrNoSpace: the disk has too little room, also with every idle file removed.
	ErrNoSpace = errors.New("too little space for footage in the worker's cache")
	// ErrContent: what came is not what was asked for.
	ErrContent = errors.New("the blob store gave other bytes than were stored")
)

const part = ".part"

// Options configure a Cache. Dir is required.
type Options struct {
	Dir string // made when it is not there
	// Limit is how much may lie in Dir, in bytes. What is in use may be more; with 0
	// nothing else stays.
	Limit int64
	// Spare is how much of the disk is left free, in bytes, for the others on it.
	Spare int64
	Log   *slog.Logger // nil means no log
}

// Cache is safe for concurrent use, also by other processes.
type Cache struct {
	o    Options
	free func(dir string) (int64, error) // of the disk
}

// New returns a cache. Nothing is touched before it is used.
func New(o Options) *Cache {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Cache{o: o, free: freeSpace}
}

// Sweep removes what killed processes left half-done, and idle files beyond the limit. Get
// does so as well.
func (c *Cache) Sweep() error {
	if err := c.trim(); err != nil && !errors.Is(err, fs.ErrNotExist) {
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

// Get returns the path of a file with the wanted content, which stays until release is
// called, once. Where there is none yet, open gives the content from a byte on. Errors are ErrNoSpace,
// ErrContent, those of open and its reader, and of the disk.
func (c *Cache) Get(ctx context.Context, w Want, open func(ctx context.Context, from int64) (io.ReadCloser, error)) (path string, release func(), err error) {
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
		f, err := hold(name)
		if err != nil {
			return "", nil, err
		}
		if f == nil {
			continue // it is about to go
		}
		began := time.Now()
		got, n, err := copySum(ctx, io.Discard, f)
		if err == nil && got == w.Digest {
			touch(name)
			c.o.Log.Info("footage is in the cache", "file", filepath.Base(name), "bytes", n, "checked_in", time.Since(began).Round(time.Millisecond))
			return name, f, nil
		}
		_ = f.Close()
		if ctx.Err() != nil {
			return "", nil, context.Cause(ctx)
		}
		c.o.Log.Warn("a file in the cache is damaged, removing it", "file", filepath.Base(name), "bytes", n, "err", err)
		if _, err := remove(name); err != nil {
			return "", nil, err
		}
	}
	return "", nil, nil
}

// create makes a new file, locked. A sweep of another process may find it unlocked.
func (c *Cache) create(w Want) (*os.File, error) {
	const tries = 10
	for range tries {
		name := filepath.Join(c.o.Dir, w.Digest.String()+"-"+strings.ToLower(rand.Text()[:8])+w.Ext+part)
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return nil, noSpace(err)
		}
		ok, err := locked(f, unix.LOCK_SH)
		if ok {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("another process removes new files; is its clock or its version another?")
}

// reserve takes the space from the disk at once: what does not fit is known before the
// download, and other workers see what is on its way. Idle files make room, at first
// those beyond the limit.
func (c *Cache) reserve(f *os.File, size int64) error {
	if err := f.Truncate(size); err != nil { // its size is in everybody's sum from here on
		return err
	}
	if err := c.trim(); err != nil {
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
		gone, err := c.removeOldest()
		if err != nil {
			return err
		}
		if gone == 0 {
			return fmt.Errorf("%w: %s are needed, %s are free, of which %s are to stay so; make room on the disk, or let worker.cache and the number of workers fit it",
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

// ours is what names of the cache's files look like: it removes no others.
var ours = regexp.MustCompile(`^[0-9a-f]{64}-[a-z0-9]{8}(\.[A-Za-z0-9]+)*$`)

// entries lists the files, the one that was used longest ago first.
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
		if info.Mode().IsRegular() && ours.MatchString(e.Name()) {
			all = append(all, entry{filepath.Join(c.o.Dir, e.Name()), info.Size(), info.ModTime(), strings.HasSuffix(e.Name(), part)})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
	return all, nil
}

// trim removes what killed processes left half-done, and idle files beyond the limit.
func (c *Cache) trim() error {
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
		gone, err := c.drop(e)
		if err != nil {
			return err
		}
		if gone {
			total -= e.size
		}
	}
	return nil
}

// removeOldest removes the idle file that was used longest ago, and returns its size plus
// one, 0 when there is none.
func (c *Cache) removeOldest() (int64, error) {
	all, err := c.entries()
	if err != nil {
		return 0, err
	}
	for _, e := range all {
		if gone, err := c.drop(e); gone || err != nil {
			return e.size + 1, err
		}
	}
	return 0, nil
}

func (c *Cache) drop(e entry) (bool, error) {
	gone, err := remove(e.path)
	if gone {
		c.o.Log.Info("footage removed from the cache", "file", filepath.Base(e.path), "bytes", e.size, "last_used", e.used.UTC(), "left_over", e.part)
	}
	return gone, err
}

// remove removes a file that nobody holds.
func remove(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if ok, err := locked(f, unix.LOCK_EX); !ok {
		return false, err
	}
	if mine, err := f.Stat(); err != nil {
		return false, err
	} else if now, err := os.Lstat(path); err != nil || !os.SameFile(mine, now) {
		return false, nil // renamed meanwhile
	}
	return true, os.Remove(path)
}

// hold opens a file and locks it against removal; nil when it is gone or about to go.
func hold(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ok, err := locked(f, unix.LOCK_SH); !ok {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// locked takes a lock, unless somebody has one that excludes it or has removed the file.
func locked(f *os.File, how int) (bool, error) {
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

// touch says that a file was used now. Without it the file goes earlier, no more.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// copySum copies and returns the digest of what was copied.
func copySum(ctx context.Context, w io.Writer, r io.Reader) (d footage.Digest, n int64, err error) {
	h := sha256.New()
	n, err = io.CopyBuffer(&summing{ctx, w, h}, struct{ io.Reader }{r}, make([]byte, 1<<20))
	return footage.Digest(h.Sum(nil)), n, err
}

// summing is a writer that ends with its context.
type summing struct {
	ctx context.Context
	w   io.Writer
	h   hash.Hash
}

func (s *summing) Write(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	s.h.Write(b)
	return s.w.Write(b)
}

func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // other systems have other types
}

// noSpace gives a full disk its class.
func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
