package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// system is what Store asks of the operating system to change files. Tests put
// one in its place that fails or dies at a chosen call.
type system interface {
	mkdirAll(dir string) error
	createTemp(dir string) (file, error)
	create(path string) (file, error)
	openAppend(path string) (file, error)
	rename(from, to string) error
	link(from, to string) error
	chtimes(path string, modified time.Time) error
	remove(path string) error
	syncDir(dir string) error
}

type file interface {
	io.WriteCloser
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

type osSystem struct{}

func (osSystem) mkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

func (osSystem) createTemp(dir string) (file, error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return nil, err
	}
	return f, nil
}

// create makes a file that must not exist.
func (osSystem) create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osSystem) openAppend(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osSystem) rename(from, to string) error { return os.Rename(from, to) }

// link gives a file a second name, which must not be there.
func (osSystem) link(from, to string) error { return os.Link(from, to) }

func (osSystem) chtimes(path string, modified time.Time) error {
	return os.Chtimes(path, time.Time{}, modified)
}

func (osSystem) remove(path string) error { return os.Remove(path) }

func (osSystem) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
