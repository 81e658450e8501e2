//go:build unix && !linux

package stack

import "syscall"

// ownGroup keeps the terminal's signals away from a process.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
