//go:build !unix

package follow

import (
	"errors"
	"io/fs"
)

func freeSpace(string) (int64, error) { return 0, errors.ErrUnsupported }

func allocated(fs.FileInfo) int64 { return 0 }
