package testserver

import "syscall"

// EndWithParent makes the kernel send the signal to a child process when this process dies.
func EndWithParent(a *syscall.SysProcAttr, s syscall.Signal) { a.Pdeathsig = s }
