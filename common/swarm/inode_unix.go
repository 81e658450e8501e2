//go:build unix

package swarm

import (
	"os"
	"syscall"
)

// noFollow refuses to open a symbolic link in the place of a snapshot's file.
const noFollow = syscall.O_NOFOLLOW

// inode tells files apart that took each other's place under one name.
func inode(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
