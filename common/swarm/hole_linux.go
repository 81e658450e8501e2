package swarm

import (
	"errors"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// isHole reports whether the n bytes at off were never written, so that nobody has to hash zeros: a sparse file of a terabyte
// would take minutes.
func isHole(f io.Seeker, off, n int64) bool {
	data, err := f.Seek(off, unix.SEEK_DATA)
	if errors.Is(err, syscall.ENXIO) {
		return true
	}
	return err == nil && data >= off+n
}
