package cache

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves the space of a file on the disk. On a file system without this feature the writes allocate it.
func allocate(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		default:
			return err
		}
	}
}
