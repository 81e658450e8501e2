package main

import (
	"errors"
	"fmt"

	"snapswarm/common/daemon"
	"snapswarm/common/snapshot"
)

// reserve is what is left free on the disk, so that records, logs and neighbours still work.
const reserve = 64 << 20

var errNoRoom = errors.New("disk")

// room checks that a new snapshot fits below dir, beside what is served. The error has the figures.
func room(freeSpace func(dir string) (int64, error), dir string, t *snapshot.Torrent) error {
	free, err := freeSpace(dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil // the system does not say; writing will
	case err != nil:
		return fmt.Errorf("%w: %w", errNoRoom, err)
	case t.Length > free-reserve:
		return fmt.Errorf("%w: it needs %s in %s and %s to spare, only %s are free: free %s more",
			errNoRoom, daemon.Bytes(t.Length), dir, daemon.Bytes(reserve), daemon.Bytes(free), daemon.Bytes(t.Length+reserve-free))
	}
	return nil
}
