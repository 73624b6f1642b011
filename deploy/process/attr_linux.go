package process

import "syscall"

// childAttr makes the kernel end the child with its parent, and sends a Ctrl-C in
// the terminal to the parent alone, which then stops its children in order.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
