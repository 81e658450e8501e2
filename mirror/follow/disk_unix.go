//go:build unix

package follow

import (
	"io/fs"
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeSpace is how many bytes the calling user may still write on the file system of dir.
func freeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	blocks, size := uint64(s.Bavail), uint64(s.Bsize) //nolint:unconvert // the types differ between systems
	if size != 0 && blocks > math.MaxInt64/size {
		return math.MaxInt64, nil
	}
	return int64(blocks * size), nil
}

// allocated is what a file takes from its disk; less than its size when it is sparse.
func allocated(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512 // POSIX leaves the unit open; every system in use counts 512
	}
	return 0
}
