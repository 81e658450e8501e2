package follow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"snapswarm/common/daemon"
)

// reserve is what is left free on any disk, so that records, logs and neighbours still work.
const reserve = 64 << 20

// disks measures disks; tests replace it.
type disks func(dir string) (free int64, err error)

// room checks that need more bytes fit below dir, which need not exist yet. The error wraps ErrDisk and has the figures.
func (d disks) room(dir, what string, need int64) error {
	free, err := d(existing(dir))
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil // the system does not say; writing will
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDisk, err)
	case need > 0 && need > free-reserve:
		return fmt.Errorf("%w: %s needs %s in %s and %s to spare, only %s are free: free %s more, or choose another folder",
			ErrDisk, what, daemon.Bytes(need), dir, daemon.Bytes(reserve), daemon.Bytes(free), daemon.Bytes(need+reserve-free))
	}
	return nil
}

// free is room on the disk of dir; 0 if the system does not say.
func (d disks) free(dir string) int64 {
	n, err := d(existing(dir))
	if err != nil {
		return 0
	}
	return n
}

// existing is the nearest folder above dir that exists.
func existing(dir string) string {
	for {
		_, err := os.Stat(dir)
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return dir
		}
		dir = parent
	}
}

// missing is how many bytes c will still take from its disk: what is not fetched yet, less what the file has already
// allocated for that.
func missing(c Copy) int64 {
	present := c.Completed()
	if info, err := os.Stat(c.Path()); err == nil {
		present = max(present, allocated(info))
	}
	return max(0, c.Torrent().Length-present)
}
