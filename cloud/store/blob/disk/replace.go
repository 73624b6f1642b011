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
	// same blob. It holds the lock for a comparison and a rename, unless it is paused.
	lockPatience = 5 * time.Second
	lockPoll     = 5 * time.Millisecond
)

// errLocked says whom an operator has to look for.
var errLocked = errors.New("another process holds its lock and does not go on; is one paused?")

// Replace implements blob.Store. The blob that is there is compared under a lock
// (flock) on its own file, so no file is needed for the lock, and a process that dies
// lets go of it. The first version of a blob gets its name by a link, which fails when
// the name is taken. Put, Commit and Delete do not ask for the lock: nobody who is paused
// holds up the intake.
func (s *Store) Replace(ctx context.Context, key, version string, r io.Reader) (blob.Info, error) {
	return s.put(ctx, key, r, func(from, to string) error {
		if version == "" {
			return s.first(from, to)
		}
		return s.swap(ctx, from, to, version)
	})
}

// first gives from the name to, which must not be there.
func (s *Store) first(from, to string) error {
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

// swap gives from the name to, if what is there is of the version.
func (s *Store) swap(ctx context.Context, from, to, want string) error {
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
	// The clock of file systems is coarse and may be set back, versions only go on.
	if mine, err := os.Stat(from); err != nil {
		return err
	} else if !mine.ModTime().After(old.ModTime()) {
		if err := s.sys.chtimes(from, old.ModTime().Add(time.Nanosecond)); err != nil {
			return err
		}
	}
	return s.sys.rename(from, to)
}

// lock opens the file that has the name now and locks it; closing lets go.
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

// tryLock returns neither file nor error when somebody else has the lock, or has just
// put another file under the name.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // over NFS a lock is for files that are open for writing
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrChanged
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		var same bool
		if same, err = named(f, path); same {
			return f, nil
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		err = nil
	}
	return nil, errors.Join(err, f.Close())
}

// named reports whether the open file is the one that has the name.
func named(f *os.File, path string) (bool, error) {
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

// version tells two writes of a blob apart: each has a file of its own, and where the
// number of one is used again, its time is another.
func version(info fs.FileInfo) string {
	var number uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		number = st.Ino
	}
	return fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), number)
}
