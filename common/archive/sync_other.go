//go:build !linux

package archive

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// syncTree makes everything below root durable, file by file.
func syncTree(root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(root, path)
	})
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
