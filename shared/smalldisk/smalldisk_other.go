//go:build !linux

// Package smalldisk gives tests a file system that is soon full. No program imports it.
package smalldisk

import "testing"

// Mount skips the test: it mounts on Linux only.
func Mount(t testing.TB, _ string) string {
	t.Skip("mounts a small file system, on Linux only")
	return ""
}

// Resize is for what Mount has mounted.
func Resize(t testing.TB, _, _ string) { t.Skip("on Linux only") }
