package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/interrupt"
)

const (
	// lockPatience is how long Replace waits for another process that replaces the
	// same blob. That process holds the lock only for a comparison and a rename.
	lockPatience = 5 * time.Second
	lockPoll     = 5 * time.Millisecond
)

// errLocked tells the operator what to look for.
var errLocked = errors.New("another process holds the lock on the blob and makes no progress; " +
	"look for a paused process")

// Replace implements blob.Store. It compares the existing blob under a lock (flock) on
// the blob's file. No extra lock file is needed, and a process that dies releases the
// lock. The first version of a blob gets its name by a link, which fails when the name
// exists. Put, Commit and Delete do not take the lock, so that a paused process cannot
// block the intake.
func (s *Store) Replace(ctx context.Context, key, version string, r io.Reader) (blob.Info, error) {
	return s.put(ctx, key, r, func(from, to string) error {
		if version == "" {
			return s.linkFirst(from, to)
		}
		return s.replaceVersion(ctx, from, to, version)
	})
}

// linkFirst moves from to the path to, which must not exist.
func (s *Store) linkFirst(from, to string) error {
	err := s.sys.link(from, to)
	if errors.Is(err, fs.ErrExist) {
		if info, err := os.Stat(to); err == nil && info.IsDir() {
			return syscall.EISDIR
		}
		return blob.ErrChanged
	}
	if err != nil {
		return err
	}
	return s.sys.remove(from)
}

// replaceVersion renames from to the path to if the file there has the wanted version.
func (s *Store) replaceVersion(ctx context.Context, from, to, want string) error {
	locked, err := lock(ctx, to)
	if err != nil {
		return err
	}
	defer locked.Close()
	old, err := locked.Stat()
	if err != nil {
		return err
	}
	if version(old) != want {
		return blob.ErrChanged
	}
	// The clock of a file system is coarse and may be set back. Versions must still grow.
	if mine, err := os.Stat(from); err != nil {
		return err
	} else if !mine.ModTime().After(old.ModTime()) {
		if err := s.sys.chtimes(from, old.ModTime().Add(time.Nanosecond)); err != nil {
			return err
		}
	}
	return s.sys.rename(from, to)
}

// lock opens and locks the file that has the name now. Closing it releases the lock.
func lock(ctx context.Context, path string) (*os.File, error) {
	for began := time.Now(); ; {
		f, err := tryLock(path)
		if f != nil || err != nil {
			return f, err
		}
		if time.Since(began) > lockPatience {
			return nil, errLocked
		}
		if err := interrupt.Pause(ctx, lockPoll); err != nil {
			return nil, err
		}
	}
}

// tryLock returns neither file nor error when another process has the lock or has just
// moved another file to the path.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // NFS locks only files that are open for writing
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrChanged
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		var same bool
		if same, err = hasName(f, path); same {
			return f, nil
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		err = nil
	}
	return nil, errors.Join(err, f.Close())
}

// hasName reports whether the open file is the one that has the name.
func hasName(f *os.File, path string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, now), err
}

// version differs between two writes of a blob. Each write makes a new file. When the
// file system reuses an inode number, the time differs.
func version(info fs.FileInfo) string {
	var number uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		number = st.Ino
	}
	return fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), number)
}
