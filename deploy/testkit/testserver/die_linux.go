package testserver

import "syscall"

// EndsWithParent makes the kernel send the signal to a server when the test program dies.
func EndsWithParent(a *syscall.SysProcAttr, s syscall.Signal) { a.Pdeathsig = s }
