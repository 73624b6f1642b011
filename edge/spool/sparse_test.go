package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cattlecounter/deploy/testkit/must"
)

// copySparse copies a store as a power cut would leave it now, and keeps the holes of its files.
func copySparse(t testing.TB, from, to string) {
	t.Helper()
	must.Do(t, os.MkdirAll(to, 0o700))
	for _, e := range must.Get(os.ReadDir(from))(t) {
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		data, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) {
			break
		}
		if err != nil {
			return err
		}
		hole, err := in.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		b := make([]byte, hole-data)
		if _, err := in.ReadAt(b, data); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := out.WriteAt(b, data); err != nil {
			return err
		}
		at = hole
	}
	return nil
}
