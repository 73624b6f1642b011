package testserver

import "syscall"

// EndsWithParent has the kernel send a server the signal when the test program is killed.
func EndsWithParent(a *syscall.SysProcAttr, s syscall.Signal) { a.Pdeathsig = s }
