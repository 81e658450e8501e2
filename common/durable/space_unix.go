//go:build unix

package durable

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// FreeSpace is how many bytes the calling user may still write on the file system of dir, which must exist. The error wraps
// errors.ErrUnsupported on systems that do not say.
func FreeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("look at free space of %s: %w", dir, err)
	}
	blocks, size := uint64(s.Bavail), uint64(s.Bsize) //nolint:unconvert // the types differ between systems
	if size != 0 && blocks > math.MaxInt64/size {
		return math.MaxInt64, nil
	}
	return int64(blocks * size), nil
}
