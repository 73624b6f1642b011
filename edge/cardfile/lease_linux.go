package cardfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// BeingWritten reports whether a process of this machine has the file at a path open for writing, where the file system
// can tell. A file that cannot be opened counts as false: reading it reports the error.
func BeingWritten(path string) bool {
	f, err := openRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return HasWriter(f)
}

// HasWriter reports whether a process has the file open for writing. It asks for a read lease, which the kernel
// refuses with EAGAIN exactly in that case (fcntl(2), F_SETLEASE). Other refusals (another owner, a network file
// system) prove nothing and count as false.
func HasWriter(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return false
	}
	return errors.Is(err, unix.EAGAIN)
}
