package disk

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// system is how Store changes files. Tests replace it by one that fails or dies at a
// chosen call.
type system interface {
	mkdirAll(dir string) error
	// open opens a file or a folder; flag is that of os.OpenFile.
	open(path string, flag int) (file, error)
	rename(from, to string) error
	// link gives a file a second name, which must not exist.
	link(from, to string) error
	chtimes(path string, modified time.Time) error
	remove(path string) error
}

// file is an open file or folder of a system.
type file interface {
	io.WriteCloser
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

type osSystem struct{}

func (osSystem) mkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

func (osSystem) open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osSystem) rename(from, to string) error { return os.Rename(from, to) }

func (osSystem) link(from, to string) error { return os.Link(from, to) }

func (osSystem) chtimes(path string, modified time.Time) error {
	return os.Chtimes(path, time.Time{}, modified)
}

func (osSystem) remove(path string) error { return os.Remove(path) }

// create makes a file that must not exist.
func create(sys system, path string) (file, error) {
	return sys.open(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
}

// createTemp makes a file with a new name in dir.
func createTemp(sys system, dir string) (file, error) {
	return create(sys, filepath.Join(dir, tempPrefix+rand.Text()))
}

func openAppend(sys system, path string) (file, error) {
	return sys.open(path, os.O_WRONLY|os.O_APPEND)
}

// syncDir makes the names in a folder durable.
func syncDir(sys system, dir string) error {
	f, err := sys.open(dir, os.O_RDONLY)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
