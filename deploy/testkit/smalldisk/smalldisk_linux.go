// Package smalldisk mounts small file systems, which tests can fill. No program imports this package.
package smalldisk

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// Mount returns a new folder with a file system of the given size, such as 64k, see MountOver.
func Mount(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	MountOver(t, dir, size)
	return dir
}

// MountOver mounts an empty file system of the given size at dir until the end of the test. No file in it may be open
// then. Without the right to mount, the test is skipped. In CI it fails.
func MountOver(t testing.TB, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("cannot mount a file system at %s: %v", dir, err)
		}
		t.Skipf("cannot mount a file system at %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("cannot unmount %s: %v", dir, err)
		}
	})
}

// Resize changes the size of the file system that Mount or MountOver has mounted at dir.
func Resize(t testing.TB, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		t.Fatalf("cannot resize the file system at %s: %v", dir, err)
	}
}

// Fill writes a file into the folder dir of a small file system until not one block is free. The returned function removes
// that file. Other programs may write meanwhile.
func Fill(t testing.TB, dir string) (empty func()) {
	t.Helper()
	f, err := os.CreateTemp(dir, "filler-")
	if err != nil {
		t.Fatalf("cannot fill the file system at %s: %v", dir, err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 1 << 12} {
		block := make([]byte, size)
		for err = nil; err == nil; {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("cannot fill the file system at %s: %v", dir, err)
		}
	}
	return func() {
		t.Helper()
		if err := os.Remove(f.Name()); err != nil {
			t.Errorf("cannot empty the file system at %s: %v", dir, err)
		}
	}
}
