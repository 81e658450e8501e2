//go:build !linux

package swarm

import (
	"errors"
	"io/fs"
	"os"
)

// openDirect is not possible here: reads go through the page cache.
func openDirect(dataFile, fs.FileInfo) (*os.File, error) { return nil, errors.ErrUnsupported }

func bufferReads(*os.File) error { return errors.ErrUnsupported }

func preadAligned(f *os.File, b []byte, off int64) (int, error) { return f.ReadAt(b, off) }
