package cache

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate takes a file's space from the disk. Where the file system cannot, it comes
// with the bytes.
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
