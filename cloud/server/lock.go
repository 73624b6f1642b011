package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse says that another cloud-api uses the data folder.
var ErrInUse = errors.New("data folder in use")

const lockName = "cloud-api.lock"

// lockData locks the data folder for this process. The locks of uploads are in memory, so
// two servers would overwrite each other's files. The kernel releases the lock when the
// process ends, however it ends. Workers and the commands of cloud-api do not need it.
func lockData(dir string) (release func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%w: another cloud-api serves %s; stop it, or set another folder as data",
			ErrInUse, dir), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock data folder %s: %w", dir, err), f.Close())
	}
	return f.Close, nil
}
