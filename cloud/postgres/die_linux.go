package postgres

import "syscall"

// dieWithParent ends the server also when the test program is killed.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
