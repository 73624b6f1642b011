// Package smalldisk mounts small file systems, which tests can fill. No program imports this package.
package smalldisk

import (
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
