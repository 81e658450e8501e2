package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"snapswarm/common/archive"
)

// Fingerprint is a hash over names, kinds, sizes and modification times of a file or a tree, which costs no reading of
// the data: two equal ones mean that nothing has changed, as far as the file system knows. Links are not followed,
// except path itself.
func Fingerprint(ctx context.Context, path string) (string, error) {
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("look at source: %w: %w", archive.ErrUnreadable, err)
	}
	h := sha256.New()
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		var fi fs.FileInfo
		if err == nil {
			fi, err = d.Info()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%q %o %d %d\n", rel, fi.Mode().Type(), sizeOf(fi), fi.ModTime().UnixNano())
		return err
	})
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("look at source: %w: %w", archive.ErrUnreadable, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sizeOf leaves out the sizes of directories, which mean nothing.
func sizeOf(fi os.FileInfo) int64 {
	if fi.Mode().IsRegular() {
		return fi.Size()
	}
	return 0
}

func epoch() time.Time { return time.Unix(0, 0) }
