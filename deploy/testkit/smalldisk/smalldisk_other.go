//go:build !linux

// Package smalldisk gives tests a small file system.
package smalldisk

import "testing"

// Mount skips the test, because only Linux is supported.
func Mount(t testing.TB, size string) string {
	Over(t, "", size)
	return ""
}

// Over skips the test.
func Over(t testing.TB, _, _ string) { t.Skip("a small file system can be mounted only on Linux") }

// Resize skips the test.
func Resize(t testing.TB, _, _ string) { t.Skip("a small file system can be mounted only on Linux") }
