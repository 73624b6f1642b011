//go:build !linux

package testserver

import "syscall"

// EndsWithParent does nothing on this system.
func EndsWithParent(*syscall.SysProcAttr, syscall.Signal) {}
