// Package smalldisk gives tests a small file system.
package smalldisk

import (
	"os"
	"syscall"
	"testing"
)

// Mount returns a folder with its own file system of a size such as 64k. See Over.
func Mount(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	Over(t, dir, size)
	return dir
}

// Over mounts an empty file system of a size on a folder until the end of the test. At
// that time no file in it may be open. Without the right to mount, the test is skipped;
// in CI it fails.
func Over(t testing.TB, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// Resize changes the size of the file system in dir.
func Resize(t testing.TB, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		t.Fatal(err)
	}
}
