//go:build unix

package archive

import (
	"os"
	"syscall"
)

// nonblock keeps the open of a file that was replaced by a named pipe from waiting for a writer.
const nonblock = syscall.O_NONBLOCK

func inodeOf(fi os.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino ^ uint64(st.Dev)<<48 //nolint:unconvert // not every unix has a device of 64 bits
	}
	return 0
}
