//go:build !linux

package testserver

import "syscall"

// EndWithParent does nothing: only Linux can signal a child process when its parent dies.
func EndWithParent(*syscall.SysProcAttr, syscall.Signal) {}
