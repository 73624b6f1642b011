package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/interrupt"
)

const (
	// syncEvery is the number of written bytes after which an Append begins to sync.
	syncEvery = 4 << 20
	// maxUnsynced is the number of bytes that are written before the writer waits for
	// the sync. A power cut during an Append loses no more than this.
	maxUnsynced = 16 << 20
)

func (s *Store) stagedPath(id string) (string, error) {
	if err := blob.CheckID(id); err != nil {
		return "", err
	}
	return filepath.Join(s.root, stagingDir, id), nil
}

// Stage implements blob.Stager.
func (s *Store) Stage(ctx context.Context, id string) error {
	path, err := s.stagedPath(id)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f, err := create(s.sys, path)
	switch {
	case errors.Is(err, fs.ErrExist):
	case err != nil:
		return fmt.Errorf("stage %s: %w", id, classify(err))
	default:
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("stage %s: %w", id, classify(err))
		}
	}
	if err := syncDir(s.sys, filepath.Dir(path)); err != nil {
		return fmt.Errorf("stage %s: %w", id, classify(err))
	}
	return nil
}

// Append implements blob.Stager.
func (s *Store) Append(ctx context.Context, id string, offset int64, r io.Reader) (n int64, err error) {
	path, err := s.stagedPath(id)
	if err != nil {
		return 0, err
	}
	f, err := openAppend(s.sys, path)
	if err != nil {
		return 0, fmt.Errorf("append to %s: %w", id, classify(err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := sizeOf(f)
	if err == nil && offset != size {
		err = fmt.Errorf("append at %d, the end is %d: %w", offset, size, blob.ErrOffset)
	}
	if err != nil {
		return 0, fmt.Errorf("append to %s: %w", id, err)
	}
	a := appender{f: f, durable: size, written: size}
	if err := errors.Join(a.copy(interrupt.Reader(ctx, r)), a.syncOrTruncate()); err != nil {
		return a.durable - offset, fmt.Errorf("append to %s at %d: %w", id, a.durable, classify(err))
	}
	return a.durable - offset, nil
}

// appender writes to the end of a file and tracks how much of it is durable. It syncs
// while it writes: if it waited for the disk after each piece, source and disk would be
// idle in turns. One goroutine uses it; syncOrTruncate waits for the last sync.
type appender struct {
	f       file
	written int64 // size of the file
	durable int64 // of it, synced

	syncing chan error // receives the result of the sync that runs, nil without one
	target  int64      // value of durable after that sync
	failed  error      // of a sync; a later sync that succeeds does not repair it
}

func (a *appender) copy(r io.Reader) error {
	buf := make([]byte, bufferSize)
	for {
		n, rerr := r.Read(buf)
		if n > 0 {
			w, err := a.f.Write(buf[:n])
			a.written += int64(w)
			if err != nil {
				return err
			}
		}
		if err := a.syncInBackground(); err != nil {
			return err
		}
		if rerr == io.EOF {
			return nil
		}
		if rerr != nil {
			return rerr
		}
	}
}

// syncInBackground collects a sync that has ended, begins one when enough bytes were
// written, and waits when too many bytes are not durable.
func (a *appender) syncInBackground() error {
	if a.syncing != nil {
		select {
		case err := <-a.syncing:
			if err := a.endSync(err); err != nil {
				return err
			}
		default:
		}
	}
	if a.syncing == nil && a.written-a.durable >= syncEvery {
		done := make(chan error, 1)
		a.syncing, a.target = done, a.written
		go func() { done <- a.f.Sync() }()
	}
	if a.written-a.durable >= maxUnsynced {
		return a.wait()
	}
	return nil
}

// wait waits for the sync that runs, if there is one.
func (a *appender) wait() error {
	if a.syncing == nil {
		return nil
	}
	return a.endSync(<-a.syncing)
}

func (a *appender) endSync(err error) error {
	a.syncing, a.failed = nil, err
	if err == nil {
		a.durable = a.target
	}
	return err
}

// sync makes all written bytes durable.
func (a *appender) sync() error {
	if err := errors.Join(a.failed, a.wait()); err != nil {
		return err
	}
	if a.written == a.durable {
		return nil
	}
	a.target = a.written
	return a.endSync(a.f.Sync())
}

// syncOrTruncate makes all written bytes durable, or removes those that are not. After
// a failed fsync the state of the disk is unknown, and Staged relies on the file's size.
func (a *appender) syncOrTruncate() error {
	err := a.sync()
	if err == nil {
		return nil
	}
	a.written = a.durable
	return errors.Join(err, a.f.Truncate(a.durable))
}

// Staged implements blob.Stager. It syncs bytes that a killed process wrote without
// a sync, and counts them.
func (s *Store) Staged(ctx context.Context, id string) (int64, error) {
	path, err := s.stagedPath(id)
	if err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	f, err := openAppend(s.sys, path)
	if err != nil {
		return 0, fmt.Errorf("staged %s: %w", id, classify(err))
	}
	size, err := sizeOf(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("staged %s: %w", id, classify(err))
	}
	return size, nil
}

// OpenStaged implements blob.Stager.
func (s *Store) OpenStaged(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	path, err := s.stagedPath(id)
	if err != nil {
		return nil, err
	}
	r, err := openRange(ctx, path, offset, length)
	if err != nil {
		return nil, fmt.Errorf("staged %s: %w", id, err)
	}
	return r, nil
}

// Commit implements blob.Stager.
func (s *Store) Commit(ctx context.Context, id, key string) (blob.Info, error) {
	from, err := s.stagedPath(id)
	if err != nil {
		return blob.Info{}, err
	}
	to, err := s.LocalPath(key)
	if err != nil {
		return blob.Info{}, err
	}
	if _, err := s.Staged(ctx, id); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return blob.Info{}, err
	}
	if err := s.move(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return blob.Info{}, fmt.Errorf("commit %s to %s: %w", id, key, classify(err))
	}
	info, err := s.Stat(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("commit %s: %w", id, err)
	}
	// Needed also when an earlier call did the rename: its fsync may be missing.
	if err := errors.Join(s.syncUpToRoot(filepath.Dir(to)), syncDir(s.sys, filepath.Dir(from))); err != nil {
		return blob.Info{}, fmt.Errorf("commit %s to %s: %w", id, key, classify(err))
	}
	return info, nil
}

// move renames a staged file to its key's path and creates the folder if missing.
func (s *Store) move(from, to string) error {
	for n := 1; ; n++ {
		if _, err := os.Lstat(from); err != nil {
			return err
		}
		if err := s.sys.mkdirAll(filepath.Dir(to)); err != nil {
			return err
		}
		err := s.sys.rename(from, to)
		if !errors.Is(err, fs.ErrNotExist) || n == putAttempts {
			return err
		}
	}
}

// Discard implements blob.Stager.
func (s *Store) Discard(ctx context.Context, id string) error {
	path, err := s.stagedPath(id)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.sys.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("discard %s: %w", id, classify(err))
	}
	if err := syncDir(s.sys, filepath.Dir(path)); err != nil {
		return fmt.Errorf("discard %s: %w", id, classify(err))
	}
	return nil
}
