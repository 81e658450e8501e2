package publish

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// checkSpace fails with a [SpaceError] when dir has less than need bytes left for us.
func checkSpace(dir string, need int64) error {
	have, err := freeSpace(dir)
	if err != nil {
		return err
	}
	if have < need {
		return &SpaceError{Dir: dir, Need: need, Have: have}
	}
	return nil
}

func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look at free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // another type on macOS
}

// explainFull gives the error of a full disk its numbers; others pass.
func explainFull(err error, dir string, need int64) error {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	have, _ := freeSpace(dir)
	return fmt.Errorf("%w: %w", &SpaceError{Dir: dir, Need: need, Have: have}, err)
}
