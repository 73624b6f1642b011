//go:build !linux

// Package smalldisk gives tests a file system that is soon full. No program imports it.
package smalldisk

import "testing"

// Mount skips the test: it mounts on Linux only.
func Mount(t testing.TB, size string) string {
	Over(t, "", size)
	return ""
}

// Over skips the test as well.
func Over(t testing.TB, _, _ string) { t.Skip("mounts a small file system, on Linux only") }

// Resize is for what Mount has mounted.
func Resize(t testing.TB, _, _ string) { t.Skip("on Linux only") }
