//go:build !linux

package swarm

import (
	"errors"
	"io/fs"
	"os"
)

// reopen is not possible here: descriptors of one open file share its offset.
func reopen(dataFile, fs.FileInfo) (*os.File, error) { return nil, errors.ErrUnsupported }
