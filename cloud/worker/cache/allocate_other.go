//go:build !linux

package cache

import "os"

// allocate leaves it to the bytes to take the space.
func allocate(*os.File, int64) error { return nil }
