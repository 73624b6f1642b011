package process

import "syscall"

// childAttr makes the kernel end the child with its parent, and keeps a Ctrl-C
// in the terminal for the parent, which then ends its children in order.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
