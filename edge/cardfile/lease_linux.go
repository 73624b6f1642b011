package cardfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

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
