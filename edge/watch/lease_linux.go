package watch

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// hasWriter asks for a read lease, which the kernel refuses with EAGAIN exactly
// when the file is open for writing somewhere (fcntl(2), F_SETLEASE). Every
// other refusal (another owner, a network file system) says nothing.
func hasWriter(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return false
	}
	return errors.Is(err, unix.EAGAIN)
}
