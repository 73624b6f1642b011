//go:build !linux

// Package smalldisk mounts small file systems, which tests can fill. No program imports this package.
package smalldisk

import "testing"

// Mount skips the test: it needs Linux.
func Mount(t testing.TB, size string) string {
	MountOver(t, "", size)
	return ""
}

// MountOver skips the test: it needs Linux.
func MountOver(t testing.TB, _, _ string) { t.Skip("mounts a file system, which needs Linux") }

// Resize skips the test: it needs Linux.
func Resize(t testing.TB, _, _ string) { t.Skip("resizes a file system, which needs Linux") }

// Fill skips the test: it needs Linux.
func Fill(t testing.TB, _ string) func() {
	t.Skip("fills a file system, which needs Linux")
	return nil
}
