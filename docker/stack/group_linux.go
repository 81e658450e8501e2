package stack

import "syscall"

// ownGroup keeps the terminal's signals away from a process, and ends it when we are killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
