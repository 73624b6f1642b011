//go:build !linux

package testserver

import "syscall"

// EndsWithParent does nothing here.
func EndsWithParent(*syscall.SysProcAttr, syscall.Signal) {}
