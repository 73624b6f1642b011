// Package smalldisk gives tests a file system that is soon full. No program imports it.
package smalldisk

import (
	"os"
	"syscall"
	"testing"
)

// Mount returns a folder of its own file system of a size such as 64k, see Over.
func Mount(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	Over(t, dir, size)
	return dir
}

// Over puts an empty file system of a size over a folder until the end of the test, when
// nobody may have a file in it open. Without the right to mount the test is skipped, except in CI, where that
// would go unnoticed.
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

// Resize gives the file system in dir another size.
func Resize(t testing.TB, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		t.Fatal(err)
	}
}
